//! The certified map against a plain map, an independent hash tree, and crafted keys and memories.

mod behaviour;
#[path = "../limited/mod.rs"]
mod limited;
mod memories;
mod model;
mod operations;
mod random;
