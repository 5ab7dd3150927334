//! Proposals: the life of one.
//!
//! ```text
//!            propose, or an application         approve: the quorum is met        its time comes
//! (nothing) ───────────────────────────► open ────────────────► approved ──────────────────► executed
//!                                         │  └── no time was set ─────────────────────────────► │
//!      approve: not enough yet ──► open ◄─┤                          it can't be done any more ─► failed
//!                                         ├── reject: can't be met any more ──► rejected
//!                                         ├── cancel (the proposer) ──► cancelled
//!                                         └── its time is over ──► expired
//! ```
//!
//! Invariants:
//! - An approval names the hash of the payload; nobody approves what they have not read.
//! - What could not be done, and what no quorum could decide, is refused before anybody votes. What is approved is checked
//!   again when it is carried out, in the message that does it.
//! - A governor votes once, and never on an own proposal (but in a registry of layout 1, see `governance`).
//! - An open proposal of the same proposer with the same payload is answered again.
//! - A function that answers with an error has changed nothing.
//!
//! Cost: O(log n) a call, and what the action changes; a timer's slice the same for each proposal whose time has come.

use std::collections::BTreeSet;

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    decision::Decision,
    paging::{Page, PageArgs},
    registry::{
        Action, Application, Approval, ApproveArgs, ApprovedUpgrade, CancelArgs, Proposal,
        ProposalRecord, ProposalState, ProposeArgs, RejectArgs, Rejection,
        proposals::{
            DEFAULT_LIFETIME_NS, MAX_LIFETIME_NS, MAX_OPEN, MAX_OPEN_PER_PROPOSER,
            MAX_PAYLOAD_BYTES, MAX_VOTE_REASON_BYTES,
        },
    },
};
use indus_kit::{
    Context, codes, encoding,
    refusals::limit_reached,
    text::{self, invalid},
    timers::Progress,
};
use serde_bytes::ByteBuf;

use crate::{
    actions, governance,
    organisations::{self, Ending},
    state::{
        APPLIED, APPROVED, CANCELLED, EXECUTED, EXPIRED, FAILED, OPENED, PROPOSAL, Plan, REFUSED,
        REJECTED, State, conflict, encoded, unauthorized,
    },
};

/// Opens a proposal.
///
/// # Errors
/// [`Error::Unauthorized`] to everyone but governors, and administrators where the action is their organisation's;
/// [`Error::Invalid`] for a field of the arguments; those of the action, if it could not be done now;
/// [`Error::QuorumNotMet`] if no quorum could decide it; [`Error::LimitReached`] for too many open proposals.
pub fn propose<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: ProposeArgs,
) -> Result<Proposal, Error> {
    let proposer = context.authenticated()?;
    let ProposeArgs {
        action,
        lifetime_ns,
        not_before_ns,
    } = args;
    actions::check_proposer(state, proposer, &action)?;
    let lifetime_ns = lifetime_ns.unwrap_or(DEFAULT_LIFETIME_NS);
    if !(1..=MAX_LIFETIME_NS).contains(&lifetime_ns) {
        return Err(invalid("lifetime_ns", "must be at most 90 days"));
    }
    let latest_ns = context.time_ns.saturating_add(MAX_LIFETIME_NS);
    if not_before_ns.is_some_and(|at| at > latest_ns) {
        return Err(invalid("not_before_ns", "must be at most 90 days ahead"));
    }
    let payload = encoded(&action)?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        let reason = format!("must be at most {MAX_PAYLOAD_BYTES} bytes of Candid");
        return Err(invalid("action", reason));
    }
    if let Some(open) = state.open_with(proposer, &payload) {
        return state.proposal(open);
    }
    let limit = usize::try_from(MAX_OPEN_PER_PROPOSER).unwrap_or(usize::MAX);
    if state.has_open(proposer, limit) {
        return Err(limit_reached(
            MAX_OPEN_PER_PROPOSER,
            "open proposals of one proposer",
        ));
    }
    if state.open_count() >= MAX_OPEN {
        return Err(limit_reached(MAX_OPEN, "open proposals"));
    }
    let constitutional = actions::is_constitutional(&action);
    actions::plan(state, context, state.next_proposal(), action)?;
    let proposal = opened(state, context, payload, constitutional)?;
    let proposal = Proposal {
        expires_at_ns: context.time_ns.saturating_add(lifetime_ns),
        not_before_ns,
        ..proposal
    };
    state.record(context, OPENED, None, proposal, Plan::default())
}

