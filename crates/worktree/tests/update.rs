//! Updated indexes, judged by stock git.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Random, Repo, blob, chmod, git, git_with, link, put, status};
use tatami_worktree::{Error, scan, update_index};

struct Tree {
    repo: Repo,
    path: PathBuf,
    admin: PathBuf,
}

impl Tree {
    fn with(files: &[(&str, &str)]) -> Self {
        let repo = Repo::with(files);
        let path = repo.add(&["one"]).unwrap().remove(0).path;
        let admin = repo.git_dir.join("worktrees/one");
        Self { repo, path, admin }
    }

    fn update(&self, entries: &[(&str, u32, &str)]) -> Result<(), Error> {
        fs::write(self.admin.join("index.lock"), "tatami 1\n").unwrap();
        let entries: Vec<_> = entries
            .iter()
            .map(|(path, mode, id)| ((*path).into(), *mode, (*id).into()))
            .collect();
        update_index(&self.repo.git_dir, &self.path, &entries)
    }

    /// What a commit of everything through the core does: scan, commit, update of the index.
    fn commit(&self) {
        let head = git(&self.path, &["rev-parse", "HEAD"]);
        let scanned = scan(&self.repo.git_dir, &self.path, &head, None).unwrap();
        let mut entries = Vec::new();
        for file in &scanned.files {
            let id = match &file.content {
                Some(content) => blob(&self.repo, content),
                None => String::new(),
            };
            entries.push((file.path.as_str(), file.mode, id));
        }
        let index = self.repo.git_dir.join("scratch-index");
        let environment = [("GIT_INDEX_FILE", index.to_str().unwrap())];
        git_with(&self.path, &["read-tree", "HEAD"], b"", &environment);
        git_with(&self.path, &["add", "-A"], b"", &environment);
        let tree = git_with(&self.path, &["write-tree"], b"", &environment);
        let commit = git(&self.path, &["commit-tree", &tree, "-p", "HEAD", "-m", "c"]);
        let branch = git(&self.path, &["symbolic-ref", "HEAD"]);
        tatami_worktree::write_refs(&self.repo.git_dir, &[(branch, commit)]).unwrap();
        let entries: Vec<_> = entries
            .iter()
            .map(|(p, m, id)| (*p, *m, id.as_str()))
            .collect();
        self.update(&entries).unwrap();
    }
}

const FILES: [(&str, &str); 5] = [
    ("a", "a\n"),
    ("d/e/f", "f\n"),
    ("d/g", "g\n"),
    ("x", "x\n"),
    ("z/z", "z\n"),
];

#[test]
fn status_is_clean_after_a_commit_and_the_lock_is_gone() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "a", b"changed\n");
    put(&tree.path, "new/file", b"new\n");
    put(&tree.path, "run", b"run\n");
    chmod(&tree.path, "run", 0o755);
    link(&tree.path, "a", "link");
    fs::remove_file(tree.path.join("d/g")).unwrap();
    tree.commit();
    assert_eq!("", status(&tree.path));
    assert!(!tree.admin.join("index.lock").exists());
    assert_eq!(
        git(&tree.path, &["rev-parse", "HEAD^{tree}"]),
        git(&tree.path, &["write-tree"])
    );
}

/// A new entry was pushed behind the sorted ones, and a lookup after it missed an entry that was
/// there: the index then had the path twice.
#[test]
fn an_entry_behind_a_new_one_is_replaced() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "new", b"new\n");
    put(&tree.path, "x", b"changed\n");
    put(&tree.path, "z/z", b"changed\n");
    tree.commit();
    assert_eq!("", status(&tree.path));
    assert_eq!("a\nd/e/f\nd/g\nnew\nx\nz/z", git(&tree.path, &["ls-files"]));
}

#[test]
fn the_cached_tree_ids_of_untouched_directories_stay() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "d/e/f", b"changed\n");
    tree.commit();
    let index = gix::index::File::at(
        tree.admin.join("index"),
        gix::hash::Kind::Sha1,
        false,
        gix::index::decode::Options::default(),
    );
    let index = index.unwrap();
    let cache = index.tree().unwrap();
    let child = |name: &str| {
        cache
            .children
            .iter()
            .find(|child| child.name.as_slice() == name.as_bytes())
            .unwrap()
    };
    let known = [
        cache.num_entries,
        child("d").num_entries,
        child("z").num_entries,
    ];
    assert_eq!([None, None, Some(1)], known);
    let _ = index.verify_integrity();
}

#[test]
fn a_file_written_since_stays_modified() {
    let tree = Tree::with(&FILES);
    let id = blob(&tree.repo, b"as committed\n");
    put(&tree.path, "a", b"written since\n");
    tree.update(&[("a", 0o100_644, &id)]).unwrap();
    assert_eq!("MM a", status(&tree.path));
    let same_size = blob(&tree.repo, b"written SINCE\n");
    tree.update(&[("a", 0o100_644, &same_size)]).unwrap();
    assert_eq!("MM a", status(&tree.path));
}

