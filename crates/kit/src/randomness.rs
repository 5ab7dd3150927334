//! Randomness: 32 bytes of the subnet's, drawn once, and what follows from them.
//!
//! ```text
//! raw_rand ── once ──► seed ─┬─ SHA-256(seed ‖ counter) ──► ids, salts, codes
//!                            └─ SHA-256(seed ‖ bytes) ──► keys that nobody else can make
//! ```
//!
//! Invariants: the seed is drawn once, and never leaves the canister; no number of the counter is used twice. What the two
//! hashes are of differs in length (a counter has 8 bytes, what a key is made of never), so neither stands for the other. Who
//! runs a node could read the seed: it keeps public records unlinkable for everybody else, and protects no secret.
//!
//! Cost: one SHA-256, and a write of eight bytes a draw.

use ic_stable_structures::{Memory, StableCell};
use indus_api::Error;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// No seed yet.
const NONE: [u8; 32] = [0; 32];

/// The seed, and how often it was drawn from.
pub struct Randomness<M: Memory> {
    seed: StableCell<[u8; 32], M>,
    drawn: StableCell<u64, M>,
}

impl<M: Memory> Randomness<M> {
    /// What is in these memories.
    #[must_use]
    pub fn open(seed: M, drawn: M) -> Self {
        Self {
            seed: StableCell::init(seed, NONE),
            drawn: StableCell::init(drawn, 0),
        }
    }

    /// Whether there is a seed.
    #[must_use]
    pub fn is_seeded(&self) -> bool {
        *self.seed.get() != NONE
    }

    /// Takes a seed in, unless there is one.
    pub fn seed(&mut self, seed: [u8; 32]) {
        if !self.is_seeded() {
            self.seed.set(seed);
        }
    }

    /// 32 bytes that nobody could have told.
    ///
    /// # Errors
    /// [`Error::Unavailable`] before there is a seed.
    pub fn draw(&mut self) -> Result<[u8; 32], Error> {
        let drawn = *self.drawn.get();
        let bytes = self.hash(&drawn.to_be_bytes()).ok_or_else(not_seeded)?;
        self.drawn.set(drawn + 1);
        Ok(bytes)
    }

    /// A salt of a leaf.
    ///
    /// # Errors
    /// [`Error::Unavailable`] before there is a seed.
    pub fn salt(&mut self) -> Result<ByteBuf, Error> {
        self.draw().map(|bytes| ByteBuf::from(&bytes[..SALT_BYTES]))
    }

    /// The key that stands for `of`, which has not 8 bytes, where nobody is to find it. None before there is a seed.
    #[must_use]
    pub fn key_of(&self, of: &[u8]) -> Option<[u8; 32]> {
        self.hash(of)
    }

    fn hash(&self, of: &[u8]) -> Option<[u8; 32]> {
        let hash = Sha256::new().chain_update(self.seed.get()).chain_update(of);
        self.is_seeded().then(|| hash.finalize().into())
    }
}

fn not_seeded() -> Error {
    Error::Unavailable {
        canister: "this canister".into(),
        reason: "it has drawn no randomness yet".into(),
    }
}
