//! A canister's state as an auditor sees it: certified by a subnet, and replayed from its log.

use std::time::Duration;

use candid::{Principal, encode_one};
use ic_stable_structures::Memory;
use indus_api::icrc3::GetBlocksArgs;
use indus_kit::Kit;
use indus_verify::{Audit, RootKey, Time, TimeBound, VerifiedWitness, Verifier};

use crate::Subnet;

/// Blocks of a page.
const PAGE: u64 = 1_000;

impl Subnet {
    /// What a witness of this canister shows, once the subnet has certified its state.
    ///
    /// # Panics
    /// If it can't be verified.
    #[must_use]
    pub fn verified<M: Memory>(
        &self,
        canister: Principal,
        kit: &Kit<M>,
        time_ns: u64,
        witness: &[u8],
    ) -> VerifiedWitness {
        let root_key = RootKey::from_der(&self.root_key_der()).expect("a root key");
        let certificate = self.certificate(canister, kit.certified.root_hash(), time_ns);
        let bound = TimeBound::within(Duration::from_secs(1));
        Verifier::new(root_key)
            .certificate(&certificate, canister, Time::from_nanos(time_ns), bound)
            .expect("a certificate")
            .witness(witness)
            .expect("a witness")
    }

    /// Replays the whole log of this canister to its certified state; the types of its blocks.
    ///
    /// # Panics
    /// If it does not lead there.
    pub fn audit<M: Memory>(&self, canister: Principal, kit: &Kit<M>, time_ns: u64) -> Vec<String> {
        let certified = &kit.certified;
        let size = certified.log_len();
        let mut audit = Audit::default();
        let mut types = Vec::new();
        while audit.size() < size {
            let range = GetBlocksArgs {
                start: audit.size().into(),
                length: PAGE.into(),
            };
            let page = encode_one(certified.blocks(&[range]).expect("blocks")).expect("Candid");
            let blocks = audit.page(&page, size).expect("a page that follows");
            types.extend(blocks.into_iter().map(|block| block.block_type));
        }
        let head = certified.witness_of_head().expect("a head");
        let head = self.verified(canister, kit, time_ns, &head);
        let checked = audit.check(&head).expect("the certified state");
        assert_eq!(checked.size, size);
        types
    }
}
