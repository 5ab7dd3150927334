//! A license manager in a plain memory, and the people who call it.

use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::{
    Error, Subject,
    licences::{
        Application, ApplyArgs, Audience, Configuration, InitArgs, Limits, OFFICER, OpenRoundArgs,
        Periods, QueueKey, Quota, REVIEWER, ReviewArgs, Round, Seat, SeatArgs, Sector,
    },
};
use indus_kit::{Context, subjects::Subjects, timers::Progress};
use license_manager::{State, applications, grants, reviews, rounds, seats};
use serde_bytes::ByteBuf;
use testnet::Subnet;

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const DAY: u64 = 24 * 60 * 60 * SECOND;
pub(crate) const START: u64 = 20_000 * DAY;

pub(crate) const ANONYMOUS: u8 = 0;
pub(crate) const OFFICE: u8 = 1;
pub(crate) const OTHER_OFFICE: u8 = 2;
pub(crate) const REVIEW: u8 = 3;
pub(crate) const OTHER_REVIEW: u8 = 4;
/// A reviewer of [`APPLICANT`]'s organisation.
pub(crate) const COLLEAGUE: u8 = 5;
pub(crate) const UNREGISTERED: u8 = 9;
pub(crate) const APPLICANT: u8 = 10;
pub(crate) const HOLDER: u8 = 11;
pub(crate) const STRANGER: u8 = 12;

pub(crate) const QUEUE: QueueKey = QueueKey {
    audience: Audience::Startups,
    sector: Sector::Health,
};

/// The canister itself.
pub(crate) fn own() -> Principal {
    Principal::from_slice(&[3, 1, 1])
}

pub(crate) fn caller(n: u8) -> Principal {
    if n == ANONYMOUS {
        Principal::anonymous()
    } else {
        Principal::from_slice(&[n, 1])
    }
}

pub(crate) fn person(n: u8) -> Principal {
    let mut bytes = [n; 29];
    bytes[28] = 0x7f;
    Principal::from_slice(&bytes)
}

pub(crate) fn commitment(n: u8) -> ByteBuf {
    ByteBuf::from([n; 32])
}

/// Everybody whom identity knows.
pub(crate) struct Directory;

impl Subjects for Directory {
    fn subject(&self, context: &Context) -> Result<Subject, Error> {
        let principal = context.authenticated()?;
        let known = (1..=u8::MAX).find(|n| caller(*n) == principal && *n != UNREGISTERED);
        let n = known.ok_or_else(|| Error::Unauthorized {
            needs: "a registered person".into(),
        })?;
        Ok(subject(n))
    }
}

pub(crate) fn subject(n: u8) -> Subject {
    let role = match n {
        OFFICE | OTHER_OFFICE => Some(OFFICER),
        REVIEW | OTHER_REVIEW | COLLEAGUE => Some(REVIEWER),
        _ => None,
    };
    let organisation = match n {
        APPLICANT | COLLEAGUE => Some(7),
        HOLDER => None,
        _ => Some(u64::from(n) + 100),
    };
    Subject {
        person: person(n),
        organisation,
        roles: role.into_iter().map(str::to_owned).collect(),
    }
}

/// Two seats for [`QUEUE`], one for another queue.
pub(crate) fn small() -> Configuration {
    let quota = |audience, sector, seats| Quota {
        audience,
        sector,
        seats,
    };
    Configuration {
        quotas: vec![
            quota(QUEUE.audience, QUEUE.sector, 2),
            quota(Audience::Government, Sector::Other, 1),
        ],
        limits: Limits {
            open_per_person: 3,
            applications_a_day: 1_000,
            reviews_needed: 1,
        },
        periods: Periods {
            claim_ns: 14 * DAY,
            term_ns: 365 * DAY,
            idle_ns: 45 * DAY,
            notice_ns: 14 * DAY,
        },
    }
}

