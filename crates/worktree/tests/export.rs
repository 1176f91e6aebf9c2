//! Exported trees, compared with what git checks out.

mod common;

use std::fs;

use common::{Repo, blob, chmod, git, link, put, raw_tree};
use tatami_worktree::{Error, export};

#[test]
fn the_files_are_the_trees_and_nothing_else_is_there() {
    let repo = Repo::with(&[
        ("a", "a"),
        ("d/e/f", "f\r\n"),
        (".gitattributes", "* eol=crlf\n"),
    ]);
    put(&repo.path, "run", b"#!/bin/sh\n");
    chmod(&repo.path, "run", 0o755);
    link(&repo.path, "a", "d/link");
    let head = repo.commit();
    let out = repo.path.parent().unwrap().join("out");
    fs::create_dir(&out).unwrap();
    assert_eq!(5, export(&repo.git_dir, &head, &out).unwrap());
    git(&out, &["init", "-q"]);
    git(&out, &["config", "core.safecrlf", "false"]);
    fs::remove_file(out.join(".gitattributes")).unwrap();
    put(&out, ".gitattributes", b"* eol=crlf\n");
    git(&out, &["add", "-A"]);
    let expected = git(&repo.path, &["rev-parse", "HEAD^{tree}"]);
    assert_eq!(expected, git(&out, &["write-tree"]));
    assert_eq!(b"f\n", &fs::read(out.join("d/e/f")).unwrap()[..]);
}

#[test]
fn a_full_or_missing_directory_is_refused() {
    let repo = Repo::with(&[("a", "a")]);
    let out = repo.path.parent().unwrap().join("out");
    assert!(matches!(
        export(&repo.git_dir, &repo.head(), &out),
        Err(Error::NotFound(_))
    ));
    put(&out, "mine", b"mine");
    assert!(matches!(
        export(&repo.git_dir, &repo.head(), &out),
        Err(Error::BadInput(_))
    ));
    assert_eq!(1, fs::read_dir(&out).unwrap().count());
}

#[test]
fn an_error_leaves_the_directory_empty() {
    let repo = Repo::with(&[("a", "a")]);
    let file = blob(&repo, b"x");
    let nested = raw_tree(&repo, &[("100644", b"x", &file)]);
    let missing = "1".repeat(40);
    let tree = raw_tree(
        &repo,
        &[("40000", b"a", &nested), ("100644", b"b", &missing)],
    );
    let out = repo.path.parent().unwrap().join("out");
    fs::create_dir(&out).unwrap();
    assert!(matches!(
        export(&repo.git_dir, &tree, &out),
        Err(Error::NotFound(_))
    ));
    assert_eq!(0, fs::read_dir(&out).unwrap().count());
}
