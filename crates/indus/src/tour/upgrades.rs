//! A canister of the suite, upgraded as the governors approved; and a bad upgrade, put back.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use indus_api::registry::{Action, Drift, UpgradeOrder};
use indus_client::{ModuleHash, RegistryClient};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use super::{Council, Stage, TourError, at, inventory, refused, unexpected};
use crate::console::Console;
use crate::upgrade::{self, Outcome, Upgrade};

const ACT: &str = "upgrading";
/// Largest module that is unpacked.
const MAX_MODULE_BYTES: u64 = 64 * 1024 * 1024;
/// A module that the subnet takes, that writes over all of the state, and that answers nothing.
///
/// ```text
/// (module
///   (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
///   (memory 1)
///   (func (export "canister_post_upgrade")
///     (call $write (i64.const 0) (i64.const 0) (i64.const 65536))))
/// ```
const BAD: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x0a\x02\x60\x03\x7e\x7e\x7e\0\x60\0\0\
    \x02\x16\x01\x03ic0\x0estable64_write\0\0\
    \x03\x02\x01\x01\
    \x05\x03\x01\0\x01\
    \x07\x19\x01\x15canister_post_upgrade\0\x01\
    \x0a\x0e\x01\x0c\0\x42\0\x42\0\x42\x80\x80\x04\x10\0\x0b";
/// For modules that nobody has committed anywhere: the orders of a real subnet name the commit of their source.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Upgrades the license manager to the same code under another label, and then to one that does not come up.
pub(crate) async fn upgraded(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    let canister = stage.canisters.license_manager;
    let registry = council.governor(1)?;
    let labelled = labelled(stage.license_manager, "a later build")
        .map_err(|error| unexpected(ACT, format!("the module can't be labelled: {error}")))?;
    let before = ModuleHash::of(stage.license_manager);
    let after = ModuleHash::of(&labelled);

    let proposal = ordered(stage, council, (&before, &after), "0.1.0 relabelled").await?;
    let outcome = carried_out(stage, registry, proposal, labelled, console).await?;
    if outcome != Outcome::Confirmed {
        return Err(unexpected(
            ACT,
            format!("the upgrade ended with {outcome:?}"),
        ));
    }
    inventory::expect(council, canister, Drift::Match).await?;
    console.line(format_args!(
        "upgraded:      {canister} by proposal {proposal}: healthy in maintenance, confirmed; it is observed to run what was approved"
    ));

    let bad = ModuleHash::of(BAD);
    let proposal = ordered(stage, council, (&after, &bad), "0.1.0 broken").await?;
    let outcome = carried_out(stage, registry, proposal, BAD.to_vec(), console).await?;
    let Outcome::Restored { reason } = outcome else {
        return Err(unexpected(
            ACT,
            format!("the bad upgrade ended with {outcome:?}"),
        ));
    };
    // What runs is not what was approved last: the registry says so until the governors decide on it.
    inventory::expect(council, canister, Drift::Drift).await?;
    let action = inventory::record(canister, "license-manager", &after);
    council.decided(action).await?;
    inventory::expect(council, canister, Drift::Match).await?;
    console.line(format_args!(
        "restored:      a bad upgrade (proposal {proposal}) did not come up: {reason}; {canister} is what it was, and goes on"
    ));
    Ok(())
}

/// An order that the governors approved: its proposal.
async fn ordered(
    stage: &Stage<'_>,
    council: &Council,
    (from, to): (&ModuleHash, &ModuleHash),
    version: &str,
) -> Result<u64, TourError> {
    let bytes = |hash: &ModuleHash| ByteBuf::from(hash.as_bytes().to_vec());
    let order = UpgradeOrder {
        canister: stage.canisters.license_manager,
        module_hash: bytes(to),
        argument_hash: ByteBuf::from(Sha256::digest(argument()?).to_vec()),
        previous_hash: bytes(from),
        source_commit: NO_COMMIT.into(),
        version: version.into(),
    };
    let proposal = council.decided(Action::Upgrade(order.clone())).await?;
    // The same again is refused: it would replace another module than the one that is declared now.
    let again = council.proposed(Action::Upgrade(order)).await;
    refused(ACT, "an order of yesterday", again)?;
    Ok(proposal.id)
}

async fn carried_out(
    stage: &Stage<'_>,
    registry: &RegistryClient,
    proposal: u64,
    module: Vec<u8>,
    console: &mut Console,
) -> Result<Outcome, TourError> {
    let upgrade = Upgrade {
        registry,
        controller: &stage.deployer,
        proposal,
        module,
        argument: argument()?,
        snapshot: None,
    };
    let outcome = upgrade::carry_out(&upgrade, false, console).await?;
    // Either way it answers everybody again.
    let canister = stage.canisters.license_manager;
    let audited = indus_client::AuditedCanister::new(stage.connection.clone(), canister);
    audited.head().await.map_err(at(ACT))?;
    Ok(outcome)
}

/// No argument.
fn argument() -> Result<Vec<u8>, TourError> {
    Ok(candid::encode_args(())?)
}

/// The same module (gzip) with a custom section that says `label`: the same code under another hash.
fn labelled(module: &[u8], label: &str) -> std::io::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    GzDecoder::new(module)
        .take(MAX_MODULE_BYTES)
        .read_to_end(&mut wasm)?;
    let name = "label";
    let short = |length: usize| {
        let length = u8::try_from(length).ok().filter(|length| *length < 0x80);
        length.ok_or_else(|| std::io::Error::other("the label is too long"))
    };
    // WebAssembly core specification, "Custom Section": id 0, size, name, bytes.
    wasm.push(0);
    wasm.push(short(1 + name.len() + label.len())?);
    wasm.push(short(name.len())?);
    wasm.extend_from_slice(name.as_bytes());
    wasm.extend_from_slice(label.as_bytes());
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&wasm)?;
    packed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(module: &[u8]) -> Vec<u8> {
        let mut wasm = Vec::new();
        GzDecoder::new(module).read_to_end(&mut wasm).unwrap();
        wasm
    }

    #[test]
    fn the_bad_module_is_what_it_says() {
        let text = r#"(module
            (import "ic0" "stable64_write" (func (param i64 i64 i64)))
            (memory 1)
            (func (export "canister_post_upgrade")
                (call 0 (i64.const 0) (i64.const 0) (i64.const 65536))))"#;
        assert_eq!(wat::parse_str(text).unwrap(), BAD);
    }

    #[test]
    fn a_label_is_one_section_more() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(BAD).unwrap();
        let module = packed.finish().unwrap();
        let labelled = labelled(&module, "v2").unwrap();
        let section = [&[0, 8, 5][..], b"label", b"v2"].concat();
        assert_eq!(unpacked(&labelled), [BAD, &section].concat());
        assert_ne!(ModuleHash::of(&labelled), ModuleHash::of(&module));
        assert!(super::labelled(&module, &"x".repeat(200)).is_err());
    }
}
