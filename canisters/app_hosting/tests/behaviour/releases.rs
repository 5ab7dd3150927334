//! Releases: who agrees to them, what is kept for them, how they end. What the subnet answers to their steps is in the orchestrator's own
//! tests; here it is the shortest way to each end.

use app_hosting::{releases, uploads};
use candid::Principal;
use indus_api::{
    Error,
    hosting::{
        APP_APPROVER, ApproveReleaseArgs, CarryOutArgs, Configuration, Ended, Failure, HealthCheck,
        ListReleasesArgs, MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_RELEASE_ARGUMENT_BYTES, ModuleArgs,
        ProposeReleaseArgs, Release, ReleaseOf, ReleaseState, RollBackArgs, UploadArgs, Uploaded,
    },
    registry::{ApprovedUpgrade, UpgradeOrder},
};
use indus_kit::Context;
use indus_orchestrator::{
    Answer, Going, Step,
    step::{Changes, Running, Settings, Snapshot, Status},
};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::setting::{Setting, canister, developer, founder, key, named, own, refusal};

pub(crate) fn hash(bytes: &[u8]) -> ByteBuf {
    ByteBuf::from(Sha256::digest(bytes).to_vec())
}

pub(crate) fn approver(n: u8, organisation: u64) -> indus_api::Subject {
    indus_api::Subject {
        roles: [APP_APPROVER.to_owned()].into(),
        ..developer(n, organisation)
    }
}

pub(crate) fn proposal(canister: Principal, module: &[u8]) -> ProposeReleaseArgs {
    ProposeReleaseArgs {
        canister,
        module_hash: hash(module),
        argument: ByteBuf::from(*b"DIDL\0\0"),
        health: HealthCheck::Installs,
        keep_memory: false,
    }
}

impl Setting {
    fn upload_chunk(
        &mut self,
        subject: &indus_api::Subject,
        of: ReleaseOf,
        hash: &ByteBuf,
        (index, chunk): (u32, &[u8]),
    ) -> Result<Uploaded, Error> {
        let args = UploadArgs {
            of,
            module_hash: hash.clone(),
            index,
            chunk: ByteBuf::from(chunk),
        };
        self.update(subject, |state, context| {
            uploads::upload(state, context, subject, args)
        })
    }

    /// Uploads a module in two chunks.
    pub(crate) fn upload(
        &mut self,
        subject: &indus_api::Subject,
        app: u64,
        module: &[u8],
    ) -> Result<Uploaded, Error> {
        let (first, second) = module.split_at(module.len() / 2);
        let of = ReleaseOf::App(app);
        self.upload_chunk(subject, of, &hash(module), (0, first))?;
        self.upload_chunk(subject, of, &hash(module), (1, second))
    }

    pub(crate) fn propose(
        &mut self,
        subject: &indus_api::Subject,
        args: ProposeReleaseArgs,
    ) -> Result<Release, Error> {
        let entitled = self.licensed.contains(&subject.person);
        self.update(subject, |state, context| {
            releases::propose(state, context, subject, entitled, args)
        })
    }

    pub(crate) fn approve(
        &mut self,
        subject: &indus_api::Subject,
        release: &Release,
    ) -> Result<Release, Error> {
        let args = ApproveReleaseArgs {
            release: release.id,
            module_hash: release.module_hash.clone(),
            argument_hash: release.argument_hash.clone(),
        };
        self.update(subject, |state, context| {
            releases::approve(state, context, subject, &args)
        })
    }

    pub(crate) fn withdraw(
        &mut self,
        subject: &indus_api::Subject,
        id: u64,
    ) -> Result<Release, Error> {
        self.update(subject, |state, context| {
            releases::withdraw(state, context, subject, id)
        })
    }

    pub(crate) fn roll_back(
        &mut self,
        subject: &indus_api::Subject,
        canister: Principal,
        to: Option<u64>,
    ) -> Result<Release, Error> {
        let entitled = self.licensed.contains(&subject.person);
        self.update(subject, |state, context| {
            releases::roll_back(
                state,
                context,
                subject,
                entitled,
                RollBackArgs { canister, to },
            )
        })
    }

