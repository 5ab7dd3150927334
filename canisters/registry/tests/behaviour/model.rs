//! The registry against a model that is plainly right: a list that is searched from end to end.
//!
//! Random calls by several people, in any order, with the state closed and reopened at random points. After each call
//! the answers are the same, and what is certified is the model's records, byte by byte.

use crate::setting::{
    ANONYMOUS, APPLICANT, GOVERNOR, OTHER_APPLICANT, OTHER_GOVERNOR, Setting, person, profile,
    record,
};
use indus_api::{
    Error,
    paging::PageArgs,
    registry::{
        MAX_PENDING_PER_CALLER, Organisation, OrganisationProfile, OrganisationState,
        organisation_path,
    },
};
use proptest::{collection::vec, prelude::*, sample::Index};
use registry::{State, organisations};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

const SLUGS: &[&str] = &["nadra", "ptcl", "sbp", "not a slug"];
const REASONS: &[&str] = &["", "no such office", "line\nfeed"];

#[derive(Clone, Debug)]
enum Call {
    Apply {
        caller: u8,
        slug: Index,
        parent: Option<u64>,
    },
    Approve {
        caller: u8,
        id: u64,
        hash: Hash,
    },
    Close {
        caller: u8,
        id: u64,
        reason: Index,
    },
    List {
        after: Option<u64>,
        limit: u32,
    },
    Reopen,
}

#[derive(Clone, Debug)]
enum Hash {
    /// Of the record as it is.
    Current,
    /// Of the application as it was.
    Application,
    Wrong,
}

fn callers() -> impl Strategy<Value = u8> {
    prop_oneof![
        1 => Just(ANONYMOUS),
        4 => Just(GOVERNOR),
        4 => Just(OTHER_GOVERNOR),
        4 => Just(APPLICANT),
        4 => Just(OTHER_APPLICANT),
    ]
}

fn calls() -> impl Strategy<Value = Call> {
    let id = || 0..14_u64;
    let hash =
        prop_oneof![4 => Just(Hash::Current), 2 => Just(Hash::Application), 1 => Just(Hash::Wrong)];
    prop_oneof![
        6 => (callers(), any::<Index>(), proptest::option::weighted(0.3, id()))
            .prop_map(|(caller, slug, parent)| Call::Apply { caller, slug, parent }),
        8 => (callers(), id(), hash).prop_map(|(caller, id, hash)| Call::Approve { caller, id, hash }),
        3 => (callers(), id(), any::<Index>()).prop_map(|(caller, id, reason)| Call::Close { caller, id, reason }),
        1 => (proptest::option::of(id()), 0..6_u32).prop_map(|(after, limit)| Call::List { after, limit }),
        1 => Just(Call::Reopen),
    ]
}

/// Which error, without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Unauthorized,
    NotFound,
    AlreadyExists,
    Invalid,
    Stale,
    Limit,
    Conflict,
    Other,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthorized { .. } => Self::Unauthorized,
            Error::NotFound { .. } => Self::NotFound,
            Error::AlreadyExists { .. } => Self::AlreadyExists,
            Error::Invalid { .. } => Self::Invalid,
            Error::Stale { .. } => Self::Stale,
            Error::LimitReached { .. } => Self::Limit,
            Error::Conflict { .. } => Self::Conflict,
            Error::RateLimited { .. }
            | Error::QuorumNotMet { .. }
            | Error::Expired
            | Error::Unavailable { .. }
            | Error::Internal { .. } => Self::Other,
        }
    }
}

type Answer = Result<Organisation, Refusal>;

#[derive(Default)]
struct Model {
    organisations: Vec<Organisation>,
    /// The hash of each as it was applied for.
    applications: Vec<[u8; 32]>,
}

fn hash(organisation: &Organisation) -> [u8; 32] {
    Sha256::digest(record(organisation)).into()
}

fn is_active(organisation: &Organisation) -> bool {
    matches!(organisation.state, OrganisationState::Active { .. })
}