pub(crate) struct Setting {
    pub(crate) memory: VectorMemory,
    pub(crate) state: State<VectorMemory>,
    pub(crate) time_ns: u64,
    keys: u64,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self::with(small())
    }

    pub(crate) fn with(configuration: Configuration) -> Self {
        let memory = VectorMemory::default();
        let installer = Context {
            caller: caller(99),
            time_ns: START,
        };
        let args = InitArgs {
            identity: Principal::from_slice(&[1, 1, 1]),
            registry: Principal::from_slice(&[2, 1, 1]),
            configuration: Some(configuration),
        };
        let mut state = State::create(memory.clone(), &installer, args).expect("a license manager");
        state.seed([7; 32]);
        state.kit.certified.commit();
        Self {
            memory,
            state,
            time_ns: START,
            keys: 0,
        }
    }

    /// As after an upgrade to the same module: the heap is gone.
    pub(crate) fn reopen(&mut self) {
        let root = self.state.kit.certified.root_hash();
        self.state = State::open(self.memory.clone()).expect("it opens");
        assert_eq!(self.state.kit.certified.root_hash(), root);
    }

    /// The next message, of caller `n`: of somebody whom identity knows, as the shell sees to.
    pub(crate) fn call<T>(
        &mut self,
        n: u8,
        logic: impl FnOnce(&mut State<VectorMemory>, &Context, &Subject) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.time_ns += 1;
        let context = self.context(n);
        let before = (
            self.state.kit.certified.root_hash(),
            self.state.kit.certified.log_len(),
            self.state.idempotency.len(),
        );
        let reply = Directory
            .subject(&context)
            .and_then(|subject| logic(&mut self.state, &context, &subject));
        self.state.kit.certified.commit();
        if reply.is_err() {
            let after = (
                self.state.kit.certified.root_hash(),
                self.state.kit.certified.log_len(),
                self.state.idempotency.len(),
            );
            assert_eq!(before, after, "a refused call has changed something");
        }
        reply
    }

    pub(crate) fn context(&self, n: u8) -> Context {
        Context {
            caller: caller(n),
            time_ns: self.time_ns,
        }
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.state.kit.certified.log_len()
    }

    pub(crate) fn open_round(&mut self) -> Round {
        let args = OpenRoundArgs {
            title: "Spring".into(),
            apply_until_ns: self.time_ns + 30 * DAY,
        };
        self.call(OFFICE, |state, context, subject| {
            rounds::open(state, context, subject, args)
        })
        .expect("a round")
    }

    pub(crate) fn close_round(&mut self, id: u64) -> Result<Round, Error> {
        self.call(OFFICE, |state, context, subject| {
            rounds::close(state, context, subject, id)
        })
    }

    pub(crate) fn apply(&mut self, n: u8, queue: QueueKey) -> Result<Application, Error> {
        self.keys += 1;
        let args = ApplyArgs {
            audience: queue.audience,
            sector: queue.sector,
            statement: commitment(n),
            idempotency_key: ByteBuf::from(self.keys.to_be_bytes()),
        };
        self.apply_with(n, args)
    }

    pub(crate) fn apply_with(&mut self, n: u8, args: ApplyArgs) -> Result<Application, Error> {
        let bytes = candid::encode_one(&args).expect("Candid");
        self.call(n, |state, context, subject| {
            applications::apply(state, context, subject, args, &bytes)
        })
    }

    pub(crate) fn get(&self, application: u64) -> Application {
        let context = self.context(OFFICE);
        applications::get(&self.state, &Directory, &context, application).expect("an application")
    }

    pub(crate) fn review_args(&self, application: u64, score: u8) -> ReviewArgs {
        let hash = self.get(application).content.hash().expect("Candid");
        ReviewArgs {
            application,
            hash: ByteBuf::from(hash),
            score,
            comment: commitment(score),
        }
    }

    pub(crate) fn review(
        &mut self,
        n: u8,
        application: u64,
        score: u8,
    ) -> Result<Application, Error> {
        let args = self.review_args(application, score);
        self.call(n, |state, context, subject| {
            reviews::review(state, context, subject, args)
        })
    }

    pub(crate) fn grant(&mut self, application: u64) -> Result<Seat, Error> {
        self.call(OFFICE, |state, context, subject| {
            grants::grant(state, context, subject, application)
        })
    }

    pub(crate) fn claim(&mut self, n: u8, seat: u64) -> Result<Seat, Error> {
        self.call(n, |state, context, subject| {
            seats::claim(state, context, subject, seat)
        })
    }

    pub(crate) fn check_in(&mut self, n: u8, seat: u64) -> Result<Seat, Error> {
        self.call(n, |state, context, subject| {
            seats::check_in(state, context, subject, seat)
        })
    }

    pub(crate) fn suspend(&mut self, seat: &Seat, why: u8) -> Result<Seat, Error> {
        let args = seat_args(seat, why);
        self.call(OFFICE, |state, context, subject| {
            seats::suspend(state, context, subject, args)
        })
    }

    pub(crate) fn reinstate(&mut self, seat: &Seat) -> Result<Seat, Error> {
        let args = seat_args(seat, 1);
        self.call(OFFICE, |state, context, subject| {
            seats::reinstate(state, context, subject, args)
        })
    }

    pub(crate) fn reclaim(&mut self, seat: &Seat, why: u8) -> Result<Seat, Error> {
        let args = seat_args(seat, why);
        self.call(OFFICE, |state, context, subject| {
            seats::reclaim(state, context, subject, args)
        })
    }

    /// What the timers do at this time, until there is no more.
    pub(crate) fn tick(&mut self) {
        let context = self.context(77);
        while seats::look_at(&mut self.state, &context, 2) == Progress::More {}
        while grants::fill(&mut self.state, &context, 2) == Progress::More {}
        self.state.kit.certified.commit();
    }

    /// A round of applications with these scores, in this order, closed. Returns the ids.
    pub(crate) fn ranked(&mut self, queue: QueueKey, scores: &[(u8, u8)]) -> Vec<u64> {
        let round = self.open_round().id;
        let mut ids = Vec::new();
        for (applicant, score) in scores {
            let id = self.apply(*applicant, queue).expect("applied").content.id;
            self.review(REVIEW, id, *score).expect("reviewed");
            ids.push(id);
        }
        self.close_round(round).expect("closed");
        ids
    }

    /// A seat that [`HOLDER`] has claimed.
    pub(crate) fn active(&mut self) -> Seat {
        let ids = self.ranked(QUEUE, &[(HOLDER, 50)]);
        let seat = self.grant(ids[0]).expect("granted").seat;
        self.claim(HOLDER, seat).expect("claimed")
    }

    /// Replays the whole log against what is certified. Returns the types of the blocks.
    pub(crate) fn audit(&self) -> Vec<String> {
        Subnet::new(1).audit(own(), &self.state.kit, self.time_ns)
    }
}

pub(crate) fn seat_args(seat: &Seat, why: u8) -> SeatArgs {
    SeatArgs {
        seat: seat.seat,
        application: seat.application,
        reason: commitment(why),
    }
}

pub(crate) fn needs<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Unauthorized { needs }) => needs,
        other => panic!("not unauthorized: {other:?}"),
    }
}

pub(crate) fn conflict<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Conflict { reason }) => reason,
        other => panic!("no conflict: {other:?}"),
    }
}

pub(crate) fn invalid_field<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("not refused for a field: {other:?}"),
    }
}

pub(crate) fn limit<T: std::fmt::Debug>(result: Result<T, Error>) -> (u64, String) {
    match result {
        Err(Error::LimitReached { limit, what }) => (limit, what),
        other => panic!("not limited: {other:?}"),
    }
}
