//! Loose refs, judged by stock git.

mod common;

use std::fs;
use std::time::Duration;

use common::{Repo, git};
use tatami_worktree::{Error, write_refs};

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
