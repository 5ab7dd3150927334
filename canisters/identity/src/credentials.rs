//! Credentials: what somebody achieved, said by an organisation.
//!
//! ```text
//! issue (an official with the role credential-issuer) ──► leaf: holder, issuer, achievement, hash of the JSON; signed
//! revoke (such an official of the same organisation) ──► leaf in `revoked_credentials`; signed no longer
//! ```
//!
//! A credential holds as long as its id is absent from `revoked_credentials`, which a certified read proves; nobody has to be
//! asked, and nobody learns of it. How one is presented and verified: [`indus_api::identity::credential`].
//!
//! Besides, the canister signs it ([`indus_api::signatures`]), until it is revoked.
//!
//! Invariant: JSON and what is signed follow from the leaf, so neither is stored.
//!
//! Cost: O(log n), and the hashes of the JSON and of what is signed.

use ic_stable_structures::Memory;
use indus_api::{
    Error,
    identity::{
        Achievement, CREDENTIAL_ISSUER, Credential, CredentialRecord, CredentialView, IssueArgs,
        Revocation, RevokeCredentialArgs, RevokedCredential, RevokedCredentialRecord,
        credential::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, MAX_PROGRAMME_BYTES},
        id_key,
    },
    paging::{Page, PageArgs},
    registry::Standing,
};
use indus_kit::{
    Context,
    codes::internal,
    idempotency::{Begin, Success},
    paging::PageRequest,
    text::{self, invalid},
};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::{
    methods, persons,
    state::{
        CREDENTIAL, CREDENTIAL_ISSUED, CREDENTIAL_REVOKED, CREDENTIAL_SIGNED, REVOKED_CREDENTIAL,
        SIGNATURES, State, conflict, not_found, unauthorized,
    },
    subjects,
};

/// Code of [`Error::Internal`]: a credential has no JSON.
const NO_JSON: u32 = 1_003;
/// Code of [`Error::Internal`]: what is kept of a success is no id.
const NO_CREDENTIAL_ID: u32 = 1_004;

/// Issues a credential in the name of the caller's organisation. `bytes` are the call's argument: the same ones, with the
/// same key, give the same credential.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no issuer; [`Error::Invalid`] for a field; [`Error::NotFound`] for the holder;
/// [`Error::Conflict`] if the organisation is not active; [`Error::LimitReached`].
pub fn issue<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: IssueArgs,
    bytes: &[u8],
    standing: Option<&Standing>,
) -> Result<CredentialView, Error> {
    let official = subjects::official(state, context, CREDENTIAL_ISSUER, standing)?;
    check(context, &args)?;
    persons::check(state, args.holder)?;
    let key = &args.idempotency_key;
    let ticket = match state
        .idempotency
        .begin(context, key, "issue_credential", bytes)?
    {
        Begin::New(ticket) => ticket,
        Begin::Repeat(Success::Stored(id)) => {
            let id = id.try_into().map(u64::from_be_bytes);
            let id = id.map_err(|_| internal(NO_CREDENTIAL_ID))?;
            return view(state, get(state, id)?);
        }
        Begin::Repeat(Success::Elsewhere { .. }) => return Err(internal(NO_CREDENTIAL_ID)),
    };
    let issued = put(state, context, args, official);
    match &issued {
        Ok(view) => {
            let id = view.credential.id.to_be_bytes().to_vec();
            let success = Success::Stored(id);
            state.idempotency.succeed(context, &ticket, success)?;
        }
        Err(_) => state.idempotency.fail(&ticket)?,
    }
    issued
}

fn put<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: IssueArgs,
    official: subjects::Official,
) -> Result<CredentialView, Error> {
    let mut credential = Credential {
        id: state.next_id(CREDENTIAL),
        canister: state.own,
        registry: state.in_force()?.registry,
        organisation: official.organisation,
        holder: args.holder,
        achievement: args.achievement,
        issued_at_ns: context.time_ns,
        valid_until_ns: args.valid_until_ns,
        json_hash: ByteBuf::new(),
        salt: state.randomness.salt()?,
    };
    let json = credential.json().ok_or_else(|| internal(NO_JSON))?;
    credential.json_hash = ByteBuf::from(Sha256::digest(&json).to_vec());
    let record = CredentialRecord::V1(credential.clone());
    let changes = vec![
        CREDENTIAL.put(&id_key(credential.id), &record)?,
        SIGNATURES.sign(&message(&credential)?),
    ];
    state.record(context, official.person, CREDENTIAL_ISSUED, changes)?;
    state
        .credentials_of
        .insert((credential.holder, credential.id), ());
    view(state, credential)
}

