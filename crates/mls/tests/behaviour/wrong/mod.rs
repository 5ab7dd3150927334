//! What isn't accepted, each for the reason that it is wrong for.

mod commits;
mod group_infos;
mod key_packages;
mod paths;
mod three;
