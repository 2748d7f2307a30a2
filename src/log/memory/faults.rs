//! Which step fails, and how. Not here: what a step does.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

/// One change to the medium or the read log: the `nth` of this kind on this name, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) what: &'static str,
    pub(crate) name: String,
    pub(crate) nth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    DidNotHappen,
    HappenedAndTheAnswerWasLost,
    /// A write only: its first half happened.
    HalfHappened,
    /// The disk is full: it did not happen, and the error says why.
    NoRoom,
    /// What opens a file found no descriptor: it did not happen.
    NoDescriptor,
}

#[derive(Clone, Debug)]
enum Plan {
    At(Step, Failure),
    /// The step of this number, whatever it is.
    AtCount(u64, Failure),
}

#[derive(Default)]
struct State {
    counts: BTreeMap<(&'static str, String), u32>,
    steps: Vec<Step>,
    plan: Option<Plan>,
    fired: Option<Step>,
    after: Vec<Step>,
}

/// Shared by all parts of one simulated machine.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<State>>);

impl Faults {
    pub(crate) fn at(step: &Step, failure: Failure) -> Faults {
        let faults = Faults::default();
        faults.0.lock().plan = Some(Plan::At(step.clone(), failure));
        faults
    }

    pub(crate) fn at_count(count: u64, failure: Failure) -> Faults {
        let faults = Faults::default();
        faults.0.lock().plan = Some(Plan::AtCount(count, failure));
        faults
    }

    /// Counts the step and says how it fails, if it does.
    fn next(&self, what: &'static str, name: &str) -> Option<Failure> {
        let mut state = self.0.lock();
        let count = state.counts.entry((what, name.to_owned())).or_default();
        let step = Step { what, name: name.to_owned(), nth: *count };
        *count += 1;
        let number = u64::try_from(state.steps.len()).expect("few steps");
        let failure = match &state.plan {
            Some(Plan::At(planned, failure)) => (*planned == step).then_some(*failure),
            Some(Plan::AtCount(planned, failure)) => (*planned == number).then_some(*failure),
            None => None,
        };
        if state.fired.is_some() {
            state.after.push(step.clone());
        }
        if failure.is_some() {
            state.fired = Some(step.clone());
        }
        state.steps.push(step);
        failure
    }

    /// Runs a step as planned. `half` is what a half-done step leaves.
    pub(crate) fn step(
        &self,
        what: &'static str,
        name: &str,
        half: impl FnOnce(),
        whole: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let failed = || Err(io::Error::other(format!("injected into {what} {name}")));
        match self.next(what, name) {
            None => whole(),
            Some(Failure::DidNotHappen) => failed(),
            Some(Failure::NoRoom) => Err(io::ErrorKind::StorageFull.into()),
            Some(Failure::NoDescriptor) => Err(io::Error::from_raw_os_error(libc::EMFILE)),
            Some(Failure::HappenedAndTheAnswerWasLost) => whole().and_then(|()| failed()),
            Some(Failure::HalfHappened) => {
                half();
                failed()
            }
        }
    }

    /// Every step so far, each once.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.0.lock().steps.clone()
    }

    pub(crate) fn fired(&self) -> Option<Step> {
        self.0.lock().fired.clone()
    }

    /// The steps that came after the one that failed.
    pub(crate) fn after(&self) -> Vec<Step> {
        self.0.lock().after.clone()
    }
}
