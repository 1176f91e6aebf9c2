//! Real repositories for the tests, made and judged by stock git.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod tree;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tatami_worktree::{CheckedOut, Result, Scan, WorktreeSpec};

/// A repository with a worktree in a temporary directory.
pub struct Repo {
    pub folder: tempfile::TempDir,
    pub path: PathBuf,
    pub git_dir: PathBuf,
}

impl Repo {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("repo");
        std::fs::create_dir(&path).unwrap();
        git(&path, &["init", "-q", "-b", "main"]);
        git(&path, &["config", "user.name", "T"]);
        git(&path, &["config", "user.email", "t@example.com"]);
        let git_dir = path.join(".git");
        Self {
            folder,
            path,
            git_dir,
        }
    }

    /// A repository whose first commit has these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repo = Self::new();
        for (path, content) in files {
            put(&repo.path, path, content.as_bytes());
        }
        repo.commit();
        repo
    }

    pub fn commit(&self) -> String {
        git(&self.path, &["add", "-A", "-f"]);
        git(
            &self.path,
            &["commit", "-q", "--allow-empty", "-m", "commit"],
        );
        self.head()
    }

    pub fn head(&self) -> String {
        git(&self.path, &["rev-parse", "HEAD"])
    }

    pub fn spec(&self, name: &str) -> WorktreeSpec {
        let path = self.path.parent().unwrap().join("worktrees").join(name);
        WorktreeSpec {
            name: name.into(),
            path,
            branch: format!("refs/heads/agent/{name}"),
        }
    }

    pub fn add(&self, names: &[&str]) -> Result<Vec<CheckedOut>> {
        let head = self.head();
        let specs: Vec<_> = names.iter().map(|name| self.spec(name)).collect();
        let refs: Vec<_> = specs
            .iter()
            .map(|s| (s.branch.clone(), head.clone()))
            .collect();
        tatami_worktree::write_refs(&self.git_dir, &refs)?;
        tatami_worktree::add_worktrees(&self.git_dir, &specs, &head, "because", &[])
    }

    pub fn scan(&self, worktree: &Path) -> Result<Scan> {
        tatami_worktree::scan(&self.git_dir, worktree, &self.head(), None)
    }
}

/// Runs git; returns what it printed, without the last newline.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    git_with(directory, arguments, b"", &[])
}

pub fn git_with(
    directory: &Path,
    arguments: &[&str],
    input: &[u8],
    environment: &[(&str, &str)],
) -> String {
    let (code, out, err) = git_raw(directory, arguments, input, environment);
    assert_eq!(0, code, "git {arguments:?}: {err}");
    out
}

pub fn git_raw(
    directory: &Path,
    arguments: &[&str],
    input: &[u8],
    environment: &[(&str, &str)],
) -> (i32, String, String) {
    let mut child = Command::new("git")
        .current_dir(directory)
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .trim_end_matches('\n')
            .to_owned()
    };
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

pub fn status(worktree: &Path) -> String {
    git(worktree, &["status", "--porcelain"])
}

/// Writes a file with its directories.
pub fn put(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

pub fn link(root: &Path, target: &str, path: &str) {
    std::os::unix::fs::symlink(target, root.join(path)).unwrap();
}

pub fn chmod(root: &Path, path: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(root.join(path), permissions).unwrap();
}

/// Stores a tree with entries that git's own commands refuse to make.
pub fn raw_tree(repo: &Repo, entries: &[(&str, &[u8], &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        for pair in id.as_bytes().chunks(2) {
            let pair = std::str::from_utf8(pair).unwrap();
            bytes.push(u8::from_str_radix(pair, 16).unwrap());
        }
    }
    let arguments = ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"];
    git_with(&repo.path, &arguments, &bytes, &[])
}

pub fn blob(repo: &Repo, content: &[u8]) -> String {
    git_with(&repo.path, &["hash-object", "-w", "--stdin"], content, &[])
}

/// A small generator of the same numbers for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// A repository with files, links and modes of all kinds.
pub fn varied() -> Repo {
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
