//! Trees built by us against trees built by git.

mod common;

use std::collections::BTreeMap;

use common::{Numbers, Repo, build, gone, put, spec};
use tatami_core::diff;
use tatami_core::error::Code;
use tatami_core::objects::parse_id;
use tatami_core::spec::Change;

const NAMES: [&str; 12] = [
    "a", "a-b", "a.b", "a/b", "a/b/c", "a0", "b/x", "b/y/z", "b/y0", "lib/m.py", "lib.py",
    "z/z/z/z",
];

/// What git makes of the same files.
fn git_tree(repo: &Repo, files: &BTreeMap<&str, String>) -> String {
    repo.git(&["rm", "-rqf", "--cached", "--ignore-unmatch", "."]);
    for (path, content) in files {
        std::fs::write(repo.path.join(".content"), content).unwrap();
        let id = repo.git(&["hash-object", "-w", ".content"]);
        repo.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("100644,{id},{path}"),
        ]);
    }
    repo.git(&["write-tree"])
}

/// Whether a path can stand beside others: none of them lies above or below it.
fn fits(files: &BTreeMap<&str, String>, path: &str) -> bool {
    let below = |long: &str, short: &str| long.starts_with(&format!("{short}/"));
    !files
        .keys()
        .any(|other| below(other, path) || below(path, other))
}

#[test]
fn edits_in_any_order_give_the_tree_that_git_writes() {
    let repo = Repo::with(&[("README", "hello")]);
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let mut files = BTreeMap::from([("README", "hello".to_owned())]);
        let mut parent = repo.head.clone();
        let mut objects = repo.objects();
        for step in 0..4 {
            let before = files.clone();
            for _ in 0..3 {
                let path = NAMES[numbers.below(NAMES.len())];
                if numbers.below(3) == 0 {
                    files.remove(path);
                } else if fits(&files, path) {
                    files.insert(path, format!("{seed} {step}"));
                }
            }
            let changed: Vec<Change<'_>> = files
                .iter()
                .filter(|(path, text)| before.get(*path) != Some(text))
                .map(|(path, text)| put(path, text))
                .chain(
                    before
                        .keys()
                        .filter(|path| !files.contains_key(*path))
                        .map(|path| gone(path)),
                )
                .collect();
            let batch = build(&mut objects, &[spec(&parent, changed, "step\n")]).unwrap();
            let made = &batch.commits[0];
            assert_eq!(
                git_tree(&repo, &files),
                made.tree.to_string(),
                "seed {seed} step {step}"
            );
            for object in &batch.objects {
                objects.remember(object.id, object.kind, &object.content());
            }
            parent = made.commit.to_string();
        }
    }
}

#[test]
fn a_commit_is_byte_for_byte_what_git_reads_back() {
    let repo = Repo::with(&[("f", "1")]);
    let mut core = repo.core();
    let batch = core
        .prepare(&[spec(&repo.head, vec![put("f", "2")], "say\n")])
        .unwrap();
    core.publish(
        Some(&batch),
        &common::bookmarks(&[("agent/a", batch.commits[0].commit)]),
    )
    .unwrap();
    let id = batch.commits[0].commit.to_string();
    let shown = repo.git(&["show", "-s", "--format=%an <%ae> %ai%n%P%n%B", &id]);
    let expected = format!("A <a@b> 2023-11-14 23:43:20 +0130\n{}\nsay", repo.head);
    assert_eq!(expected, shown);
}

#[test]
fn paths_that_cannot_be_are_refused_by_name() {
    let repo = Repo::with(&[("dir/file", "1"), ("plain", "1")]);
    let cases = [
        (put("dir", "x"), "is a directory"),
        (put("plain/x", "x"), "lies below a file"),
        (
            put("PLAIN", "x"),
            "has \"PLAIN\", which differs from \"plain\" beside it only in upper and lower case",
        ),
        (
            put("Dir/new", "x"),
            "has \"Dir\", which differs from \"dir\"",
        ),
        (gone("dir"), "is a directory"),
        (put("../up", "x"), "\"../up\""),
        (put(".git/config", "x"), "\".git/config\""),
        (put("a/.GIT/x", "x"), "\"a/.GIT/x\""),
    ];
    for (change, words) in cases {
        let refused = build(
            &mut repo.objects(),
            &[spec(&repo.head, vec![change], "m\n")],
        );
        let error = refused.err().unwrap();
        assert_eq!(Code::BadPath, error.code, "{}", error.message);
        assert!(
            error.message.contains(words),
            "{} lacks {words}",
            error.message
        );
    }
}

#[test]
fn a_file_may_become_a_directory_and_back_and_change_its_case() {
    let repo = Repo::with(&[("x", "1"), ("d/a", "1")]);
    let mut objects = repo.objects();
    let there = vec![
        gone("x"),
        put("x/y", "2"),
        gone("d/a"),
        put("d", "3"),
        put("X2", "4"),
    ];
    let batch = build(
        &mut objects,
        &[
            spec(&repo.head, there, "one\n"),
            spec(
                "@0",
                vec![gone("x/y"), put("x", "5"), gone("X2"), put("x2", "6")],
                "two\n",
            ),
        ],
    )
    .unwrap();
    for object in &batch.objects {
        objects.remember(object.id, object.kind, &object.content());
    }
    let listed = diff::list(&mut objects, batch.commits[1].tree, "").unwrap();
    let paths: Vec<_> = listed.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(vec!["d", "x", "x2"], paths);
}

#[test]
fn differences_are_those_git_sees() {
    let repo = Repo::with(&[("a/b", "1"), ("c", "1"), ("d", "1"), ("e/f/g", "1")]);
    let changes = vec![
        gone("a/b"),
        put("a", "2"),
        put("c", "2"),
        gone("e/f/g"),
        put("e/f/h", "1"),
    ];
    let mut core = repo.core();
    let batch = core.prepare(&[spec(&repo.head, changes, "m\n")]).unwrap();
    core.publish(
        Some(&batch),
        &common::bookmarks(&[("agent/a", batch.commits[0].commit)]),
    )
    .unwrap();
    let new = batch.commits[0].commit.to_string();
    let shown = repo.git(&[
        "diff-tree",
        "-r",
        "--name-only",
        "--no-renames",
        &repo.head,
        &new,
    ]);
    let mut expected: Vec<&str> = shown.lines().collect();
    expected.sort_unstable();
    let old_tree = parse_id(&repo.git(&["rev-parse", "HEAD^{tree}"])).unwrap();
    let found = diff::diff(&mut core.objects, old_tree, batch.commits[0].tree).unwrap();
    let mut paths: Vec<&str> = found.iter().map(|one| one.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(expected, paths);
}
