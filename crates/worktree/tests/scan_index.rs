//! Scans of worktrees whose index is not simply the commit's.

mod common;

use std::fs;

use common::tree::{FILES, Tree};
use common::{git, git_with, put};
use tatami_worktree::{Error, scan};

#[test]
fn what_is_staged_is_told_apart_from_what_is_there() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "a", b"staged\n");
    git(&tree.path, &["add", "a"]);
    assert!(!tree.check().staged);
    put(&tree.path, "b", b"not staged\n");
    assert!(tree.check().staged);
    git(&tree.path, &["add", "b"]);
    put(&tree.path, "untracked", b"u");
    assert!(tree.check().staged);
    fs::remove_file(tree.path.join("untracked")).unwrap();
    put(&tree.path, "b", b"b\n");
    put(&tree.path, "a", b"a\n");
    let scan = tree.check();
    assert_eq!((true, 0), (scan.staged, scan.files.len()));
}

#[test]
fn staged_deletions_renames_and_intents_are_compared_with_the_commit() {
    let tree = Tree::with(&FILES);
    git(&tree.path, &["rm", "-q", "--cached", "a"]);
    tree.check();
    fs::remove_file(tree.path.join("a")).unwrap();
    git(&tree.path, &["mv", "d/g", "d/renamed"]);
    put(&tree.path, "intended", b"i");
    git(&tree.path, &["add", "-N", "intended"]);
    tree.check();
    assert_eq!(["a", "d/g", "d/renamed", "intended"], tree.paths()[..]);
    fs::remove_file(tree.path.join("intended")).unwrap();
    let scan = tree.check();
    let last = scan.files.last().unwrap();
    assert_eq!(
        ("intended", 0, true),
        (&*last.path, last.mode, last.untracked)
    );
    git(&tree.path, &["rm", "-q", "--cached", "b"]);
    put(&tree.path, ".gitignore", b"b\n");
    tree.check();
}

#[test]
fn the_index_may_be_another_commits() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "d/e/f", b"second\n");
    put(&tree.path, "x/y", b"second\n");
    git(&tree.path, &["add", "-A"]);
    git(
        &tree.path,
        &[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@x",
            "commit",
            "-q",
            "-m",
            "2",
        ],
    );
    let scan = scan(&tree.repo.git_dir, &tree.path, &tree.repo.head(), None).unwrap();
    let found: Vec<_> = scan
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.mode))
        .collect();
    assert_eq!([("d/e/f", 0o100_644), ("x/y", 0o100_644)], found[..]);
    assert_eq!(Some(&b"second\n"[..]), scan.files[0].content.as_deref());
}

#[test]
fn a_worktree_without_an_index_has_everything_untracked() {
    let tree = Tree::with(&FILES);
    fs::remove_file(tree.repo.git_dir.join("worktrees/one/index")).unwrap();
    put(&tree.path, "a", b"changed\n");
    let scan = tree.scan();
    assert_eq!(tree.applied(&scan), {
        git(&tree.path, &["add", "-A"]);
        git(&tree.path, &["write-tree"])
    });
    assert_eq!(
        (1, true, true),
        (scan.files.len(), scan.files[0].untracked, scan.staged)
    );
}

#[test]
fn skipped_and_assumed_entries_are_taken_as_the_index_has_them() {
    let tree = Tree::with(&FILES);
    git(
        &tree.path,
        &["update-index", "--skip-worktree", "a", "d/e/f"],
    );
    git(&tree.path, &["update-index", "--assume-unchanged", "b"]);
    fs::remove_dir_all(tree.path.join("d/e")).unwrap();
    put(&tree.path, "a", b"changed\n");
    put(&tree.path, "b", b"changed\n");
    assert_eq!(0, tree.check().files.len());
}

#[test]
fn a_sparse_checkout_keeps_what_is_not_there() {
    let tree = Tree::with(&FILES);
    git(
        &tree.path,
        &["sparse-checkout", "set", "--no-cone", "/a", "/b"],
    );
    assert!(!tree.path.join("d").exists());
    put(&tree.path, "b", b"changed\n");
    tree.check();
    assert_eq!(["b"], tree.paths()[..]);
    put(&tree.path, "d/g", b"here again\n");
    assert_eq!(["b", "d/g"], tree.paths()[..]);
}

#[test]
fn unmerged_and_sparse_indexes_are_refused() {
    let tree = Tree::with(&FILES);
    let entries = "100644 78981922613b2afb6025042ff6bd878ac1994e85 1\ta\n\
                   100644 78981922613b2afb6025042ff6bd878ac1994e85 2\ta\n";
    git_with(
        &tree.path,
        &["update-index", "--force-remove", "a"],
        b"",
        &[],
    );
    git_with(
        &tree.path,
        &["update-index", "--index-info"],
        entries.as_bytes(),
        &[],
    );
    assert!(matches!(tree.error(), Error::BadInput(text) if text.starts_with("a is unmerged")));
    let tree = Tree::with(&FILES);
    git(
        &tree.path,
        &["sparse-checkout", "set", "--cone", "--sparse-index", "x"],
    );
    assert!(matches!(tree.error(), Error::Unsupported(_)));
}

#[test]
fn a_damaged_index_is_corrupt() {
    let tree = Tree::with(&FILES);
    let index = tree.repo.git_dir.join("worktrees/one/index");
    let mut bytes = fs::read(&index).unwrap();
    bytes[80] ^= 1;
    fs::write(&index, bytes).unwrap();
    assert!(matches!(tree.error(), Error::Corrupt(text) if text.contains("worktrees/one/index")));
}

#[test]
fn a_split_index_is_read() {
    let tree = Tree::with(&FILES);
    git(&tree.path, &["update-index", "--split-index"]);
    put(&tree.path, "a", b"changed\n");
    git(&tree.path, &["add", "a"]);
    put(&tree.path, "b", b"changed\n");
    tree.check();
}

#[test]
fn a_version_4_index_is_read() {
    let tree = Tree::with(&FILES);
    git(&tree.path, &["update-index", "--index-version", "4"]);
    put(&tree.path, "d/new", b"changed\n");
    tree.check();
}

#[test]
fn an_edit_in_the_same_moment_as_git_wrote_the_index_is_seen() {
    let tree = Tree::with(&FILES);
    for round in 0..30 {
        put(&tree.path, "a", format!("{round:02}\n").as_bytes());
        git(&tree.path, &["add", "a"]);
        put(&tree.path, "a", format!("{:02}\n", round + 50).as_bytes());
        let expected = format!("{:02}\n", round + 50).into_bytes();
        assert_eq!(Some(expected), tree.scan().files[0].content);
    }
}