/// Opens the proposal of an application, with the organisation in `plan`.
pub(crate) fn open_application<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    application: Application,
    plan: Plan,
) -> Result<(), Error> {
    let subject = application.organisation;
    let payload = encoded(&Action::Admit(application))?;
    let proposal = Proposal {
        admits: Some(subject),
        ..opened(state, context, payload, false)?
    };
    state.record(context, APPLIED, None, proposal, plan)?;
    Ok(())
}

fn opened<M: Memory>(
    state: &State<M>,
    context: &Context,
    payload: Vec<u8>,
    constitutional: bool,
) -> Result<Proposal, Error> {
    let proposer = context.caller;
    let governance = state.governance()?;
    let quorum = governance.quorum(constitutional);
    governance.check_reachable(quorum, &governance.barred(proposer))?;
    Ok(Proposal {
        id: state.next_proposal(),
        proposer,
        payload: ByteBuf::from(payload),
        admits: None,
        proposed_at_ns: context.time_ns,
        expires_at_ns: context.time_ns.saturating_add(DEFAULT_LIFETIME_NS),
        not_before_ns: None,
        quorum,
        approvals: Vec::new(),
        rejections: Vec::new(),
        state: ProposalState::Open,
    })
}

/// Agrees to a proposal; the approval that meets the quorum carries it out.
///
/// # Errors
/// [`Error::Unauthorized`] to everyone but governors, and to its proposer; [`Error::Invalid`] for something that is no
/// SHA-256; [`Error::NotFound`]; [`Error::Stale`] if it isn't what the governor read; [`Error::Expired`];
/// [`Error::Conflict`] if it isn't open, or the governor refused it.
pub fn approve<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: ApproveArgs,
) -> Result<Proposal, Error> {
    let (governor, organisation) = governance::caller(state, context)?;
    let before = named(state, args.id, &args.payload_hash)?;
    if before.approvals.iter().any(|one| one.governor == governor) {
        return Ok(before);
    }
    check_vote(state, context, &before, governor)?;
    let mut proposal = before.clone();
    proposal.approvals.push(Approval {
        governor,
        organisation,
        at_ns: context.time_ns,
    });
    let by = proposal.approvals.iter().map(|one| one.governor);
    if !state.governance()?.is_met(proposal.quorum, by) {
        let plan = match proposal.admits {
            Some(id) if before.approvals.is_empty() => {
                organisations::plan_review(state, context, id, proposal.id)?
            }
            _ => Plan::default(),
        };
        return state.record(context, APPROVED, Some(&before), proposal, plan);
    }
    if proposal
        .not_before_ns
        .is_some_and(|at| at > context.time_ns)
    {
        proposal.state = ProposalState::Approved {
            at_ns: context.time_ns,
        };
        return state.record(context, APPROVED, Some(&before), proposal, Plan::default());
    }
    carry_out(state, context, &before, proposal)
}

/// Refuses a proposal; the refusal after which its quorum can't be met ends it.
///
/// # Errors
/// Those of [`approve`]; [`Error::Invalid`] for the reason; [`Error::Conflict`] if the governor approved it.
pub fn reject<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: RejectArgs,
) -> Result<Proposal, Error> {
    let (governor, _) = governance::caller(state, context)?;
    text::name("reason", &args.reason, MAX_VOTE_REASON_BYTES)?;
    let before = named(state, args.id, &args.payload_hash)?;
    if before.rejections.iter().any(|one| one.governor == governor) {
        return Ok(before);
    }
    check_vote(state, context, &before, governor)?;
    if before.approvals.iter().any(|one| one.governor == governor) {
        return Err(conflict("the caller approved it"));
    }
    let mut proposal = before.clone();
    proposal.rejections.push(Rejection {
        governor,
        at_ns: context.time_ns,
        reason: args.reason.clone(),
    });
    let governance = state.governance()?;
    let mut lost: BTreeSet<Principal> = governance.barred(proposal.proposer);
    lost.extend(proposal.rejections.iter().map(|one| one.governor));
    if governance.check_reachable(proposal.quorum, &lost).is_ok() {
        return state.record(context, REFUSED, Some(&before), proposal, Plan::default());
    }
    proposal.state = ProposalState::Rejected {
        at_ns: context.time_ns,
    };
    let plan = ended(state, context, &proposal, Ending::Rejected, args.reason)?;
    state.record(context, REJECTED, Some(&before), proposal, plan)
}

