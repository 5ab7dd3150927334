//! Certified structures for canisters whose state grows for ever.
