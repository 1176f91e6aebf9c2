//! Worktrees made by the core, judged by stock git.

mod common;

use std::fs;

use common::{Repo, git, git_raw, git_with, put, status, varied};
use tatami_worktree::add_worktrees;

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

#[test]
fn what_a_partial_clone_has_not_fetched_is_left_to_git() {
    let origin = varied();
    git(&origin.path, &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", origin.path.display());
    let clone = [
        "clone",
        "-q",
        "--filter=blob:none",
        "--no-checkout",
        &url,
        "clone",
    ];
    git(origin.path.parent().unwrap(), &clone);
    let repo = Repo {
        path: origin.path.with_file_name("clone"),
        git_dir: origin.path.with_file_name("clone/.git"),
        ..origin
    };
    let made = repo.add(&["one"]).unwrap();
    assert_eq!((0, 9), (made[0].files, made[0].skipped.len()));
    git(&made[0].path, &["checkout-index", "-f", "-u", "-a"]);
    assert_eq!("", status(&made[0].path));
}

#[test]
fn git_knows_the_worktree_by_its_real_path() {
    let repo = varied();
    let parent = repo.path.parent().unwrap();
    fs::create_dir(parent.join("real")).unwrap();
    common::link(parent, "real", "linked");
    let spec = tatami_worktree::WorktreeSpec {
        path: parent.join("linked/one"),
        ..repo.spec("one")
    };
    git(&repo.path, &["branch", "agent/one"]);
    add_worktrees(&repo.git_dir, &[spec], &repo.head(), "", &[]).unwrap();
    let listed = git(&repo.path, &["worktree", "list", "--porcelain"]);
    assert!(
        listed.contains(&format!("worktree {}/real/one\n", parent.display())),
        "{listed}"
    );
    assert_eq!("", status(&parent.join("real/one")));
}
