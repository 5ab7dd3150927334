//! Works that are under way, in stable memory, and how they go on.
//!
//! | memory | key → value |
//! | --- | --- |
//! | works | id (u64) → Candid of a [`Work`] |
//!
//! ```text
//! prepared ─► begin ─► next ─ await ─► answered ─► next … ─► Over ─► the canister records it ─► end
//! ```
//!
//! Invariant: where a work stands is stored before its step is taken and after its answer; it is kept until the canister has recorded how
//! it ended.
//!
//! Cost: a work is read and written twice a step.

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap};
use indus_api::{Error, hosting::Ended};
use indus_kit::{
    calls::{Canister, pending::Outcome},
    codes::internal,
    encoding, shell,
};

use crate::{
    modules::{ModuleHash, module_hash},
    step::{Answer, Step},
    work::{Going, Plan, Work},
};

/// Code of [`Error::Internal`]: a work, or the operation that carries it out, can't be read or written.
const WORK_UNREADABLE: u32 = 901;

/// A work that is not begun, and fits.
#[derive(Clone, Debug)]
pub struct Prepared(Vec<u8>);

/// What is to be begun, encoded: what fails, fails before anything is recorded.
///
/// # Errors
/// [`Error::Internal`].
pub fn prepared(plan: Plan) -> Result<Prepared, Error> {
    encoded(&Work::new(plan)).map(Prepared)
}

/// How a work goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// By this step, at this canister.
    Take(Principal, Step),
    /// Not at all. It is kept until [`Works::end`].
    Over(Box<Work>, Ended),
}

/// The works.
pub struct Works<M: Memory>(StableBTreeMap<u64, Vec<u8>, M>);

impl<M: Memory> Works<M> {
    /// Those that are kept in this memory.
    #[must_use]
    pub fn open(memory: M) -> Self {
        Self(StableBTreeMap::init(memory))
    }

    /// Begins a work.
    pub fn begin(&mut self, id: u64, work: Prepared) {
        self.0.insert(id, work.0);
    }

    /// Forgets a work, whose end is recorded.
    pub fn end(&mut self, id: u64) {
        self.0.remove(&id);
    }

    /// How many are under way.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is under way.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.0.contains_key(&id)
    }

    /// What comes next of a work; `chunk` reads one of a module. None if it is not under way.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn next(
        &mut self,
        now_ns: u64,
        id: u64,
        chunk: impl Fn(&ModuleHash, u32) -> Option<Vec<u8>>,
    ) -> Result<Option<Next>, Error> {
        let Some(mut work) = self.stored(id)? else {
            return Ok(None);
        };
        let hash = module_hash(&work.plan.module_hash)?;
        let step = work.next(now_ns, |index| chunk(&hash, index));
        if let Some(how) = work.ended() {
            return Ok(Some(Next::Over(Box::new(work), how)));
        }
        self.keep(id, &work)?;
        let canister = work.plan.canister;
        Ok(step.map(|step| Next::Take(canister, step)))
    }

    /// Takes in the answer to the step that is under way.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn answered(&mut self, id: u64, answer: Answer) -> Result<(Going, Work), Error> {
        let work = self.stored(id)?;
        let mut work = work.ok_or_else(|| internal(WORK_UNREADABLE))?;
        let going = work.answered(answer);
        if !matches!(going, Going::Ended(_)) {
            self.keep(id, &work)?;
        }
        Ok((going, work))
    }

    /// Has what a work has stopped go on, while this canister is stopped; see [`Work::park`].
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn park(&mut self, id: u64) -> Result<Option<(Principal, Step)>, Error> {
        let Some(mut work) = self.stored(id)? else {
            return Ok(None);
        };
        let step = work.park();
        self.keep(id, &work)?;
        Ok(step.map(|step| (work.plan.canister, step)))
    }

    fn stored(&self, id: u64) -> Result<Option<Work>, Error> {
        let read = |bytes: Vec<u8>| encoding::decode(&bytes);
        let work = self.0.get(&id).map(read).transpose();
        work.map_err(|_| internal(WORK_UNREADABLE))
    }

    fn keep(&mut self, id: u64, work: &Work) -> Result<(), Error> {
        let bytes = encoded(work)?;
        self.0.insert(id, bytes);
        Ok(())
    }
}

fn encoded(work: &Work) -> Result<Vec<u8>, Error> {
    encoding::encode(work).map_err(|_| internal(WORK_UNREADABLE))
}

/// The argument of the operation that carries a work out.
#[must_use]
pub fn operation(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// The work that an operation carries out.
///
/// # Errors
/// [`Error::Internal`].
pub fn of_operation(argument: &[u8]) -> Result<u64, Error> {
    let id = argument.try_into().map_err(|_| internal(WORK_UNREADABLE))?;
    Ok(u64::from_be_bytes(id))
}

/// Carries a work out, a step a message; `next`, `answered` and `park` take it in, committed. Between any two of them the canister may be
/// stopped and upgraded: the rest is done afterwards.
pub async fn perform<C: Canister>(
    next: impl Fn() -> Result<Option<(Principal, Step)>, Error>,
    answered: impl Fn(Answer) -> Result<Going, Error>,
    park: impl Fn() -> Result<Option<(Principal, Step)>, Error>,
) -> Outcome {
    let mut later = Outcome::Retry;
    loop {
        if shell::is_stopping() {
            if let Ok(Some((canister, step))) = park() {
                // What does not start now, starts when the work is over.
                let _any = step.take::<C>(canister).await;
            }
            return later;
        }
        let (canister, step) = match next() {
            Ok(Some(next)) => next,
            Ok(None) => return Outcome::Settled,
            Err(_) => return later,
        };
        match answered(step.take::<C>(canister).await) {
            Ok(Going::On) => later = Outcome::Progressed,
            Ok(Going::Ended(_)) => return Outcome::Settled,
            Ok(Going::Later) | Err(_) => return later,
        }
    }
}
