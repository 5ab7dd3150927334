//! Numbers for the canister's pages. None is counted when it is asked for.

use ic_stable_structures::Memory;
use indus_api::licences::{Audience, Ledger, QueueKey, SEATS, Sector};
use indus_kit::http::status::{Kind, Metric, Sample};

use crate::{
    desk::{STATE_NAMES, queues},
    state::State,
};

/// Seats by state and by audience, applications by state, lengths of the queues.
pub(crate) fn metrics<M: Memory>(state: &State<M>) -> Vec<Metric> {
    let (ledgers, desk) = (state.ledgers(), state.desk.get());
    let all =
        |count: fn(&Ledger) -> u32| ledgers.iter().map(|ledger| u64::from(count(ledger))).sum();
    let held: u64 = all(Ledger::held);
    let by_state = [
        ("free", SEATS - held),
        ("granted", all(|ledger| ledger.granted)),
        ("active", all(|ledger| ledger.active)),
        ("suspended", all(|ledger| ledger.suspended)),
    ];
    let by_audience = Audience::ALL.map(|audience| {
        let mine = ledgers.iter().filter(|ledger| ledger.audience == audience);
        let held = mine.map(|ledger| u64::from(ledger.held())).sum();
        (audience_name(audience), held)
    });
    let applications = STATE_NAMES
        .into_iter()
        .zip(desk.applications().map(u64::from));
    let lengths = queues().map(|queue| (queue_name(queue), u64::from(desk.queue_length(queue))));
    vec![
        gauges("indus_seats", "Seats", "state", by_state),
        gauges("indus_seats_held", "Seats in use", "audience", by_audience),
        gauges("indus_applications", "Applications", "state", applications),
        Metric::gauge(
            "indus_applications_to_review",
            "Applications that lack reviews",
            state.to_review.len(),
        ),
        gauges(
            "indus_queue_length",
            "Ranked applications",
            "queue",
            lengths,
        ),
    ]
}

fn gauges<L: Into<String>>(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: impl IntoIterator<Item = (L, u64)>,
) -> Metric {
    let samples = values.into_iter().map(|(of, value)| Sample {
        label: Some((label, of.into())),
        value,
    });
    Metric {
        name,
        help,
        kind: Kind::Gauge,
        samples: samples.collect(),
    }
}

/// An audience in a word.
pub(crate) fn audience_name(audience: Audience) -> &'static str {
    match audience {
        Audience::Government => "government",
        Audience::Education => "education",
        Audience::Startups => "startups",
    }
}

/// A sector in a word.
pub(crate) fn sector_name(sector: Sector) -> &'static str {
    match sector {
        Sector::Health => "health",
        Sector::Fintech => "fintech",
        Sector::Education => "education",
        Sector::ArtificialIntelligence => "artificial-intelligence",
        Sector::Other => "other",
    }
}

fn queue_name(queue: QueueKey) -> String {
    let (audience, sector) = (audience_name(queue.audience), sector_name(queue.sector));
    format!("{audience}/{sector}")
}
