//! What callers of the license manager can rely on.
#![allow(clippy::unwrap_used)]

mod applying;
mod bounds;
mod configuration;
mod granting;
mod layouts;
mod model;
mod roles;
mod seats;
mod setting;
