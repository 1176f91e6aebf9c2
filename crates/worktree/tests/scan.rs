//! Scans compared with what `git add -A && git write-tree` makes of the same files.

mod common;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::{Random, Repo, chmod, git, git_with, link, put, status};
use tatami_worktree::{Error, Scan, scan};

/// A repository with one worktree, made by the core.
struct Tree {
    repo: Repo,
    path: PathBuf,
}

impl Tree {
    fn with(files: &[(&str, &str)]) -> Self {
        let repo = Repo::with(files);
        let path = repo.add(&["one"]).unwrap().remove(0).path;
        Self { repo, path }
    }

    fn scan(&self) -> Scan {
        self.repo.scan(&self.path).unwrap()
    }

    fn error(&self) -> Error {
        self.repo.scan(&self.path).unwrap_err()
    }

    fn paths(&self) -> Vec<String> {
        self.scan()
            .files
            .into_iter()
            .map(|file| file.path)
            .collect()
    }

    /// The tree that `git add -A` makes, leaving the worktree's index alone.
    fn expected(&self) -> String {
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
    fn applied(&self, scan: &Scan) -> String {
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
    fn check(&self) -> Scan {
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
        let found: Vec<_> = scan
            .files
            .iter()
            .filter(|f| !f.through_git)
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

const FILES: [(&str, &str); 6] = [
    ("a", "a\n"),
    ("b", "b\n"),
    ("d/e/f", "f\n"),
    ("d/g", "g\n"),
    ("d/h", "h\n"),
    ("z", "z\n"),
];

#[test]
fn a_fresh_worktree_has_no_changes_and_reads_no_file() {
    let tree = Tree::with(&FILES);
    let scan = tree.check();
    assert_eq!((0, 6, false), (scan.files.len(), scan.entries, scan.staged));
}

#[test]
fn edits_additions_and_deletions_are_found() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "a", b"changed\n");
    put(&tree.path, "b", b"B\n");
    put(&tree.path, "new/deep/er", b"new\n");
    fs::remove_file(tree.path.join("d/g")).unwrap();
    let scan = tree.check();
    let found: Vec<_> = scan
        .files
        .iter()
        .map(|f| (f.path.as_str(), f.mode, f.untracked))
        .collect();
    let expected = [
        ("a", 0o100_644, false),
        ("b", 0o100_644, false),
        ("d/g", 0, false),
        ("new/deep/er", 0o100_644, true),
    ];
    assert_eq!(expected, found[..]);
    assert_eq!(Some(&b"changed\n"[..]), scan.files[0].content.as_deref());
}

#[test]
fn the_stat_is_the_files() {
    use std::os::unix::fs::MetadataExt;
    let tree = Tree::with(&FILES);
    put(&tree.path, "a", b"changed\n");
    let m = fs::metadata(tree.path.join("a")).unwrap();
    let expected = [
        m.ctime(),
        m.ctime_nsec(),
        m.mtime(),
        m.mtime_nsec(),
        m.dev().cast_signed(),
        m.ino().cast_signed(),
        m.uid().into(),
        m.gid().into(),
    ];
    assert_eq!(expected, tree.scan().files[0].stat);
}

#[test]
fn modes_and_types_are_compared() {
    let tree = Tree::with(&FILES);
    chmod(&tree.path, "a", 0o755);
    fs::remove_file(tree.path.join("b")).unwrap();
    link(&tree.path, "a", "b");
    link(&tree.path, "../elsewhere", "d/new-link");
    put(&tree.path, "run", b"x");
    chmod(&tree.path, "run", 0o700);
    let modes: Vec<_> = tree.check().files.iter().map(|file| file.mode).collect();
    assert_eq!([0o100_755, 0o120_000, 0o120_000, 0o100_755], modes[..]);
}

#[test]
fn files_and_directories_change_places() {
    let tree = Tree::with(&FILES);
    fs::remove_file(tree.path.join("a")).unwrap();
    put(&tree.path, "a/b/c", b"below\n");
    fs::remove_dir_all(tree.path.join("d")).unwrap();
    put(&tree.path, "d", b"a file now\n");
    fs::remove_file(tree.path.join("z")).unwrap();
    put(&tree.path, "elsewhere/g", b"g\n");
    link(&tree.path, "elsewhere", "z");
    let expected = ["a", "a/b/c", "d", "d/e/f", "d/g", "d/h", "elsewhere/g", "z"];
    tree.check();
    assert_eq!(expected, tree.paths()[..]);
}

#[test]
fn a_directory_replaced_by_a_symlink_is_not_followed() {
    let tree = Tree::with(&FILES);
    fs::rename(
        tree.path.join("d"),
        tree.repo.path.parent().unwrap().join("away"),
    )
    .unwrap();
    link(&tree.path, "../../away", "d");
    tree.check();
    assert_eq!(["d", "d/e/f", "d/g", "d/h"], tree.paths()[..]);
}

#[test]
fn a_touched_file_is_no_change() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "a", b"a\n");
    chmod(&tree.path, "b", 0o600);
    assert_eq!(0, tree.check().files.len());
}

