//! git's compressed bitmaps (EWAH), as far as a split index has them.

use super::rows::damaged;
use crate::Result;

const WORD_BITS: usize = 64;

/// Reads a bitmap; returns the numbers of its bits and what follows it.
pub fn read(bytes: &[u8]) -> Result<(Vec<usize>, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    let count = super::rows::word(header, 4) as usize;
    let words = rest.get(..8 * count).ok_or_else(damaged)?;
    // The position of the last marker follows, which only writers need.
    let rest = rest.get(8 * count + 4..).ok_or_else(damaged)?;
    let mut words = words.chunks_exact(8).map(|chunk| {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        u64::from_be_bytes(word)
    });
    let (mut bits, mut at) = (Vec::new(), 0_usize);
    while let Some(marker) = words.next() {
        let run = usize::try_from(marker >> 1 & 0xffff_ffff).map_err(|_| damaged())?;
        let literals = marker >> 33;
        if run > u32::MAX as usize / WORD_BITS {
            return Err(damaged());
        }
        if marker & 1 == 1 {
            bits.extend(at..at + run * WORD_BITS);
        }
        at += run * WORD_BITS;
        for _ in 0..literals {
            let word = words.next().ok_or_else(damaged)?;
            bits.extend(
                (0..WORD_BITS)
                    .filter(|bit| word >> bit & 1 == 1)
                    .map(|bit| at + bit),
            );
            at += WORD_BITS;
        }
    }
    Ok((bits, rest))
}

/// Writes a bitmap of these bits, in ascending order.
pub fn write(bits: &[usize], out: &mut Vec<u8>) {
    let mut words: Vec<u64> = Vec::new();
    let (mut marker, mut at) = (0, 0);
    words.push(0);
    let mut next = bits.iter().copied().peekable();
    while let Some(first) = next.peek().copied() {
        let number = first / WORD_BITS;
        let mut literal = 0_u64;
        while let Some(bit) = next.next_if(|bit| bit / WORD_BITS == number) {
            literal |= 1 << (bit % WORD_BITS);
        }
        if number > at {
            // Words of zeros are counted by a marker of their own.
            if words[marker] != 0 || at > 0 {
                marker = words.len();
                words.push(0);
            }
            words[marker] = ((number - at) as u64) << 1;
        }
        words[marker] += 1 << 33;
        words.push(literal);
        at = number + 1;
    }
    let size = bits.last().map_or(0, |last| last + 1);
    out.extend_from_slice(&big_endian(size));
    out.extend_from_slice(&big_endian(words.len()));
    words
        .iter()
        .for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
    out.extend_from_slice(&big_endian(marker));
}

#[expect(clippy::cast_possible_truncation, reason = "an index is below 4 GiB")]
fn big_endian(value: usize) -> [u8; 4] {
    (value as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn what_is_written_is_read() {
        let all: Vec<usize> = (0..300).collect();
        for bits in [
            &[][..],
            &[0],
            &[63],
            &[64],
            &[5, 64, 65, 1000],
            &[1_000_000],
            &all,
        ] {
            let mut bytes = Vec::new();
            write(bits, &mut bytes);
            bytes.extend_from_slice(b"rest");
            assert_eq!((bits.to_vec(), &b"rest"[..]), read(&bytes).unwrap());
        }
    }
}
