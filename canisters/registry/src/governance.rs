//! Governors and quorums: who decides, and how many of them have to agree.
//!
//! A quorum asks for m governors of at least k organisations. Who proposed doesn't count, so a quorum is *reachable* if it
//! can be met without any one governor; a change that would leave one unreachable is refused before anybody votes on it.
//!
//! A registry of layout 1 has no quorums: there each governor decides alone, on own proposals too, until a proposal sets
//! quorums.
//!
//! Cost: governors (25 at most) and quorums are read once after a start and after a change, then kept in the heap.

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    registry::{
        Governor, GovernorRecord, InitArgs, MAX_ADMINISTRATORS, MAX_GOVERNORS, Organisation,
        OrganisationRecord, OrganisationStatus, PolicyRecord, QUORUMS_KEY, Quorum, Quorums, Step,
        id_key, principal_key,
    },
};
use indus_kit::{Certified, Context, subjects::Subjects, text::invalid};

use crate::{
    organisations,
    state::{Effect, GOVERNOR, ORGANISATION, POLICY, Plan, State, conflict, unauthorized},
};

/// The role of a governor.
const ROLE: &str = "governor";
/// The organisation of governors that have none.
const NONE: u64 = 0;

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Governance {
    governors: BTreeMap<Principal, u64>,
    quorums: Option<Quorums>,
}

impl Governance {
    /// Reads it from the records.
    pub(crate) fn read<M: Memory>(certified: &Certified<M>) -> Result<Self, Error> {
        let governors = GOVERNOR
            .after(certified, None)
            .map(|(_, record)| {
                Ok(match record? {
                    GovernorRecord::V1 { principal } => (principal, NONE),
                    GovernorRecord::V2(governor) => (governor.principal, governor.organisation),
                })
            })
            .collect::<Result<_, Error>>()?;
        let quorums = match POLICY.get(certified, &QUORUMS_KEY)? {
            Some(PolicyRecord::QuorumsV1(quorums)) => Some(quorums),
            _ => None,
        };
        Ok(Self { governors, quorums })
    }

    /// The organisation for which somebody decides.
    pub(crate) fn organisation_of(&self, principal: Principal) -> Option<u64> {
        self.governors.get(&principal).copied()
    }

    /// All governors, sorted.
    pub(crate) fn governors(&self) -> Vec<Governor> {
        let governors = self.governors.iter();
        governors
            .map(|(&principal, &organisation)| Governor {
                principal,
                organisation,
            })
            .collect()
    }

    /// Both quorums.
    pub(crate) fn quorums(&self) -> Quorums {
        Quorums {
            ordinary: self.quorum(false),
            constitutional: self.quorum(true),
        }
    }

    /// Whether somebody decides for this organisation.
    pub(crate) fn is_represented(&self, organisation: u64) -> bool {
        self.governors.values().any(|one| *one == organisation)
    }

    /// Whether proposers may agree to their own proposals.
    pub(crate) fn own_proposals(&self) -> bool {
        self.quorums.is_none()
    }

    /// The quorum of ordinary, or of constitutional proposals.
    pub(crate) fn quorum(&self, constitutional: bool) -> Quorum {
        match self.quorums {
            Some(quorums) if constitutional => quorums.constitutional,
            Some(quorums) => quorums.ordinary,
            None => Quorum {
                approvals: 1,
                organisations: 1,
            },
        }
    }

    /// Whether these approvals meet a quorum: of governors that are still in office, in their organisations of today.
    pub(crate) fn is_met(&self, quorum: Quorum, by: impl Iterator<Item = Principal>) -> bool {
        let (approvals, organisations) = self.count(by);
        approvals >= quorum.approvals && organisations >= quorum.organisations
    }

