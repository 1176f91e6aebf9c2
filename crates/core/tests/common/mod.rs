//! Real repositories, made and judged by stock git; and a generator of changes.

#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gix::ObjectId;
use tatami_core::jj::{Core, Identity, Paths};
use tatami_core::objects::Objects;
use tatami_core::pack::Compressor;
use tatami_core::prepare::{Batch, prepare};
use tatami_core::spec::{Change, CommitSpec, Content, OpSpec, Signature};

/// A repository with one commit on `main`, and a jj repository over it.
pub struct Repo {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    pub git_dir: PathBuf,
    pub head: String,
}

impl Repo {
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("repo");
        std::fs::create_dir(&path).unwrap();
        git(&path, &["init", "-q", "-b", "main"]);
        git(&path, &["config", "user.name", "T"]);
        git(&path, &["config", "user.email", "t@example.com"]);
        for (name, content) in files {
            let file = path.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        git(&path, &["add", "-A"]);
        git(&path, &["commit", "-q", "--allow-empty", "-m", "begin"]);
        let head = git(&path, &["rev-parse", "HEAD"]);
        let git_dir = path.join(".git");
        Self {
            _folder: folder,
            path,
            git_dir,
            head,
        }
    }

    pub fn objects(&self) -> Objects {
        Objects::open(&self.git_dir).unwrap()
    }

    pub fn pack_dir(&self) -> PathBuf {
        self.git_dir.join("objects/pack")
    }

    pub fn core(&self) -> Core {
        let state = self.git_dir.join("tatami");
        std::fs::create_dir_all(&state).unwrap();
        Core::init(&state, &self.git_dir, "main", None, &identity()).unwrap()
    }

    pub fn open(&self, writes: bool) -> Core {
        let jj_repo = self.git_dir.join("tatami/jj/.jj/repo");
        let paths = Paths {
            jj_repo,
            git_dir: self.git_dir.clone(),
        };
        Core::open(paths, &identity(), writes).unwrap()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments)
    }
}

pub fn identity() -> Identity {
    Identity {
        user: "u".into(),
        host: "h".into(),
    }
}

pub fn git(path: &Path, arguments: &[&str]) -> String {
    String::from_utf8(git_bytes(path, arguments))
        .unwrap()
        .trim_end()
        .to_owned()
}

pub fn git_bytes(path: &Path, arguments: &[&str]) -> Vec<u8> {
    let done = Command::new("git")
        .current_dir(path)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "git {arguments:?}: {words}");
    done.stdout
}

pub fn who() -> Signature {
    Signature {
        name: "A".into(),
        email: "a@b".into(),
        seconds: 1_700_000_000,
        offset_minutes: 90,
    }
}

pub fn spec<'a>(parent: &str, changes: Vec<Change<'a>>, message: &'a str) -> CommitSpec<'a> {
    CommitSpec {
        parents: vec![parent.to_owned()],
        changes,
        message,
        author: who(),
        committer: who(),
        base: None,
        change: None,
        predecessors: vec![],
    }
}

pub fn put<'a>(path: &'a str, text: &'a str) -> Change<'a> {
    Change {
        path,
        mode: 0o100644,
        content: Content::Bytes(text.as_bytes()),
    }
}

pub fn gone(path: &str) -> Change<'_> {
    Change {
        path,
        mode: 0,
        content: Content::Deleted,
    }
}

/// Builds commits with change ids that count up.
pub fn build(objects: &mut Objects, specs: &[CommitSpec<'_>]) -> tatami_core::error::Result<Batch> {
    let mut next = 0u8;
    prepare(objects, &mut Compressor::default(), specs, || {
        next += 1;
        [next; 16]
    })
}

pub fn bookmarks(names: &[(&str, ObjectId)]) -> OpSpec {
    let bookmarks = names
        .iter()
        .map(|(name, id)| (name.to_string(), Some(id.to_string())));
    OpSpec {
        description: "test".into(),
        bookmarks: bookmarks.collect(),
        ..OpSpec::default()
    }
}

/// Numbers that look random and are the same in every run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}
