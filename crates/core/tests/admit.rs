//! What a commit may bring, whether we build it or git has made it.

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{Repo, build, git, put, spec};
use tatami_core::admit;
use tatami_core::commit;
use tatami_core::error::{Code, Result};
use tatami_core::objects::parse_id;
use tatami_core::spec::{Change, Content};

fn link(target: &[u8]) -> Change<'_> {
    Change {
        path: "l",
        mode: 0o120000,
        content: Content::Bytes(target),
    }
}

fn piped(repo: &Repo, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("git")
        .current_dir(&repo.path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A commit of one tree that git makes of `rows`, as `ls-tree -z` prints them.
fn commit_of(repo: &Repo, rows: &[u8], parents: &[&str]) -> String {
    let tree = piped(repo, &["mktree", "-z"], rows);
    let mut words = vec!["commit-tree", "-m", "made by git"];
    parents
        .iter()
        .for_each(|parent| words.extend(["-p", parent]));
    words.push(&tree);
    repo.git(&words)
}

fn rows(repo: &Repo, kind: &str, names: &[&[u8]]) -> Vec<u8> {
    let empty = piped(repo, &["hash-object", "-w", "--stdin"], b"");
    let mut found = Vec::new();
    for name in names {
        found.extend_from_slice(format!("{kind} blob {empty}\t").as_bytes());
        found.extend_from_slice(name);
        found.push(0);
    }
    found
}

fn admitted(repo: &Repo, id: &str) -> Result<()> {
    admit::commit(&mut repo.objects(), parse_id(id).unwrap())
}

#[test]
fn a_link_that_no_file_system_holds_is_not_built() {
    let repo = Repo::with(&[("README", "hello")]);
    let long = vec![b'x'; 4096];
    for target in [&b""[..], b"a\0b", &long] {
        let refused = build(
            &mut repo.objects(),
            &[spec(&repo.head, vec![link(target)], "m")],
        );
        assert_eq!(
            Some(Code::BadContent),
            refused.err().map(|error| error.code)
        );
    }
    build(
        &mut repo.objects(),
        &[spec(&repo.head, vec![link(&long[1..])], "m")],
    )
    .unwrap();
}

#[test]
fn a_submodule_at_no_commit_is_not_built() {
    let repo = Repo::with(&[("README", "hello")]);
    let zeros = "0".repeat(40);
    let change = Change {
        path: "sub",
        mode: 0o160000,
        content: Content::Object(&zeros),
    };
    let refused = build(&mut repo.objects(), &[spec(&repo.head, vec![change], "m")]);
    assert_eq!(
        Some(Code::BadContent),
        refused.err().map(|error| error.code)
    );
}

#[test]
fn a_name_that_the_policy_refuses_is_not_admitted() {
    let repo = Repo::with(&[("README", "hello")]);
    let root = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let hostile = format!("040000 tree {root}\t.git\0").into_bytes();
    let id = commit_of(&repo, &hostile, &[&repo.head]);
    assert_eq!(
        "path \".git\" has a component that some system takes for `.git`",
        admitted(&repo, &id).unwrap_err().message
    );
    for names in [
        &[&b"back\\slash"[..]][..],
        &[b"\xff"],
        &[b"a\tb"],
        &[b"Twin", b"twin"],
    ] {
        let id = commit_of(&repo, &rows(&repo, "100644", names), &[&repo.head]);
        assert_eq!(Code::BadPath, admitted(&repo, &id).unwrap_err().code);
    }
    let id = commit_of(&repo, &rows(&repo, "120000", &[b"l"]), &[&repo.head]);
    assert_eq!(Code::BadContent, admitted(&repo, &id).unwrap_err().code);
}

#[test]
fn a_name_that_a_parent_has_is_admitted() {
    let repo = Repo::with(&[("README", "hello")]);
    let odd = commit_of(&repo, &rows(&repo, "100644", &[b"back\\slash"]), &[]);
    let both: [&[u8]; 2] = [b"back\\slash", b"new"];
    let next = commit_of(&repo, &rows(&repo, "100755", &both), &[&odd]);
    let merge = commit_of(&repo, &rows(&repo, "100755", &both), &[&repo.head, &odd]);
    assert_eq!(Code::BadPath, admitted(&repo, &odd).unwrap_err().code);
    admitted(&repo, &next).unwrap();
    admitted(&repo, &merge).unwrap();
}

#[test]
fn what_the_base_has_under_an_odd_name_can_be_changed_and_removed() {
    let repo = Repo::with(&[("back\\slash", "old"), ("README", "hello")]);
    let mut objects = repo.objects();
    for change in [put("back\\slash", "new"), common::gone("back\\slash")] {
        build(&mut objects, &[spec(&repo.head, vec![change], "m")]).unwrap();
    }
    let refused = build(
        &mut objects,
        &[spec(&repo.head, vec![put("a\\b", "")], "m")],
    );
    assert_eq!(Some(Code::BadPath), refused.err().map(|error| error.code));
}

#[test]
fn a_message_is_read_in_the_encoding_it_names() {
    let repo = Repo::with(&[("README", "hello")]);
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let who = "T <t@example.com> 1700000000 +0000";
    for (header, bytes) in [
        ("encoding ISO-8859-1\n", &b"caf\xe9\n"[..]),
        ("encoding UTF-8\n", "café\n".as_bytes()),
        ("", "café\n".as_bytes()),
        ("", b"caf\xe9\n"),
    ] {
        let head = format!("tree {tree}\nauthor {who}\ncommitter {who}\n{header}\n");
        let text = [head.as_bytes(), bytes].concat();
        let id = piped(
            &repo,
            &["hash-object", "-t", "commit", "-w", "--stdin"],
            &text,
        );
        let read = commit::read(&mut repo.objects(), parse_id(&id).unwrap()).unwrap();
        assert_eq!("café\n", read.message, "{header:?}");
    }
    git(&repo.path, &["fsck", "--strict"]);
}
