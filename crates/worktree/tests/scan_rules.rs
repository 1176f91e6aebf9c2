//! Scans where rules, settings and leftovers decide what a file is.

mod common;

use std::fs;
use std::time::{Duration, SystemTime};

use common::tree::{FILES, Tree};
use common::{chmod, git, link, put};
use sha1::{Digest, Sha1};

#[test]
fn rules_behind_a_symlink_do_not_count() {
    let tree = Tree::with(&[
        (".gitattributes", "*.txt text\n"),
        (".gitignore", "*.o\n"),
        ("rules", "*\n"),
    ]);
    for name in [".gitignore", ".gitattributes"] {
        fs::remove_file(tree.path.join(name)).unwrap();
        link(&tree.path, "rules", name);
    }
    put(&tree.path, "x.o", b"x");
    put(&tree.path, "crlf.txt", b"x\r\n");
    tree.check();
    let expected = [".gitattributes", ".gitignore", "crlf.txt", "x.o"];
    assert_eq!(expected, tree.paths()[..]);
}

#[test]
fn attributes_that_the_commit_deletes_do_not_count() {
    let tree = Tree::with(&[(".gitattributes", "*.txt text\n"), ("a.txt", "a\n")]);
    fs::remove_file(tree.path.join(".gitattributes")).unwrap();
    put(&tree.path, "a.txt", b"a\r\n");
    let scan = tree.check();
    assert!(scan.files.iter().all(|file| !file.through_git));
}

#[test]
fn attributes_that_a_sparse_checkout_left_out_count() {
    let tree = Tree::with(&[(".gitattributes", "*.txt text\n"), ("a.txt", "a\n")]);
    git(
        &tree.path,
        &["update-index", "--skip-worktree", ".gitattributes"],
    );
    fs::remove_file(tree.path.join(".gitattributes")).unwrap();
    put(&tree.path, "a.txt", b"b\r\n");
    assert!(tree.scan().files.iter().all(|file| file.through_git));
}

#[test]
fn modes_count_only_where_the_file_system_keeps_them() {
    let tree = Tree::with(&FILES);
    git(&tree.path, &["config", "core.fileMode", "false"]);
    chmod(&tree.path, "a", 0o755);
    put(&tree.path, "new", b"new\n");
    chmod(&tree.path, "new", 0o755);
    let scan = tree.check();
    let found: Vec<_> = scan.files.iter().map(|f| (&f.path[..], f.mode)).collect();
    assert_eq!([("new", 0o100_644)], found[..]);
}

#[test]
fn links_that_were_checked_out_as_files_stay_links() {
    let tree = Tree::with(&FILES);
    link(&tree.path, "a", "link");
    git(&tree.path, &["add", "link"]);
    git(&tree.path, &["config", "core.symlinks", "false"]);
    fs::remove_file(tree.path.join("link")).unwrap();
    put(&tree.path, "link", b"b");
    let scan = tree.check();
    let found: Vec<_> = scan.files.iter().map(|f| (&f.path[..], f.mode)).collect();
    assert_eq!([("link", 0o120_000)], found[..]);
}

#[test]
fn what_a_repository_left_behind_is_files() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "pruned/.git", b"gitdir: /nowhere\n");
    put(&tree.path, "pruned/file", b"x");
    put(&tree.path, "removed/.git/HEAD", b"ref: refs/heads/main\n");
    put(&tree.path, "removed/file", b"x");
    tree.check();
    assert_eq!(["pruned/file", "removed/file"], tree.paths()[..]);
}

/// git gives the size 0 to an entry whose file it knows to be modified when it writes the index in
/// the same moment; a file that is empty now has that size.
#[test]
fn an_entry_that_git_marked_as_modified_is_not_taken_for_an_empty_file() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "a", b"");
    let old = SystemTime::now() - Duration::from_secs(60);
    let file = fs::File::options().write(true).open(tree.path.join("a"));
    file.unwrap().set_modified(old).unwrap();
    git(&tree.path, &["add", "a"]);
    let index = tree.repo.git_dir.join("worktrees/one/index");
    let mut bytes = fs::read(&index).unwrap();
    let id = |text: &str| hex(&git(&tree.path, &["rev-parse", text]));
    let (empty, content) = (
        hex("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        id("HEAD:a"),
    );
    let at = bytes
        .windows(20)
        .position(|window| window == empty)
        .unwrap();
    bytes[at..at + 20].copy_from_slice(&content);
    let end = bytes.len() - 20;
    let digest = Sha1::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&digest);
    fs::write(&index, bytes).unwrap();
    tree.check();
    assert_eq!(["a"], tree.paths()[..]);
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}
