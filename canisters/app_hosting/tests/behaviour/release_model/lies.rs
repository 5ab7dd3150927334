//! Modules that are not what they are said to be, and such as are too large: each is refused, and nothing changes.

use app_hosting::uploads;
use candid::Principal;
use indus_api::{
    Error, Subject,
    hosting::{MAX_CHUNK_BYTES, MAX_CHUNKS, ModuleArgs, ReleaseOf, UploadArgs, Uploaded},
};
use rand::RngExt as _;
use serde_bytes::ByteBuf;

use super::{History, MODULE_BYTES, MODULES, What};
use crate::{releases::hash, setting::refusal};

/// Of these there are only names.
const NEVER: &[u8] = b"nobody ever uploads it";
const LARGE: &[u8] = b"too large";

impl History {
    fn chunk(
        &mut self,
        who: &Subject,
        app: u64,
        module_hash: &ByteBuf,
        (index, chunk): (u32, &[u8]),
    ) -> Result<Uploaded, Error> {
        let args = UploadArgs {
            of: ReleaseOf::App(app),
            module_hash: module_hash.clone(),
            index,
            chunk: ByteBuf::from(chunk),
        };
        self.s.update(who, |state, context| {
            uploads::upload(state, context, who, args)
        })
    }

    fn known(&self, app: u64, module_hash: &ByteBuf) -> Uploaded {
        let args = ModuleArgs {
            of: ReleaseOf::App(app),
            module_hash: module_hash.clone(),
        };
        uploads::get(&self.s.state, &args).unwrap()
    }

    /// Something is uploaded under the hash of something else, and proposed.
    pub(super) fn lie(&mut self, canister: Principal) {
        let (who, app) = self.canisters[&canister].owner();
        let module = self.random.random_range(0..=MODULES.len());
        let lied = hash(MODULES.get(module).unwrap_or(&NEVER));
        if self.complete.contains(&(app, module)) {
            // It has its hash, and keeps it.
            let before = self.known(app, &lied);
            assert!(before.complete);
            let chunk = self.chunk(&who, app, &lied, (0, b"another"));
            assert_eq!(refusal(chunk), "conflict");
            assert_eq!(self.known(app, &lied), before);
            return;
        }
        self.chunk(&who, app, &lied, (0, b"another")).unwrap();
        self.chunk(&who, app, &lied, (1, b" module")).unwrap();
        self.refused(canister, &lied, (2, 14));
    }

    /// A module is uploaded that is larger than one may be, and proposed.
    pub(super) fn exceed(&mut self, canister: Principal) {
        let (who, app) = self.canisters[&canister].owner();
        let large = hash(LARGE);
        self.chunk(&who, app, &large, (0, b"x")).unwrap();
        let most = vec![0; MAX_CHUNK_BYTES + 1];
        let limit = format!("limit {MODULE_BYTES}");
        for (index, chunk, refused) in [
            (1, most.as_slice(), "invalid chunk"),
            // The first one has taken room, too.
            (1, &most[1..], &limit),
            (2, b"y", "invalid index"),
            (MAX_CHUNKS, b"y", "invalid index"),
        ] {
            let answer = self.chunk(&who, app, &large, (index, chunk));
            assert_eq!(refusal(answer), refused);
        }
        self.refused(canister, &large, (1, 1));
    }

    /// Nobody can propose so many chunks and bytes by that hash.
    fn refused(&mut self, canister: Principal, module_hash: &ByteBuf, (chunks, bytes): (u32, u64)) {
        let (who, app) = self.canisters[&canister].owner();
        let what = What {
            module: 0,
            probed: self.random.random_bool(0.5),
        };
        let mut args = what.proposal(canister);
        args.module_hash = module_hash.clone();
        let answer = self.s.propose(&who, args);
        let expected = match self.canisters[&canister].open {
            Some(_) => "conflict",
            None => "invalid module_hash",
        };
        assert_eq!(refusal(answer), expected);
        let incomplete = Uploaded {
            chunks,
            bytes,
            complete: false,
        };
        assert_eq!(self.known(app, module_hash), incomplete);
    }
}
