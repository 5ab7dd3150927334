//! SHA-256's compression function, for few Wasm instructions.
//!
//! All 64 rounds stand in one piece, so the state is in locals, never moves, and what is constant in a message is
//! computed by the compiler. The schedule works on four words at once. It costs about 4,250 instructions a block; where
//! the words are known to a part, less: 8,150 for the two blocks of a fork.
//!
//! Natively the processor's own instructions are many times as fast, so that is where `sha2` is called.
//!
//! Source: FIPS 180-4, sections 4.1.2, 4.2.2, 5.3.3 and 6.2.2.

use sha2::block_api::compress256;

use super::four::Four;
use crate::Hash;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

/// The eight words that blocks are compressed into.
pub(crate) type State = [u32; 8];

/// A block as 16 words.
pub(crate) type Words = [Four; 4];

const OURS: bool = cfg!(all(target_family = "wasm", target_feature = "simd128"));

pub(crate) const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const CONSTANTS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// Compresses whole blocks of bytes.
pub(super) fn compress(state: &mut State, blocks: &[[u8; BLOCK]]) {
    if !OURS {
        return compress256(state, blocks);
    }
    for block in blocks {
        *state = rounds(*state, words(block));
    }
}

/// Compresses one block of which words are known at compile time.
#[inline(always)]
pub(crate) fn compress_words(mut state: State, block: Words) -> State {
    if OURS {
        return rounds(state, block);
    }
    let mut bytes = [0; BLOCK];
    for (part, four) in bytes.as_chunks_mut().0.iter_mut().zip(block) {
        *part = four.to_bytes();
    }
    compress256(&mut state, &[bytes]);
    state
}

/// The words of a block.
#[inline(always)]
fn words(block: &[u8; BLOCK]) -> Words {
    let (parts, _) = block.as_chunks();
    [0, 1, 2, 3].map(|at| Four::from_bytes(&parts[at]))
}

/// The state as bytes: the hash, behind the last block.
#[inline(always)]
pub(crate) fn hash(state: State) -> Hash {
    let [a, b, c, d, e, f, g, h] = state;
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&Four::new([a, b, c, d]).to_bytes());
    hash[16..].copy_from_slice(&Four::new([e, f, g, h]).to_bytes());
    hash
}

/// FIPS 180-4, section 6.2.2.
#[inline(always)]
fn rounds(state: State, mut words: Words) -> State {
    let mut working = Working {
        state,
        bc: state[1] ^ state[2],
    };
    macro_rules! given {
        ($($at:literal)*) => {$(
            working.four_rounds(words[$at].add(Four::new(CONSTANTS[$at])).words());
        )*};
    }
    given!(0 1 2 3);
    macro_rules! scheduled {
        ($($at:literal)*) => {$(
            let next = schedule(words);
            working.four_rounds(next.add(Four::new(CONSTANTS[$at])).words());
            words = [words[1], words[2], words[3], next];
        )*};
    }
    scheduled!(4 5 6 7 8 9 10 11 12 13 14);
    working.four_rounds(schedule(words).add(Four::new(CONSTANTS[15])).words());
    let [a, b, c, d, e, f, g, h] = working.state;
    [
        a.wrapping_add(state[0]),
        b.wrapping_add(state[1]),
        c.wrapping_add(state[2]),
        d.wrapping_add(state[3]),
        e.wrapping_add(state[4]),
        f.wrapping_add(state[5]),
        g.wrapping_add(state[6]),
        h.wrapping_add(state[7]),
    ]
}

/// The working variables a to h.
struct Working {
    state: State,
    /// b ^ c, which is a ^ b of the round before.
    bc: u32,
}

impl Working {
    /// Four rounds, for words to which the constants were added.
    #[inline(always)]
    fn four_rounds(&mut self, [first, second, third, fourth]: [u32; 4]) {
        self.round(first);
        self.round(second);
        self.round(third);
        self.round(fourth);
    }

    #[inline(always)]
    fn round(&mut self, word: u32) {
        let [a, b, c, d, e, f, g, h] = self.state;
        let sum1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = g ^ (e & (f ^ g));
        let first = h.wrapping_add(sum1).wrapping_add(choice).wrapping_add(word);
        let sum0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let ab = a ^ b;
        let majority = b ^ (ab & self.bc);
        let second = sum0.wrapping_add(majority);
        self.bc = ab;
        let (a_next, e_next) = (first.wrapping_add(second), d.wrapping_add(first));
        self.state = [a_next, a, b, c, e_next, e, f, g];
    }
}

/// The four words of the schedule behind 16.
#[inline(always)]
fn schedule(words: Words) -> Four {
    let sum = words[0]
        .add(sigma0(words[0].pick::<1, 2, 3, 4>(words[1])))
        .add(words[2].pick::<1, 2, 3, 4>(words[3]));
    // The last two need the first two.
    let zeros = Four::new([0; 4]);
    let before = words[3].pick::<2, 2, 3, 3>(words[3]);
    let half = sum.add(sigma1_twice(before).pick::<0, 2, 4, 4>(zeros));
    let before = half.pick::<0, 0, 1, 1>(half);
    half.add(sigma1_twice(before).pick::<4, 4, 0, 2>(zeros))
}

#[inline(always)]
fn sigma0(x: Four) -> Four {
    let rotated7 = x.right::<7>().xor(x.left::<25>());
    let rotated18 = x.right::<18>().xor(x.left::<14>());
    rotated7.xor(rotated18).xor(x.right::<3>())
}

/// Of two words, each twice; in words 0 and 2 of the result. A word beside itself is rotated by a shift of both.
#[inline(always)]
fn sigma1_twice(x: Four) -> Four {
    let rotated = x.pairs_right::<17>().xor(x.pairs_right::<19>());
    rotated.xor(x.right::<10>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn our_rounds_are_those_of_sha2(state: State, block in any::<[[u8; 32]; 2]>()) {
            let mut bytes = [0; BLOCK];
            bytes.copy_from_slice(block.as_flattened());
            let mut expected = state;
            compress256(&mut expected, &[bytes]);
            prop_assert_eq!(rounds(state, words(&bytes)), expected);
            prop_assert_eq!(compress_words(state, words(&bytes)), expected);
        }
    }
}
