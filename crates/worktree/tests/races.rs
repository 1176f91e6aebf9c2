//! What happens while others do things in the same places.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Repo, git, put, status};
use tatami_worktree::{Error, add_worktrees, scan};

/// Swaps a directory for a symlink to `outside` and back, until told to stop.
fn swap(directory: &Path, outside: &Path, stop: &AtomicBool) {
    let away = directory.with_file_name("away");
    while !stop.load(Ordering::Relaxed) {
        if fs::rename(directory, &away).is_ok() {
            let _ = std::os::unix::fs::symlink(outside, directory);
            std::thread::yield_now();
            let _ = fs::remove_file(directory);
            let _ = fs::rename(&away, directory);
        }
    }
}

#[test]
fn a_checkout_writes_nothing_through_a_symlink_that_somebody_puts_there() {
    let repo = Repo::new();
    for number in 0..300 {
        put(
            &repo.path,
            &format!("d/e{}/f{number}", number % 20),
            b"content",
        );
    }
    repo.commit();
    let outside = repo.path.parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    for number in 0..20 {
        fs::create_dir(outside.join(format!("e{number}"))).unwrap();
    }
    for round in 0..15 {
        let (spec, stop) = (repo.spec(&format!("w{round}")), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| swap(&spec.path.join("d"), &outside, &stop));
            let specs = std::slice::from_ref(&spec);
            let made = add_worktrees(&repo.git_dir, specs, &repo.head(), "", &[]);
            stop.store(true, Ordering::Relaxed);
            drop(made);
        });
        let escaped = fs::read_dir(&outside)
            .unwrap()
            .flat_map(|entry| fs::read_dir(entry.unwrap().path()).unwrap());
        assert_eq!(0, escaped.count(), "round {round}");
    }
}

#[test]
fn a_scan_reads_nothing_through_a_symlink_that_somebody_puts_there() {
    let repo = Repo::with(&[("d/e/f", "inside"), ("d/g", "inside")]);
    let path = repo.add(&["one"]).unwrap().remove(0).path;
    let outside = repo.path.parent().unwrap().join("outside");
    put(&outside, "e/f", b"outside");
    put(&outside, "g", b"outside");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&path.join("d"), &outside, &stop));
        for _ in 0..300 {
            put(&path, "touched", b"x");
            let found = scan(&repo.git_dir, &path, &repo.head(), None);
            let files = found.map_or_else(|_| Vec::new(), |scan| scan.files);
            for file in files {
                assert_ne!(
                    Some(&b"outside"[..]),
                    file.content.as_deref(),
                    "{}",
                    file.path
                );
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn of_many_calls_for_one_name_exactly_one_succeeds() {
    let repo = Repo::with(&[("a", "a"), ("d/b", "b")]);
    git(&repo.path, &["branch", "agent/one"]);
    let (spec, head) = (repo.spec("one"), repo.head());
    let results: Vec<_> = std::thread::scope(|scope| {
        let add = || add_worktrees(&repo.git_dir, std::slice::from_ref(&spec), &head, "", &[]);
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(add)).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(
        1,
        results.iter().filter(|result| result.is_ok()).count(),
        "{results:?}"
    );
    assert_eq!("", status(&spec.path));
}

#[test]
fn worktrees_made_at_once_by_several_calls_are_all_whole() {
    let repo = Repo::with(&[("a", "a"), ("d/b", "b"), ("d/e/c", "c")]);
    let head = repo.head();
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let (repo, head) = (&repo, &head);
            scope.spawn(move || {
                let specs: Vec<_> = (0..4)
                    .map(|n| repo.spec(&format!("w{caller}-{n}")))
                    .collect();
                let refs: Vec<_> = specs
                    .iter()
                    .map(|s| (s.branch.clone(), head.clone()))
                    .collect();
                tatami_worktree::write_refs(&repo.git_dir, &refs).unwrap();
                for made in add_worktrees(&repo.git_dir, &specs, head, "", &[]).unwrap() {
                    assert_eq!("", status(&made.path));
                }
            });
        }
    });
    assert_eq!(17, git(&repo.path, &["worktree", "list"]).lines().count());
}

#[test]
fn a_file_that_is_written_all_the_time_is_busy_or_whole() {
    let repo = Repo::with(&[("a", "a")]);
    let path = repo.add(&["one"]).unwrap().remove(0).path;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for byte in (b'a'..=b'z').cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                fs::write(path.join("a.new"), vec![byte; 100_000]).unwrap();
                fs::rename(path.join("a.new"), path.join("a")).unwrap();
            }
        });
        let paths = ["a".to_owned()];
        for _ in 0..100 {
            match scan(&repo.git_dir, &path, &repo.head(), Some(&paths)) {
                Ok(scan) => {
                    let content = scan.files.into_iter().next().and_then(|file| file.content);
                    let content = content.unwrap_or_default();
                    assert!(content.len() <= 1 || content.iter().all(|b| *b == content[0]));
                }
                Err(Error::Busy(text)) => assert_eq!("a changed while it was read", text),
                Err(error) => panic!("{error}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_scan_of_directories_that_come_and_go_is_busy_or_right() {
    let repo = Repo::with(&[("kept", "kept"), ("tracked/deep/file", "tracked")]);
    let path = repo.add(&["one"]).unwrap().remove(0).path;
    let (tracked, stop) = (path.join("tracked/deep/file"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                put(&path, "untracked/deep/file", b"");
                fs::remove_dir_all(path.join("untracked")).unwrap();
                fs::remove_dir_all(path.join("tracked")).unwrap();
                put(&path, "tracked/deep/file", b"tracked");
            }
        });
        let scans: Vec<_> = (0..500)
            .map(|_| scan(&repo.git_dir, &path, &repo.head(), None))
            .collect();
        stop.store(true, Ordering::Relaxed);
        for found in scans {
            match found {
                Ok(found) => assert!(found.files.iter().all(|file| file.path != "kept")),
                Err(error) => assert!(matches!(error, Error::Busy(_)), "{error}"),
            }
        }
    });
    assert!(tracked.exists());
}