    /// Has an upgrade carried out that founder 1 decided as a governor.
    pub(crate) fn carry_out(&mut self, subject: &indus_api::Subject) -> Result<Release, Error> {
        let decided = upgrade(5, canister(2), TWO);
        let of = ReleaseOf::Upgrade { proposal: 5 };
        let chunk = UploadArgs {
            of,
            module_hash: hash(TWO),
            index: 0,
            chunk: ByteBuf::from(TWO),
        };
        self.update(&founder(1), |state, context| {
            uploads::upload_for_upgrade(state, context, &decided, chunk)
        })
        .unwrap();
        let args = CarryOutArgs {
            proposal: 5,
            argument: ByteBuf::from(*b"DIDL\0\0"),
        };
        self.update(subject, |state, context| {
            releases::carry_out(state, context, &decided, args)
        })
    }

    /// Carries a release out on a canister that runs `before`; its installation succeeds, or is refused.
    pub(crate) fn carried(
        &mut self,
        id: u64,
        before: Option<&[u8]>,
        good: bool,
    ) -> (Ended, Vec<Step>) {
        let (ended, steps) = self.steps(id, before, good, 50);
        (ended.expect("it ends"), steps)
    }

    /// The same, so many steps of it at most: how it ended, if it has.
    pub(crate) fn steps(
        &mut self,
        id: u64,
        before: Option<&[u8]>,
        good: bool,
        most: usize,
    ) -> (Option<Ended>, Vec<Step>) {
        self.steps_with(id, before, most, |step, answer| match step {
            Step::Install { .. } if !good => Some(Answer::Rejected("it trapped".into())),
            _ => Some(answer),
        })
    }

    /// The same on a subnet that answers otherwise than a good one, or not at all.
    pub(crate) fn steps_with(
        &mut self,
        id: u64,
        before: Option<&[u8]>,
        most: usize,
        mut instead: impl FnMut(&Step, Answer) -> Option<Answer>,
    ) -> (Option<Ended>, Vec<Step>) {
        let status = Status {
            status: Running::Running,
            module_hash: before.map(hash),
            settings: Settings {
                controllers: vec![own()],
            },
        };
        let mut steps = Vec::new();
        for _ in 0..most {
            self.reopen();
            let subject = founder(1);
            let next = self
                .update(&subject, |state, context| {
                    releases::next(state, context, id)
                })
                .unwrap();
            let Some((_, step)) = next else {
                let ReleaseState::Ended { how, .. } = self.release(id).state else {
                    panic!("it has not ended");
                };
                return (Some(how), steps);
            };
            let answer = match &step {
                Step::Changes => Answer::Changes(Changes { total: 1, ours: 0 }),
                Step::Status => Answer::Status(status.clone()),
                Step::UploadChunk(bytes) => Answer::Chunk(hash(bytes)),
                Step::TakeSnapshot { .. } | Step::ListSnapshots => {
                    Answer::Snapshots(vec![Snapshot {
                        id: ByteBuf::from([1]),
                        taken_at_timestamp: u64::MAX,
                    }])
                }
                _ => Answer::Done,
            };
            let answer = instead(&step, answer);
            steps.push(step);
            let Some(answer) = answer else { continue };
            let going = self
                .update(&subject, |state, context| {
                    releases::answered(state, context, id, answer)
                })
                .unwrap();
            if let Going::Ended(ended) = going {
                return (Some(ended), steps);
            }
        }
        (None, steps)
    }

    /// The canister of a release, if there is one.
    pub(crate) fn state_of(&self, id: u64) -> Option<Principal> {
        releases::get(&self.state, id).ok().map(|one| one.canister)
    }

    /// A release as it is certified.
    pub(crate) fn release(&self, id: u64) -> Release {
        let release = releases::get(&self.state, id).unwrap();
        assert_eq!(self.certified_release(id), release);
        release
    }

