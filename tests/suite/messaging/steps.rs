//! A conversation from its first key package to the removal of a member, step by step: what faults are tried on.

use std::{collections::BTreeMap, rc::Rc};

use candid::{CandidType, Encode, Reserved};
use indus_api::{
    Error,
    messaging::{
        ClaimArgs, Claims, CommitOutcome, Configuration, ConversationView, CreateArgs, Label,
        Receipt, UploadArgs,
    },
};
use indus_verify::LogRoot;
use pocket_ic::RejectResponse;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use super::{Member, Post, devices::Device, is_unauthorized};
use crate::{decisions::configure, suite::key};

/// The conversation.
pub(crate) const ID: u64 = 1;

/// A call of messaging.
pub(crate) struct Step {
    caller: &'static str,
    pub(crate) method: &'static str,
    /// Made once: what is sent again is the same.
    pub(crate) args: fn(&mut Scene) -> Vec<u8>,
    /// What everybody does with the answer.
    pub(crate) then: fn(&mut Scene, &[u8]),
}

/// Two officials with a device each, and a decision about messaging.
pub(crate) struct Scene {
    pub(crate) post: Post,
    phone: Rc<Device>,
    claimed: Vec<ByteBuf>,
    pub(crate) members: BTreeMap<&'static str, Member>,
    decision: u64,
}

impl Step {
    pub(crate) fn take(&self, scene: &Scene, args: Vec<u8>) -> Result<Vec<u8>, RejectResponse> {
        let (pic, canister) = (&scene.post.pic, scene.post.canister);
        pic.update_call(canister, key(self.caller), self.method, args)
    }

    /// The call, under way.
    pub(crate) fn begin(
        &self,
        scene: &Scene,
        args: Vec<u8>,
    ) -> pocket_ic::common::rest::RawMessageId {
        scene.post.begin(self.caller, self.method, args)
    }
}

/// Whether it is an answer, and not an error.
pub(crate) fn is_ok(reply: &Result<Vec<u8>, RejectResponse>) -> bool {
    reply.as_ref().is_ok_and(|reply| {
        candid::decode_one::<Result<Reserved, Error>>(reply)
            .unwrap()
            .is_ok()
    })
}

