//! What isn't accepted, each for the reason that it is wrong for.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod commits;
mod group_infos;
mod key_packages;
mod paths;
#[path = "../support/mod.rs"]
mod support;
mod three;