    /// An app of founder 1 with one canister.
    fn with_canister() -> (Self, Principal) {
        let mut s = Self::new();
        s.create_app(&founder(1), named("kisan", None)).unwrap();
        let creation = s.begin(&founder(1)).unwrap();
        let canister = s.created(&founder(1), &creation).unwrap();
        (s, canister)
    }

    /// An app of organisation 7 with one canister, whose developer is 2 and whose approver is 3.
    fn of_agency() -> (Self, Principal) {
        let mut s = Self::new();
        let office = developer(2, 7);
        s.create_app(&office, named("tax", Some(7))).unwrap();
        s.choose(&office, 1).unwrap();
        let creation = s.begin(&office).unwrap();
        assert_eq!(creation.controllers, [own()]);
        let canister = s.created(&office, &creation).unwrap();
        (s, canister)
    }
}

pub(crate) const ONE: &[u8] = b"the first module";
pub(crate) const TWO: &[u8] = b"the second module";
const THREE: &[u8] = b"the third module";

#[test]
fn a_founder_releases_at_once_and_the_canister_says_so() {
    let (mut s, canister) = Setting::with_canister();
    let one = founder(1);
    s.upload(&one, 1, ONE).unwrap();
    let release = s.propose(&one, proposal(canister, ONE)).unwrap();
    assert!(matches!(release.state, ReleaseState::Running { .. }));
    assert_eq!((release.id, release.number), (1, 1));
    assert_eq!(s.state.pending.len(), 1);
    // The same again is the same; another one waits.
    assert_eq!(s.propose(&one, proposal(canister, ONE)), Ok(release));
    s.upload(&one, 1, TWO).unwrap();
    let other = s.propose(&one, proposal(canister, TWO));
    assert_eq!(refusal(other), "conflict");

    let (ended, steps) = s.carried(1, None, true);
    assert_eq!(ended, Ended::Live);
    let uploads = steps
        .iter()
        .filter(|step| matches!(step, Step::UploadChunk(_)));
    assert_eq!(uploads.count(), 2);
    let release = s.release(1);
    assert!(matches!(
        release.state,
        ReleaseState::Ended {
            how: Ended::Live,
            ..
        }
    ));
    assert_eq!(release.replaced, None);
    let hosted = s.canisters(1).remove(0);
    assert_eq!((hosted.release, hosted.release_before), (Some(1), None));
    assert_eq!(hosted.module_hash, Some(hash(ONE)));

    s.propose(&one, proposal(canister, TWO)).unwrap();
    assert_eq!(s.carried(2, Some(ONE), true).0, Ended::Live);
    assert_eq!(s.release(2).replaced, Some(hash(ONE)));
    assert_eq!(s.release(2).number, 2);
    let hosted = s.canisters(1).remove(0);
    assert_eq!((hosted.release, hosted.release_before), (Some(2), Some(1)));
    s.audit();
}

#[test]
fn a_release_that_fails_leaves_the_canister_as_it_was() {
    let (mut s, canister) = Setting::with_canister();
    let one = founder(1);
    s.upload(&one, 1, ONE).unwrap();
    s.propose(&one, proposal(canister, ONE)).unwrap();
    s.carried(1, None, true);
    s.upload(&one, 1, TWO).unwrap();
    s.propose(&one, proposal(canister, TWO)).unwrap();
    let refused = Ended::Refused(Failure::NotInstalled);
    assert_eq!(s.carried(2, Some(ONE), false).0, refused);
    let hosted = s.canisters(1).remove(0);
    assert_eq!((hosted.release, hosted.release_before), (Some(1), None));
    let said = releases::message(&s.state, || Ok(one.clone()), 2).unwrap();
    assert_eq!(said.as_deref(), Some("it trapped"));
    assert_eq!(
        refusal(releases::message(&s.state, || Ok(founder(2)), 2)),
        "unauthorized"
    );
    // And another one may come.
    s.propose(&one, proposal(canister, TWO)).unwrap();
    assert_eq!(s.carried(3, Some(ONE), true).0, Ended::Live);
    let listed = |after| {
        let args = ListReleasesArgs {
            canister,
            after,
            limit: 2,
        };
        releases::list(&s.state, args).unwrap()
    };
    let first = listed(None);
    assert_eq!(first.items.len(), 2);
    assert_eq!(listed(first.next).items, [s.release(3)]);
    s.audit();
}

