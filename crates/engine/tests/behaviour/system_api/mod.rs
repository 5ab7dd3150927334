//! The system API as canisters and their clients see it: every function in every context, its exact charge, and the
//! words that its failures are told in.

mod calls;
mod charges;
mod contexts;
mod probe;
mod texts;
