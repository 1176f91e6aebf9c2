//! Restricts a scan to some files and directories.

use crate::path::is_at_or_below;
use crate::{Error, Result, path};

/// Paths relative to the root; empty means everything.
#[derive(Default)]
pub struct Filter {
    paths: Vec<Vec<u8>>,
}

impl Filter {
    /// Takes files and directories; a trailing slash is allowed, and `.` is the root.
    pub fn new(paths: Option<&[String]>) -> Result<Self> {
        let Some(paths) = paths else {
            return Ok(Self::default());
        };
        let mut parsed = Vec::with_capacity(paths.len());
        for given in paths {
            if given == "." {
                return Ok(Self::default());
            }
            let path = given.strip_suffix('/').unwrap_or(given);
            path::check_known_path(path)
                .map_err(|why| Error::BadPath(format!("the path {given:?} {why}")))?;
            parsed.push(path.as_bytes().to_vec());
        }
        match parsed.is_empty() {
            true => Err(Error::BadInput("no paths to scan".into())),
            false => Ok(Self { paths: parsed }),
        }
    }

    /// Whether the file at `path` is asked for.
    pub fn covers(&self, path: &[u8]) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|p| is_at_or_below(path, p))
    }

    /// Whether something in the directory `path` can be asked for.
    pub fn leads_to(&self, path: &[u8]) -> bool {
        self.covers(path) || self.paths.iter().any(|p| is_at_or_below(p, path))
    }

    /// Whether exactly this path was given.
    pub fn names(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|p| p == path)
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn a_directory_covers_what_is_below_it_and_nothing_beside_it() {
        let filter = Filter::new(Some(&["a/b/".into()])).unwrap();
        for (path, covers, leads) in [
            ("a", false, true),
            ("a/b", true, true),
            ("a/b/c", true, true),
            ("a/bc", false, false),
            ("b", false, false),
        ] {
            assert_eq!(
                (covers, leads),
                (
                    filter.covers(path.as_bytes()),
                    filter.leads_to(path.as_bytes())
                )
            );
        }
    }
}