#[test]
fn ignore_files_at_all_levels_count() {
    let tree = Tree::with(&[
        (".gitignore", "*.o\n/build/\n!keep.o\n"),
        ("src/.gitignore", "local\nsub/*\n!sub/kept\n"),
        ("src/x", "x"),
        ("build/tracked", "t"),
        ("tracked.o", "o"),
    ]);
    let excludes = tree.repo.path.parent().unwrap().join("excludes");
    fs::write(&excludes, "*.swp\n").unwrap();
    git(
        &tree.path,
        &["config", "core.excludesFile", excludes.to_str().unwrap()],
    );
    fs::create_dir_all(tree.repo.git_dir.join("info")).unwrap();
    fs::write(tree.repo.git_dir.join("info/exclude"), "secret\n").unwrap();
    for path in [
        "a.o",
        "keep.o",
        "d/keep.o",
        "d/x.o",
        "build/new",
        "build/keep.o",
        "src/local",
        "local",
        "src/sub/a",
        "src/sub/kept",
        "src/a.swp",
        "secret",
        "d/secret/x",
        "src/build/y",
        "plain",
    ] {
        put(&tree.path, path, b"new");
    }
    put(&tree.path, "build/tracked", b"changed");
    put(&tree.path, "tracked.o", b"changed");
    put(&tree.path, "d/.gitignore", b"!x.o\n");
    put(&tree.path, "e/.gitignore", b"*\n");
    put(&tree.path, "e/hidden", b"x");
    let expected = [
        "build/tracked",
        "d/.gitignore",
        "d/keep.o",
        "d/x.o",
        "keep.o",
        "local",
        "plain",
        "src/build/y",
        "src/sub/kept",
        "tracked.o",
    ];
    tree.check();
    assert_eq!(expected, tree.paths()[..]);
}

#[test]
fn repositories_inside_are_left_alone() {
    let tree = Tree::with(&FILES);
    for inner in ["inner", "d/inner"] {
        put(&tree.path, &format!("{inner}/file"), b"x");
        git(&tree.path.join(inner), &["init", "-q"]);
    }
    put(&tree.path, "fake/.git/no-repository", b"x");
    put(&tree.path, "fake/file", b"x");
    assert_eq!(["fake/file"], tree.paths()[..]);
}

#[test]
fn a_submodule_changes_with_its_commit() {
    let inner = Repo::with(&[("x", "x")]);
    let repo = Repo::with(&[("a", "a")]);
    let url = inner.path.display().to_string();
    git(&repo.path, &["submodule", "--quiet", "add", &url, "sub"]);
    repo.commit();
    let tree = Tree {
        path: repo.path.clone(),
        repo,
    };
    assert_eq!(0, tree.check().files.len());
    let sub = tree.path.join("sub");
    put(&sub, "y", b"y");
    assert_eq!(0, tree.check().files.len());
    git(&sub, &["add", "y"]);
    git(
        &sub,
        &[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@x",
            "commit",
            "-q",
            "-m",
            "y",
        ],
    );
    let scan = tree.check();
    assert_eq!(
        (1, 0o160_000, None),
        (
            scan.files.len(),
            scan.files[0].mode,
            scan.files[0].content.clone()
        )
    );
    fs::remove_dir_all(&sub).unwrap();
    assert_eq!(0, tree.check().files[0].mode);
    put(&tree.path, "sub", b"a file");
    assert_eq!(0o100_644, tree.check().files[0].mode);
}

