//! Two desks (the sample canister), one the other's peer, whose whole certified state is audited whenever they are looked at.

use std::{cell::RefCell, collections::HashMap, ops::Bound, time::Duration};

use candid::{CandidType, Encode, Principal, decode_one};
use end_to_end::{pocket_ic, sample_module};
use indus_api::{
    CertifiedRead, Error, Subject,
    certified::{CertifiedListArgs, MAX_LIST},
    icrc3::GetBlocksArgs,
    paging::{Page, PageArgs},
    service::ServiceInfo,
};
use indus_verify::{Audit, Block, RootKey, Time, TimeBound, VerifiedWitness, Verifier};
use pocket_ic::{
    ErrorCode, PocketIc, RejectResponse,
    common::rest::{RawEffectivePrincipal, RawMessageId},
};
use sample::interface::{
    Ending, InitArgs, LETTERS, Note, NoteArgs, PersonArgs, Point, STAMPS, Wait, Work,
};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

/// Who installs and upgrades the desks.
pub(crate) const CONTROLLER: Principal = Principal::from_slice(&[0xC0; 29]);

/// A person of the tests.
pub(crate) fn person(number: u8) -> Principal {
    Principal::from_slice(&[number; 29])
}

/// A note that a person asks for.
pub(crate) fn note(title: &str, call: Wait) -> NoteArgs {
    NoteArgs {
        idempotency_key: ByteBuf::from(format!("key of {title}")),
        title: title.into(),
        call,
    }
}

/// A desk and its peer, on two subnets, so that messages between them take rounds.
pub(crate) struct Desks {
    pub(crate) pic: PocketIc,
    pub(crate) desk: Principal,
    pub(crate) peer: Principal,
    pub(crate) root_key: Vec<u8>,
    verifier: Verifier,
    audits: RefCell<HashMap<Principal, (Audit, Vec<Block>)>>,
}

impl Desks {
    pub(crate) fn new() -> Self {
        let builder = pocket_ic()
            .with_nns_subnet()
            .with_application_subnet()
            .with_application_subnet();
        let pic = builder.build();
        let root_key = pic.root_key().unwrap();
        let [one, other] = pic.topology().get_app_subnets()[..] else {
            panic!("two subnets")
        };
        let install = |subnet, peer| {
            let desk = pic.create_canister_on_subnet(Some(CONTROLLER), None, subnet);
            let args = Encode!(&InitArgs { peer }).unwrap();
            pic.install_canister(desk, sample_module(), args, Some(CONTROLLER));
            desk
        };
        let peer = install(other, Principal::management_canister());
        let desk = install(one, peer);
        let desks = Self {
            desk,
            peer,
            verifier: Verifier::new(RootKey::from_der(&root_key).unwrap()),
            root_key,
            pic,
            audits: RefCell::default(),
        };
        // What timers do first.
        for _ in 0..3 {
            desks.tick();
        }
        desks
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.pic.get_time().as_nanos_since_unix_epoch()
    }

    /// One round, after which both desks are audited.
    pub(crate) fn tick(&self) {
        self.pic.tick();
        self.audited(self.desk);
        self.audited(self.peer);
    }

    /// Lets time pass, and what timers do then.
    pub(crate) fn pass(&self, time: Duration) {
        self.pic.advance_time(time);
        for _ in 0..8 {
            self.tick();
        }
    }

    // --- calls ------------------------------------------------------------------------------------------------------

    pub(crate) fn query<R: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        sender: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<R, RejectResponse> {
        let reply = self.pic.query_call(canister, sender, method, argument)?;
        Ok(decode_one(&reply).unwrap())
    }

    pub(crate) fn update<R: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        sender: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<R, RejectResponse> {
        let reply = self.pic.update_call(canister, sender, method, argument);
        self.audited(self.desk);
        self.audited(self.peer);
        Ok(decode_one(&reply?).unwrap())
    }

