//! What the delivery service knows of groups of openmls and of mls-rs, and what it does not accept.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod mls_rs_histories;
mod mutations;
mod openmls_histories;
mod support;
mod trees;
mod wrong;
