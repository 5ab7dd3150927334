//! Which subnets a network has, what kind each is, and which canister ids belong to it.
//!
//! Subnets of a name (NNS, SNS, …) have the ids that they have on the Internet Computer, so that a canister
//! which is known by its id can be installed at that id. Besides, every subnet has a block of 2^20 ids at the
//! upper end of all ids, from which it takes the ids of new canisters; block `n` is the one of the `n`-th subnet
//! of the configuration.

use candid::Principal;

/// What a subnet is for; it decides on type, ids and prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubnetKind {
    /// Where the network's root key is, if there is one of this kind.
    Nns,
    Sns,
    Ii,
    Fiduciary,
    Bitcoin,
    System,
    Application,
    VerifiedApplication,
    CloudEngine,
}

impl SubnetKind {
    /// As certified at `/subnet/<id>/type` (IC interface specification, "Subnet information").
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Nns | Self::System | Self::Ii | Self::Bitcoin => "system",
            Self::Application | Self::Fiduciary | Self::Sns => "application",
            Self::VerifiedApplication => "verified_application",
            Self::CloudEngine => "cloud_engine",
        }
    }

    /// Canisters of a system subnet pay nothing, and may do more.
    #[must_use]
    pub fn is_system(self) -> bool {
        self.type_name() == "system"
    }

    /// Ids that the subnet of this name has on the Internet Computer.
    fn known_ids(self) -> &'static [(u64, u64)] {
        match self {
            Self::Nns => &[(0, 6), (8, 0xf_ffff)],
            Self::Ii => &[(7, 7), (0x210_0000, 0x21f_ffff)],
            Self::Sns => &[(0x200_0000, 0x20f_ffff)],
            Self::Bitcoin => &[(0x1a0_0000, 0x1af_ffff)],
            Self::Fiduciary => &[(0x230_0000, 0x23f_ffff)],
            Self::System | Self::Application | Self::VerifiedApplication | Self::CloudEngine => &[],
        }
    }
}

/// Whether canisters pay for what they use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostSchedule {
    /// What a subnet of 13 nodes takes.
    #[default]
    Normal,
    /// Nothing.
    Free,
}

/// How a subnet is set up.
#[derive(Clone, Debug)]
pub struct SubnetConfig {
    pub kind: SubnetKind,
    pub cost_schedule: CostSchedule,
    /// Who may list the subnet's canisters, and create some where users may not.
    pub admins: Vec<Principal>,
    /// Messages may execute far more instructions, for benchmarks.
    pub benchmarking: bool,
}

impl SubnetConfig {
    /// One of this kind at ordinary prices.
    #[must_use]
    pub fn of(kind: SubnetKind) -> Self {
        Self {
            kind,
            cost_schedule: CostSchedule::Normal,
            admins: Vec::new(),
            benchmarking: false,
        }
    }
}

/// A subnet as it is shown to clients.
#[derive(Clone, Debug)]
pub struct SubnetInfo {
    pub id: Principal,
    pub config: SubnetConfig,
    /// Canister ids, both ends included.
    pub ranges: Vec<(Principal, Principal)>,
    /// Its keys and randomness come from this.
    pub seed: [u8; 32],
    /// The first id that it gives to a canister itself: its management canister can be addressed by it.
    pub first_canister_id: Principal,
}

/// Ids of canisters, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CanisterRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Ids that a subnet may give out by itself.
const BLOCK: u64 = 1 << 20;

impl CanisterRange {
    /// The ids that the `n`-th subnet of a configuration takes for new canisters.
    pub(crate) fn of_new_canisters(n: u64) -> Self {
        let last = u64::MAX - (n + 1) * BLOCK;
        Self {
            first: last - (BLOCK - 1),
            last,
        }
    }

    pub(crate) fn bounds(self) -> (Principal, Principal) {
        (canister_id(self.first), canister_id(self.last))
    }

    fn contains(self, id: &Principal) -> bool {
        canister_number(id).is_some_and(|number| (self.first..=self.last).contains(&number))
    }
}

/// All ids of a subnet, the block of new canisters last.
pub(crate) fn ranges(kind: SubnetKind, n: u64) -> Vec<CanisterRange> {
    let known = kind.known_ids().iter();
    known
        .map(|(first, last)| CanisterRange {
            first: *first,
            last: *last,
        })
        .chain([CanisterRange::of_new_canisters(n)])
        .collect()
}

/// The canister id of this number, as the Internet Computer forms them: the number, big-endian, and `01 01`.
pub(crate) fn canister_id(number: u64) -> Principal {
    let mut bytes = [1; 10];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Principal::from_slice(&bytes)
}

/// The number behind an id of that form.
pub(crate) fn canister_number(id: &Principal) -> Option<u64> {
    let number = id.as_slice().strip_suffix(&[1, 1])?;
    number.try_into().ok().map(u64::from_be_bytes)
}

/// Which subnet has which ids. Every subnet has one, to know where a call goes.
#[derive(Debug)]
pub(crate) struct Directory {
    subnets: Vec<(Principal, Vec<CanisterRange>)>,
    root: Principal,
}

impl Directory {
    pub(crate) fn new(subnets: Vec<(Principal, Vec<CanisterRange>)>, root: Principal) -> Self {
        Self { subnets, root }
    }

    /// The subnet whose canister this is, or would be.
    pub(crate) fn of_canister(&self, id: &Principal) -> Option<Principal> {
        let mut subnets = self.subnets.iter();
        subnets
            .find(|(_, ranges)| ranges.iter().any(|range| range.contains(id)))
            .map(|(subnet, _)| *subnet)
    }

    pub(crate) fn is_subnet(&self, id: &Principal) -> bool {
        self.subnets.iter().any(|(subnet, _)| subnet == id)
    }

    /// The subnet that signs for the keys of the others.
    pub(crate) fn root(&self) -> Principal {
        self.root
    }

    /// Ids of one subnet.
    pub(crate) fn ranges(&self, subnet: &Principal) -> &[CanisterRange] {
        let found = self.subnets.iter().find(|(id, _)| id == subnet);
        found.map_or(&[], |(_, ranges)| ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_subnets_share_an_id() {
        let kinds = [
            SubnetKind::Nns,
            SubnetKind::Sns,
            SubnetKind::Ii,
            SubnetKind::Fiduciary,
            SubnetKind::Bitcoin,
            SubnetKind::Application,
            SubnetKind::Application,
        ];
        let mut all: Vec<CanisterRange> = (0..)
            .zip(kinds)
            .flat_map(|(n, kind)| ranges(kind, n))
            .collect();
        all.sort_by_key(|range| range.first);
        assert!(all.windows(2).all(|pair| pair[0].last < pair[1].first));
    }

    #[test]
    fn known_canisters_are_where_they_are_on_the_internet_computer() {
        let at = |kind, text: &str| {
            let id = Principal::from_text(text).unwrap();
            ranges(kind, 0).iter().any(|range| range.contains(&id))
        };
        assert!(at(SubnetKind::Nns, "rkp4c-7iaaa-aaaaa-aaaca-cai"));
        assert!(at(SubnetKind::Ii, "rdmx6-jaaaa-aaaaa-aaadq-cai"));
        assert!(!at(SubnetKind::Nns, "rdmx6-jaaaa-aaaaa-aaadq-cai"));
        assert!(at(SubnetKind::Ii, "um5iw-rqaaa-aaaaq-qaaba-cai"));
        assert!(at(SubnetKind::Application, "lxzze-o7777-77777-aaaaa-cai"));
        assert!(!at(SubnetKind::Application, "aaaaa-aa"));
    }
}
