//! The index of a pack, version 2.

use gix::ObjectId;

use crate::error::{Doing, Result};

/// An object in a pack; `end` is not in the index but where the next entry begins.
pub struct Row {
    pub id: ObjectId,
    pub crc: u32,
    pub offset: u64,
    pub end: u64,
}

/// The index of a pack with these objects (id, CRC of the entry, offset).
pub fn encode(mut rows: Vec<(ObjectId, u32, u64)>, pack: &ObjectId) -> Result<Vec<u8>> {
    rows.sort_unstable_by_key(|row| row.0);
    rows.dedup_by_key(|row| row.0);
    let mut out = vec![0xff, b't', b'O', b'c', 0, 0, 0, 2];
    for first in 0..=255u8 {
        let count = rows.partition_point(|row| row.0.first_byte() <= first) as u32;
        out.extend(count.to_be_bytes());
    }
    rows.iter().for_each(|row| out.extend(row.0.as_slice()));
    rows.iter().for_each(|row| out.extend(row.1.to_be_bytes()));
    let mut large = Vec::new();
    for (_, _, offset) in &rows {
        let short = match u32::try_from(*offset) {
            Ok(offset) if offset < 1 << 31 => offset,
            _ => {
                large.extend(offset.to_be_bytes());
                (1 << 31) | (large.len() / 8 - 1) as u32
            }
        };
        out.extend(short.to_be_bytes());
    }
    out.extend(large);
    out.extend(pack.as_slice());
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(&out);
    out.extend(
        hasher
            .try_finalize()
            .doing("hashing a pack index")?
            .as_slice(),
    );
    Ok(out)
}

/// Reads an index; None where it is damaged.
pub fn parse(data: &[u8]) -> Option<Vec<Row>> {
    let be32 = |at: usize| Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?));
    if data.get(..8)? != [0xff, b't', b'O', b'c', 0, 0, 0, 2] {
        return None;
    }
    let count = be32(8 + 255 * 4)? as usize;
    let ids = 8 + 256 * 4;
    let crcs = ids + count * 20;
    let offsets = crcs + count * 4;
    let larges = offsets + count * 4;
    (0..count)
        .map(|n| {
            let short = be32(offsets + n * 4)?;
            let offset = if short < 1 << 31 {
                u64::from(short)
            } else {
                let at = larges + (short & !(1 << 31)) as usize * 8;
                u64::from_be_bytes(data.get(at..at + 8)?.try_into().ok()?)
            };
            let id = ObjectId::from_bytes_or_panic(data.get(ids + n * 20..ids + n * 20 + 20)?);
            Some(Row {
                id,
                crc: be32(crcs + n * 4)?,
                offset,
                end: 0,
            })
        })
        .collect()
}
