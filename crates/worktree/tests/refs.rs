//! Loose refs, judged by stock git.

mod common;

use std::fs;
use std::time::Duration;

use common::{Repo, git};
use tatami_worktree::{Error, move_refs, write_refs};

fn write(repo: &Repo, name: &str, id: &str) -> Result<(), Error> {
    write_refs(&repo.git_dir, &[(name.into(), id.into())])
}

fn two_commits() -> (Repo, String, String) {
    let repo = Repo::with(&[("a", "a")]);
    let first = repo.head();
    let second = repo.commit();
    (repo, first, second)
}

#[test]
fn git_sees_the_ref_and_its_reflog() {
    let (repo, first, second) = two_commits();
    write(&repo, "refs/heads/agent/x", &first).unwrap();
    write(&repo, "refs/heads/agent/x", &second).unwrap();
    assert_eq!(second, git(&repo.path, &["rev-parse", "agent/x"]));
    assert_eq!(first, git(&repo.path, &["rev-parse", "agent/x@{1}"]));
    assert_eq!(2, git(&repo.path, &["reflog", "agent/x"]).lines().count());
    assert_eq!("", git(&repo.path, &["fsck", "--strict"]));
}

#[test]
fn a_packed_ref_is_overridden_and_its_id_goes_to_the_reflog() {
    let (repo, first, second) = two_commits();
    git(&repo.path, &["branch", "agent/x", &first]);
    git(&repo.path, &["pack-refs", "--all"]);
    write(&repo, "refs/heads/agent/x", &second).unwrap();
    assert_eq!(second, git(&repo.path, &["rev-parse", "agent/x"]));
    assert_eq!(first, git(&repo.path, &["rev-parse", "agent/x@{1}"]));
}

#[test]
fn refs_outside_heads_get_no_reflog() {
    let (repo, first, _) = two_commits();
    write(&repo, "refs/tatami/keep", &first).unwrap();
    assert!(!repo.git_dir.join("logs/refs/tatami").exists());
}

#[test]
fn a_lock_is_waited_for_and_then_reported() {
    let (repo, first, _) = two_commits();
    let lock = repo.git_dir.join("refs/heads/x.lock");
    fs::write(&lock, "").unwrap();
    let error = write(&repo, "refs/heads/x", &first).unwrap_err();
    assert!(
        matches!(&error, Error::Busy(text) if text.contains("x.lock")),
        "{error}"
    );
    assert!(lock.exists());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            fs::remove_file(&lock).unwrap();
        });
        write(&repo, "refs/heads/x", &first).unwrap();
    });
    assert!(!lock.exists());
}

#[test]
fn a_ref_in_the_way_is_named_whether_loose_or_packed() {
    let (repo, first, _) = two_commits();
    write(&repo, "refs/heads/a/b", &first).unwrap();
    for round in 0..2 {
        for name in ["refs/heads/a", "refs/heads/a/b/c"] {
            let error = write(&repo, name, &first).unwrap_err();
            assert!(
                matches!(error, Error::BadInput(_)),
                "round {round}: {error}"
            );
        }
        git(&repo.path, &["pack-refs", "--all"]);
    }
}

#[test]
fn empty_directories_that_deleted_refs_leave_are_no_obstacle() {
    let (repo, first, _) = two_commits();
    fs::create_dir_all(repo.git_dir.join("refs/heads/a/b/c")).unwrap();
    write(&repo, "refs/heads/a", &first).unwrap();
    assert_eq!(first, git(&repo.path, &["rev-parse", "a"]));
}

#[test]
fn a_torn_ref_is_replaced() {
    let (repo, first, _) = two_commits();
    fs::create_dir_all(repo.git_dir.join("refs/heads/agent")).unwrap();
    fs::write(repo.git_dir.join("refs/heads/agent/x"), "").unwrap();
    write(&repo, "refs/heads/agent/x", &first).unwrap();
    assert_eq!(first, git(&repo.path, &["rev-parse", "agent/x"]));
}

#[test]
fn symbolic_refs_bad_names_and_bad_ids_are_refused() {
    let (repo, first, _) = two_commits();
    git(
        &repo.path,
        &["symbolic-ref", "refs/heads/s", "refs/heads/main"],
    );
    let bad = [
        "refs/heads/s",
        "HEAD",
        "main",
        "refs/heads/a..b",
        "refs/../x",
        "refs/heads/x.lock",
        "refs/heads/",
    ];
    for name in bad {
        let error = write(&repo, name, &first).unwrap_err();
        assert!(matches!(error, Error::BadInput(_)), "{name}: {error}");
    }
    assert!(matches!(
        write(&repo, "refs/heads/y", "HEAD"),
        Err(Error::BadInput(_))
    ));
    assert_eq!(
        "refs/heads/main",
        git(&repo.path, &["symbolic-ref", "refs/heads/s"])
    );
}

/// A lock as a process of ours leaves it that is killed while it holds it.
fn abandon(repo: &Repo, process: u32) -> std::path::PathBuf {
    let folder = repo.git_dir.join("refs/heads");
    let own = folder.join(format!(".x.{process}.{process}.lock"));
    fs::write(&own, "1").unwrap();
    fs::hard_link(&own, folder.join("x.lock")).unwrap();
    own
}

#[test]
fn a_lock_that_a_killed_process_of_ours_left_is_taken_over() {
    let (repo, first, _) = two_commits();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let own = abandon(&repo, child.id());
    write(&repo, "refs/heads/x", &first).unwrap();
    assert_eq!(first, git(&repo.path, &["rev-parse", "x"]));
    assert!(!own.exists());
}

#[test]
fn a_lock_of_a_living_process_is_left_alone() {
    let (repo, first, _) = two_commits();
    let own = abandon(&repo, std::process::id());
    assert!(matches!(
        write(&repo, "refs/heads/x", &first),
        Err(Error::Busy(_))
    ));
    assert!(own.exists());
}

#[test]
fn nothing_but_the_ref_is_left() {
    let (repo, first, second) = two_commits();
    for id in [&first, &second] {
        write(&repo, "refs/heads/agent/x", id).unwrap();
    }
    assert_eq!(
        1,
        fs::read_dir(repo.git_dir.join("refs/heads/agent"))
            .unwrap()
            .count()
    );
}

#[test]
fn a_ref_is_moved_only_from_where_it_is_thought_to_be() {
    let (repo, first, second) = two_commits();
    let moved = |from: Option<&String>, to: &String| {
        let name = "refs/heads/x".to_owned();
        move_refs(&repo.git_dir, &[(name, to.clone(), from.cloned())])
            .unwrap()
            .len()
    };
    assert_eq!(0, moved(Some(&second), &first));
    assert_eq!(1, moved(Some(&second), &repo.commit()));
    assert_eq!(first, git(&repo.path, &["rev-parse", "x"]));
    assert_eq!(0, moved(Some(&first), &second));
    assert_eq!(0, moved(Some(&first), &second));
    assert_eq!(second, git(&repo.path, &["rev-parse", "x"]));
}

#[test]
fn many_writers_of_one_ref_take_turns() {
    let (repo, first, second) = two_commits();
    std::thread::scope(|scope| {
        for id in [&first, &second, &first, &second] {
            let repo = &repo;
            scope.spawn(move || {
                for _ in 0..25 {
                    match write(repo, "refs/heads/x", id) {
                        Ok(()) | Err(Error::Busy(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let found = git(&repo.path, &["rev-parse", "x"]);
    assert!(found == first || found == second);
    assert!(!repo.git_dir.join("refs/heads/x.lock").exists());
}
