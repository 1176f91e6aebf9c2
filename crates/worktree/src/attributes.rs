//! Which paths git writes with other bytes than their blobs hold (and stores with other bytes
//! than their files hold): filters, line endings, `ident`, encodings.

use std::collections::HashSet;

use gix::attrs::StateRef;
use gix::attrs::search::Outcome;
use gix::bstr::BStr;
use gix::index::State;
use gix::worktree::stack::state::attributes::Source as From;
use gix::{AttributeStack, Repository};

use crate::{Error, Result};

const SELECTED: [&str; 6] = [
    "text",
    "crlf",
    "eol",
    "filter",
    "ident",
    "working-tree-encoding",
];

/// What git may do to one path's bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Conversion {
    /// A filter with a command, or an encoding: only git can tell.
    unknown: bool,
    /// Line endings become CRLF on checkout.
    crlf: bool,
    /// Line endings become LF on the way into the repository.
    lf: bool,
    /// `$Id$` is expanded on checkout and contracted on the way in.
    ident: bool,
}

impl Conversion {
    /// Tells whether a checkout of a blob with this content may write other bytes.
    pub fn changes_blob(self, content: &[u8]) -> bool {
        self.unknown
            || (self.crlf && content.contains(&b'\n'))
            || (self.ident && contains(content, b"$Id"))
    }

    /// Tells whether the blob made of a file with this content may hold other bytes.
    pub fn changes_file(self, content: &[u8]) -> bool {
        self.unknown
            || (self.lf && contains(content, b"\r\n"))
            || (self.ident && contains(content, b"$Id"))
    }
}

/// Looks up conversions; cheapest when paths come in sorted order.
pub struct Attributes<'repo> {
    stack: AttributeStack<'repo>,
    outcome: Outcome,
    config: Config,
}

impl<'repo> Attributes<'repo> {
    /// Attributes with every `.gitattributes` taken from `index`.
    pub fn from_index(repository: &'repo Repository, index: &State) -> Result<Self> {
        let stack = repository
            .attributes_only(index, From::IdMapping)
            .map_err(|error| Error::git("read git attributes", &error))?;
        let outcome = stack.selected_attribute_matches(SELECTED);
        Ok(Self {
            stack,
            outcome,
            config: Config::read(repository),
        })
    }

    /// What git may do to the bytes of the file at `path`.
    pub fn conversion(&mut self, path: &BStr) -> Result<Conversion> {
        let platform = self
            .stack
            .at_entry(path, None)
            .map_err(|error| Error::io(format!("read git attributes for {path}"), error))?;
        self.outcome.reset();
        if !platform.matching_attributes(&mut self.outcome) && !self.config.converts() {
            return Ok(Conversion::default());
        }
        let mut found = self
            .outcome
            .iter_selected()
            .map(|found| found.assignment.state);
        let mut next = || found.next().unwrap_or(StateRef::Unspecified);
        let text = Text::parse(next()).or(Text::parse(next()));
        Ok(self.config.decide(text, [next(), next(), next(), next()]))
    }
}

/// The value of the attribute `text` (or of its ancestor `crlf`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Unspecified,
    Binary,
    Input,
    Convert,
}

impl Text {
    fn parse(state: StateRef<'_>) -> Self {
        match state {
            StateRef::Set => Self::Convert,
            StateRef::Unset => Self::Binary,
            StateRef::Value(value) if value.as_bstr() == "auto" => Self::Convert,
            StateRef::Value(value) if value.as_bstr() == "input" => Self::Input,
            _ => Self::Unspecified,
        }
    }

    fn or(self, other: Self) -> Self {
        if self == Self::Unspecified {
            other
        } else {
            self
        }
    }
}

/// What the configuration adds to the attributes.
struct Config {
    filters: HashSet<Vec<u8>>,
    /// `core.autocrlf` is `true` or `input`.
    auto: bool,
    /// Text files have CRLF in the working copy unless `eol` says otherwise.
    crlf: bool,
}

impl Config {
    fn read(repository: &Repository) -> Self {
        let config = repository.config_snapshot();
        let is = |key: &str, value: &str| {
            config
                .string(key)
                .is_some_and(|v| v.eq_ignore_ascii_case(value.as_bytes()))
        };
        let input = is("core.autocrlf", "input");
        let autocrlf = !input && config.boolean("core.autocrlf").unwrap_or(false);
        let filters = config
            .plumbing()
            .sections_by_name("filter")
            .into_iter()
            .flatten();
        let filters = filters.filter(|section| {
            ["clean", "smudge", "process", "required"]
                .iter()
                .any(|key| section.contains_value_name(key))
        });
        let filters = filters.filter_map(|s| s.header().subsection_name().map(|n| n.to_vec()));
        Self {
            filters: filters.collect(),
            auto: input || autocrlf,
            crlf: autocrlf || (!input && is("core.eol", "crlf")),
        }
    }

    fn converts(&self) -> bool {
        self.auto
    }

    /// git's `convert_attrs`, reduced to which directions change bytes at all.
    fn decide(&self, text: Text, rest: [StateRef<'_>; 4]) -> Conversion {
        let [eol, filter, ident, encoding] = rest;
        let eol = match eol {
            StateRef::Value(value) if value.as_bstr() == "crlf" => Some(true),
            StateRef::Value(value) if value.as_bstr() == "lf" => Some(false),
            _ => None,
        };
        let converts = match text {
            Text::Binary => false,
            Text::Unspecified => eol.is_some() || self.auto,
            Text::Convert | Text::Input => true,
        };
        let filtered = matches!(filter, StateRef::Value(name)
            if self.filters.contains(name.as_bstr().as_ref() as &[u8]));
        Conversion {
            unknown: filtered || matches!(encoding, StateRef::Value(_)),
            crlf: converts && eol.unwrap_or(text != Text::Input && self.crlf),
            lf: converts,
            ident: matches!(ident, StateRef::Set),
        }
    }
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    gix::bstr::ByteSlice::find(content, needle).is_some()
}
