//! Ways to damage bytes.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// A source of the same choices for the same seed.
pub(crate) struct Choice(ChaCha8Rng);

impl Choice {
    pub(crate) fn seeded(seed: u8) -> Self {
        Self(ChaCha8Rng::from_seed([seed; 32]))
    }

    /// A number below another, or 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % end.max(1) as u64).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most);
        (0..len).map(|_| self.byte()).collect()
    }

    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// The same bytes, of which some are missing, changed, moved or doubled.
    pub(crate) fn damaged(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        match self.below(4) {
            0 => bytes.truncate(self.below(whole.len())),
            1 => {
                let (from, to) = (self.below(whole.len()), self.below(whole.len()));
                let part = bytes[from..].to_vec();
                bytes.splice(to.., part);
            }
            2 => {
                let at = self.below(whole.len());
                bytes.insert(at, self.byte());
            }
            _ => {
                for _ in 0..=self.below(3) {
                    let at = self.below(whole.len());
                    bytes[at] ^= u8::try_from(1 + self.below(255)).unwrap();
                }
            }
        }
        bytes
    }
}