/// Signs a credential of the caller's that was issued when the canister did not sign yet. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to who does not hold it; [`Error::NotFound`]; [`Error::Conflict`] if it is revoked.
pub fn sign<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
) -> Result<CredentialView, Error> {
    let view = read(state, context, id)?;
    if view.revoked.is_some() {
        return Err(conflict(format!("credential {id} is revoked")));
    }
    let message = message(&view.credential)?;
    if !SIGNATURES.contains(&state.kit.certified, &message) {
        let change = SIGNATURES.sign(&message);
        state.record(
            context,
            view.credential.holder,
            CREDENTIAL_SIGNED,
            vec![change],
        )?;
    }
    Ok(view)
}

/// Takes a credential back that the caller's organisation issued. Repeatable: the first revocation stays.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no issuer of that organisation; [`Error::NotFound`]; [`Error::Conflict`] if the
/// organisation is not active.
pub fn revoke<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: RevokeCredentialArgs,
    standing: Option<&Standing>,
) -> Result<RevokedCredential, Error> {
    let official = subjects::official(state, context, CREDENTIAL_ISSUER, standing)?;
    let credential = get(state, args.id)?;
    if credential.organisation != official.organisation {
        return Err(unauthorized("an issuer of the organisation that issued it"));
    }
    if let Some(revoked) = revoked(state, args.id)? {
        return Ok(revoked);
    }
    let revoked = RevokedCredential {
        id: args.id,
        organisation: credential.organisation,
        revocation: Revocation {
            by: official.person,
            at_ns: context.time_ns,
            reason: args.reason,
        },
    };
    let record = RevokedCredentialRecord::V1(revoked);
    let mut changes = vec![REVOKED_CREDENTIAL.put(&id_key(args.id), &record)?];
    let message = message(&credential)?;
    if SIGNATURES.contains(&state.kit.certified, &message) {
        changes.push(SIGNATURES.withdraw(&message));
    }
    state.record(context, official.person, CREDENTIAL_REVOKED, changes)?;
    Ok(revoked)
}

/// A credential, for its holder.
///
/// # Errors
/// [`Error::Unauthorized`] to everybody else; [`Error::NotFound`].
pub fn read<M: Memory>(
    state: &State<M>,
    context: &Context,
    id: u64,
) -> Result<CredentialView, Error> {
    let person = methods::of_caller(state, context)?.person;
    let credential = get(state, id)?;
    if credential.holder != person {
        return Err(unauthorized("the credential's holder"));
    }
    view(state, credential)
}

/// A page of the credentials of the caller's person, in the order of their ids.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    context: &Context,
    args: PageArgs<u64>,
) -> Result<Page<u64, CredentialView>, Error> {
    let holder = methods::of_caller(state, context)?.person;
    let first = args.after.map_or(0, |id| id.saturating_add(1));
    let ids = state
        .credentials_of
        .keys_range((holder, first)..=(holder, u64::MAX));
    PageRequest::checked(args)?.answer(
        ids,
        |(_, id)| *id,
        |(_, id)| view(state, get(state, id)?).map(Some),
    )
}

fn view<M: Memory>(state: &State<M>, credential: Credential) -> Result<CredentialView, Error> {
    let json = credential.json().ok_or_else(|| internal(NO_JSON))?;
    Ok(CredentialView {
        json: ByteBuf::from(json),
        revoked: revoked(state, credential.id)?,
        credential,
    })
}

fn message(credential: &Credential) -> Result<Vec<u8>, Error> {
    credential.signed_message().ok_or_else(|| internal(NO_JSON))
}

fn get<M: Memory>(state: &State<M>, id: u64) -> Result<Credential, Error> {
    let CredentialRecord::V1(credential) = CREDENTIAL
        .get(&state.kit.certified, &id_key(id))?
        .ok_or_else(|| not_found("credential", id))?;
    Ok(credential)
}

fn revoked<M: Memory>(state: &State<M>, id: u64) -> Result<Option<RevokedCredential>, Error> {
    let record = REVOKED_CREDENTIAL.get(&state.kit.certified, &id_key(id))?;
    Ok(record.map(|RevokedCredentialRecord::V1(revoked)| revoked))
}

fn check(context: &Context, args: &IssueArgs) -> Result<(), Error> {
    let Achievement {
        programme,
        name,
        description,
        criteria,
    } = &args.achievement;
    text::slug("programme", programme, MAX_PROGRAMME_BYTES)?;
    text::name("name", name, MAX_NAME_BYTES)?;
    text::name("description", description, MAX_DESCRIPTION_BYTES)?;
    text::name("criteria", criteria, MAX_DESCRIPTION_BYTES)?;
    if args
        .valid_until_ns
        .is_some_and(|until_ns| until_ns <= context.time_ns)
    {
        return Err(invalid("valid_until_ns", "must be in the future"));
    }
    Ok(())
}
