//! Operations: published whole, once, and never over somebody else's.

mod common;

use std::os::unix::fs::MetadataExt as _;

use common::{Repo, bookmarks, put, spec};
use tatami_core::error::Code;
use tatami_core::jj::Core;
use tatami_core::spec::OpSpec;

fn commit(core: &mut Core, parent: &str, path: &str, bookmark: &str) -> String {
    let batch = core
        .prepare(&[spec(parent, vec![put(path, path)], "m\n")])
        .unwrap();
    let id = batch.commits[0].commit;
    core.publish(Some(&batch), &bookmarks(&[(bookmark, id)]))
        .unwrap();
    id.to_string()
}

#[test]
fn a_batch_of_commits_on_each_other_is_one_operation() {
    let repo = Repo::with(&[("f", "1")]);
    let mut core = repo.core();
    let before = core.operations(None, &[]).unwrap().len();
    let specs = [
        spec(&repo.head, vec![put("a", "1")], "one\n"),
        spec("@0", vec![put("a", "2")], "two\n"),
        spec(&repo.head, vec![put("b", "1")], "other\n"),
    ];
    let batch = core.prepare(&specs).unwrap();
    let names = [
        ("agent/x", batch.commits[1].commit),
        ("agent/y", batch.commits[2].commit),
    ];
    core.publish(Some(&batch), &bookmarks(&names)).unwrap();
    assert_eq!(before + 1, core.operations(None, &[]).unwrap().len());
    let heads = core.view(None).unwrap().heads;
    let mut expected: Vec<String> = names.iter().map(|(_, id)| id.to_string()).collect();
    expected.sort();
    assert_eq!(expected, heads);
    repo.git(&["fsck", "--full", "--strict"]);
}

#[test]
fn a_handle_that_fell_behind_is_told_and_changes_nothing() {
    let repo = Repo::with(&[("f", "1")]);
    let mut first = repo.core();
    let mut second = repo.open(true);
    let theirs = commit(&mut first, &repo.head, "a", "agent/a");
    let packs = std::fs::read_dir(repo.pack_dir()).unwrap().count();
    let batch = second
        .prepare(&[spec(&repo.head, vec![put("b", "1")], "m\n")])
        .unwrap();
    let ours = [("agent/b", batch.commits[0].commit)];
    let error = second.publish(Some(&batch), &bookmarks(&ours)).unwrap_err();
    assert_eq!(Code::Stale, error.code);
    assert_eq!(packs, std::fs::read_dir(repo.pack_dir()).unwrap().count());
    assert!(second.refresh().unwrap().changed);
    second.publish(Some(&batch), &bookmarks(&ours)).unwrap();
    let view = second.view(None).unwrap();
    assert!(view.heads.contains(&theirs), "{:?}", view.heads);
    assert_eq!(2, view.heads.len());
}

#[test]
fn a_reader_sees_what_was_published_and_cannot_write() {
    let repo = Repo::with(&[("f", "1")]);
    let mut writer = repo.core();
    let mut reader = repo.open(false);
    let id = commit(&mut writer, &repo.head, "a", "agent/a");
    assert!(!reader.knows(&id).unwrap());
    reader.refresh().unwrap();
    assert!(reader.knows(&id).unwrap());
    assert_eq!(id, reader.resolve("agent/a").unwrap());
    let error = reader.publish(None, &OpSpec::default()).unwrap_err();
    assert_eq!(Code::Unsupported, error.code);
}

#[test]
fn an_amended_commit_is_hidden_and_remembered_as_predecessor() {
    let repo = Repo::with(&[("f", "1")]);
    let mut core = repo.core();
    let old = commit(&mut core, &repo.head, "a", "agent/a");
    let read = core.commit(&old).unwrap();
    let mut amended = spec(&repo.head, vec![put("a", "2")], "better\n");
    amended.base = Some(old.clone());
    amended.change = Some(read.change.clone());
    amended.predecessors = vec![old.clone()];
    let batch = core.prepare(&[amended]).unwrap();
    let new = batch.commits[0].commit;
    let mut op = bookmarks(&[("agent/a", new)]);
    op.drop_heads = vec![old.clone()];
    core.publish(Some(&batch), &op).unwrap();
    assert_eq!(vec![new.to_string()], core.view(None).unwrap().heads);
    assert_eq!(read.change, core.commit(&new.to_string()).unwrap().change);
    assert_eq!(new.to_string(), core.resolve(&read.change).unwrap());
    assert!(core.knows(&old).unwrap());
}

