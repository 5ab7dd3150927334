//! The canister that releases are about, and what the subnet keeps of it.

use candid::Principal;
use indus_orchestrator::{
    Answer, Step,
    step::{Changes, Mode, Running, Settings, Snapshot, Status},
};
use serde_bytes::ByteBuf;

use super::fate::{Fate, poor};
use crate::{
    releases::hash,
    setting::{key, own},
};

/// Changes that the subnet lists.
const MAX_CHANGES: usize = 20;

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) module: ByteBuf,
    /// The release that installed it; none of somebody else's.
    pub(super) release: Option<u64>,
}

impl Code {
    /// What somebody else installed.
    pub(super) fn others() -> Self {
        Self {
            module: hash(b"somebody else's"),
            release: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) code: Option<Code>,
    pub(super) running: Running,
    pub(super) controllers: Vec<Principal>,
    pub(super) chunks: Vec<Vec<u8>>,
    pub(super) snapshots: Vec<(Snapshot, Code)>,
    /// Of each change, whether it was app_hosting's.
    changes: Vec<bool>,
    /// The last release during which somebody else changed it.
    meddled: Option<u64>,
}

impl Target {
    /// One that was created.
    pub(super) fn new() -> Self {
        Self {
            code: None,
            running: Running::Running,
            controllers: vec![own()],
            chunks: Vec::new(),
            snapshots: Vec::new(),
            changes: vec![true],
            meddled: None,
        }
    }

    /// Whether anybody but app_hosting controls it.
    pub(super) fn is_shared(&self) -> bool {
        self.controllers != [own()]
    }

    /// Somebody else controls it, or nobody does any more.
    pub(super) fn share(&mut self, with_others: bool) {
        self.controllers = match with_others {
            true => vec![own(), key(9)],
            false => vec![own()],
        };
        self.changes.push(false);
    }

    /// Somebody else installs a module, and starts nothing.
    pub(super) fn meddle(&mut self) {
        self.code = Some(Code::others());
        self.changes.push(false);
    }

    fn meddle_once(&mut self, id: u64) {
        if self.meddled != Some(id) {
            self.meddled = Some(id);
            self.meddle();
        }
    }

    /// Does what a release asks for, and answers as its fate is.
    pub(super) fn answer(&mut self, step: Step, id: u64, fate: Fate, now_ns: u64) -> Answer {
        let is_new = self.code.as_ref().and_then(|code| code.release) == Some(id);
        match step {
            _ if fate == Fate::Deleted => Answer::Missing,
            Step::Changes => {
                let ours = self.changes.iter().rev().take_while(|ours| **ours);
                Answer::Changes(Changes {
                    total: self.changes.len() as u64,
                    ours: ours.take(MAX_CHANGES).count() as u64,
                })
            }
            Step::Status => Answer::Status(Status {
                status: self.running,
                module_hash: self.code.as_ref().map(|code| code.module.clone()),
                settings: Settings {
                    controllers: self.controllers.clone(),
                },
            }),
            Step::ClearChunks => {
                self.chunks.clear();
                if fate == Fate::Meddled {
                    self.meddle_once(id);
                }
                Answer::Done
            }
            Step::UploadChunk(_) if fate == Fate::PoorForChunk => poor(id),
            Step::UploadChunk(bytes) => {
                let uploaded = hash(&bytes);
                self.chunks.push(bytes);
                Answer::Chunk(uploaded)
            }
            Step::Stop if fate == Fate::Unstopped && !is_new => Answer::Unknown,
            Step::Stop => self.stop(match fate {
                Fate::Occupied => !is_new,
                Fate::Clinging => is_new,
                _ => false,
            }),
            Step::Start => {
                self.running = Running::Running;
                Answer::Done
            }
            Step::TakeSnapshot { .. } if fate == Fate::PoorForSnapshot => poor(id),
            Step::TakeSnapshot { replaced } => {
                self.snapshots
                    .retain(|(one, _)| Some(&one.id) != replaced.as_ref());
                let taken = self.keep(now_ns);
                if fate == Fate::MeddledLate {
                    self.meddle_once(id);
                }
                Answer::Snapshots(vec![taken])
            }
            Step::ListSnapshots => {
                Answer::Snapshots(self.snapshots.iter().map(|(one, _)| one.clone()).collect())
            }
            Step::LoadSnapshot(snapshot) => self.load(&snapshot),
            Step::DeleteSnapshot(snapshot) => {
                let before = self.snapshots.len();
                self.snapshots.retain(|(one, _)| one.id != snapshot);
                match self.snapshots.len() < before {
                    true => Answer::Done,
                    false => Answer::Missing,
                }
            }
            Step::Uninstall => {
                self.code = None;
                // What it kept open has ended.
                if self.running == Running::Stopping {
                    self.running = Running::Stopped;
                }
                self.changed()
            }
            Step::Install { .. } if fate == Fate::PoorForInstall => poor(id),
            Step::Install { .. } if fate == Fate::Traps => Answer::Rejected("it trapped".into()),
            Step::Install {
                mode,
                chunks,
                module_hash,
                ..
            } => {
                self.install(mode, &chunks, &module_hash, id);
                match fate {
                    Fate::Vanishing => Answer::Unknown,
                    _ => Answer::Done,
                }
            }
            Step::Probe(method) => {
                assert_eq!(method, "health");
                assert!(is_new && self.running == Running::Running);
                match fate {
                    Fate::Unwell => Answer::Rejected("it is not well".into()),
                    Fate::Silent | Fate::Clinging => Answer::Unknown,
                    _ => Answer::Done,
                }
            }
            Step::Info | Step::Confirm => panic!("it is none of the suite's"),
        }
    }

    fn changed(&mut self) -> Answer {
        self.changes.push(true);
        Answer::Done
    }

    fn stop(&mut self, keeps_a_call_open: bool) -> Answer {
        if keeps_a_call_open && self.running != Running::Stopped {
            self.running = Running::Stopping;
            return Answer::Unknown;
        }
        self.running = Running::Stopped;
        Answer::Done
    }

    fn keep(&mut self, now_ns: u64) -> Snapshot {
        // Else somebody would be told something that it does not know.
        assert_eq!(self.running, Running::Stopped, "kept while it runs");
        let code = self.code.clone().expect("there is something to be kept");
        let taken = Snapshot {
            id: ByteBuf::from(now_ns.to_be_bytes()),
            taken_at_timestamp: now_ns,
        };
        self.snapshots.push((taken.clone(), code));
        taken
    }

    fn load(&mut self, snapshot: &ByteBuf) -> Answer {
        assert_eq!(self.running, Running::Stopped, "loaded while it runs");
        let kept = self.snapshots.iter().find(|(one, _)| one.id == *snapshot);
        let (_, code) = kept.expect("it is kept until it is not needed");
        self.code = Some(code.clone());
        self.changed()
    }

    fn install(&mut self, mode: Mode, chunks: &[ByteBuf], module: &ByteBuf, id: u64) {
        match mode {
            Mode::Install => assert_eq!(self.code, None),
            Mode::Upgrade { .. } => {
                assert!(self.code.is_some());
                assert_eq!(self.running, Running::Stopped, "upgraded while it runs");
            }
        }
        let chunk = |wanted: &ByteBuf| {
            let mut all = self.chunks.iter();
            all.find(|bytes| hash(bytes) == *wanted).unwrap().as_slice()
        };
        let bytes: Vec<&[u8]> = chunks.iter().map(chunk).collect();
        assert_eq!(hash(&bytes.concat()), *module, "what was agreed to");
        self.code = Some(Code {
            module: module.clone(),
            release: Some(id),
        });
        self.changed();
    }
}