#[test]
fn an_agency_releases_with_two_persons() {
    let (mut s, canister) = Setting::of_agency();
    let office = developer(2, 7);
    s.upload(&office, 1, ONE).unwrap();
    let release = s.propose(&office, proposal(canister, ONE)).unwrap();
    assert_eq!(release.state, ReleaseState::Proposed);
    assert_eq!(s.state.pending.len(), 0);
    // Not the one who proposed it, whatever roles they have; not another agency; not a developer.
    let mut both = approver(2, 7);
    both.roles.extend(office.roles.clone());
    for nobody in [both, approver(3, 8), developer(3, 7), founder(3)] {
        assert_eq!(refusal(s.approve(&nobody, &release)), "unauthorized");
    }
    for (field, other) in [
        (
            "invalid module_hash",
            Release {
                module_hash: hash(TWO),
                ..release.clone()
            },
        ),
        (
            "invalid argument_hash",
            Release {
                argument_hash: hash(TWO),
                ..release.clone()
            },
        ),
    ] {
        assert_eq!(refusal(s.approve(&approver(3, 7), &other)), field);
    }
    let approved = s.approve(&approver(3, 7), &release).unwrap();
    assert!(matches!(approved.state, ReleaseState::Running { .. }));
    assert_eq!(s.approve(&approver(3, 7), &release), Ok(approved));
    assert_eq!(
        refusal(s.approve(&approver(4, 7), &release)),
        "conflict",
        "it runs"
    );
    assert_eq!(refusal(s.withdraw(&office, 1)), "conflict");
    assert_eq!(s.carried(1, None, true).0, Ended::Live);
    assert_eq!(s.release(1).approved_by, Some(approver(3, 7).person));
    s.audit();
}

#[test]
fn who_else_controls_an_agencys_canister_is_found_out() {
    let (mut s, canister) = Setting::of_agency();
    let office = developer(2, 7);
    s.upload(&office, 1, ONE).unwrap();
    let release = s.propose(&office, proposal(canister, ONE)).unwrap();
    s.approve(&approver(3, 7), &release).unwrap();
    let next = |s: &mut Setting| {
        let next = s.update(&office, |state, context| releases::next(state, context, 1));
        next.unwrap().unwrap().1
    };
    assert_eq!(next(&mut s), Step::Changes);
    let unchanged = Answer::Changes(Changes { total: 1, ours: 0 });
    s.update(&office, |state, context| {
        releases::answered(state, context, 1, unchanged)
    })
    .unwrap();
    assert_eq!(next(&mut s), Step::Status);
    let status = Status {
        status: Running::Running,
        module_hash: None,
        settings: Settings {
            controllers: vec![own(), key(2)],
        },
    };
    let going = s.update(&office, |state, context| {
        releases::answered(state, context, 1, Answer::Status(status))
    });
    let foreign = Ended::Refused(Failure::ForeignControllers);
    assert_eq!(going, Ok(Going::Ended(foreign)));
    s.audit();
}

#[test]
fn a_proposal_is_taken_back_by_either_side() {
    let (mut s, canister) = Setting::of_agency();
    let office = developer(2, 7);
    s.upload(&office, 1, ONE).unwrap();
    for who in [office.clone(), approver(3, 7)] {
        let release = s.propose(&office, proposal(canister, ONE)).unwrap();
        assert_eq!(refusal(s.withdraw(&founder(4), release.id)), "unauthorized");
        let withdrawn = s.withdraw(&who, release.id).unwrap();
        assert!(matches!(withdrawn.state, ReleaseState::Withdrawn { .. }));
        assert_eq!(s.withdraw(&who, release.id), Ok(withdrawn));
        assert_eq!(refusal(s.approve(&approver(3, 7), &release)), "conflict");
    }
    s.audit();
}

