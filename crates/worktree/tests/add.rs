//! Worktrees made by the core, judged by stock git.

mod common;

use std::fs;

use common::{Repo, blob, chmod, git, git_raw, git_with, link, put, raw_tree, status};
use tatami_worktree::{Error, WorktreeSpec, add_worktrees};

fn varied() -> Repo {
    let repo = Repo::with(&[
        ("a.txt", "a\n"),
        ("src/deep/er/b.rs", "b\n"),
        ("src/c", ""),
        ("z", "z"),
    ]);
    put(&repo.path, "run.sh", b"#!/bin/sh\n");
    chmod(&repo.path, "run.sh", 0o755);
    link(&repo.path, "../a.txt", "src/link");
    link(&repo.path, "nowhere", "dangling");
    put(&repo.path, "binary", &[0, 1, 2, 255]);
    put(&repo.path, "src/caf\u{e9}", b"accent");
    repo.commit();
    repo
}

#[test]
fn git_lists_the_worktrees_as_locked_on_their_branches() {
    let repo = varied();
    repo.add(&["one", "two"]).unwrap();
    let listed = git(&repo.path, &["worktree", "list", "--porcelain"]);
    for name in ["one", "two"] {
        let spec = repo.spec(name);
        let expected = format!(
            "worktree {}\nHEAD {}\nbranch {}\nlocked because",
            spec.path.display(),
            repo.head(),
            spec.branch
        );
        assert!(listed.contains(&expected), "{listed}");
    }
}

#[test]
fn status_is_clean_and_the_files_are_the_commits() {
    let repo = varied();
    let made = repo.add(&["one", "two"]).unwrap();
    for made in &made {
        assert_eq!("", status(&made.path));
        assert_eq!(
            "",
            git(
                &made.path,
                &[
                    "diff",
                    "--no-index",
                    "--stat",
                    &repo.path.join("src").display().to_string(),
                    "src"
                ]
            )
        );
        assert_eq!(9, made.files);
        let tree = git(&made.path, &["rev-parse", "HEAD^{tree}"]);
        assert_eq!(tree, git(&made.path, &["write-tree"]));
    }
    assert_eq!("", git(&repo.path, &["fsck", "--strict"]));
}

#[test]
fn what_git_would_add_from_scratch_is_the_same_tree() {
    let repo = varied();
    let made = repo.add(&["one"]).unwrap();
    let index = repo.git_dir.join("other-index").display().to_string();
    let environment = [("GIT_INDEX_FILE", index.as_str())];
    git_with(&made[0].path, &["add", "-A"], b"", &environment);
    let tree = git_with(&made[0].path, &["write-tree"], b"", &environment);
    assert_eq!(git(&repo.path, &["rev-parse", "HEAD^{tree}"]), tree);
}

#[test]
fn status_does_not_read_the_files_again() {
    // git rewrites an index that has entries which are not older than itself; see `add_worktrees`.
    let repo = varied();
    let made = repo.add(&["one"]).unwrap();
    let index = repo.git_dir.join("worktrees/one/index");
    let before = fs::read(&index).unwrap();
    status(&made[0].path);
    assert_eq!(before, fs::read(&index).unwrap());
}

#[test]
fn an_edit_of_the_same_size_right_after_is_seen() {
    let repo = varied();
    for round in 0..20 {
        let name = format!("w{round}");
        let made = repo.add(&[&name]).unwrap();
        put(&made[0].path, "a.txt", b"b\n");
        assert_eq!(" M a.txt", status(&made[0].path), "round {round}");
    }
}

#[test]
fn the_worktree_works_for_commit_switch_and_remove() {
    let repo = varied();
    let made = repo.add(&["one"]).unwrap();
    let path = &made[0].path;
    put(path, "new", b"new\n");
    git(path, &["add", "-A"]);
    git(path, &["commit", "-q", "-m", "in the worktree"]);
    assert_eq!("agent/one", git(path, &["branch", "--show-current"]));
    git(path, &["rm", "-q", "-r", "src"]);
    git(path, &["reset", "-q", "--hard"]);
    assert_eq!("", status(path));
    git(&repo.path, &["worktree", "unlock", "one"]);
    git(
        &repo.path,
        &["worktree", "remove", &path.display().to_string()],
    );
    assert!(!path.exists() && !repo.git_dir.join("worktrees/one").exists());
}

