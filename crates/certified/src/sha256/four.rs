//! Four words side by side: a vector in Wasm, an array elsewhere.

/// Words 0 to 3.
#[derive(Clone, Copy)]
pub(crate) struct Four(Lanes);

#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
use vector::Lanes;

#[cfg(not(all(target_family = "wasm", target_feature = "simd128")))]
use plain::Lanes;

#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
mod vector {
    use core::arch::wasm32::*;

    use super::Four;

    pub(super) type Lanes = v128;

    impl Four {
        #[inline(always)]
        pub(crate) fn new([a, b, c, d]: [u32; 4]) -> Self {
            Self(u32x4(a, b, c, d))
        }

        #[inline(always)]
        pub(crate) fn words(self) -> [u32; 4] {
            [
                u32x4_extract_lane::<0>(self.0),
                u32x4_extract_lane::<1>(self.0),
                u32x4_extract_lane::<2>(self.0),
                u32x4_extract_lane::<3>(self.0),
            ]
        }

        /// From 16 bytes, each word big-endian: a load and a shuffle.
        #[inline(always)]
        pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
            let [low, high] = halves(bytes);
            Self(swapped(u64x2(low, high)))
        }

        #[inline(always)]
        pub(crate) fn to_bytes(self) -> [u8; 16] {
            let swapped = swapped(self.0);
            let low = u128::from(u64x2_extract_lane::<0>(swapped));
            let high = u128::from(u64x2_extract_lane::<1>(swapped));
            (high << 64 | low).to_le_bytes()
        }

        #[inline(always)]
        pub(crate) fn add(self, other: Self) -> Self {
            Self(u32x4_add(self.0, other.0))
        }

        #[inline(always)]
        pub(crate) fn xor(self, other: Self) -> Self {
            Self(v128_xor(self.0, other.0))
        }

        #[inline(always)]
        pub(crate) fn left<const BITS: u32>(self) -> Self {
            Self(u32x4_shl(self.0, BITS))
        }

        #[inline(always)]
        pub(crate) fn right<const BITS: u32>(self) -> Self {
            Self(u32x4_shr(self.0, BITS))
        }

        /// Words 0 and 1, and words 2 and 3, as one number of 64 bits each, the second word the high one.
        #[inline(always)]
        pub(crate) fn pairs_right<const BITS: u32>(self) -> Self {
            Self(u64x2_shr(self.0, BITS))
        }

        /// Four of these four words, which are 0 to 3, and the other four, which are 4 to 7.
        #[inline(always)]
        pub(crate) fn pick<const A: usize, const B: usize, const C: usize, const D: usize>(
            self,
            other: Self,
        ) -> Self {
            Self(u32x4_shuffle::<A, B, C, D>(self.0, other.0))
        }
    }

    #[inline(always)]
    fn halves(bytes: &[u8; 16]) -> [u64; 2] {
        let (words, _) = bytes.as_chunks::<8>();
        [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]
    }

    /// The bytes of each word backwards.
    #[inline(always)]
    fn swapped(lanes: v128) -> v128 {
        u8x16_shuffle::<3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12>(lanes, lanes)
    }
}

#[cfg(not(all(target_family = "wasm", target_feature = "simd128")))]
mod plain {
    use super::Four;

    pub(super) type Lanes = [u32; 4];

    impl Four {
        pub(crate) fn new(words: [u32; 4]) -> Self {
            Self(words)
        }

        pub(crate) fn words(self) -> [u32; 4] {
            self.0
        }

        /// From 16 bytes, each word big-endian.
        pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
            let (words, _) = bytes.as_chunks();
            Self([words[0], words[1], words[2], words[3]].map(u32::from_be_bytes))
        }

        pub(crate) fn to_bytes(self) -> [u8; 16] {
            let mut bytes = [0; 16];
            bytes
                .as_chunks_mut()
                .0
                .copy_from_slice(&self.0.map(u32::to_be_bytes));
            bytes
        }

        pub(crate) fn add(self, other: Self) -> Self {
            self.with(other, u32::wrapping_add)
        }

        pub(crate) fn xor(self, other: Self) -> Self {
            self.with(other, |one, other| one ^ other)
        }

        pub(crate) fn left<const BITS: u32>(self) -> Self {
            Self(self.0.map(|word| word << BITS))
        }

        pub(crate) fn right<const BITS: u32>(self) -> Self {
            Self(self.0.map(|word| word >> BITS))
        }

        /// Words 0 and 1, and words 2 and 3, as one number of 64 bits each, the second word the high one.
        pub(crate) fn pairs_right<const BITS: u32>(self) -> Self {
            let low = |at: usize| self.0[at] >> BITS | self.0[at + 1] << (32 - BITS);
            Self([low(0), self.0[1] >> BITS, low(2), self.0[3] >> BITS])
        }

        /// Four of these four words, which are 0 to 3, and the other four, which are 4 to 7.
        pub(crate) fn pick<const A: usize, const B: usize, const C: usize, const D: usize>(
            self,
            other: Self,
        ) -> Self {
            let word = |at: usize| *self.0.iter().chain(&other.0).nth(at).unwrap_or(&0);
            Self([word(A), word(B), word(C), word(D)])
        }

        fn with(self, other: Self, operation: impl Fn(u32, u32) -> u32) -> Self {
            Self(std::array::from_fn(|at| operation(self.0[at], other.0[at])))
        }
    }
}
