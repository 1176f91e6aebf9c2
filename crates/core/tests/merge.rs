//! Three-way merges of trees and texts.

mod common;

use common::{Numbers, Repo, build, gone, put, spec};
use gix::ObjectId;
use tatami_core::diff::{self, Side};
use tatami_core::objects::Objects;
use tatami_core::prepare::Batch;
use tatami_core::spec::{Change, Content};
use tatami_core::text;

struct Sides {
    objects: Objects,
    base: ObjectId,
    ours: ObjectId,
    theirs: ObjectId,
    head: String,
}

fn sides(repo: &Repo, ours: Vec<Change<'_>>, theirs: Vec<Change<'_>>) -> Sides {
    let mut objects = repo.objects();
    let specs = [
        spec(&repo.head, vec![], "base\n"),
        spec(&repo.head, ours, "ours\n"),
        spec(&repo.head, theirs, "theirs\n"),
    ];
    let batch = build(&mut objects, &specs).unwrap();
    keep(&mut objects, &batch);
    let [base, ours, theirs] = [0, 1, 2].map(|n| batch.commits[n].tree);
    Sides {
        objects,
        base,
        ours,
        theirs,
        head: repo.head.clone(),
    }
}

fn keep(objects: &mut Objects, batch: &Batch) {
    for object in &batch.objects {
        objects.remember(object.id, object.kind, &object.content());
    }
}

/// Applies a merge's changes to *ours* and returns the tree.
fn applied(sides: &mut Sides, changes: &[(String, Side)]) -> ObjectId {
    let ids: Vec<Option<String>> = changes
        .iter()
        .map(|(_, side)| side.map(|(_, id)| id.to_string()))
        .collect();
    let edits = changes.iter().zip(&ids).map(|((path, side), id)| Change {
        path,
        mode: side.map_or(0, |(mode, _)| mode),
        content: id.as_deref().map_or(Content::Deleted, Content::Object),
    });
    let mut spec = spec(&sides.head, edits.collect(), "merged\n");
    spec.base = Some(sides.ours.to_string());
    let batch = build(&mut sides.objects, &[spec]).unwrap();
    keep(&mut sides.objects, &batch);
    batch.commits[0].tree
}

fn repo() -> Repo {
    Repo::with(&[
        ("a", "1\n2\n3\n"),
        ("b", "1\n"),
        ("d/x", "1\n"),
        ("d/y", "1\n"),
        ("e", "1\n"),
    ])
}

#[test]
fn what_only_one_side_changed_is_taken() {
    let ours = vec![put("a", "ours\n"), put("new-ours", "1\n")];
    let theirs = vec![gone("b"), put("d/x", "theirs\n"), put("n/e/w", "1\n")];
    let all: Vec<_> = ours.iter().chain(&theirs).copied().collect();
    let repo = repo();
    let mut sides = sides(&repo, ours, theirs);
    let merged = diff::merge(&mut sides.objects, sides.base, sides.ours, sides.theirs).unwrap();
    assert!(merged.conflicts.is_empty(), "{:?}", merged.conflicts);
    let both = build(&mut repo.objects(), &[spec(&repo.head, all, "both\n")]).unwrap();
    assert_eq!(both.commits[0].tree, applied(&mut sides, &merged.changes));
}

#[test]
fn laws_hold_for_any_pair_of_sides() {
    let repo = repo();
    let paths = ["a", "b", "d/x", "d/y", "e", "f", "g/h"];
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let texts: Vec<String> = (0..paths.len())
            .map(|_| numbers.below(3).to_string())
            .collect();
        let change: Vec<Change<'_>> = paths
            .iter()
            .zip(&texts)
            .filter_map(|(path, text)| match numbers.below(3) {
                0 => None,
                1 => Some(gone(path)),
                _ => Some(put(path, text)),
            })
            .collect();
        let mut sides = sides(&repo, change.clone(), change);
        let (base, side) = (sides.base, sides.ours);
        // merge(b, x, x) = x, merge(b, x, b) = x, merge(b, b, x) = x
        for (ours, theirs) in [(side, side), (side, base), (base, side)] {
            let merged = diff::merge(&mut sides.objects, base, ours, theirs).unwrap();
            assert!(
                merged.conflicts.is_empty(),
                "seed {seed}: {:?}",
                merged.conflicts
            );
            sides.ours = ours;
            assert_eq!(side, applied(&mut sides, &merged.changes), "seed {seed}");
        }
    }
}

