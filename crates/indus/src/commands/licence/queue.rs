//! Audiences and sectors, as they are typed.

use clap::{Args, ValueEnum};
use indus_api::licences::{self, QueueKey};

#[derive(Args)]
pub(super) struct Queue {
    /// Whom the seat is meant for.
    #[arg(long, value_enum)]
    audience: Audience,
    /// What it is used in.
    #[arg(long, value_enum)]
    sector: Sector,
}

#[derive(Clone, Copy, ValueEnum)]
enum Audience {
    Government,
    Education,
    Startups,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sector {
    Health,
    Fintech,
    Education,
    ArtificialIntelligence,
    Other,
}

impl From<&Queue> for QueueKey {
    fn from(queue: &Queue) -> Self {
        Self {
            audience: match queue.audience {
                Audience::Government => licences::Audience::Government,
                Audience::Education => licences::Audience::Education,
                Audience::Startups => licences::Audience::Startups,
            },
            sector: match queue.sector {
                Sector::Health => licences::Sector::Health,
                Sector::Fintech => licences::Sector::Fintech,
                Sector::Education => licences::Sector::Education,
                Sector::ArtificialIntelligence => licences::Sector::ArtificialIntelligence,
                Sector::Other => licences::Sector::Other,
            },
        }
    }
}