impl Model {
    fn find(&self, id: u64) -> Result<&Organisation, Refusal> {
        self.organisations
            .iter()
            .find(|one| one.id == id)
            .ok_or(Refusal::NotFound)
    }

    fn store(&mut self, id: u64, state: OrganisationState) -> Answer {
        let one = self
            .organisations
            .iter_mut()
            .find(|one| one.id == id)
            .unwrap();
        one.state = state;
        Ok(one.clone())
    }

    fn may_be_active(&self, profile: &OrganisationProfile) -> Result<(), Refusal> {
        if let Some(parent) = profile.parent
            && !is_active(self.find(parent)?)
        {
            return Err(Refusal::Conflict);
        }
        if self
            .organisations
            .iter()
            .any(|one| is_active(one) && one.profile.slug == profile.slug)
        {
            return Err(Refusal::AlreadyExists);
        }
        Ok(())
    }

    fn apply(&mut self, caller: u8, time_ns: u64, profile: OrganisationProfile) -> Answer {
        if caller == ANONYMOUS {
            return Err(Refusal::Unauthorized);
        }
        if profile.slug.contains(' ') {
            return Err(Refusal::Invalid);
        }
        let mine = |one: &&Organisation| {
            one.applicant == person(caller) && one.state == OrganisationState::Pending
        };
        if let Some(same) = self
            .organisations
            .iter()
            .filter(mine)
            .find(|one| one.profile == profile)
        {
            return Ok(same.clone());
        }
        self.may_be_active(&profile)?;
        if self.organisations.iter().filter(mine).count() as u64 == MAX_PENDING_PER_CALLER {
            return Err(Refusal::Limit);
        }
        let organisation = Organisation {
            id: self.organisations.len() as u64 + 1,
            profile,
            applicant: person(caller),
            applied_at_ns: time_ns,
            state: OrganisationState::Pending,
        };
        self.applications.push(hash(&organisation));
        self.organisations.push(organisation.clone());
        Ok(organisation)
    }

    fn approve(&mut self, caller: u8, time_ns: u64, id: u64, approved: &[u8; 32]) -> Answer {
        if ![GOVERNOR, OTHER_GOVERNOR].contains(&caller) {
            return Err(Refusal::Unauthorized);
        }
        let one = self.find(id)?.clone();
        if one.applicant == person(caller) {
            return Err(Refusal::Unauthorized);
        }
        let application = self.applications[usize::try_from(id).unwrap() - 1];
        match one.state {
            OrganisationState::Active { .. } if application == *approved => return Ok(one),
            OrganisationState::Pending => {}
            _ => return Err(Refusal::Conflict),
        }
        if application != *approved {
            return Err(Refusal::Stale);
        }
        self.may_be_active(&one.profile)?;
        let application_hash = ByteBuf::from(approved.to_vec());
        self.store(
            id,
            OrganisationState::Active {
                by: person(caller),
                at_ns: time_ns,
                application_hash,
            },
        )
    }

    fn close(&mut self, caller: u8, time_ns: u64, id: u64, why: &str) -> Answer {
        if caller == ANONYMOUS {
            return Err(Refusal::Unauthorized);
        }
        if why.contains('\n') {
            return Err(Refusal::Invalid);
        }
        let one = self.find(id)?.clone();
        let mine = one.applicant == person(caller);
        if !mine && ![GOVERNOR, OTHER_GOVERNOR].contains(&caller) {
            return Err(Refusal::Unauthorized);
        }
        if !mine && why.is_empty() {
            return Err(Refusal::Invalid);
        }
        match &one.state {
            OrganisationState::Pending => {}
            OrganisationState::Withdrawn { reason, .. } if mine && reason == why => return Ok(one),
            OrganisationState::Rejected { by, reason, .. }
                if !mine && *by == person(caller) && reason == why =>
            {
                return Ok(one);
            }
            _ => return Err(Refusal::Conflict),
        }
        let (by, reason) = (person(caller), why.to_owned());
        let withdrawn = OrganisationState::Withdrawn {
            at_ns: time_ns,
            reason: reason.clone(),
        };
        let rejected = OrganisationState::Rejected {
            by,
            at_ns: time_ns,
            reason,
        };
        self.store(id, if mine { withdrawn } else { rejected })
    }