#[test]
fn an_unseen_edit_of_another_file_is_not_hidden_by_the_newer_index() {
    for round in 0..20 {
        let tree = Tree::with(&FILES);
        put(&tree.path, "x", b"1\n");
        git(&tree.path, &["add", "x"]);
        put(&tree.path, "x", b"2\n");
        let id = blob(&tree.repo, b"changed\n");
        put(&tree.path, "a", b"changed\n");
        tree.update(&[("a", 0o100_644, &id)]).unwrap();
        assert_eq!("M  a\nMM x", status(&tree.path), "round {round}");
    }
}

#[test]
fn files_and_directories_displace_each_other() {
    let tree = Tree::with(&FILES);
    let id = blob(&tree.repo, b"n\n");
    tree.update(&[("a/b/c", 0o100_644, &id), ("d", 0o100_644, &id)])
        .unwrap();
    let expected = "a/b/c\nd\nx\nz/z";
    assert_eq!(expected, git(&tree.path, &["ls-files"]));
    let written = git(&tree.path, &["write-tree"]);
    assert_eq!(
        expected,
        git(&tree.path, &["ls-tree", "-r", "--name-only", &written])
    );
    git(&tree.path, &["fsck"]);
}

#[test]
fn entries_without_a_file_are_deleted_in_the_worktree() {
    let tree = Tree::with(&FILES);
    let id = blob(&tree.repo, b"n\n");
    tree.update(&[("not/there", 0o100_644, &id), ("x", 0, "")])
        .unwrap();
    assert_eq!("AD not/there\nD  x\n?? x", status(&tree.path));
}

#[test]
fn an_intent_to_add_becomes_an_entry() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "new", b"n\n");
    git(&tree.path, &["add", "-N", "new"]);
    let id = blob(&tree.repo, b"n\n");
    tree.update(&[("new", 0o100_644, &id)]).unwrap();
    assert_eq!("A  new", status(&tree.path));
}

#[test]
fn a_file_left_out_of_a_sparse_checkout_stays_out() {
    let tree = Tree::with(&FILES);
    git(&tree.path, &["sparse-checkout", "set", "--no-cone", "/a"]);
    let id = blob(&tree.repo, b"n\n");
    tree.update(&[("d/g", 0o100_644, &id)]).unwrap();
    assert_eq!("M  d/g", status(&tree.path));
}

#[test]
fn split_and_version_4_indexes_and_git_extensions_survive_as_plain_ones() {
    for configure in [
        &["update-index", "--split-index"][..],
        &["update-index", "--index-version", "4"],
        &["update-index", "--force-untracked-cache"],
    ] {
        let tree = Tree::with(&FILES);
        git(&tree.path, configure);
        status(&tree.path);
        put(&tree.path, "d/new", b"n\n");
        tree.commit();
        assert_eq!("", status(&tree.path));
        put(&tree.path, "d/other", b"n\n");
        assert_eq!("?? d/other", status(&tree.path));
    }
}

#[test]
fn files_that_go_through_git_are_clean_afterwards() {
    let tree = Tree::with(&[(".gitattributes", "*.txt text\n"), ("a.txt", "x\n")]);
    put(&tree.path, "a.txt", b"x\r\ny\r\n");
    let id = git(&tree.path, &["hash-object", "-w", "a.txt"]);
    tree.update(&[("a.txt", 0o100_644, &id)]).unwrap();
    assert_eq!("M  a.txt", status(&tree.path));
}

#[test]
fn refusals_leave_index_and_lock_as_they_were() {
    let tree = Tree::with(&FILES);
    let index = fs::read(tree.admin.join("index")).unwrap();
    let id = blob(&tree.repo, b"n\n");
    for (path, mode, id) in [
        ("../a", 0o100_644, id.as_str()),
        (".git/config", 0o100_644, &id),
        ("a", 0o40_000, &id),
        ("a", 0o100_644, "HEAD"),
    ] {
        assert!(tree.update(&[(path, mode, id)]).is_err(), "{path}");
        assert_eq!(index, fs::read(tree.admin.join("index")).unwrap());
        assert_eq!(
            "tatami 1\n",
            fs::read_to_string(tree.admin.join("index.lock")).unwrap()
        );
    }
    fs::remove_file(tree.admin.join("index.lock")).unwrap();
    let unlocked = update_index(
        &tree.repo.git_dir,
        &tree.path,
        &[("a".into(), 0, String::new())],
    );
    assert!(matches!(unlocked, Err(Error::BadInput(_))), "{unlocked:?}");
}

#[test]
fn many_commits_of_random_edits_leave_a_clean_status_each_time() {
    let tree = Tree::with(&FILES);
    let mut random = Random(7);
    for round in 0..25 {
        for _ in 0..3 {
            let path = format!(
                "d{}/e{}/f{}",
                random.below(3),
                random.below(3),
                random.below(4)
            );
            match random.below(4) {
                0 => drop(fs::remove_file(tree.path.join(path))),
                _ => put(
                    &tree.path,
                    &path,
                    format!("{}\n", random.below(9)).as_bytes(),
                ),
            }
        }
        tree.commit();
        assert_eq!("", status(&tree.path), "round {round}");
    }
    git(&tree.path, &["fsck", "--strict"]);
}