#[test]
fn what_is_staged_is_told_apart_from_what_is_there() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "a", b"staged\n");
    git(&tree.path, &["add", "a"]);
    assert!(!tree.check().staged);
    put(&tree.path, "b", b"not staged\n");
    assert!(tree.check().staged);
    git(&tree.path, &["add", "b"]);
    put(&tree.path, "untracked", b"u");
    assert!(tree.check().staged);
    fs::remove_file(tree.path.join("untracked")).unwrap();
    put(&tree.path, "b", b"b\n");
    put(&tree.path, "a", b"a\n");
    let scan = tree.check();
    assert_eq!((true, 0), (scan.staged, scan.files.len()));
}

#[test]
fn staged_deletions_renames_and_intents_are_compared_with_the_commit() {
    let tree = Tree::with(&FILES);
    git(&tree.path, &["rm", "-q", "--cached", "a"]);
    tree.check();
    fs::remove_file(tree.path.join("a")).unwrap();
    git(&tree.path, &["mv", "d/g", "d/renamed"]);
    put(&tree.path, "intended", b"i");
    git(&tree.path, &["add", "-N", "intended"]);
    tree.check();
    assert_eq!(["a", "d/g", "d/renamed", "intended"], tree.paths()[..]);
    fs::remove_file(tree.path.join("intended")).unwrap();
    tree.check();
    git(&tree.path, &["rm", "-q", "--cached", "b"]);
    put(&tree.path, ".gitignore", b"b\n");
    tree.check();
}

#[test]
fn the_index_may_be_another_commits() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "d/e/f", b"second\n");
    put(&tree.path, "x/y", b"second\n");
    git(&tree.path, &["add", "-A"]);
    git(
        &tree.path,
        &[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@x",
            "commit",
            "-q",
            "-m",
            "2",
        ],
    );
    let scan = scan(&tree.repo.git_dir, &tree.path, &tree.repo.head(), None).unwrap();
    let found: Vec<_> = scan
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.mode))
        .collect();
    assert_eq!([("d/e/f", 0o100_644), ("x/y", 0o100_644)], found[..]);
    assert_eq!(Some(&b"second\n"[..]), scan.files[0].content.as_deref());
}

#[test]
fn a_worktree_without_an_index_has_everything_untracked() {
    let tree = Tree::with(&FILES);
    fs::remove_file(tree.repo.git_dir.join("worktrees/one/index")).unwrap();
    put(&tree.path, "a", b"changed\n");
    let scan = tree.scan();
    assert_eq!(tree.applied(&scan), {
        git(&tree.path, &["add", "-A"]);
        git(&tree.path, &["write-tree"])
    });
    assert_eq!(
        (1, true, true),
        (scan.files.len(), scan.files[0].untracked, scan.staged)
    );
}

#[test]
fn paths_restrict_to_files_and_directories() {
    let tree = Tree::with(&FILES);
    for path in ["a", "b", "d/e/f", "d/g", "d/new", "new/x", "dd"] {
        put(&tree.path, path, b"changed\n");
    }
    fs::remove_file(tree.path.join("d/h")).unwrap();
    let only = |paths: &[&str]| -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        let scan = scan(
            &tree.repo.git_dir,
            &tree.path,
            &tree.repo.head(),
            Some(&paths),
        )
        .unwrap();
        scan.files.into_iter().map(|file| file.path).collect()
    };
    assert_eq!(["a"], only(&["a"])[..]);
    assert_eq!(["d/e/f", "d/g", "d/h", "d/new"], only(&["d/"])[..]);
    assert_eq!(
        ["d/e/f", "d/new", "new/x"],
        only(&["d/e", "d/new", "new"])[..]
    );
    assert_eq!(["d/h"], only(&["d/h", "absent"])[..]);
    assert_eq!(8, only(&["."]).len());
}

#[test]
fn an_ignored_path_asked_for_is_an_error() {
    let tree = Tree::with(&[(".gitignore", "*.o\n"), ("t.o", "t")]);
    put(&tree.path, "x.o", b"x");
    put(&tree.path, "t.o", b"changed");
    let ask = |path: &str| {
        let paths = [path.to_owned()];
        scan(
            &tree.repo.git_dir,
            &tree.path,
            &tree.repo.head(),
            Some(&paths),
        )
    };
    assert!(matches!(ask("x.o"), Err(Error::BadInput(text)) if text.starts_with("x.o is ignored")));
    assert_eq!(1, ask("t.o").unwrap().files.len());
    assert!(matches!(ask("../x"), Err(Error::BadPath(_))));
}