    fn list(
        &self,
        after: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<Organisation>, Option<u64>), Refusal> {
        if limit == 0 {
            return Err(Refusal::Invalid);
        }
        let rest: Vec<_> = self
            .organisations
            .iter()
            .filter(|one| one.id > after.unwrap_or(0))
            .cloned()
            .collect();
        let page: Vec<_> = rest.iter().take(limit as usize).cloned().collect();
        let next = if rest.len() > page.len() {
            page.last().map(|last| last.id)
        } else {
            None
        };
        Ok((page, next))
    }
}

fn make(s: &mut Setting, model: &mut Model, call: Call) {
    let before = s.state.kit.certified.root_hash();
    let (answer, expected): (Answer, Answer) = match call {
        Call::Apply {
            caller,
            slug,
            parent,
        } => {
            let profile = OrganisationProfile {
                parent,
                ..profile(SLUGS[slug.index(SLUGS.len())])
            };
            let answer = s.apply(caller, profile.clone());
            (
                answer.map_err(Refusal::from),
                model.apply(caller, s.time_ns, profile),
            )
        }
        Call::Approve {
            caller,
            id,
            hash: which,
        } => {
            let approved = match (which, model.find(id)) {
                (Hash::Current, Ok(one)) => hash(one),
                (Hash::Application, Ok(_)) => model.applications[usize::try_from(id).unwrap() - 1],
                _ => [0; 32],
            };
            let answer = s.approve(caller, id, &approved);
            (
                answer.map_err(Refusal::from),
                model.approve(caller, s.time_ns, id, &approved),
            )
        }
        Call::Close { caller, id, reason } => {
            let reason = REASONS[reason.index(REASONS.len())];
            let answer = s.close(caller, id, reason);
            (
                answer.map_err(Refusal::from),
                model.close(caller, s.time_ns, id, reason),
            )
        }
        Call::List { after, limit } => {
            let page = organisations::list(&s.state, PageArgs { after, limit });
            let page = page
                .map(|page| (page.items, page.next))
                .map_err(Refusal::from);
            assert_eq!(page, model.list(after, limit));
            return;
        }
        Call::Reopen => {
            s.state = State::open(s.memory.clone()).unwrap();
            assert_eq!(s.state.kit.certified.root_hash(), before);
            return;
        }
    };
    assert_eq!(answer, expected);
    if answer.is_err() {
        assert_eq!(s.state.kit.certified.root_hash(), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_called_the_registry_answers_and_certifies_like_the_model(calls in vec(calls(), 1..80)) {
        let (mut s, mut model) = (Setting::new(), Model::default());
        for call in calls {
            make(&mut s, &mut model, call);
        }
        for one in &model.organisations {
            prop_assert_eq!(s.certified(&organisation_path(one.id)), Some(record(one)));
        }
        let next = model.organisations.len() as u64 + 1;
        prop_assert_eq!(s.certified(&organisation_path(next)), None);

        let pending = model.organisations.iter().filter(|one| one.state == OrganisationState::Pending);
        prop_assert_eq!(s.state.next_id(), next);
        prop_assert_eq!(s.state.pending_count(), pending.count() as u64);
        for slug in &SLUGS[..3] {
            let active = model.organisations.iter().find(|one| is_active(one) && one.profile.slug == *slug);
            let found = organisations::get(&s.state, indus_api::registry::OrganisationKey::Slug((*slug).into()));
            prop_assert_eq!(found.ok(), active.cloned());
        }
    }
}
