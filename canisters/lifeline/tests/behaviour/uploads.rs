//! Modules: whose they are, how many, and when they are dropped.

use indus_api::lifeline::{Ended, MAX_CHUNK_BYTES, MODULE_BYTES, ModuleArgs, ModuleOf, UploadArgs};
use lifeline::uploads;
use serde_bytes::ByteBuf;

use crate::setting::{ONE, Setting, TWO, hash, hosting, install, key, refusal, registry};

fn chunk(n: u8, module: &[u8], index: u32, bytes: &[u8]) -> UploadArgs {
    UploadArgs {
        of: ModuleOf::Keeper(key(n)),
        module_hash: hash(module),
        index,
        chunk: ByteBuf::from(bytes),
    }
}

fn there(s: &Setting, n: u8, module: &[u8]) -> bool {
    let args = ModuleArgs {
        of: ModuleOf::Keeper(key(n)),
        module_hash: hash(module),
    };
    uploads::get(&s.state, &args).is_ok()
}

#[test]
fn a_chunk_is_within_its_bounds_and_for_who_uploads_it() {
    let mut s = Setting::new();
    let mut refused = |args| refusal(s.upload_chunk(key(1), args));
    assert_eq!(refused(chunk(2, ONE, 0, ONE)), "unauthorized");
    let decided = UploadArgs {
        of: ModuleOf::Decision { proposal: 1 },
        ..chunk(1, ONE, 0, ONE)
    };
    assert_eq!(refused(decided), "unauthorized");
    assert_eq!(refused(chunk(1, ONE, 0, b"")), "invalid chunk");
    let long = vec![0; MAX_CHUNK_BYTES + 1];
    assert_eq!(refused(chunk(1, ONE, 0, &long)), "invalid chunk");
    assert_eq!(refused(chunk(1, ONE, 1, ONE)), "invalid index");
    let short = UploadArgs {
        module_hash: ByteBuf::from([1; 31]),
        ..chunk(1, ONE, 0, ONE)
    };
    assert_eq!(refused(short), "invalid module_hash");
}

#[test]
fn nobody_pushes_out_what_somebody_else_uploads() {
    let mut s = Setting::new();
    s.upload(1, ONE).unwrap();
    let proposed = s.propose(1, install(registry(), ONE)).unwrap();
    s.upload(1, TWO).unwrap();
    // Keeper 2 uploads as much as they like, and keeper 1 what is not needed.
    let mib = vec![7; MAX_CHUNK_BYTES];
    let rounds = u32::try_from(MODULE_BYTES).unwrap() / u32::try_from(MAX_CHUNK_BYTES).unwrap();
    for n in [2, 1] {
        for index in 0..rounds {
            let filled = s.upload_chunk(key(n), chunk(n, b"large", index, &mib));
            if n == 1 && index + 1 == rounds {
                assert_eq!(refusal(filled), format!("limit {MODULE_BYTES}"));
            } else {
                filled.unwrap();
            }
        }
    }
    assert!(there(&s, 1, ONE), "it is proposed");
    s.approve(3, &proposed).unwrap();
    s.approve(4, &proposed).unwrap();
    assert_eq!(s.carried(proposed.id, Some(TWO), true).0, Ended::Live);
}

#[test]
fn a_module_is_kept_until_it_is_live() {
    let mut s = Setting::new();
    let begun = s.agreed(install(registry(), ONE)).unwrap();
    s.carried(begun.id, Some(TWO), false);
    assert!(there(&s, 1, ONE), "it may be tried again");
    let again = s.propose(1, install(registry(), ONE)).unwrap();
    s.approve(2, &again).unwrap();
    s.approve(3, &again).unwrap();
    // The same module is meant for the other canister too.
    let other = s.propose(1, install(hosting(), ONE)).unwrap();
    s.carried(again.id, Some(TWO), true);
    assert!(there(&s, 1, ONE));
    s.approve(2, &other).unwrap();
    s.approve(3, &other).unwrap();
    s.carried(other.id, Some(TWO), true);
    assert!(!there(&s, 1, ONE));
    s.audit();
}
