//! What is refused when worktrees are made, with nothing left behind.

mod common;

use std::fs;

use common::{Repo, blob, link, put, raw_tree, varied};
use tatami_worktree::{Error, WorktreeSpec, add_worktrees};

/// Everything below the repository's folder, to see that a refused call leaves nothing behind.
fn snapshot(repo: &Repo) -> Vec<String> {
    let mut all = Vec::new();
    let mut waiting = vec![repo.path.parent().unwrap().to_owned()];
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            }
            all.push(entry.path().display().to_string());
        }
    }
    all.retain(|path| !path.ends_with("/.git/worktrees"));
    all.sort();
    all
}

fn refused(repo: &Repo, specs: &[WorktreeSpec], commit: &str) -> Error {
    let before = snapshot(repo);
    let error = add_worktrees(&repo.git_dir, specs, commit, "", &[]).unwrap_err();
    assert_eq!(before, snapshot(repo));
    error
}

#[test]
fn a_directory_that_is_not_empty_is_refused_and_left_alone() {
    let repo = varied();
    put(&repo.spec("two").path, "mine", b"mine");
    let error = refused(&repo, &[repo.spec("one"), repo.spec("two")], &repo.head());
    assert!(
        matches!(&error, Error::BadInput(text) if text.ends_with("two is not empty")),
        "{error}"
    );
}

#[test]
fn a_file_or_symlink_in_the_way_is_refused() {
    let repo = varied();
    let folder = repo.spec("one").path.parent().unwrap().to_owned();
    put(&folder, "one", b"a file");
    fs::create_dir(folder.join("elsewhere")).unwrap();
    link(&folder, "elsewhere", "two");
    for name in ["one", "two"] {
        refused(&repo, &[repo.spec(name)], &repo.head());
    }
}

#[test]
fn a_registered_name_and_a_branch_in_use_are_refused() {
    let repo = varied();
    repo.add(&["one"]).unwrap();
    let other = WorktreeSpec {
        path: repo.spec("other").path,
        ..repo.spec("one")
    };
    let again = WorktreeSpec {
        branch: "refs/heads/other".into(),
        ..other.clone()
    };
    let error = refused(&repo, &[again], &repo.head());
    assert_eq!(
        "a worktree named one is already registered",
        error.to_string()
    );
    let taken = WorktreeSpec {
        name: "other".into(),
        ..other
    };
    let error = refused(&repo, &[taken], &repo.head());
    assert!(
        error
            .to_string()
            .starts_with("refs/heads/agent/one is already checked out"),
        "{error}"
    );
    let main = WorktreeSpec {
        branch: "refs/heads/main".into(),
        ..repo.spec("third")
    };
    refused(&repo, &[main], &repo.head());
}

#[test]
fn the_same_directory_or_name_twice_is_refused() {
    let repo = varied();
    let (one, two) = (repo.spec("one"), repo.spec("two"));
    refused(
        &repo,
        &[
            one.clone(),
            WorktreeSpec {
                path: one.path.clone(),
                ..two.clone()
            },
        ],
        &repo.head(),
    );
    refused(
        &repo,
        &[
            one.clone(),
            WorktreeSpec {
                name: one.name,
                ..two
            },
        ],
        &repo.head(),
    );
}

#[test]
fn bad_names_paths_and_branches_are_refused() {
    let repo = varied();
    let good = repo.spec("one");
    let name = |name: &str| WorktreeSpec {
        name: name.into(),
        ..good.clone()
    };
    let path = |path: &str| WorktreeSpec {
        path: path.into(),
        ..good.clone()
    };
    let branch = |branch: &str| WorktreeSpec {
        branch: branch.into(),
        ..good.clone()
    };
    let bad = [
        name(""),
        name(".."),
        name("a/b"),
        name("a\nb"),
        path("relative"),
        path("/tmp/a\nb"),
        branch("main"),
        branch("refs/heads/"),
        branch("refs/heads/a..b"),
        branch("refs/tags/x"),
    ];
    for spec in bad {
        let error = refused(&repo, &[spec], &repo.head());
        assert!(matches!(error, Error::BadInput(_)), "{error}");
    }
}

#[test]
fn hostile_trees_are_refused() {
    let repo = varied();
    let file = blob(&repo, b"x");
    let nested = raw_tree(&repo, &[("100644", b"config", &file)]);
    let dots = raw_tree(&repo, &[("100644", b"..", &file)]);
    let trees: [&[(&str, &[u8], &str)]; 7] = [
        &[("40000", b".git", &nested)],
        &[("40000", b".GIT", &nested)],
        &[("40000", b"git~1", &nested)],
        &[("40000", ".g\u{200c}it".as_bytes(), &nested)],
        &[("40000", b".jj", &nested)],
        &[("40000", b"a", &dots)],
        &[("100644", b"a\\.git", &file)],
    ];
    for entries in trees {
        let tree = raw_tree(&repo, entries);
        let error = refused(&repo, &[repo.spec("one")], &tree);
        assert!(matches!(error, Error::BadPath(_)), "{entries:?}: {error}");
    }
}

#[test]
fn a_name_that_is_a_symlink_and_a_directory_is_refused() {
    let repo = varied();
    let target = blob(&repo, b"/tmp");
    let file = blob(&repo, b"x");
    let nested = raw_tree(&repo, &[("100644", b"escaped", &file)]);
    for name in [&b"a"[..], b"a.b"] {
        let between: &[(&str, &[u8], &str)] = &[
            ("120000", b"a", &target),
            ("100644", b"a.b", &file),
            ("40000", name, &nested),
        ];
        let tree = raw_tree(&repo, between);
        let error = refused(&repo, &[repo.spec("one")], &tree);
        assert!(matches!(error, Error::Corrupt(_)), "{error}");
    }
}

#[test]
fn a_missing_blob_leaves_nothing_behind() {
    let repo = varied();
    let file = blob(&repo, b"x");
    let tree = raw_tree(
        &repo,
        &[("100644", b"a", &file), ("100644", b"b", &"1".repeat(40))],
    );
    let error = refused(&repo, &[repo.spec("one"), repo.spec("two")], &tree);
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}

#[test]
fn unknown_commits_and_repositories_are_named() {
    let repo = varied();
    let error = refused(&repo, &[repo.spec("one")], &"2".repeat(40));
    assert!(
        matches!(&error, Error::NotFound(text) if text.contains(&"2".repeat(40))),
        "{error}"
    );
    assert!(matches!(
        refused(&repo, &[repo.spec("one")], "HEAD"),
        Error::BadInput(_)
    ));
    let file = blob(&repo, b"x");
    assert!(matches!(
        refused(&repo, &[repo.spec("one")], &file),
        Error::BadInput(_)
    ));
    let nowhere = add_worktrees(repo.path.parent().unwrap(), &[], &repo.head(), "", &[]);
    assert!(matches!(nowhere, Err(Error::NotFound(_))), "{nowhere:?}");
}

#[test]
fn a_failure_in_the_middle_spares_what_others_put_there() {
    let repo = varied();
    let tree = raw_tree(&repo, &[("100644", b"b", &"1".repeat(40))]);
    let spec = repo.spec("deep/er".rsplit('/').next().unwrap());
    let parent = spec.path.parent().unwrap().to_owned();
    fs::create_dir_all(&parent).unwrap();
    put(&parent, "neighbour", b"mine");
    refused(&repo, &[spec], &tree);
    assert_eq!(
        "mine",
        fs::read_to_string(parent.join("neighbour")).unwrap()
    );
}