#[test]
fn a_hidden_commit_that_another_line_begins_at_stays_visible() {
    let repo = Repo::with(&[("f", "1")]);
    let mut core = repo.core();
    let old = commit(&mut core, &repo.head, "a", "agent/a");
    let id = tatami_core::objects::parse_id(&old).unwrap();
    core.publish(None, &bookmarks(&[("agent/b", id)])).unwrap();
    let batch = core
        .prepare(&[spec(&repo.head, vec![put("a", "2")], "m\n")])
        .unwrap();
    let mut op = bookmarks(&[("agent/a", batch.commits[0].commit)]);
    op.drop_heads = vec![old.clone()];
    core.publish(Some(&batch), &op).unwrap();
    assert!(core.view(None).unwrap().heads.contains(&old));
}

#[test]
fn commits_of_plain_git_are_imported_and_outlive_their_branch() {
    let repo = Repo::with(&[("f", "1")]);
    let mut core = repo.core();
    repo.git(&["checkout", "-qb", "side"]);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "by git"]);
    let theirs = repo.git(&["rev-parse", "HEAD"]);
    assert!(!core.knows(&theirs).unwrap());
    let op = OpSpec {
        foreign: vec![theirs.clone()],
        ..OpSpec::default()
    };
    core.publish(None, &op).unwrap();
    assert!(core.knows(&theirs).unwrap());
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["branch", "-qD", "side"]);
    repo.git(&["update-ref", "-d", &format!("refs/jj/keep/{theirs}")]);
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["gc", "-q", "--prune=now"]);
    assert_eq!("by git\n", core.commit(&theirs).unwrap().message);
    assert!(core.verify(None).unwrap().problems.is_empty());
}

#[test]
fn everything_verifies_and_a_flipped_byte_is_found() {
    let repo = Repo::with(&[("f", "1")]);
    let mut core = repo.core();
    for n in 0..3 {
        commit(
            &mut core,
            &repo.head,
            &format!("dir/{n}"),
            &format!("agent/a{n}"),
        );
    }
    let clean = core.verify(None).unwrap();
    assert!(clean.problems.is_empty(), "{:?}", clean.problems);
    // jj began with an empty working-copy commit of its own.
    assert_eq!(3 + 1, clean.commits);
    let operations = repo.git_dir.join("tatami/jj/.jj/repo/op_store/operations");
    let victim = std::fs::read_dir(operations)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&victim, bytes).unwrap();
    let found = repo.open(false).verify(None).unwrap().problems;
    assert!(
        found.iter().any(|problem| problem.invariant == "I2"),
        "{found:?}"
    );
}

#[test]
fn an_index_that_jj_threw_away_is_made_anew() {
    let repo = Repo::with(&[("f", "1")]);
    let mut core = repo.core();
    // So many that the next commit's segment does not take this one's in, but goes on from it.
    let texts: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let specs: Vec<_> = texts
        .iter()
        .map(|text| spec(&repo.head, vec![put("a", text)], "m\n"))
        .collect();
    let batch = core.prepare(&specs).unwrap();
    let first = batch.commits[0].commit;
    core.publish(Some(&batch), &bookmarks(&[("agent/x", first)]))
        .unwrap();
    let first = first.to_string();
    let index = repo.git_dir.join("tatami/jj/.jj/repo/index");
    for folder in ["op_links", "segments"] {
        for file in std::fs::read_dir(index.join(folder)).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
    let second = commit(&mut core, &first, "b", "agent/x");
    let link = index.join("op_links").join(core.op());
    let written = std::fs::metadata(&link).unwrap().ino();
    // jj begins anew, with another link, if the chain of segments has a loose end.
    let reader = repo.open(false);
    assert_eq!(written, std::fs::metadata(&link).unwrap().ino());
    assert!(reader.knows(&first).unwrap() && reader.knows(&second).unwrap());
}

#[test]
fn names_are_resolved_or_refused_with_a_reason() {
    let repo = Repo::with(&[("f", "1")]);
    let mut core = repo.core();
    let id = commit(&mut core, &repo.head, "a", "agent/a");
    let change = core.commit(&id).unwrap().change;
    for name in [&id, &id[..12], &change, &change[..12], "agent/a"] {
        assert_eq!(id, core.resolve(name).unwrap(), "{name}");
    }
    for name in ["main", "HEAD", "refs/heads/main"] {
        assert_eq!(repo.head, core.resolve(name).unwrap(), "{name}");
    }
    for name in ["nobody", "", "..", "zzzzzzzz", &"0".repeat(40)] {
        assert_eq!(
            Code::NotFound,
            core.resolve(name).unwrap_err().code,
            "{name}"
        );
    }
}
