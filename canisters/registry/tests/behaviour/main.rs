//! What callers of the registry can rely on.
#![allow(clippy::unwrap_used)]

mod certified;
mod consent;
mod histories;
mod inventory;
mod organisations;
mod proposals;
mod residency;
mod roles;
mod services;
mod setting;
