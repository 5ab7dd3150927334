//! SHA-256 of short messages, without the buffer that a hash of a stream needs: the verifier hashes millions of them.
//!
//! Source: FIPS 180-4, sections 5.1.1 (padding) and 5.3.3 (initial value). The compression is that of `sha2`, which takes the
//! processor's instructions where there are any.
//!
//! Cost: one compression for each [`compressions`], and a copy of the last part of the message.

use sha2::block_api::compress256;

use crate::tree::Hash;

/// Bytes that a compression takes in.
pub(crate) const BLOCK: usize = 64;
/// What comes behind a message at least: a bit, and the length in 64 bits.
const PADDING: usize = 9;
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// How many compressions the hash of so many bytes takes.
pub const fn compressions(bytes: usize) -> usize {
    (bytes + PADDING).div_ceil(BLOCK)
}

/// The hash of `message`.
pub(crate) fn digest(message: &[u8]) -> Hash {
    let mut state = INITIAL;
    let (blocks, rest) = message.as_chunks();
    if !blocks.is_empty() {
        compress256(&mut state, blocks);
    }
    let mut last = [[0; BLOCK]; 2];
    let last = &mut last[..compressions(rest.len())];
    let flat = last.as_flattened_mut();
    flat[..rest.len()].copy_from_slice(rest);
    finish(state, flat, rest.len(), message.len())
}

/// The hash of `parts` one behind the other, of at most `64 · BLOCKS - 9` bytes in all.
pub(crate) fn short<const BLOCKS: usize>(parts: &[&[u8]]) -> Hash {
    let mut blocks = [[0; BLOCK]; BLOCKS];
    let flat = blocks.as_flattened_mut();
    let mut length = 0;
    for part in parts {
        flat[length..][..part.len()].copy_from_slice(part);
        length += part.len();
    }
    let used = compressions(length) * BLOCK;
    finish(INITIAL, &mut flat[..used], length, length)
}

/// Pads the last `blocks` of a message of `total` bytes, of which they hold `length`, and hashes them.
fn finish(state: [u32; 8], blocks: &mut [u8], length: usize, total: usize) -> Hash {
    pad(blocks, length, total);
    hash(state, blocks.as_chunks().0)
}

/// Pads the last `blocks` of a message of `total` bytes, of which they hold `length`.
pub(crate) fn pad(blocks: &mut [u8], length: usize, total: usize) {
    blocks[length] = 0x80;
    let end = blocks.len();
    blocks[end - 8..].copy_from_slice(&(8 * total as u64).to_be_bytes());
}

/// The hash of a message that is padded.
pub(crate) fn padded(blocks: &[[u8; BLOCK]]) -> Hash {
    hash(INITIAL, blocks)
}

fn hash(mut state: [u32; 8], blocks: &[[u8; BLOCK]]) -> Hash {
    compress256(&mut state, blocks);
    let mut hash = Hash::default();
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn it_is_sha_256_at_every_length_around_the_blocks() {
        let message: Vec<u8> = (0..=255).cycle().take(400).collect();
        for length in 0..message.len() {
            let expected: Hash = Sha256::digest(&message[..length]).into();
            assert_eq!(digest(&message[..length]), expected, "{length} bytes");
            let (one, other) = message[..length].split_at(length / 3);
            assert_eq!(
                short::<7>(&[one, other]),
                expected,
                "{length} bytes in parts"
            );
        }
    }

    #[test]
    fn compressions_are_counted_with_the_padding() {
        for (bytes, count) in [(0, 1), (55, 1), (56, 2), (64, 2), (119, 2), (120, 3)] {
            assert_eq!(compressions(bytes), count, "{bytes} bytes");
        }
    }
}
