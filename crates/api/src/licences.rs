//! `license_manager`: the 1,500 seats of the app builder, from application to proof.
//!
//! ```text
//! round:        open ── close ──► its order is fixed
//! application:  open ── reviews ──► ranked ── grant ──► granted        (or withdrawn, declined, superseded)
//! seat:         free ── grant ──► granted ── claim ──► active ──► suspended …
//!                ▲                   │ not claimed        │ expired, or idle and given notice
//!                └───────────────────┴────────────────────┘
//! ```
//!
//! The seats are the keys 1 to [`SEATS`] of one certified collection. A seat in use has a leaf, a free one has none: whoever
//! reads the collection to its end recounts it, and a certified absence says that a licence is not valid.
//! [`Seat::is_valid_at`] is the whole rule for a leaf.
//!
//! Persons are [`Subject::person`](crate::Subject::person): opaque ids, the same from whatever device somebody calls.

mod applications;
mod calls;
mod configuration;
mod seats;

use serde_bytes::ByteBuf;

pub use crate::certified::DATA;
pub use applications::{
    Application, ApplicationContent, ApplicationRecord, ApplicationState, Regrading, Review, Round,
    RoundRecord,
};
pub use calls::{
    ApplyArgs, DeclineArgs, Entitlement, EntitlementArgs, OpenRoundArgs, Place, QueueArgs,
    QueueKey, RenewArgs, ReorderArgs, ReviewArgs, SeatArgs,
};
pub use configuration::{
    Audience, Configuration, InitArgs, Limits, Periods, Quota, Sector, Settings, SettingsRecord,
};
pub use seats::{Ledger, LedgerRecord, Licence, Notice, NoticeCause, Seat, SeatRecord, SeatState};

/// Collection of the seats in use, public; keys are [`id_key`]s, leaves [`SeatRecord`]s.
pub const SEAT_COLLECTION: &str = "seats";
/// Collection of the applications, for their applicants and [`OFFICER`]s; keys are [`id_key`]s, leaves
/// [`ApplicationRecord`]s.
pub const APPLICATION_COLLECTION: &str = "applications";
/// Collection of the quotas and what is used of them, public; keys are [`ledger_key`]s, leaves [`LedgerRecord`]s.
pub const QUOTA_COLLECTION: &str = "quotas";
/// Collection of the rounds, public; keys are [`id_key`]s, leaves [`RoundRecord`]s.
pub const ROUND_COLLECTION: &str = "rounds";
/// Collection of the one [`SettingsRecord`], public; its key is [`SETTINGS_KEY`].
pub const SETTINGS_COLLECTION: &str = "settings";
/// Key of the settings.
pub const SETTINGS_KEY: [u8; 1] = [0];

/// The role that runs rounds, grants seats and decides on them.
pub const OFFICER: &str = "licence-officer";
/// The role that reviews applications.
pub const REVIEWER: &str = "licence-reviewer";

/// What the seats are for: the `product` of [`EntitlementArgs`].
pub const PRODUCT: &str = "caffeine";
/// How many seats there are: the keys 1 to this.
pub const SEATS: u64 = 1_500;
/// The best score of a review.
pub const MAX_SCORE: u8 = 100;
/// Most reviews of one application: sixtieths are exact for means of up to so many.
pub const MAX_REVIEWS: usize = 6;
/// Most recusals that one application keeps.
pub const MAX_RECUSALS: usize = 10;
/// Longest title of a round, in bytes.
pub const MAX_TITLE_BYTES: usize = 100;
/// Longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 1_000;
/// Longest name of a product, in bytes.
pub const MAX_PRODUCT_BYTES: usize = 64;
/// Bytes of a commitment: a SHA-256 over a text and a salt that whoever makes it keeps.
pub const COMMITMENT_BYTES: usize = 32;

/// Key of a seat, an application or a round: the number, big-endian.
#[must_use]
pub fn id_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// Key of a quota: the codes of audience and sector.
#[must_use]
pub fn ledger_key(audience: Audience, sector: Sector) -> [u8; 2] {
    [audience.code(), sector.code()]
}

/// Certified path of a seat.
#[must_use]
pub fn seat_path(seat: u64) -> Vec<ByteBuf> {
    path(SEAT_COLLECTION, &id_key(seat))
}

/// Certified path of an application.
#[must_use]
pub fn application_path(application: u64) -> Vec<ByteBuf> {
    path(APPLICATION_COLLECTION, &id_key(application))
}

/// Certified path of a quota.
#[must_use]
pub fn quota_path(audience: Audience, sector: Sector) -> Vec<ByteBuf> {
    path(QUOTA_COLLECTION, &ledger_key(audience, sector))
}

fn path(collection: &str, key: &[u8]) -> Vec<ByteBuf> {
    [DATA.as_bytes(), collection.as_bytes(), key]
        .into_iter()
        .map(|label| ByteBuf::from(label.to_vec()))
        .collect()
}