#[test]
fn a_module_comes_in_order_and_has_its_hash() {
    let (mut s, canister) = Setting::with_canister();
    let one = founder(1);
    let of = ReleaseOf::App(1);
    let lied = hash(b"something else");
    let chunk =
        |s: &mut Setting, index, bytes: &[u8]| s.upload_chunk(&one, of, &lied, (index, bytes));
    assert_eq!(refusal(chunk(&mut s, 1, ONE)), "invalid index");
    assert_eq!(refusal(chunk(&mut s, 0, b"")), "invalid chunk");
    let long = vec![0; MAX_CHUNK_BYTES + 1];
    assert_eq!(refusal(chunk(&mut s, 0, &long)), "invalid chunk");
    let told = chunk(&mut s, 0, ONE).unwrap();
    assert_eq!((told.chunks, told.bytes, told.complete), (1, 16, false));
    assert_eq!(chunk(&mut s, 0, ONE), Ok(told));
    assert_eq!(chunk(&mut s, 1, TWO).unwrap().bytes, 33);
    assert_eq!(chunk(&mut s, 1, THREE).unwrap().bytes, 32);
    let mut args = proposal(canister, ONE);
    args.module_hash = lied.clone();
    assert_eq!(refusal(s.propose(&one, args)), "invalid module_hash");
    // The first one again begins anew.
    assert_eq!(
        s.upload_chunk(&one, of, &lied, (0, b"something else"))
            .unwrap()
            .chunks,
        1
    );
    let mut args = proposal(canister, ONE);
    args.module_hash = lied.clone();
    s.propose(&one, args).unwrap();
    let changed = s.upload_chunk(&one, of, &lied, (0, b"other"));
    assert_eq!(refusal(changed), "conflict");
    let known = |module: &[u8]| {
        let args = ModuleArgs {
            of,
            module_hash: hash(module),
        };
        uploads::get(&s.state, &args)
    };
    assert!(known(b"something else").unwrap().complete);
    assert_eq!(refusal(known(ONE)), "no module");
}

#[test]
fn a_module_has_a_hundred_chunks_at_most() {
    let (mut s, _) = Setting::with_canister();
    let of = ReleaseOf::App(1);
    for index in 0..MAX_CHUNKS {
        s.upload_chunk(&founder(1), of, &hash(ONE), (index, b"x"))
            .unwrap();
    }
    let one_more = s.upload_chunk(&founder(1), of, &hash(ONE), (MAX_CHUNKS, b"x"));
    assert_eq!(refusal(one_more), "invalid index");
}

#[test]
fn what_is_asked_for_is_bounded() {
    let (mut s, canister) = Setting::with_canister();
    let one = founder(1);
    s.upload(&one, 1, ONE).unwrap();
    let long = ProposeReleaseArgs {
        argument: ByteBuf::from(vec![0; MAX_RELEASE_ARGUMENT_BYTES + 1]),
        ..proposal(canister, ONE)
    };
    assert_eq!(
        refusal(s.propose(&one, long)),
        format!("limit {MAX_RELEASE_ARGUMENT_BYTES}")
    );
    let short = ProposeReleaseArgs {
        module_hash: ByteBuf::from([1; 31]),
        ..proposal(canister, ONE)
    };
    assert_eq!(refusal(s.propose(&one, short)), "invalid module_hash");
    for method in [String::new(), "m".repeat(101)] {
        let args = ProposeReleaseArgs {
            health: HealthCheck::Method(method),
            ..proposal(canister, ONE)
        };
        assert_eq!(refusal(s.propose(&one, args)), "invalid health");
    }
    let nowhere = proposal(own(), ONE);
    assert_eq!(refusal(s.propose(&one, nowhere)), "no canister");
    let unknown = proposal(canister, TWO);
    assert_eq!(refusal(s.propose(&one, unknown)), "no module");
    assert_eq!(
        refusal(s.propose(&founder(2), proposal(canister, ONE))),
        "unauthorized"
    );
    s.licensed.remove(&one.person);
    assert_eq!(
        refusal(s.propose(&one, proposal(canister, ONE))),
        "unauthorized"
    );
    assert_eq!(refusal(s.upload(&founder(2), 1, TWO)), "unauthorized");
    assert_eq!(refusal(s.upload(&one, 9, TWO)), "no app");
}