    pub(crate) fn submit(&self, sender: Principal, method: &str, args: &NoteArgs) -> RawMessageId {
        let argument = Encode!(args).unwrap();
        self.pic
            .submit_call(self.desk, sender, method, argument)
            .unwrap()
    }

    /// Makes a call that writes a note, and waits for its end.
    pub(crate) fn write(
        &self,
        sender: Principal,
        method: &str,
        args: &NoteArgs,
    ) -> Result<Result<Note, Error>, RejectResponse> {
        self.update(self.desk, sender, method, Encode!(args).unwrap())
    }

    pub(crate) fn arm(&self, point: Option<Point>) {
        let armed = self
            .pic
            .update_call(self.desk, CONTROLLER, "arm", Encode!(&point).unwrap());
        armed.unwrap();
    }

    /// How the peer gives stamps from now on.
    pub(crate) fn peer_ends(&self, ending: Ending) {
        let ending = Encode!(&ending).unwrap();
        self.pic
            .update_call(self.peer, CONTROLLER, "end", ending)
            .unwrap();
    }

    /// Tells the peer who somebody is.
    pub(crate) fn introduce(&self, caller: Principal, subject: Option<Subject>) {
        let args = Encode!(&PersonArgs { caller, subject }).unwrap();
        let told: Result<(), Error> = self
            .update(self.peer, CONTROLLER, "set_person", args)
            .unwrap();
        told.unwrap();
    }

    // --- life -------------------------------------------------------------------------------------------------------

    /// Asks the subnet to stop a canister, which it does when no call of the canister's is open.
    pub(crate) fn submit_stop(&self, canister_id: Principal) -> RawMessageId {
        #[derive(CandidType)]
        struct Args {
            canister_id: Principal,
        }
        self.pic
            .submit_call_with_effective_principal(
                Principal::management_canister(),
                RawEffectivePrincipal::CanisterId(canister_id.as_slice().to_vec()),
                CONTROLLER,
                "stop_canister",
                Encode!(&Args { canister_id }).unwrap(),
            )
            .unwrap()
    }

    pub(crate) fn stop(&self, canister: Principal) {
        self.pic.stop_canister(canister, Some(CONTROLLER)).unwrap();
    }

    pub(crate) fn start(&self, canister: Principal) {
        self.pic.start_canister(canister, Some(CONTROLLER)).unwrap();
        self.audited(canister);
    }

    /// Installs the module anew, and leaves the desk in maintenance.
    pub(crate) fn upgrade(&self, trap: bool) -> Result<(), RejectResponse> {
        let trap = Encode!(&trap).unwrap();
        let upgraded =
            self.pic
                .upgrade_canister(self.desk, sample_module(), trap, Some(CONTROLLER));
        self.audited(self.desk);
        upgraded
    }

    pub(crate) fn confirm(&self, sender: Principal) -> Result<(), Error> {
        self.update(self.desk, sender, "confirm_upgrade", Encode!().unwrap())
            .unwrap()
    }

    // --- what there is ----------------------------------------------------------------------------------------------

    pub(crate) fn work(&self) -> Work {
        let work: Result<_, Error> = self
            .query(self.desk, CONTROLLER, "work", Encode!().unwrap())
            .unwrap();
        work.unwrap()
    }

