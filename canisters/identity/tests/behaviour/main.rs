//! What callers of identity can rely on.
#![allow(clippy::unwrap_used)]

mod access;
mod bounds;
mod certified;
mod clock;
mod credentials;
mod layouts;
mod messaging_keys;
mod model;
mod persons;
mod recoveries;
mod roles;
mod setting;
mod sparse;
mod subjects;
