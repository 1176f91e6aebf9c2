//! What git does to the bytes of changed files on their way into the repository.

use std::collections::HashSet;

use gix::hash::Kind;
use gix::index::State;
use gix::index::entry::{Flags, Mode, Stat};
use gix::{ObjectId, Repository};

use super::changes::Item;
use super::walk::{Verdict, join};
use crate::attributes::{Attributes, Conversion};
use crate::content::read_rules;
use crate::dir::{Cursor, split};
use crate::workspace::Workspace;
use crate::{Error, Result};

const NAME: &[u8] = b".gitattributes";

/// The conversion of each item whose file has to be read; none for the others.
pub fn conversions(
    workspace: &Workspace,
    index: &State,
    items: &[Item],
) -> Result<Vec<Conversion>> {
    if items.iter().all(|item| item.verdict != Verdict::Read) {
        return Ok(vec![Conversion::default(); items.len()]);
    }
    let repository = workspace.source.local().with_object_memory();
    let rules = rules(workspace, &repository, index, items)?;
    let mut attributes = Attributes::from_index(&repository, &rules)?;
    let each = items.iter().map(|item| match item.verdict {
        Verdict::Read => attributes.conversion(item.path.as_slice().into()),
        _ => Ok(Conversion::default()),
    });
    each.collect()
}

/// The `.gitattributes` that hold for the items, as an index: from the files, and from `index`
/// where it has one that is not in the files and stays (a sparse checkout).
///
/// git reads them while it adds: one that is deleted is out of its index before the others count.
fn rules(
    workspace: &Workspace,
    repository: &Repository,
    index: &State,
    items: &[Item],
) -> Result<State> {
    let mut cursor = Cursor::new(&workspace.root);
    let mut seen: HashSet<&[u8]> = HashSet::new();
    let mut rules = State::new(Kind::Sha1);
    for item in items.iter().filter(|item| item.verdict == Verdict::Read) {
        let mut directory = split(&item.path).0;
        while seen.insert(directory) {
            let path = join(directory, NAME);
            let id = match read_rules(&mut cursor, &path)? {
                Some(content) => Some(
                    repository
                        .write_blob(content)
                        .map_err(|error| Error::git("keep git attributes", &error))?
                        .detach(),
                ),
                None => kept(index, items, &path),
            };
            if let Some(id) = id {
                let path = path.as_slice().into();
                let (stat, flags) = (Stat::default(), Flags::empty());
                rules.dangerously_push_entry(stat, id, flags, Mode::FILE, path);
            }
            directory = split(directory).0;
        }
    }
    rules.sort_entries();
    Ok(rules)
}

/// What the index has at `path`, unless the commit changes it.
fn kept(index: &State, items: &[Item], path: &[u8]) -> Option<ObjectId> {
    let changed = items
        .binary_search_by(|item| item.path.as_slice().cmp(path))
        .is_ok_and(|number| items[number].verdict != Verdict::Unmodified);
    let entry = index.entry_by_path(path.into()).filter(|_| !changed)?;
    (entry.mode != Mode::SYMLINK).then_some(entry.id)
}
