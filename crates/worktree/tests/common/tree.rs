//! A worktree made by the core, whose scans are compared with what git adds.

use std::fs;
use std::path::PathBuf;

use tatami_worktree::{Error, Scan};

use super::{Repo, git, git_with, status};

pub const FILES: [(&str, &str); 6] = [
    ("a", "a\n"),
    ("b", "b\n"),
    ("d/e/f", "f\n"),
    ("d/g", "g\n"),
    ("d/h", "h\n"),
    ("z", "z\n"),
];

/// A repository with one worktree, made by the core.
pub struct Tree {
    pub repo: Repo,
    pub path: PathBuf,
}

impl Tree {
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repo = Repo::with(files);
        let path = repo.add(&["one"]).unwrap().remove(0).path;
        Self { repo, path }
    }

    pub fn scan(&self) -> Scan {
        self.repo.scan(&self.path).unwrap()
    }

    pub fn error(&self) -> Error {
        self.repo.scan(&self.path).unwrap_err()
    }

    pub fn paths(&self) -> Vec<String> {
        self.scan()
            .files
            .into_iter()
            .map(|file| file.path)
            .collect()
    }

    /// The tree that `git add -A` makes, leaving the worktree's index alone.
    pub fn expected(&self) -> String {
        let index = PathBuf::from(git(&self.path, &["rev-parse", "--absolute-git-dir"]));
        let copy = self.repo.path.parent().unwrap().join("copy-of-index");
        // With its time, by which git knows which entries to look at again.
        let modified = fs::metadata(index.join("index"))
            .unwrap()
            .modified()
            .unwrap();
        fs::copy(index.join("index"), &copy).unwrap();
        fs::File::options()
            .write(true)
            .open(&copy)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        let environment = [("GIT_INDEX_FILE", copy.to_str().unwrap())];
        git_with(&self.path, &["add", "-A"], b"", &environment);
        git_with(&self.path, &["write-tree"], b"", &environment)
    }

    /// The tree that the scan's changes make of the commit's.
    pub fn applied(&self, scan: &Scan) -> String {
        let index = self.repo.path.parent().unwrap().join("applied-index");
        let _ = fs::remove_file(&index);
        let environment = [("GIT_INDEX_FILE", index.to_str().unwrap())];
        git_with(&self.path, &["read-tree", "HEAD"], b"", &environment);
        for deleted in scan.files.iter().filter(|file| file.mode == 0) {
            let arguments = ["update-index", "--force-remove", "--", &deleted.path];
            git_with(&self.path, &arguments, b"", &environment);
        }
        for file in scan.files.iter().filter(|file| file.mode != 0) {
            let id = match &file.content {
                Some(content) => {
                    git_with(&self.path, &["hash-object", "-w", "--stdin"], content, &[])
                }
                None if file.through_git => {
                    git(&self.path, &["hash-object", "-w", "--", &file.path])
                }
                None => git(&self.path.join(&file.path), &["rev-parse", "HEAD"]),
            };
            let entry = format!("{:o},{id},{}", file.mode, file.path);
            let arguments = ["update-index", "--add", "--replace", "--cacheinfo", &entry];
            git_with(&self.path, &arguments, b"", &environment);
        }
        git_with(&self.path, &["write-tree"], b"", &environment)
    }

    /// Checks the scan against git in all respects and returns it.
    pub fn check(&self) -> Scan {
        let scan = self.scan();
        let expected = self.expected();
        let applied = self.applied(&scan);
        let wrong = git(&self.path, &["diff-tree", "-r", &expected, &applied]);
        let found: Vec<_> = scan
            .files
            .iter()
            .map(|f| (f.path.clone(), f.mode))
            .collect();
        assert_eq!(
            expected,
            applied,
            "{wrong}\n{}\n{found:?}",
            status(&self.path)
        );
        let arguments = [
            "diff-tree",
            "-r",
            "-z",
            "--no-renames",
            "--name-only",
            "HEAD",
            &expected,
        ];
        let differing = git(&self.path, &arguments);
        let differing: Vec<_> = differing.split_terminator('\0').collect();
        // What was only intended to be added goes from the index, and is no change.
        let found: Vec<_> = scan
            .files
            .iter()
            .filter(|f| !(f.through_git || f.mode == 0 && f.untracked))
            .map(|f| f.path.as_str())
            .collect();
        if scan.files.iter().all(|file| !file.through_git) {
            assert_eq!(differing, found);
        }
        let head = git(&self.path, &["rev-parse", "HEAD^{tree}"]);
        let written = git(&self.path, &["write-tree"]);
        assert_eq!(
            written != head && written != expected,
            scan.staged,
            "{scan:#?}"
        );
        scan
    }
}
