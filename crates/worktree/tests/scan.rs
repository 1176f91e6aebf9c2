//! Scans compared with what `git add -A && git write-tree` makes of the same files.

mod common;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::tree::{FILES, Tree};
use common::{Random, Repo, chmod, git, link, put, status};
use tatami_worktree::{Error, scan};

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
    assert_eq!(["d/inner", "inner"], tree.scan().repositories[..]);
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
fn a_file_over_the_limit_is_named_before_it_is_read() {
    let tree = Tree::with(&FILES);
    let large = fs::File::create(tree.path.join("large")).unwrap();
    large.set_len((512 << 20) + 1).unwrap();
    assert_eq!(
        "large has 536870913 bytes; at most 536870912 are taken",
        tree.error().to_string()
    );
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
fn only_git_takes_out_a_name_that_is_not_utf8() {
    let tree = Tree::with(&FILES);
    let path = tree.path.join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::write(&path, "x").unwrap();
    git(&tree.path, &["add", "--all"]);
    let written = git(&tree.path, &["write-tree"]);
    fs::remove_file(&path).unwrap();
    let found = scan(&tree.repo.git_dir, &tree.path, &written, None);
    let error = found.unwrap_err().to_string();
    assert!(error.contains("`git rm` and `git commit`"), "{error}");
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