    /// Whether a quorum can be met without those.
    ///
    /// # Errors
    /// [`Error::QuorumNotMet`] with what there is.
    pub(crate) fn check_reachable(
        &self,
        quorum: Quorum,
        without: &BTreeSet<Principal>,
    ) -> Result<(), Error> {
        let left = self.governors.keys().copied();
        let (have, organisations) = self.count(left.filter(|one| !without.contains(one)));
        if have < quorum.approvals {
            return Err(Error::QuorumNotMet {
                have,
                need: quorum.approvals,
            });
        }
        if organisations < quorum.organisations {
            return Err(Error::QuorumNotMet {
                have: organisations,
                need: quorum.organisations,
            });
        }
        Ok(())
    }

    /// Who can't agree to a proposal of `proposer`.
    pub(crate) fn barred(&self, proposer: Principal) -> BTreeSet<Principal> {
        if self.own_proposals() {
            return BTreeSet::new();
        }
        [proposer].into()
    }

    fn count(&self, by: impl Iterator<Item = Principal>) -> (u32, u32) {
        let mut approvals = 0;
        let mut organisations = BTreeSet::new();
        for principal in by {
            if let Some(organisation) = self.organisation_of(principal) {
                approvals += 1;
                organisations.insert(organisation);
            }
        }
        let organisations = u32::try_from(organisations.len()).unwrap_or(u32::MAX);
        (approvals, organisations)
    }

    /// Checks that both quorums can be met, whoever proposes.
    fn check(&self) -> Result<(), Error> {
        let Some(quorums) = self.quorums else {
            return Ok(());
        };
        for (field, quorum) in [
            ("ordinary", quorums.ordinary),
            ("constitutional", quorums.constitutional),
        ] {
            let Quorum {
                approvals,
                organisations,
            } = quorum;
            if !(1..=approvals).contains(&organisations) {
                let reason = "must ask for at least 1 organisation, and for as many governors";
                return Err(invalid(field, reason));
            }
            for proposer in self.governors.keys() {
                self.check_reachable(quorum, &[*proposer].into())?;
            }
        }
        Ok(())
    }
}

/// What a registry begins with.
///
/// # Errors
/// [`Error::Invalid`] for a field of the arguments; [`Error::QuorumNotMet`] for a quorum that can't be met.
pub(crate) fn founded(context: &Context, args: InitArgs) -> Result<Plan, Error> {
    let InitArgs {
        founders,
        governors,
        quorums,
    } = args;
    if !(1..=MAX_GOVERNORS).contains(&founders.len()) {
        return Err(invalid("founders", format!("must be 1 to {MAX_GOVERNORS}")));
    }
    let mut plan = Plan::default();
    let mut slugs = BTreeSet::new();
    let mut last = 0;
    for profile in founders {
        organisations::check_profile(&profile)?;
        if profile
            .parent
            .is_some_and(|parent| !(1..=last).contains(&parent))
        {
            return Err(invalid("parent", "must be a founder named before"));
        }
        if !slugs.insert(profile.slug.clone()) {
            return Err(invalid("founders", "must not have a slug twice"));
        }
        last += 1;
        plan.effects.push(Effect::SlugTaken {
            slug: profile.slug.clone(),
            id: last,
        });
        let of_it = governors.iter().filter(|one| one.organisation == last);
        let founder = Organisation {
            id: last,
            profile,
            applicant: context.caller,
            administrators: of_it
                .map(|one| one.principal)
                .take(MAX_ADMINISTRATORS)
                .collect(),
            status: OrganisationStatus::Active,
            due_at_ns: context.time_ns,
            application: None,
            steps: vec![Step {
                status: OrganisationStatus::Active,
                at_ns: context.time_ns,
                by: context.caller,
                proposal: None,
                reason: "founder".into(),
            }],
        };
        let change = ORGANISATION.put(&id_key(last), &OrganisationRecord::V2(founder))?;
        plan.changes.push(change);
    }
    let governance = Governance {
        governors: checked(governors)?,
        quorums: Some(quorums),
    };
    if governance
        .governors
        .values()
        .any(|one| !(1..=last).contains(one))
    {
        return Err(invalid("governors", "must each be of a founder"));
    }
    governance.check()?;
    for governor in governance.governors() {
        plan.changes.push(stored(governor)?);
    }
    plan.changes
        .push(POLICY.put(&QUORUMS_KEY, &PolicyRecord::QuorumsV1(quorums))?);
    Ok(plan)
}

