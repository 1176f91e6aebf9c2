//! Commit objects: their text as jj writes it, and what of it Python sees.

use encoding_rs::{Encoding, WINDOWS_1252};
use gix::ObjectId;
use gix::objs::{CommitRef, Kind};
use jj_lib::backend::{ChangeId, CommitId};
use jj_lib::git_backend;
use jj_lib::object_id::ObjectId as _;

use crate::error::{Code, Error, Result};
use crate::objects::Objects;
use crate::spec::{CommitSpec, Signature};

/// A commit as it is read back. A text that is not UTF-8 is read as its encoding header says.
#[derive(Clone, Debug)]
pub struct Commit {
    pub id: ObjectId,
    pub change: String,
    pub parents: Vec<ObjectId>,
    pub tree: ObjectId,
    pub message: String,
    pub author: Signature,
    pub committer: Signature,
    pub conflict: bool,
}

/// jj's name for an empty author or committer, which git does not allow.
const EMPTY: &str = "JJ_EMPTY_STRING";
const CONFLICT_HEADER: &str = "jj:trees";

pub fn read(objects: &mut Objects, id: ObjectId) -> Result<Commit> {
    let data = objects.commit(id)?;
    decode(id, &data)
}

pub fn decode(id: ObjectId, data: &[u8]) -> Result<Commit> {
    let damaged = |error: gix::objs::decode::Error| {
        Error::new(Code::Corrupt, format!("commit {id} is damaged: {error}"))
    };
    let commit = CommitRef::from_bytes(data, gix::hash::Kind::Sha1).map_err(damaged)?;
    let encoding = commit.encoding.map(|label| -> &[u8] { label });
    let text = |bytes: &[u8]| text(bytes, encoding);
    Ok(Commit {
        id,
        change: change_id_to_text(&change_of(id, &commit)),
        parents: commit.parents().collect(),
        tree: commit.tree(),
        message: text(commit.message),
        author: signature(commit.author().map_err(damaged)?, text),
        committer: signature(commit.committer().map_err(damaged)?, text),
        conflict: commit.extra_headers().find(CONFLICT_HEADER).is_some(),
    })
}

/// The tree of a commit, or the id itself where it names a tree.
pub fn tree_of(objects: &mut Objects, id: ObjectId) -> Result<ObjectId> {
    if id.is_empty_tree() {
        return Ok(id);
    }
    let (kind, data) = objects.read(id)?;
    match kind {
        Kind::Tree => Ok(id),
        Kind::Commit => Ok(decode(id, &data)?.tree),
        _ => Err(Error::new(
            Code::BadInput,
            format!("{id} is a {kind}, not a commit or tree"),
        )),
    }
}

/// The text of a commit object, byte for byte as jj would write it.
pub fn encode(
    spec: &CommitSpec<'_>,
    parents: &[ObjectId],
    tree: ObjectId,
    change: &[u8; 16],
) -> Result<Vec<u8>> {
    if spec.message.contains('\0') {
        return Err(Error::new(
            Code::BadInput,
            "the commit message holds a NUL character",
        ));
    }
    let mut text = format!("tree {tree}\n");
    for parent in parents {
        text.push_str(&format!("parent {parent}\n"));
    }
    text.push_str(&format!("author {}\n", signature_line(&spec.author)?));
    text.push_str(&format!("committer {}\n", signature_line(&spec.committer)?));
    text.push_str(&format!("change-id {}\n\n", change_id_to_text(change)));
    text.push_str(spec.message);
    Ok(text.into_bytes())
}

fn signature_line(signature: &Signature) -> Result<String> {
    let part = |text: &str| match text.trim() {
        text if text.contains(['<', '>', '\n', '\0']) => {
            let what = format!("{text:?} cannot be an author: it holds one of < > newline NUL");
            Err(Error::new(Code::BadInput, what))
        }
        "" => Ok(EMPTY.to_owned()),
        text => Ok(text.to_owned()),
    };
    let (sign, minutes) = match signature.offset_minutes {
        minutes if minutes < 0 => ('-', -minutes),
        minutes => ('+', minutes),
    };
    Ok(format!(
        "{} <{}> {} {sign}{:02}{:02}",
        part(&signature.name)?,
        part(&signature.email)?,
        signature.seconds,
        minutes / 60,
        minutes % 60,
    ))
}

/// Reads a commit's text in the encoding that its header names, or else as UTF-8.
///
/// Where it is neither, every byte is taken for a character: a copy of the commit is UTF-8, and
/// nothing of what somebody wrote may be lost in it.
fn text(bytes: &[u8], label: Option<&[u8]>) -> String {
    if let Some(encoding) = label.and_then(Encoding::for_label)
        && let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes)
    {
        return text.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252
            .decode_without_bom_handling(bytes)
            .0
            .into_owned(),
    }
}

fn signature(signature: gix::actor::SignatureRef<'_>, text: impl Fn(&[u8]) -> String) -> Signature {
    let time = signature.time().unwrap_or_default();
    let text = |bytes: &[u8]| match text(bytes) {
        text if text == EMPTY => String::new(),
        text => text,
    };
    Signature {
        name: text(signature.name),
        email: text(signature.email),
        seconds: time.seconds,
        offset_minutes: time.offset.div_euclid(60),
    }
}

fn change_of(id: ObjectId, commit: &CommitRef<'_>) -> [u8; 16] {
    let change = git_backend::extract_change_id_from_commit(commit).unwrap_or_else(|| {
        git_backend::synthetic_change_id_from_git_commit_id(&CommitId::from_bytes(id.as_bytes()))
    });
    change
        .as_bytes()
        .try_into()
        .expect("change ids have 16 bytes")
}

/// Change ids are shown in reverse hex, as jj does, so that they never look like commit ids.
pub fn change_id_to_text(change: &[u8; 16]) -> String {
    ChangeId::from_bytes(change).reverse_hex()
}

pub fn change_id_from_text(text: &str) -> Result<[u8; 16]> {
    ChangeId::try_from_reverse_hex(text)
        .and_then(|change| change.as_bytes().try_into().ok())
        .ok_or_else(|| Error::new(Code::BadInput, format!("{text:?} is not a change id")))
}