#[test]
fn paths_both_sides_changed_are_handed_out() {
    let repo = repo();
    let ours = vec![
        put("a", "ours\n"),
        gone("b"),
        put("d/x", "ours\n"),
        put("new", "1\n"),
    ];
    let theirs = vec![
        put("a", "theirs\n"),
        put("b", "2\n"),
        gone("d/x"),
        put("new", "2\n"),
    ];
    let mut sides = sides(&repo, ours, theirs);
    let merged = diff::merge(&mut sides.objects, sides.base, sides.ours, sides.theirs).unwrap();
    let paths: Vec<_> = merged
        .conflicts
        .iter()
        .map(|one| one.path.as_str())
        .collect();
    assert_eq!(vec!["a", "b", "d/x", "new"], paths);
    assert!(merged.changes.is_empty());
}

#[test]
fn a_file_against_a_directory_is_a_conflict_of_that_path() {
    let repo = repo();
    let ours = vec![gone("d/x"), gone("d/y"), put("d", "file\n")];
    let mut sides = sides(&repo, ours, vec![put("d/x", "edited\n")]);
    let merged = diff::merge(&mut sides.objects, sides.base, sides.ours, sides.theirs).unwrap();
    assert_eq!(1, merged.conflicts.len());
    assert_eq!("d", merged.conflicts[0].path);
}

#[test]
fn a_mode_and_a_content_combine() {
    let repo = repo();
    let executable = Change {
        mode: 0o100755,
        ..put("b", "1\n")
    };
    let mut sides = sides(&repo, vec![executable], vec![put("b", "2\n")]);
    let merged = diff::merge(&mut sides.objects, sides.base, sides.ours, sides.theirs).unwrap();
    assert!(merged.conflicts.is_empty());
    let tree = applied(&mut sides, &merged.changes);
    let (mode, content) = diff::read_file(&mut sides.objects, tree, "b")
        .unwrap()
        .unwrap();
    assert_eq!((0o100755, b"2\n".to_vec()), (mode, content));
}

#[test]
fn a_preview_names_what_texts_cannot_settle() {
    let repo = repo();
    let ours = vec![put("a", "one\n2\n3\n"), put("b", "ours\n")];
    let theirs = vec![put("a", "1\n2\nthree\n"), put("b", "theirs\n")];
    let mut sides = sides(&repo, ours, theirs);
    let left = diff::preview(&mut sides.objects, sides.base, sides.ours, sides.theirs).unwrap();
    assert_eq!(vec!["b"], left);
}

#[test]
fn texts_merge_as_git_merges_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(7);
    let (mut clean, mut conflicting) = (0, 0);
    for _ in 0..120 {
        let base: Vec<String> = (0..12).map(|n| format!("line {}\n", n % 7)).collect();
        let mut edit = || {
            let mut lines = base.clone();
            for _ in 0..numbers.below(5) {
                let at = numbers.below(lines.len());
                match numbers.below(3) {
                    0 => drop(lines.remove(at)),
                    1 => lines.insert(at, format!("new {}\n", numbers.below(4))),
                    _ => lines[at] = format!("changed {}\n", numbers.below(4)),
                }
            }
            lines.concat()
        };
        let (base, ours, theirs) = (base.concat(), edit(), edit());
        for (name, content) in [("base", &base), ("ours", &ours), ("theirs", &theirs)] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let done = std::process::Command::new("git")
            .current_dir(folder.path())
            .args(["merge-file", "-p", "ours", "base", "theirs"])
            .output()
            .unwrap();
        let expected = done.status.success().then_some(done.stdout);
        let merged = text::merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        match expected {
            Some(_) => clean += 1,
            None => conflicting += 1,
        }
        assert_eq!(expected, merged, "base\n{base}ours\n{ours}theirs\n{theirs}");
    }
    assert!(
        clean > 30 && conflicting > 30,
        "{clean} clean, {conflicting} conflicting"
    );
}

#[test]
fn binary_files_are_not_merged_as_text() {
    assert_eq!(
        None,
        text::merge(b"a\0\nb\nc\n", b"A\0\nb\nc\n", b"a\0\nb\nC\n")
    );
}
