//! Worktrees of repositories whose attributes or settings change bytes on checkout.

mod common;

use std::fs;

use common::{Repo, git, put, status};

/// What git does with attributes: returned as skipped, written by git, clean afterwards.
fn attributes_case(configure: &[&[&str]], attributes: &str, skipped: &[&str]) {
    let repo = Repo::new();
    put(&repo.path, "plain.txt", b"one\ntwo\n");
    put(&repo.path, "crlf.txt", b"one\r\ntwo\r\n");
    put(&repo.path, "none", b"no newline");
    put(&repo.path, "sub/ident.c", b"$Id$\n");
    put(&repo.path, "sub/data.bin", b"\0\n");
    repo.commit();
    put(&repo.path, ".gitattributes", attributes.as_bytes());
    repo.commit();
    for arguments in configure {
        git(&repo.path, arguments);
    }
    let made = repo.add(&["one"]).unwrap();
    let path = &made[0].path;
    assert_eq!(skipped, made[0].skipped);
    assert_eq!(6 - skipped.len(), made[0].files);
    if !skipped.is_empty() {
        let arguments = [&["checkout-index", "-f", "-u", "--"][..], skipped].concat();
        git(path, &arguments);
    }
    assert_eq!("", status(path));
    let other = repo.path.parent().unwrap().join("other");
    git(
        &repo.path,
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "other",
            &other.display().to_string(),
        ],
    );
    for file in [
        "plain.txt",
        "crlf.txt",
        "none",
        "sub/ident.c",
        "sub/data.bin",
    ] {
        assert_eq!(
            fs::read(other.join(file)).unwrap(),
            fs::read(path.join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn attributes_that_change_nothing_here_leave_all_to_the_core() {
    attributes_case(&[], "* text=auto\n*.bin binary\n* diff=x merge=y\n", &[]);
}

#[test]
fn eol_crlf_is_left_to_git_where_there_are_lines() {
    attributes_case(&[], "*.txt text eol=crlf\n", &["crlf.txt", "plain.txt"]);
}

#[test]
fn autocrlf_is_left_to_git() {
    let all = ["crlf.txt", "plain.txt", "sub/data.bin", "sub/ident.c"];
    let with = [&[".gitattributes"][..], &all].concat();
    attributes_case(&[&["config", "core.autocrlf", "true"]], "a b\n", &with);
    attributes_case(&[&["config", "core.autocrlf", "input"]], "a b\n", &[]);
}

#[test]
fn core_eol_counts_only_for_text() {
    attributes_case(
        &[&["config", "core.eol", "crlf"]],
        "plain.txt text\n",
        &["plain.txt"],
    );
}

#[test]
fn ident_is_left_to_git_where_it_occurs() {
    attributes_case(&[], "* ident\n", &["sub/ident.c"]);
}

#[test]
fn a_filter_counts_once_it_is_configured() {
    attributes_case(&[], "none filter=up\n", &[]);
    let smudge = ["config", "filter.up.smudge", "tr a-z A-Z"];
    let clean = ["config", "filter.up.clean", "tr A-Z a-z"];
    attributes_case(&[&smudge, &clean], "none filter=up\n", &["none"]);
}

#[test]
fn an_encoding_is_left_to_git() {
    attributes_case(&[], "none working-tree-encoding=ISO-8859-1\n", &["none"]);
}

#[test]
fn attributes_below_and_macros_count() {
    attributes_case(
        &[],
        "[attr]dos text eol=crlf\nplain.txt dos\n",
        &["plain.txt"],
    );
}
