//! What every Indus canister needs once.