#[test]
fn names_that_the_policy_refuses_are_named() {
    let tree = Tree::with(&FILES);
    for (name, shown) in [
        (&b"caf\xe9"[..], r#"the path "caf\xe9" is not valid UTF-8"#),
        (b"a\nb", r#"the path "a\nb" contains a control character"#),
        (
            b".GIT",
            r#"the path ".GIT" has a component that some system takes for `.git`"#,
        ),
    ] {
        let path = tree.path.join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, "x").unwrap();
        assert_eq!(shown, tree.error().to_string());
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(0, tree.scan().files.len());
}

#[test]
fn special_files_are_ignored_unless_tracked() {
    let tree = Tree::with(&FILES);
    let fifo = |path: &str| {
        assert!(
            std::process::Command::new("mkfifo")
                .arg(tree.path.join(path))
                .status()
                .unwrap()
                .success()
        );
    };
    fifo("pipe");
    fifo("d/pipe");
    assert_eq!(0, tree.scan().files.len());
    fs::remove_file(tree.path.join("d/g")).unwrap();
    fifo("d/g");
    assert!(matches!(tree.error(), Error::Unsupported(text) if text.starts_with("d/g is neither")));
}

#[test]
fn skipped_and_assumed_entries_are_taken_as_the_index_has_them() {
    let tree = Tree::with(&FILES);
    git(
        &tree.path,
        &["update-index", "--skip-worktree", "a", "d/e/f"],
    );
    git(&tree.path, &["update-index", "--assume-unchanged", "b"]);
    fs::remove_dir_all(tree.path.join("d/e")).unwrap();
    put(&tree.path, "a", b"changed\n");
    put(&tree.path, "b", b"changed\n");
    assert_eq!(0, tree.check().files.len());
}

#[test]
fn a_sparse_checkout_keeps_what_is_not_there() {
    let tree = Tree::with(&FILES);
    git(
        &tree.path,
        &["sparse-checkout", "set", "--no-cone", "/a", "/b"],
    );
    assert!(!tree.path.join("d").exists());
    put(&tree.path, "b", b"changed\n");
    tree.check();
    assert_eq!(["b"], tree.paths()[..]);
    put(&tree.path, "d/g", b"here again\n");
    assert_eq!(["b", "d/g"], tree.paths()[..]);
}

#[test]
fn unmerged_and_sparse_indexes_are_refused() {
    let tree = Tree::with(&FILES);
    let entries = "100644 78981922613b2afb6025042ff6bd878ac1994e85 1\ta\n\
                   100644 78981922613b2afb6025042ff6bd878ac1994e85 2\ta\n";
    git_with(
        &tree.path,
        &["update-index", "--force-remove", "a"],
        b"",
        &[],
    );
    git_with(
        &tree.path,
        &["update-index", "--index-info"],
        entries.as_bytes(),
        &[],
    );
    assert!(matches!(tree.error(), Error::BadInput(text) if text.starts_with("a is unmerged")));
    let tree = Tree::with(&FILES);
    git(
        &tree.path,
        &["sparse-checkout", "set", "--cone", "--sparse-index", "x"],
    );
    assert!(matches!(tree.error(), Error::Unsupported(_)));
}

#[test]
fn a_damaged_index_is_corrupt() {
    let tree = Tree::with(&FILES);
    let index = tree.repo.git_dir.join("worktrees/one/index");
    let mut bytes = fs::read(&index).unwrap();
    bytes[80] ^= 1;
    fs::write(&index, bytes).unwrap();
    assert!(matches!(tree.error(), Error::Corrupt(text) if text.contains("worktrees/one/index")));
}

#[test]
fn a_split_index_is_read() {
    let tree = Tree::with(&FILES);
    git(&tree.path, &["update-index", "--split-index"]);
    put(&tree.path, "a", b"changed\n");
    git(&tree.path, &["add", "a"]);
    put(&tree.path, "b", b"changed\n");
    tree.check();
}

#[test]
fn a_version_4_index_is_read() {
    let tree = Tree::with(&FILES);
    git(&tree.path, &["update-index", "--index-version", "4"]);
    put(&tree.path, "d/new", b"changed\n");
    tree.check();
}

#[test]
fn files_with_converting_attributes_go_through_git() {
    let tree = Tree::with(&[
        (
            ".gitattributes",
            "*.txt text=auto\nup filter=up\nid ident\n",
        ),
        ("crlf.txt", "x\n"),
        ("lf.txt", "x\n"),
        ("up", "up\n"),
        ("id", "$Id$\n"),
        ("other", "x\n"),
    ]);
    git(&tree.path, &["config", "filter.up.clean", "tr A-Z a-z"]);
    put(&tree.path, "crlf.txt", b"y\r\n");
    put(&tree.path, "lf.txt", b"y\n");
    put(&tree.path, "up", b"UP AND AWAY\n");
    put(&tree.path, "id", b"$Id: 12 $ new\n");
    put(&tree.path, "other", b"y\r\n");
    let scan = tree.check();
    let through: Vec<_> = scan
        .files
        .iter()
        .map(|f| (f.path.as_str(), f.through_git, f.content.is_none()))
        .collect();
    let expected = [
        ("crlf.txt", true, true),
        ("id", true, true),
        ("lf.txt", false, false),
        ("other", false, false),
        ("up", true, true),
    ];
    assert_eq!(expected, through[..]);
}

#[test]
fn the_main_worktree_can_be_scanned() {
    let repo = Repo::with(&FILES);
    let tree = Tree {
        path: repo.path.clone(),
        repo,
    };
    put(&tree.path, "d/g", b"changed\n");
    tree.check();
    assert_eq!(["d/g"], tree.paths()[..]);
}

#[test]
fn a_worktree_of_another_repository_is_refused() {
    let (tree, other) = (Tree::with(&FILES), Tree::with(&FILES));
    let wrong = scan(&tree.repo.git_dir, &other.path, &tree.repo.head(), None);
    assert!(matches!(wrong, Err(Error::BadInput(_))), "{wrong:?}");
    let missing = scan(
        &tree.repo.git_dir,
        Path::new("/nonexistent"),
        &tree.repo.head(),
        None,
    );
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
}

#[test]
fn an_edit_in_the_same_moment_as_git_wrote_the_index_is_seen() {
    let tree = Tree::with(&FILES);
    for round in 0..30 {
        put(&tree.path, "a", format!("{round:02}\n").as_bytes());
        git(&tree.path, &["add", "a"]);
        put(&tree.path, "a", format!("{:02}\n", round + 50).as_bytes());
        let expected = format!("{:02}\n", round + 50).into_bytes();
        assert_eq!(Some(expected), tree.scan().files[0].content);
    }
}

#[test]
fn generated_trees_are_scanned_as_git_adds_them() {
    for seed in 0..6 {
        let mut random = Random(seed);
        let repo = Repo::new();
        put(&repo.path, ".gitignore", b"ignored*\n/x/\n");
        for _ in 0..60 {
            mutate(&mut random, &repo.path);
        }
        repo.commit();
        let path = repo.add(&["one"]).unwrap().remove(0).path;
        let tree = Tree { repo, path };
        for round in 0..4 {
            for _ in 0..12 {
                mutate(&mut random, &tree.path);
            }
            if round == 2 {
                git(&tree.path, &["add", "-A"]);
            }
            tree.check();
        }
    }
}

/// Does one thing to a path drawn from a small set, so that files, directories and links often
/// take each other's places.
fn mutate(random: &mut Random, root: &Path) {
    let names = ["x", "y", "x.y", "y-", "ignored", "\u{e9}"];
    let depth = 1 + random.below(3);
    let parts: Vec<_> = (0..depth)
        .map(|_| names[random.below(names.len())])
        .collect();
    let path = root.join(parts.join("/"));
    let remove = |path: &Path| match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    };
    for ancestor in path.ancestors().take(depth) {
        if ancestor
            .symlink_metadata()
            .is_ok_and(|found| !found.is_dir())
        {
            remove(ancestor);
        }
    }
    let action = random.below(8);
    if action == 0 {
        return remove(&path);
    }
    if path.is_dir() && action > 1 {
        return;
    }
    remove(&path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match action {
        // Never in a circle: git then takes what was below for unmodified.
        1 => std::os::unix::fs::symlink(["nowhere", "..", "../y"][random.below(3)], &path).unwrap(),
        _ => fs::write(&path, format!("{}\n", random.below(5))).unwrap(),
    }
    if action == 2 {
        chmod(
            root,
            path.strip_prefix(root).unwrap().to_str().unwrap(),
            0o755,
        );
    }
}

#[test]
fn status_agrees_after_a_scan() {
    let tree = Tree::with(&FILES);
    put(&tree.path, "a", b"changed\n");
    tree.scan();
    assert_eq!(" M a", status(&tree.path));
}
