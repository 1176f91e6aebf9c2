//! The path policy: which names a commit may add, and which a working copy may get.
//!
//! A new path is UTF-8 in normal form C, at most 4096 bytes, `/`-separated, with components of 1 to
//! 255 bytes that no file system takes for `.`, `..`, `.git` or `.jj`. Control, backslash, and
//! invisible or bidirectional formatting characters are refused. `tests/data/paths.json` is the
//! corpus that this module and its Python twin both read.
//!
//! A name that a commit has already is written as git writes it, unless it could lead elsewhere.

use std::borrow::Cow;

use unicode_normalization::is_nfc;

/// The longest path, in bytes (Linux `PATH_MAX`).
pub const PATH_BYTES_MAX: usize = 4096;
/// The longest component, in bytes (`NAME_MAX` of every common file system).
pub const COMPONENT_BYTES_MAX: usize = 255;

const MEANS_DOT: &str = "has a component that means `.` or `..`";

/// Characters that show nothing or reorder what is shown, as inclusive ranges. They contain all
/// that HFS+ ignores when it compares names.
const INVISIBLE: [(char, char); 8] = [
    ('\u{061c}', '\u{061c}'),   // Arabic letter mark
    ('\u{180e}', '\u{180e}'),   // Mongolian vowel separator
    ('\u{200b}', '\u{200f}'),   // zero-width space, joiners, direction marks
    ('\u{2028}', '\u{202e}'),   // line and paragraph separators, embeddings, overrides
    ('\u{2060}', '\u{206f}'),   // word joiner, invisible operators, isolates
    ('\u{feff}', '\u{feff}'),   // byte order mark
    ('\u{fff9}', '\u{fffb}'),   // interlinear annotation
    ('\u{e0000}', '\u{e007f}'), // tags
];

/// Checks a whole path; the error completes "the path ...".
pub fn check(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("has an empty component");
    }
    if path.len() > PATH_BYTES_MAX {
        return Err("is longer than 4096 bytes");
    }
    path.split('/')
        .try_for_each(|name| check_component(name.as_bytes()))
}

/// Checks one tree entry's name; the error completes "the path ...".
pub fn check_component(name: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("has an empty component");
    }
    if name.len() > COMPONENT_BYTES_MAX {
        return Err("has a component longer than 255 bytes");
    }
    let text = std::str::from_utf8(name).map_err(|_| "is not valid UTF-8")?;
    if means_dot(text) {
        return Err(MEANS_DOT);
    }
    text.chars().try_for_each(check_char)?;
    if !text.is_ascii() && !is_nfc(text) {
        return Err("is not in Unicode normal form C");
    }
    check_reserved(text)
}

/// Checks the name of an entry that a tree has already: only what could lead out of its directory,
/// or into git's or jj's, is refused. git, too, looks behind characters that HFS+ ignores and
/// behind backslashes, which Windows takes for slashes.
pub fn check_known(name: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("has an empty component");
    }
    if name.len() > COMPONENT_BYTES_MAX {
        return Err("has a component longer than 255 bytes");
    }
    if name.contains(&b'/') {
        return Err("has a component with a slash");
    }
    visible(name).split('\\').try_for_each(|part| {
        check_reserved(part)?;
        match means_dot(part) {
            true => Err(MEANS_DOT),
            false => Ok(()),
        }
    })
}

/// Checks a whole path that a tree has already, as [`check_known`] does each of its names.
pub fn check_known_path(path: &str) -> Result<(), &'static str> {
    if path.len() > PATH_BYTES_MAX {
        return Err("is longer than 4096 bytes");
    }
    path.split('/')
        .try_for_each(|name| check_known(name.as_bytes()))
}

/// Checks the name of a symbolic link: git reads `.gitmodules` wherever the link leads.
pub fn check_link(name: &[u8]) -> Result<(), &'static str> {
    let text = &*visible(name);
    let short = [("gitmod~", '1'..='4'), ("gi7eba~", '1'..='9')]
        .into_iter()
        .any(|(stem, digits)| {
            let rest = strip_prefix_folded(text, stem);
            rest.is_some_and(|rest| {
                rest.starts_with(|c| digits.contains(&c)) && is_ignored(&rest[1..])
            })
        });
    match short || strip_prefix_folded(text, ".gitmodules").is_some_and(is_ignored) {
        true => Err("may not be a symbolic link"),
        false => Ok(()),
    }
}

