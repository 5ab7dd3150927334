//! The offline verifier for JavaScript: [`indus_verify`] as a WebAssembly module, for Node and browsers.
//!
//! ```js
//! const verifier = new Verifier(rootKeyDer);
//! const certificate = verifier.certificate(bytes, 'ryjl3-…', Date.now(), 300_000);
//! const witness = certificate.witness(witnessBytes);
//! const record = witness.leaf(['data', 'organisations', key]);     // Candid bytes
//!
//! const audit = new Audit();
//! const { size } = witness.logHead();
//! while (audit.size < size) audit.page(await getBlocks(audit.size), size);
//! audit.check(witness);
//! ```
//!
//! Bytes are `Uint8Array`, numbers of 64 bits `bigint`, times nanoseconds since 1970 unless they end in `Ms`. A path is an
//! array of labels, each bytes or a string (its UTF-8). Whatever is not verified throws an `Error` with one line that says
//! why; nothing is verified here, everything in `indus_verify`.
//!
//! Build and load: `scripts/build-verifier` writes `target/verifier/indus_verify.js`.

mod audit;
mod log;
mod values;
mod verifier;
mod witness;

pub use audit::{Audit, Block};
pub use log::LogHead;
pub use verifier::{Certificate, Verifier};
pub use witness::{Entry, Page, Witness};
