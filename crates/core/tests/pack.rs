//! Packs of ours, read and judged by git.

mod common;

use std::fs;

use common::{Repo, build, put, spec};
use gix::objs::Kind;
use tatami_core::error::Code;
use tatami_core::pack::{self, Compressor};

fn write_packs(repo: &Repo, count: usize) -> Vec<String> {
    let mut objects = repo.objects();
    let mut ids = Vec::new();
    for n in 0..count {
        let text = format!("content {n}\n").repeat(n + 1);
        let path = format!("dir/{n}");
        let batch = build(
            &mut objects,
            &[spec(&repo.head, vec![put(&path, &text)], "m\n")],
        )
        .unwrap();
        pack::write(&repo.pack_dir(), &batch.objects, 0).unwrap();
        ids.extend(batch.objects.iter().map(|object| object.id.to_string()));
    }
    ids
}

fn packs_with(repo: &Repo, suffix: &str) -> Vec<std::path::PathBuf> {
    let listed = fs::read_dir(repo.pack_dir()).unwrap();
    let mut found: Vec<_> = listed
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == suffix))
        .collect();
    found.sort();
    found
}

#[test]
fn git_reads_every_object_and_finds_nothing_wrong() {
    let repo = Repo::with(&[("f", "1")]);
    let ids = write_packs(&repo, 3);
    for index in packs_with(&repo, "idx") {
        repo.git(&["verify-pack", index.to_str().unwrap()]);
    }
    for id in &ids {
        repo.git(&["cat-file", "-e", id]);
    }
    repo.git(&["fsck", "--full", "--strict"]);
}

#[test]
fn sizes_around_every_header_boundary_survive() {
    let repo = Repo::with(&[("f", "1")]);
    let mut compressor = Compressor::default();
    let mut packed = Vec::new();
    for size in [0, 1, 15, 16, 17, 2047, 2048, 70_000, 300_000] {
        // Not compressible, so that the output outgrows what was reserved for it.
        let data: Vec<u8> = (0..size)
            .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, Kind::Blob, &data).unwrap();
        let one = compressor.pack(id, Kind::Blob, &data, None);
        assert_eq!(data, one.content().to_vec());
        packed.push(one);
    }
    pack::write(&repo.pack_dir(), &packed, 0).unwrap();
    for one in &packed {
        let read = common::git_bytes(&repo.path, &["cat-file", "blob", &one.id.to_string()]);
        assert_eq!(one.content().to_vec(), read);
    }
}

#[test]
fn consolidation_keeps_every_object_in_few_packs() {
    let repo = Repo::with(&[("f", "1")]);
    let ids = write_packs(&repo, 30);
    let removed = pack::consolidate(&repo.pack_dir()).unwrap();
    let own = pack::own_packs(&repo.pack_dir()).unwrap();
    assert_eq!(30, removed + own.len());
    assert!(own.len() < 12, "{own:?}");
    for id in &ids {
        repo.git(&["cat-file", "-e", id]);
    }
    repo.git(&["fsck", "--full", "--strict"]);
    assert_eq!(
        packs_with(&repo, "pack").len(),
        packs_with(&repo, "keep").len()
    );
    assert_eq!(
        packs_with(&repo, "pack").len(),
        packs_with(&repo, "idx").len()
    );
}

#[test]
fn a_garbage_collection_takes_nothing_of_ours() {
    let repo = Repo::with(&[("f", "1")]);
    let ids = write_packs(&repo, 3);
    repo.git(&["gc", "--prune=now", "-q"]);
    repo.git(&["repack", "-adq"]);
    repo.git(&["prune"]);
    for id in &ids {
        repo.git(&["cat-file", "-e", id]);
    }
}

#[test]
fn a_damaged_pack_is_named_and_left_where_it_is() {
    let repo = Repo::with(&[("f", "1")]);
    write_packs(&repo, 12);
    let victim = packs_with(&repo, "pack")[3].clone();
    let mut bytes = fs::read(&victim).unwrap();
    bytes[20] ^= 0x40;
    let mut permissions = fs::metadata(&victim).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "a file of this test")]
    permissions.set_readonly(false);
    fs::set_permissions(&victim, permissions).unwrap();
    fs::write(&victim, bytes).unwrap();
    let error = pack::consolidate(&repo.pack_dir()).unwrap_err();
    assert_eq!(Code::Corrupt, error.code);
    assert!(
        error.message.contains(victim.to_str().unwrap()),
        "{}",
        error.message
    );
    assert_eq!(12, packs_with(&repo, "pack").len());
}

#[test]
fn a_pack_that_vanished_is_taken_as_moved_elsewhere() {
    let repo = Repo::with(&[("f", "1")]);
    write_packs(&repo, 12);
    for suffix in ["idx", "pack"] {
        fs::remove_file(&packs_with(&repo, suffix)[0]).unwrap();
    }
    write_packs(&repo, 13);
    pack::consolidate(&repo.pack_dir()).unwrap();
    assert!(pack::own_packs(&repo.pack_dir()).unwrap().len() < 12);
}

#[test]
fn a_pack_of_gits_own_is_never_touched() {
    let repo = Repo::with(&[("f", "1")]);
    repo.git(&["repack", "-adq"]);
    let theirs = packs_with(&repo, "pack");
    fs::write(theirs[0].with_extension("keep"), "somebody else\n").unwrap();
    write_packs(&repo, 12);
    pack::consolidate(&repo.pack_dir()).unwrap();
    assert!(theirs[0].exists());
}