/// Whether `path` is `ancestor`, or lies below it.
pub fn is_at_or_below(path: &[u8], ancestor: &[u8]) -> bool {
    path.strip_prefix(ancestor)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

fn check_reserved(text: &str) -> Result<(), &'static str> {
    if means(text, ".git", "git") {
        return Err("has a component that some system takes for `.git`");
    }
    if means(text, ".jj", "jj") {
        return Err("has a component that some system takes for `.jj`");
    }
    Ok(())
}

/// A name without what does not show; bytes that are not UTF-8 become replacement characters.
fn visible(name: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(name) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => String::from_utf8_lossy(name)
            .chars()
            .filter(|c| !is_invisible(*c))
            .collect(),
    }
}

fn is_invisible(c: char) -> bool {
    INVISIBLE
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&c))
}

fn check_char(c: char) -> Result<(), &'static str> {
    if c == '/' {
        return Err("has a component with a slash");
    }
    if c == '\\' {
        return Err("contains a backslash");
    }
    if c.is_control() {
        return Err("contains a control character");
    }
    if !c.is_ascii() && is_invisible(c) {
        return Err("contains an invisible or bidirectional formatting character");
    }
    Ok(())
}

/// Windows drops trailing dots and spaces, so `...` and `.. ` mean `..` there.
fn means_dot(name: &str) -> bool {
    name.starts_with('.') && name.bytes().all(|b| b == b'.' || b == b' ')
}

/// Tells whether a file system may resolve `name` to `dotted`: case folded, with trailing dots and
/// spaces, as an NTFS stream (`.git:x`), or by the 8.3 short name (`git~1`).
fn means(name: &str, dotted: &str, short: &str) -> bool {
    let rest = match strip_prefix_folded(name, dotted) {
        Some(rest) => rest,
        None => match strip_prefix_folded(name, short).and_then(|rest| rest.strip_prefix('~')) {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                rest.trim_start_matches(|c: char| c.is_ascii_digit())
            }
            _ => return false,
        },
    };
    is_ignored(rest)
}

/// Whether Windows drops this end of a name: dots and spaces, then the name of a stream.
fn is_ignored(rest: &str) -> bool {
    let rest = rest.trim_start_matches(['.', ' ']);
    rest.is_empty() || rest.starts_with(':')
}

fn strip_prefix_folded<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let head = name.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &name[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::{check, check_component, check_known, check_link};

    #[test]
    fn every_row_of_the_corpus_has_its_verdict() {
        let text = include_str!("../../../tests/data/paths.json");
        let rows: serde_json::Value = serde_json::from_str(text).unwrap();
        for row in rows.as_array().unwrap() {
            let path = row["path"].as_str().unwrap();
            let expected = match row["ok"].as_bool().unwrap() {
                true => Ok(()),
                false => Err(row["why"].as_str().unwrap()),
            };
            assert_eq!(expected, check(path), "{path:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        for name in [
            &b"\xff"[..],
            b"a\xc3",
            b"\xed\xa0\x80",
            b"\xc0\xaf",
            b".g\xffit",
        ] {
            assert_eq!(Err("is not valid UTF-8"), check_component(name));
        }
    }

    #[test]
    fn a_known_name_may_be_odd_but_not_lead_elsewhere() {
        for name in [
            &b"e\xcc\x81"[..],
            b"\xe9.txt",
            b"a\\b",
            b"a\tb\nc",
            b"a\xe2\x80\x8bb",
            b"...a",
        ] {
            assert_eq!(Ok(()), check_known(name), "{name:?}");
        }
        for name in [
            &b""[..],
            b"..",
            b".. ",
            b"a/b",
            b"a\\..\\b",
            b".GIT",
            b".git:\xff",
            b"git~1",
            b"x\\.git\\config",
            b".g\xe2\x80\x8cit",
            b".jj",
            &[b'a'; 256],
        ] {
            assert!(check_known(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn gitmodules_is_a_file_but_no_link() {
        for name in [
            ".gitmodules",
            ".GITMODULES",
            ".gitmodules. ",
            "gitmod~1",
            "GI7EBA~9:x",
        ] {
            assert_eq!(
                Err("may not be a symbolic link"),
                check_link(name.as_bytes())
            );
            assert_eq!(Ok(()), check(name));
        }
        for name in [".gitmodules2", "gitmod~5", "gi7eba~", ".gitignore"] {
            assert_eq!(Ok(()), check_link(name.as_bytes()));
        }
    }

    #[test]
    fn a_component_has_no_slash() {
        assert_eq!(Err("has a component with a slash"), check_component(b"a/b"));
    }
}
