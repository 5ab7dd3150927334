//! Which system call may be made from which entry point.
//!
//! `contexts.csv` is the table of the IC interface specification ("System API imports") as data; a call
//! from anywhere else traps.

use std::collections::HashMap;

const TABLE: &str = include_str!("contexts.csv");

macro_rules! contexts {
    ($($variant:ident $code:literal $name:literal;)+) => {
        /// Where an execution was entered. The codes are those of the specification's table, the names those
        /// that the replica gives in errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Context { $($variant,)+ }

        impl Context {
            const ALL: &[(Self, &str)] = &[$((Self::$variant, $code),)+];

            /// Said in errors.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

contexts! {
    Start "s" "start";
    Init "I" "init";
    PreUpgrade "G" "pre upgrade";
    Update "U" "update";
    ReplicatedQuery "RQ" "replicated query";
    Query "NRQ" "non replicated query";
    Transform "TQ" "non replicated query";
    CompositeQuery "CQ" "composite query";
    Reply "Ry" "reply callback";
    Reject "Rt" "reject callback";
    CompositeReply "CRy" "composite reply callback";
    CompositeReject "CRt" "composite reject callback";
    Cleanup "C" "cleanup";
    CompositeCleanup "CC" "composite cleanup";
    Inspect "F" "inspect message";
    System "T" "system task";
}

impl Context {
    fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Changes are kept, and agreed on by the subnet.
    pub(crate) fn is_replicated(self) -> bool {
        !matches!(
            self,
            Self::Query
                | Self::Transform
                | Self::CompositeQuery
                | Self::CompositeReply
                | Self::CompositeReject
                | Self::CompositeCleanup
                | Self::Inspect
        )
    }

    /// Answers a query: more may be said, less memory may be touched.
    pub(crate) fn is_query(self) -> bool {
        self == Self::ReplicatedQuery || !self.is_replicated()
    }
}

/// The contexts that a system call may be made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowed(u32);

impl Allowed {
    pub(crate) fn contains(self, context: Context) -> bool {
        self.0 & context.bit() != 0
    }
}

/// The table, by name of the system call.
pub(crate) fn table() -> HashMap<&'static str, Allowed> {
    let row = |line: &'static str| {
        let (name, codes) = line.split_once(',')?;
        let allowed = |code| {
            Context::ALL
                .iter()
                .find(|(_, c)| *c == code)
                .map_or(0, |(c, _)| c.bit())
        };
        Some((
            name,
            Allowed(
                codes
                    .split_whitespace()
                    .map(allowed)
                    .fold(0, |all, bit| all | bit),
            ),
        ))
    };
    TABLE.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_ic0_has_a_row() {
        let table = table();
        for (name, _) in canister_module::system_api::FUNCTIONS {
            assert!(table.contains_key(name), "{name}");
        }
        let codes: Vec<&str> = Context::ALL.iter().map(|(_, code)| *code).collect();
        for line in TABLE.lines().skip(1) {
            let (name, row) = line.split_once(',').unwrap();
            assert!(row.split(' ').all(|code| codes.contains(&code)), "{name}");
        }
        assert_eq!(table.len(), canister_module::system_api::FUNCTIONS.len());
    }

    #[test]
    fn the_table_says_what_the_specification_says() {
        let table = table();
        assert!(table["call_new"].contains(Context::Update));
        assert!(!table["call_new"].contains(Context::Cleanup));
        assert!(!table["certified_data_set"].contains(Context::Query));
        assert!(table["data_certificate_copy"].contains(Context::Query));
        assert!(!table["data_certificate_copy"].contains(Context::Update));
        assert!(table["trap"].contains(Context::Start));
    }
}