#[test]
fn modules_that_nobody_needs_make_room_and_others_stay() {
    let mut s = Setting::with(Configuration {
        module_bytes_of_app: 1_048_576,
        ..Configuration::default()
    });
    let one = founder(1);
    s.create_app(&one, named("kisan", None)).unwrap();
    let creation = s.begin(&one).unwrap();
    let canister = s.created(&one, &creation).unwrap();
    let module = |n: u8| vec![n; 300_000];
    for n in 1..=3_u8 {
        s.upload(&one, 1, &module(n)).unwrap();
        s.propose(&one, proposal(canister, &module(n))).unwrap();
        s.carried(n.into(), None, true);
    }
    // For a fourth one the first one makes room, which nobody needs any more.
    s.upload(&one, 1, &module(4)).unwrap();
    assert_eq!(refusal(s.roll_back(&one, canister, Some(1))), "no module");
    // What runs stays: there is no room for one that is so large.
    let large = vec![5; 800_000];
    assert_eq!(refusal(s.upload(&one, 1, &large)), "limit 1048576");
    // What ran before is only a way back: it stays as long as there is room.
    let small = vec![6; 400_000];
    s.upload(&one, 1, &small).unwrap();
    let back = s.roll_back(&one, canister, None).unwrap();
    assert_eq!(back.rolls_back_to, Some(2));
    s.carried(4, Some(&module(3)), true);
    let large = vec![7; 700_000];
    s.upload(&one, 1, &large).unwrap();
    assert_eq!(refusal(s.roll_back(&one, canister, None)), "no module");
    s.propose(&one, proposal(canister, &large)).unwrap();
    s.audit();
}

#[test]
fn what_was_live_comes_back() {
    let (mut s, canister) = Setting::with_canister();
    let one = founder(1);
    for (n, module) in [(1, ONE), (2, TWO)] {
        s.upload(&one, 1, module).unwrap();
        s.propose(&one, proposal(canister, module)).unwrap();
        s.carried(n, None, true);
    }
    let back = s.roll_back(&one, canister, None).unwrap();
    assert_eq!(back.rolls_back_to, Some(1));
    assert_eq!(back.module_hash, hash(ONE));
    let (ended, steps) = s.carried(3, Some(TWO), true);
    assert_eq!(ended, Ended::Live);
    // With the argument that it was released with, over the memory of today.
    let install = steps.iter().find_map(|step| match step {
        Step::Install { argument, .. } => Some(argument.clone()),
        _ => None,
    });
    assert_eq!(install, Some(proposal(canister, ONE).argument));
    assert!(
        !steps
            .iter()
            .any(|step| matches!(step, Step::LoadSnapshot(_)))
    );
    let hosted = s.canisters(1).remove(0);
    assert_eq!((hosted.release, hosted.release_before), (Some(3), Some(2)));

    assert_eq!(refusal(s.roll_back(&one, canister, Some(9))), "no release");
    assert_eq!(
        refusal(s.roll_back(&founder(2), canister, None)),
        "unauthorized"
    );
    s.propose(&one, proposal(canister, ONE)).unwrap();
    s.carried(4, Some(ONE), false);
    assert_eq!(
        refusal(s.roll_back(&one, canister, Some(4))),
        "conflict",
        "it did not go live"
    );
    // What is live can be installed again: its owner may have put another module in its place.
    let again = s.roll_back(&one, canister, Some(3)).unwrap();
    assert_eq!(again.module_hash, hash(ONE));
    s.audit();
}

