//! A canister of the suite, upgraded by app_hosting as the governors approved, under load; and a bad upgrade, put back.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use candid::Principal;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use indus_api::registry::{Action, Drift, UpgradeOrder};
use indus_client::{AuditedCanister, ClientError, Connection, ModuleHash};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::officials::Device;
use super::{Council, Stage, TourError, at, inventory, refused, unexpected};
use crate::console::Console;
use crate::upgrade::{self, Outcome, Upgrade};

const ACT: &str = "upgrading";
/// People who register while identity is upgraded, each one after another.
const CALLERS: usize = 4;
/// How long it may take until one of them is registered.
const PATIENCE: Duration = Duration::from_secs(60);
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
pub(super) const BAD: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x0a\x02\x60\x03\x7e\x7e\x7e\0\x60\0\0\
    \x02\x16\x01\x03ic0\x0estable64_write\0\0\
    \x03\x02\x01\x01\
    \x05\x03\x01\0\x01\
    \x07\x19\x01\x15canister_post_upgrade\0\x01\
    \x0a\x0e\x01\x0c\0\x42\0\x42\0\x42\x80\x80\x04\x10\0\x0b";
/// For modules that nobody has committed anywhere: the orders of a real subnet name the commit of their source.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Upgrades identity while people register, and the license manager to a module that does not come up.
pub(crate) async fn upgraded(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    under_load(stage, council, console).await?;
    itself(stage, council, console).await?;

    let (canister, module) = (stage.canisters.license_manager, stage.license_manager);
    let before = ModuleHash::of(module);
    let bad = ModuleHash::of(BAD);
    let proposal = ordered(council, canister, (&before, &bad), "0.1.0 broken").await?;
    let outcome = carried_out(stage, council, (proposal, canister), BAD, console).await?;
    let Outcome::NotLive { reason } = outcome else {
        return Err(unexpected(ACT, "the bad upgrade went live"));
    };
    // What runs is not what was approved last: the registry says so until the governors decide on it.
    inventory::expect(council, canister, Drift::Drift).await?;
    let action = inventory::record(canister, "license-manager", &before);
    council.decided(action).await?;
    inventory::expect(council, canister, Drift::Match).await?;
    console.line(format_args!(
        "restored:      a bad upgrade (proposal {proposal}): {reason}; {canister} is what it was, and goes on"
    ));
    Ok(())
}

/// Upgrades identity to the same code under another label, while people register: everybody whom it acknowledged is there.
async fn under_load(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    let (canister, module) = (stage.canisters.identity, stage.identity);
    let labelled = labelled(module, "a later build")
        .map_err(|error| unexpected(ACT, format!("the module can't be labelled: {error}")))?;
    let (before, after) = (ModuleHash::of(module), ModuleHash::of(&labelled));
    let proposal = ordered(council, canister, (&before, &after), "0.1.0 relabelled").await?;
    let (over, load) = watch::channel(false);
    let registered = Arc::new(AtomicUsize::new(0));
    let registering: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (connection, registered) = (stage.connection.clone(), registered.clone());
            tokio::spawn(registering(connection, load.clone(), registered))
        })
        .collect();
    more_than(0, &registered).await?;
    let outcome = carried_out(stage, council, (proposal, canister), &labelled, console).await;
    let afterwards = more_than(registered.load(Ordering::Relaxed), &registered).await;
    // Whoever has ended by themselves does not listen.
    let _ = over.send(true);
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for caller in registering {
        let caller = caller.await;
        let (persons, others) = caller.map_err(|error| unexpected(ACT, error.to_string()))??;
        acknowledged.extend(persons);
        refused += others;
    }
    if outcome? != Outcome::Live {
        return Err(unexpected(ACT, "the upgrade did not go live"));
    }
    afterwards?;
    inventory::expect(council, canister, Drift::Match).await?;
    for (device, person) in &acknowledged {
        if !device.is_known(*person).await? {
            return Err(unexpected(ACT, format!("person {person} was lost")));
        }
    }
    console.line(format_args!(
        "upgraded:      {canister} by proposal {proposal}, under load: {} persons registered meanwhile, each certified afterwards; {refused} \
         calls were refused in words",
        acknowledged.len()
    ));
    Ok(())
}

/// Upgrades app_hosting, which upgrades all others: the lifeline does it.
async fn itself(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    let (canister, module) = (stage.canisters.app_hosting, stage.app_hosting);
    let labelled = labelled(module, "a later build")
        .map_err(|error| unexpected(ACT, format!("the module can't be labelled: {error}")))?;
    let (before, after) = (ModuleHash::of(module), ModuleHash::of(&labelled));
    let proposal = ordered(council, canister, (&before, &after), "0.1.0 relabelled").await?;
    let outcome = carried_out(stage, council, (proposal, canister), &labelled, console).await?;
    if outcome != Outcome::Live {
        return Err(unexpected(ACT, "the upgrade did not go live"));
    }
    inventory::expect(council, canister, Drift::Match).await?;
    console.line(format_args!(
        "lifeline:      upgraded app_hosting ({canister}), which can't upgrade itself, by proposal {proposal}"
    ));
    Ok(())
}

/// Waits until more people than these are registered: before the upgrade and after it, there is a load.
async fn more_than(count: usize, registered: &AtomicUsize) -> Result<(), TourError> {
    let more = async {
        while registered.load(Ordering::Relaxed) <= count {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = timeout(PATIENCE, more).await;
    waited.map_err(|_| unexpected(ACT, "nobody can register"))
}

/// Registers one person after another until it is told to end: who was acknowledged, and how many calls were refused, by the canister or by
/// the subnet.
async fn registering(
    connection: Connection,
    mut over: watch::Receiver<bool>,
    registered: Arc<AtomicUsize>,
) -> Result<(Vec<(Device, Principal)>, usize), TourError> {
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    while !*over.borrow_and_update() {
        match Device::registered(&connection).await {
            Ok(one) => {
                acknowledged.push(one);
                registered.fetch_add(1, Ordering::Relaxed);
            }
            Err(TourError::Client {
                reason: ClientError::Refused { .. } | ClientError::Rejected { .. },
                ..
            }) => refused += 1,
            Err(other) => return Err(other),
        }
    }
    Ok((acknowledged, refused))
}

/// An order that the governors approved: its proposal.
async fn ordered(
    council: &Council,
    canister: Principal,
    (from, to): (&ModuleHash, &ModuleHash),
    version: &str,
) -> Result<u64, TourError> {
    let bytes = |hash: &ModuleHash| ByteBuf::from(hash.as_bytes().to_vec());
    let order = UpgradeOrder {
        canister,
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
    council: &Council,
    (proposal, canister): (u64, Principal),
    module: &[u8],
    console: &mut Console,
) -> Result<Outcome, TourError> {
    let registry = council.governor(1)?;
    let upgrade = Upgrade {
        registry,
        proposal,
        module: module.to_vec(),
        argument: argument()?,
    };
    let outcome = upgrade::carry_out(&upgrade, false, console).await?;
    // Either way it answers everybody again.
    let audited = AuditedCanister::new(stage.connection.clone(), canister);
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
    let wasm = labelled_wasm(&wasm, label)?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&wasm)?;
    packed.finish()
}

/// The same for a module that is not compressed.
pub(super) fn labelled_wasm(module: &[u8], label: &str) -> std::io::Result<Vec<u8>> {
    let mut wasm = module.to_vec();
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
    Ok(wasm)
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