/// Other governors from now on.
///
/// # Errors
/// [`Error::Invalid`] for `governors`; [`Error::Conflict`] for an organisation that isn't active; [`Error::QuorumNotMet`].
pub(crate) fn plan_governors<M: Memory>(
    state: &State<M>,
    governors: Vec<Governor>,
) -> Result<Plan, Error> {
    let now = state.governance()?;
    let next = Governance {
        governors: checked(governors)?,
        quorums: now.quorums,
    };
    let organisations: BTreeSet<u64> = next.governors.values().copied().collect();
    for organisation in organisations {
        organisations::check_active(state, organisation)?;
    }
    next.check()?;
    let mut changes = Vec::new();
    for governor in next.governors() {
        if now.organisation_of(governor.principal) != Some(governor.organisation) {
            changes.push(stored(governor)?);
        }
    }
    let gone = now
        .governors
        .keys()
        .filter(|one| !next.governors.contains_key(one));
    changes.extend(gone.map(|one| GOVERNOR.removed(&principal_key(*one))));
    Ok(Plan {
        changes,
        effects: vec![Effect::GovernanceChanged],
    })
}

/// Other quorums from now on.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::QuorumNotMet`]; [`Error::Conflict`] while a governor is of no organisation.
pub(crate) fn plan_quorums<M: Memory>(state: &State<M>, quorums: Quorums) -> Result<Plan, Error> {
    let now = state.governance()?;
    if now.is_represented(NONE) {
        return Err(conflict("a governor is of no organisation"));
    }
    let next = Governance {
        governors: now.governors.clone(),
        quorums: Some(quorums),
    };
    next.check()?;
    Ok(Plan {
        changes: vec![POLICY.put(&QUORUMS_KEY, &PolicyRecord::QuorumsV1(quorums))?],
        effects: vec![Effect::GovernanceChanged],
    })
}

fn stored(governor: Governor) -> Result<indus_kit::Change, Error> {
    let key = principal_key(governor.principal);
    GOVERNOR.put(&key, &GovernorRecord::V2(governor))
}

fn checked(governors: Vec<Governor>) -> Result<BTreeMap<Principal, u64>, Error> {
    if !(1..=MAX_GOVERNORS).contains(&governors.len()) {
        return Err(invalid(
            "governors",
            format!("must be 1 to {MAX_GOVERNORS}"),
        ));
    }
    let mut all = BTreeMap::new();
    for Governor {
        principal,
        organisation,
    } in governors
    {
        if principal == Principal::anonymous() {
            return Err(invalid("governors", "must not be anonymous"));
        }
        if all.insert(principal, organisation).is_some() {
            return Err(invalid("governors", "must not name anyone twice"));
        }
    }
    Ok(all)
}

/// The caller, if they are a governor, and for which organisation.
///
/// # Errors
/// [`Error::Unauthorized`].
pub(crate) fn caller<M: Memory>(
    state: &State<M>,
    context: &Context,
) -> Result<(Principal, u64), Error> {
    let caller = context.authenticated()?;
    let organisation = state.governance()?.organisation_of(caller);
    organisation
        .map(|organisation| (caller, organisation))
        .ok_or_else(|| unauthorized("a governor"))
}

/// Subjects as the registry knows them: principals in its own state.
pub(crate) struct Governors<'a, M: Memory>(pub(crate) &'a State<M>);

impl<M: Memory> Subjects for Governors<'_, M> {
    fn subject(&self, context: &Context) -> Result<Subject, Error> {
        let person = context.authenticated()?;
        let organisation = self.0.governance()?.organisation_of(person);
        Ok(Subject {
            person,
            organisation: organisation.filter(|one| *one != NONE),
            roles: organisation.map(|_| ROLE.to_owned()).into_iter().collect(),
        })
    }
}
