//! What callers of the registry can rely on.
#![allow(clippy::unwrap_used)]

mod certified;
mod model;
mod organisations;
mod setting;