    /// All notes.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let (mut notes, mut after) = (Vec::new(), None);
        loop {
            let args = Encode!(&PageArgs { after, limit: 7 }).unwrap();
            let page: Result<Page<u64, Note>, Error> = self
                .query(self.desk, CONTROLLER, "list_notes", args)
                .unwrap();
            let page = page.unwrap();
            notes.extend(page.items);
            after = page.next;
            if after.is_none() {
                return notes;
            }
        }
    }

    /// How many stamps the peer has given.
    pub(crate) fn stamps(&self) -> u64 {
        let collections = self.service_info(self.peer).collections;
        let stamps = collections.iter().find(|found| found.name == STAMPS);
        stamps.unwrap().records
    }

    pub(crate) fn service_info(&self, canister: Principal) -> ServiceInfo {
        self.query(canister, CONTROLLER, "service_info", Encode!().unwrap())
            .unwrap()
    }

    /// The types of a canister's blocks, as they were audited.
    pub(crate) fn block_types(&self, canister: Principal) -> Vec<String> {
        let audits = self.audits.borrow();
        let blocks = &audits[&canister].1;
        blocks
            .iter()
            .map(|block| block.block_type.clone())
            .collect()
    }

    // --- audits -----------------------------------------------------------------------------------------------------

    pub(crate) fn verified(&self, canister: Principal, answer: &CertifiedRead) -> VerifiedWitness {
        let now = Time::from_nanos(self.now_ns());
        self.verifier
            .certificate(
                &answer.certificate,
                canister,
                now,
                TimeBound::within(Duration::from_secs(300)),
            )
            .unwrap()
            .witness(&answer.witness)
            .unwrap()
    }

    /// Verifies that the log explains the certified state, up to now: each block follows the one before, the log is the
    /// certified one, replaying it gives each collection, and the records are those whose hashes it names. A desk that is
    /// stopped answers nothing.
    pub(crate) fn audited(&self, canister: Principal) {
        let head = self.query(canister, CONTROLLER, "log_head", Encode!().unwrap());
        let head: Result<CertifiedRead, Error> = match head {
            Ok(head) => head,
            Err(stopped)
                if [ErrorCode::CanisterStopped, ErrorCode::CanisterStopping]
                    .contains(&stopped.error_code) =>
            {
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let head = self.verified(canister, &head.unwrap());
        let size = head.log_head().unwrap().size;
        let mut audits = self.audits.borrow_mut();
        let (audit, blocks) = audits.entry(canister).or_default();
        let listed_before = audit.size() == size;
        while audit.size() < size {
            let range = GetBlocksArgs {
                start: audit.size().into(),
                length: 100_u64.into(),
            };
            let page = self
                .pic
                .query_call(
                    canister,
                    CONTROLLER,
                    "icrc3_get_blocks",
                    Encode!(&vec![range]).unwrap(),
                )
                .unwrap();
            blocks.extend(audit.page(&page, size).unwrap());
        }
        audit.check(&head).unwrap();
        if listed_before {
            // The roots are those of the records that were listed then.
            return;
        }
        for collection in self.service_info(canister).collections {
            let listed = self.listed(canister, &collection.name, CONTROLLER);
            assert_eq!(listed.len() as u64, collection.records);
            if collection.name != LETTERS {
                assert!(listed.iter().all(|(_, record)| record.is_some()));
            }
        }
    }

    /// Keys and records of a whole collection, as `reader` is shown them with proof.
    pub(crate) fn listed(
        &self,
        canister: Principal,
        collection: &str,
        reader: Principal,
    ) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut listed: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
        loop {
            let after = listed.last().map(|(key, _)| key.clone());
            let args = CertifiedListArgs {
                collection: collection.into(),
                after: after.clone().map(ByteBuf::from),
                limit: MAX_LIST,
            };
            let answer: Result<CertifiedRead, Error> = self
                .query(canister, reader, "certified_list", Encode!(&args).unwrap())
                .unwrap();
            let witness = self.verified(canister, &answer.unwrap());
            let path = ["data", collection];
            let page = witness.entries(&path, after.as_deref(), Bound::Unbounded);
            let page = match page {
                Ok(page) => page,
                // A collection without records.
                Err(_) if listed.is_empty() => {
                    witness
                        .absent(&[&b"data"[..], collection.as_bytes(), b"any"])
                        .unwrap();
                    return listed;
                }
                Err(error) => panic!("{error}"),
            };
            let entry = |entry: &indus_verify::Entry<'_>| {
                (entry.label.to_vec(), entry.leaf.map(<[u8]>::to_vec))
            };
            listed.extend(page.entries.iter().map(entry));
            if page.end {
                return listed;
            }
        }
    }
}