/// Takes a proposal back.
///
/// # Errors
/// [`Error::Unauthorized`] to everyone but its proposer; [`Error::Invalid`] for the reason; [`Error::NotFound`];
/// [`Error::Conflict`] if it is decided.
pub fn cancel<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: CancelArgs,
) -> Result<Proposal, Error> {
    let caller = context.authenticated()?;
    text::optional_name("reason", &args.reason, MAX_VOTE_REASON_BYTES)?;
    let before = state.proposal(args.id)?;
    if before.proposer != caller {
        return Err(unauthorized("its proposer"));
    }
    match &before.state {
        ProposalState::Open | ProposalState::Approved { .. } => {}
        ProposalState::Cancelled { reason, .. } if *reason == args.reason => return Ok(before),
        decided => return Err(not_open(decided)),
    }
    let proposal = Proposal {
        state: ProposalState::Cancelled {
            at_ns: context.time_ns,
            reason: args.reason.clone(),
        },
        ..before.clone()
    };
    let plan = ended(state, context, &proposal, Ending::Withdrawn, args.reason)?;
    state.record(context, CANCELLED, Some(&before), proposal, plan)
}

/// Carries out an approved proposal whose time has come.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if it isn't approved, or its time has not come.
pub fn execute<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
) -> Result<Proposal, Error> {
    context.authenticated()?;
    let before = state.proposal(id)?;
    match before.state {
        ProposalState::Approved { .. } => {}
        ProposalState::Executed { .. } => return Ok(before),
        ref state => return Err(not_open(state)),
    }
    if before.not_before_ns.is_some_and(|at| at > context.time_ns) {
        return Err(conflict("its time has not come"));
    }
    let proposal = before.clone();
    carry_out(state, context, &before, proposal)
}

/// Ends what has expired and carries out what is approved: a slice of what is due.
pub fn tick<M: Memory>(state: &mut State<M>, context: &Context, slice: usize) -> Progress {
    let due = state.due(context.time_ns, slice);
    let more = due.len() == slice;
    for id in due {
        // What can't be read or written stays due, for somebody to look at; nothing else waits for it.
        let _stays_due = settle(state, context, id);
    }
    if more { Progress::More } else { Progress::Done }
}

fn settle<M: Memory>(state: &mut State<M>, context: &Context, id: u64) -> Result<(), Error> {
    let before = state.proposal(id)?;
    if before.state != ProposalState::Open {
        let proposal = before.clone();
        carry_out(state, context, &before, proposal)?;
        return Ok(());
    }
    let proposal = Proposal {
        state: ProposalState::Expired {
            at_ns: context.time_ns,
        },
        ..before.clone()
    };
    let plan = ended(
        state,
        context,
        &proposal,
        Ending::Rejected,
        "not decided in time".into(),
    )?;
    state.record(context, EXPIRED, Some(&before), proposal, plan)?;
    Ok(())
}

/// Carries a proposal out, or notes why that is not possible any more.
fn carry_out<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    before: &Proposal,
    mut proposal: Proposal,
) -> Result<Proposal, Error> {
    let at_ns = context.time_ns;
    let plan = match proposal.admits {
        Some(id) => organisations::plan_admission(state, context, id, proposal.id),
        None => actions::plan(state, context, proposal.id, action(&proposal)?),
    };
    match plan {
        Ok(plan) => {
            proposal.state = ProposalState::Executed { at_ns };
            state.record(context, EXECUTED, Some(before), proposal, plan)
        }
        Err(Error::Internal { code }) => Err(Error::Internal { code }),
        Err(error) => {
            let reason = error.to_string();
            proposal.state = ProposalState::Failed {
                at_ns,
                reason: reason.clone(),
            };
            let plan = ended(state, context, &proposal, Ending::Rejected, reason)?;
            state.record(context, FAILED, Some(before), proposal, plan)
        }
    }
}