#[test]
fn an_empty_directory_is_taken() {
    let repo = varied();
    fs::create_dir_all(repo.spec("one").path).unwrap();
    assert_eq!("", status(&repo.add(&["one"]).unwrap()[0].path));
}

#[test]
fn an_empty_tree_makes_an_empty_worktree() {
    let repo = Repo::with(&[]);
    let made = repo.add(&["one"]).unwrap();
    assert_eq!((0, 0), (made[0].files, made[0].bytes));
    assert_eq!("", status(&made[0].path));
}

#[test]
fn a_submodule_is_an_empty_directory() {
    let inner = Repo::with(&[("x", "x")]);
    let repo = Repo::with(&[("a", "a")]);
    git(
        &repo.path,
        &[
            "submodule",
            "--quiet",
            "add",
            &inner.path.display().to_string(),
            "lib/sub",
        ],
    );
    repo.commit();
    let made = repo.add(&["one"]).unwrap();
    assert_eq!("", status(&made[0].path));
    assert_eq!(
        0,
        fs::read_dir(made[0].path.join("lib/sub")).unwrap().count()
    );
    let staged = git(&made[0].path, &["ls-files", "--stage", "lib/sub"]);
    assert!(
        staged.starts_with(&format!("160000 {}", inner.head())),
        "{staged}"
    );
}

#[test]
fn thousands_of_files_and_large_ones_come_out_right() {
    let repo = Repo::new();
    for number in 0..1500 {
        put(
            &repo.path,
            &format!("d{}/e{}/f{number}", number % 7, number % 91),
            format!("{number}").as_bytes(),
        );
    }
    git(&repo.path, &["config", "core.compression", "1"]);
    put(&repo.path, "large", &vec![7; 40 << 20]);
    put(&repo.path, "larger", &vec![9; 41 << 20]);
    repo.commit();
    for made in repo.add(&["one", "two"]).unwrap() {
        assert_eq!("", status(&made.path));
        assert_eq!(
            (40 << 20, 41 << 20),
            (
                fs::metadata(made.path.join("large")).unwrap().len(),
                fs::metadata(made.path.join("larger")).unwrap().len(),
            )
        );
    }
}

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

#[test]
fn paths_named_by_the_caller_are_not_written() {
    let repo = varied();
    let (spec, head) = (repo.spec("one"), repo.head());
    git(&repo.path, &["branch", "agent/one"]);
    let given = ["a.txt".to_owned(), "not there".to_owned()];
    let made = add_worktrees(&repo.git_dir, &[spec], &head, "", &given).unwrap();
    assert_eq!(["a.txt"], made[0].skipped[..]);
    assert_eq!(" D a.txt", status(&made[0].path));
}

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
    let trees: [&[(&str, &[u8], &str)]; 8] = [
        &[("40000", b".git", &nested)],
        &[("40000", b".GIT", &nested)],
        &[("40000", b"git~1", &nested)],
        &[("40000", ".g\u{200c}it".as_bytes(), &nested)],
        &[("40000", b".jj", &nested)],
        &[("40000", b"a", &dots)],
        &[("100644", b"a\nb", &file)],
        &[("100644", b"\xff", &file)],
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

#[test]
fn prune_leaves_the_worktree_while_its_directory_is_away() {
    let repo = varied();
    let made = repo.add(&["one"]).unwrap();
    fs::rename(&made[0].path, repo.path.parent().unwrap().join("away")).unwrap();
    git(&repo.path, &["worktree", "prune", "--expire=now"]);
    assert!(repo.git_dir.join("worktrees/one/HEAD").exists());
    let (code, _, _) = git_raw(&repo.path, &["branch", "-D", "agent/one"], b"", &[]);
    assert_eq!(1, code);
}