pub(crate) static STEPS: [Step; 9] = [
    Step {
        caller: "bilal",
        method: "upload_key_packages",
        args: |scene| {
            let key_packages = vec![scene.phone.package(), scene.phone.last_resort()];
            Encode!(&UploadArgs { key_packages }).unwrap()
        },
        then: |_, reply| assert_eq!(ok::<u32>(reply), 1),
    },
    Step {
        caller: "ayesha",
        method: "create_conversation",
        args: |scene| {
            let founder = scene.post.device("ayesha").found();
            let args = CreateArgs {
                group_info: founder.group_info(),
                label: Label::Official,
            };
            scene.enter(Member::new("ayesha", founder, LogRoot::default()));
            Encode!(&args).unwrap()
        },
        then: |scene, reply| {
            assert_eq!(ok::<ConversationView>(reply).conversation.id, ID);
            scene.follow();
        },
    },
    Step {
        caller: "ayesha",
        method: "claim_key_packages",
        args: |scene| {
            let args = ClaimArgs {
                idempotency_key: ByteBuf::from(*b"once"),
                persons: vec![scene.phone.person],
            };
            Encode!(&args).unwrap()
        },
        then: |scene, reply| {
            let claims: Claims = ok(reply);
            assert_eq!(
                claims.claimed[0].signature_key.as_slice(),
                scene.phone.key()
            );
            assert!(!claims.claimed[0].last_resort);
            let packages = claims.claimed.into_iter().map(|one| one.key_package);
            scene.claimed = packages.collect();
            assert_eq!(scene.claimed.len(), 1);
        },
    },
    Step {
        caller: "ayesha",
        method: "submit_commit",
        args: |scene| {
            let claimed = scene.claimed.clone();
            Encode!(&scene.member("ayesha").commit(ID, &claimed, &[])).unwrap()
        },
        then: |scene, reply| {
            accepted(reply, 0);
            scene.follow();
            let joined = Member::join(&scene.post, "bilal", scene.phone.clone(), ID);
            scene.enter(joined);
        },
    },
    Step {
        caller: "ayesha",
        method: "post_message",
        args: |scene| Encode!(&scene.member("ayesha").write(ID, "خوش آمدید".as_bytes())).unwrap(),
        then: |scene, reply| {
            assert_eq!(ok::<Receipt>(reply).index, 2);
            scene.follow();
        },
    },
    Step {
        caller: "bilal",
        method: "submit_commit",
        args: |scene| Encode!(&scene.member("bilal").commit(ID, &[], &[])).unwrap(),
        then: |scene, reply| {
            accepted(reply, 1);
            scene.follow();
        },
    },
    Step {
        caller: "bilal",
        method: "post_message",
        args: |scene| Encode!(&scene.member("bilal").write(ID, "شکریہ".as_bytes())).unwrap(),
        then: |scene, reply| {
            assert_eq!(ok::<Receipt>(reply).epoch, 2);
            scene.follow();
        },
    },
    Step {
        caller: "anybody",
        method: "apply_decision",
        args: |scene| Encode!(&scene.decision).unwrap(),
        then: |_, reply| ok(reply),
    },
    Step {
        caller: "ayesha",
        method: "submit_commit",
        args: |scene| Encode!(&scene.member("ayesha").commit(ID, &[], &[1])).unwrap(),
        then: |scene, reply| {
            accepted(reply, 2);
            let removed = scene.members.remove("bilal").unwrap();
            let view: Result<ConversationView, Error> =
                scene.post.ask(removed.name, "get_conversation", (ID,));
            assert!(is_unauthorized(&view));
            scene.follow();
            let read = &scene.member("ayesha").texts;
            assert_eq!(*read, ["خوش آمدید".as_bytes(), "شکریہ".as_bytes()]);
            assert_eq!(removed.texts, *read);
        },
    },
];

fn ok<T: CandidType + DeserializeOwned>(reply: &[u8]) -> T {
    candid::decode_one::<Result<T, Error>>(reply)
        .unwrap()
        .unwrap()
}

/// It is the commit that ended this epoch.
fn accepted(reply: &[u8], epoch: u64) {
    let CommitOutcome::Accepted(receipt) = ok(reply) else {
        panic!("there was no other");
    };
    assert_eq!(receipt.epoch, epoch);
}

impl Scene {
    pub(crate) fn new(post: Post) -> Self {
        for name in ["ayesha", "bilal"] {
            post.official(key(name), "clerk");
        }
        let configuration = Configuration {
            daily_claims: Some(7),
        };
        let decision = post.decided(configure(post.canister, &configuration)).id;
        Self {
            phone: post.device("bilal"),
            post,
            claimed: Vec::new(),
            members: BTreeMap::new(),
            decision,
        }
    }

    /// Takes a step that is answered.
    pub(crate) fn take(&mut self, step: &Step) {
        let args = (step.args)(self);
        let reply = step.take(self, args);
        assert!(is_ok(&reply), "{}: {reply:?}", step.method);
        (step.then)(self, &reply.unwrap());
    }

    fn enter(&mut self, member: Member) {
        self.members.insert(member.name, member);
    }

    fn member(&mut self, name: &str) -> &mut Member {
        self.members.get_mut(name).unwrap()
    }

    /// Everybody reads on, and they agree.
    fn follow(&mut self) {
        let mut known = Vec::new();
        for member in self.members.values_mut() {
            member.follow(&self.post, ID);
            let authenticator = member.seat.group.epoch_authenticator();
            known.push(authenticator.as_slice().to_vec());
        }
        known.dedup();
        assert_eq!(known.len(), 1);
    }
}