/// What follows for the organisation whose application has ended.
fn ended<M: Memory>(
    state: &State<M>,
    context: &Context,
    proposal: &Proposal,
    ending: Ending,
    reason: String,
) -> Result<Plan, Error> {
    match proposal.admits {
        Some(id) => organisations::plan_end(state, context, id, proposal.id, ending, reason),
        None => Ok(Plan::default()),
    }
}

/// The action of a proposal.
pub(crate) fn action(proposal: &Proposal) -> Result<Action, Error> {
    encoding::decode(&proposal.payload).map_err(|_| codes::internal(codes::RECORD_NOT_DECODED))
}

/// The proposal that is meant, if it is the one that was read.
fn named<M: Memory>(state: &State<M>, id: u64, hash: &[u8]) -> Result<Proposal, Error> {
    let read =
        <[u8; 32]>::try_from(hash).map_err(|_| invalid("payload_hash", "must be 32 bytes long"))?;
    let proposal = state.proposal(id)?;
    let current = state.payload_hash(&proposal);
    if current != read {
        return Err(Error::Stale {
            current: hex::encode(current),
        });
    }
    Ok(proposal)
}

fn check_vote<M: Memory>(
    state: &State<M>,
    context: &Context,
    proposal: &Proposal,
    governor: Principal,
) -> Result<(), Error> {
    if proposal.proposer == governor && !state.governance()?.own_proposals() {
        return Err(unauthorized("a governor other than the proposer"));
    }
    if proposal.state != ProposalState::Open {
        return Err(not_open(&proposal.state));
    }
    if context.time_ns >= proposal.expires_at_ns {
        return Err(Error::Expired);
    }
    if proposal
        .rejections
        .iter()
        .any(|one| one.governor == governor)
    {
        return Err(conflict("the caller refused it"));
    }
    Ok(())
}

/// A page of proposals, in any state, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    args: PageArgs<u64>,
) -> Result<Page<u64, Proposal>, Error> {
    PROPOSAL.page(
        &state.kit.certified,
        args,
        |ProposalRecord::V1(proposal)| Ok(Some(proposal)),
    )
}

/// What an executed proposal decided about a canister's configuration.
///
/// # Errors
/// [`Error::NotFound`] if there is no such proposal, or it decided something else, or nothing.
pub fn decision<M: Memory>(state: &State<M>, id: u64) -> Result<Decision, Error> {
    let none = || crate::state::not_found("decision", id);
    let proposal = state.proposal(id).map_err(|_| none())?;
    let ProposalState::Executed { at_ns } = proposal.state else {
        return Err(none());
    };
    let Action::Configure {
        canister,
        configuration,
    } = action(&proposal)?
    else {
        return Err(none());
    };
    Ok(Decision {
        proposal: id,
        canister,
        configuration,
        executed_at_ns: at_ns,
    })
}

/// An upgrade that an executed proposal decided, and who did.
///
/// # Errors
/// [`Error::NotFound`] if there is no such proposal, or it decided something else, or nothing.
pub fn upgrade<M: Memory>(state: &State<M>, id: u64) -> Result<ApprovedUpgrade, Error> {
    let none = || crate::state::not_found("upgrade", id);
    let proposal = state.proposal(id).map_err(|_| none())?;
    let ProposalState::Executed { at_ns } = proposal.state else {
        return Err(none());
    };
    let Action::Upgrade(order) = action(&proposal)? else {
        return Err(none());
    };
    let approved = proposal.approvals.iter().map(|approval| approval.governor);
    let mut decided_by: Vec<_> = approved.chain([proposal.proposer]).collect();
    decided_by.sort_unstable();
    decided_by.dedup();
    Ok(ApprovedUpgrade {
        proposal: id,
        order,
        executed_at_ns: at_ns,
        decided_by,
    })
}

fn not_open(state: &ProposalState) -> Error {
    let is = match state {
        ProposalState::Open => "open",
        ProposalState::Approved { .. } => "approved",
        ProposalState::Executed { .. } => "executed",
        ProposalState::Failed { .. } => "failed",
        ProposalState::Rejected { .. } => "rejected",
        ProposalState::Cancelled { .. } => "cancelled",
        ProposalState::Expired { .. } => "expired",
    };
    conflict(format!("the proposal is {is}"))
}