fn upgrade(proposal: u64, canister: Principal, module: &[u8]) -> ApprovedUpgrade {
    ApprovedUpgrade {
        proposal,
        order: UpgradeOrder {
            canister,
            module_hash: hash(module),
            argument_hash: hash(b"DIDL\0\0"),
            previous_hash: hash(ONE),
            source_commit: "0".repeat(40),
            version: "1".into(),
        },
        executed_at_ns: 1_700_000_000_000_000_000,
        decided_by: vec![key(1), key(12)],
    }
}

#[test]
fn what_the_governors_decided_is_carried_out_once_and_exactly_so() {
    let mut s = Setting::new();
    let suite = canister(2);
    let decided = upgrade(5, suite, TWO);
    let of = ReleaseOf::Upgrade { proposal: 5 };
    let chunk = |module: &[u8]| UploadArgs {
        of,
        module_hash: hash(module),
        index: 0,
        chunk: ByteBuf::from(module),
    };
    let governor = founder(1);
    let upload = |s: &mut Setting, who: u8, args| {
        s.update(&founder(who), |state, context| {
            uploads::upload_for_upgrade(state, context, &decided, args)
        })
    };
    assert_eq!(refusal(upload(&mut s, 3, chunk(TWO))), "unauthorized");
    assert_eq!(
        refusal(upload(&mut s, 1, chunk(THREE))),
        "invalid module_hash"
    );
    upload(&mut s, 12, chunk(TWO)).unwrap();
    // Nobody uploads for it as a developer.
    assert_eq!(
        refusal(s.upload_chunk(&governor, of, &hash(TWO), (0, TWO))),
        "invalid of"
    );

    let carry = |s: &mut Setting, who: u8, upgrade: &ApprovedUpgrade, argument: &[u8]| {
        let args = CarryOutArgs {
            proposal: upgrade.proposal,
            argument: ByteBuf::from(argument),
        };
        s.update(&founder(who), |state: &mut _, context: &Context| {
            releases::carry_out(state, context, upgrade, args)
        })
    };
    let empty = b"DIDL\0\0";
    assert_eq!(refusal(carry(&mut s, 3, &decided, empty)), "unauthorized");
    assert_eq!(
        refusal(carry(&mut s, 1, &decided, b"DIDL\0\x01\x7d\x07")),
        "invalid argument"
    );
    let itself = upgrade(6, own(), TWO);
    assert_eq!(
        refusal(carry(&mut s, 1, &itself, empty)),
        "invalid proposal"
    );
    let old = ApprovedUpgrade {
        executed_at_ns: 1_690_000_000_000_000_000,
        ..upgrade(8, suite, TWO)
    };
    assert_eq!(carry(&mut s, 1, &old, empty), Err(Error::Expired));
    // What is somebody's is not the governors' to replace.
    s.create_app(&founder(2), named("kisan", None)).unwrap();
    let creation = s.begin(&founder(2)).unwrap();
    let theirs = s.created(&founder(2), &creation).unwrap();
    let taking = upgrade(7, theirs, TWO);
    assert_eq!(
        refusal(carry(&mut s, 1, &taking, empty)),
        "invalid proposal"
    );
    let release = carry(&mut s, 1, &decided, empty).unwrap();
    assert_eq!(carry(&mut s, 12, &decided, empty), Ok(release.clone()));
    assert_eq!(release.health, HealthCheck::Maintenance);

    // Another module runs than the one that is to be replaced: nothing is done, and it can be tried again.
    let other = Ended::Refused(Failure::OtherModule);
    assert_eq!(s.carried(1, Some(THREE), true).0, other);
    let again = carry(&mut s, 1, &decided, empty).unwrap();
    assert_eq!((again.id, again.number), (2, 2));
    let (ended, steps) = s.carried(2, Some(ONE), false);
    assert_eq!(ended, Ended::Refused(Failure::NotInstalled));
    assert!(steps.contains(&Step::Info));
    // Why an upgrade of the suite failed is everybody's to know.
    let nobody = || panic!("nobody is asked who they are");
    let said = releases::message(&s.state, nobody, 2).unwrap();
    assert_eq!(said.as_deref(), Some("it trapped"));
    s.audit();
}
