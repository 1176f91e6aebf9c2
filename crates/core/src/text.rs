//! git's three-way merge of texts.

use gix::diff::blob::InternedInput;
use gix::merge::blob::Resolution;
use gix::merge::blob::builtin_driver;

/// git looks this far for a NUL to call a file binary.
const BINARY_PROBE_BYTES: usize = 8000;

/// The merged text; None where both sides changed the same lines, or where a side is binary.
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    if [base, ours, theirs].into_iter().any(is_binary) {
        return None;
    }
    let mut merged = Vec::new();
    let mut input = InternedInput::new(&b""[..], &b""[..]);
    let resolution = builtin_driver::text(
        &mut merged,
        &mut input,
        Default::default(),
        ours,
        base,
        theirs,
        Default::default(),
    );
    (resolution == Resolution::Complete).then_some(merged)
}

fn is_binary(data: &[u8]) -> bool {
    data[..data.len().min(BINARY_PROBE_BYTES)].contains(&0)
}
