//! A read log in memory that loses on a kill what was not flushed, and breaks on demand. Not here: faults themselves.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::read_log::{Entry, Key, ReadLog, ReadLogError, ReadLogPlace, Seeing};
use super::Faults;

type Table = BTreeMap<Vec<u8>, Vec<u8>>;
type Batch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

#[derive(Clone, Default)]
struct State {
    exists: bool,
    /// Why opening it fails, if it does.
    broken: Option<String>,
    /// What finds its files damaged, once it is open.
    broken_step: Option<&'static str>,
    table: Table,
    flushed: Table,
    /// What came since the flush. A kill keeps some beginning of it.
    unflushed: Vec<Batch>,
    aside: u32,
}

#[derive(Clone)]
pub(crate) struct MemoryReadLogPlace {
    state: Arc<Mutex<State>>,
    faults: Faults,
}

impl MemoryReadLogPlace {
    pub(crate) fn new(faults: Faults) -> MemoryReadLogPlace {
        MemoryReadLogPlace { state: Arc::default(), faults }
    }

    /// What the next process finds: everything flushed, and `kept` of the batches after it.
    pub(crate) fn after_kill(&self, kept: usize, faults: Faults) -> MemoryReadLogPlace {
        let mut state = self.state.lock().clone();
        state.table.clone_from(&state.flushed);
        for batch in std::mem::take(&mut state.unflushed).into_iter().take(kept) {
            apply(&mut state.table, batch);
        }
        state.flushed.clone_from(&state.table);
        state.broken_step = None;
        MemoryReadLogPlace { state: Arc::new(Mutex::new(state)), faults }
    }

    pub(crate) fn break_it(&self) {
        self.state.lock().broken = Some("scribbled over".into());
    }

    /// Until it is set aside, or the process ends.
    pub(crate) fn break_at(&self, step: &'static str) {
        self.state.lock().broken_step = Some(step);
    }

    pub(crate) fn spoil(&self, change: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>)) {
        let mut state = self.state.lock();
        change(&mut state.table);
        state.flushed = state.table.clone();
    }

    pub(crate) fn set_aside_count(&self) -> u32 {
        self.state.lock().aside
    }

    fn step(&self, what: &'static str, whole: impl FnOnce(&mut State)) -> Result<(), ReadLogError> {
        let run = || {
            whole(&mut self.state.lock());
            Ok(())
        };
        self.faults.step(what, "sled", || {}, run).map_err(ReadLogError::Io)?;
        match self.state.lock().broken_step {
            Some(step) if step == what => Err(ReadLogError::Broken("scribbled over".into())),
            Some(_) | None => Ok(()),
        }
    }
}

fn apply(table: &mut Table, batch: Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
}

impl ReadLogPlace for MemoryReadLogPlace {
    fn exists(&self) -> io::Result<bool> {
        Ok(self.state.lock().exists)
    }

    fn open(&self) -> Result<Arc<dyn ReadLog>, ReadLogError> {
        self.step("open", |state| state.exists = true)?;
        match &self.state.lock().broken {
            Some(why) => Err(ReadLogError::Broken(why.clone())),
            None => Ok(Arc::new(self.clone())),
        }
    }

    fn set_aside(&self) -> io::Result<String> {
        let move_away = || {
            let mut state = self.state.lock();
            *state = State { aside: state.aside + 1, ..State::default() };
            Ok(())
        };
        self.faults.step("set aside", "sled", || {}, move_away)?;
        Ok("memory:sled.aside".into())
    }

    fn remove_aside(&self) -> io::Result<()> {
        self.faults.step("remove aside", "sled", || {}, || Ok(()))
    }
}

impl ReadLog for MemoryReadLogPlace {
    fn change(&self, puts: &[(Key, &[u8])], removes: &[Key]) -> Result<(), ReadLogError> {
        let mut batch: Batch = removes.iter().map(|key| (key.to_vec(), None)).collect();
        batch.extend(puts.iter().map(|(key, value)| (key.to_vec(), Some(value.to_vec()))));
        self.step("change", |state| {
            apply(&mut state.table, batch.clone());
            state.unflushed.push(batch);
        })
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadLogError> {
        Ok(self.state.lock().table.get(key.as_slice()).cloned())
    }

    fn scan(&self, from: &Key, to: &Key, visit: &mut Seeing<'_>) -> Result<(), ReadLogError> {
        let inside = (Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec()));
        let found: Vec<Entry> =
            self.state.lock().table.range(inside).map(|(key, value)| (key.clone(), value.clone())).collect();
        for (key, value) in found {
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last_before(&self, key: &Key) -> Result<Option<Entry>, ReadLogError> {
        let below = (Bound::Unbounded, Bound::Excluded(key.to_vec()));
        Ok(self.state.lock().table.range(below).next_back().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn flush(&self) -> Result<(), ReadLogError> {
        self.step("flush", |state| {
            state.flushed.clone_from(&state.table);
            state.unflushed.clear();
        })
    }

    fn sync(&self) -> Result<(), ReadLogError> {
        self.step("sync", |_| {})
    }

    fn self_test(&self) -> Result<(), ReadLogError> {
        self.step("self-test", |_| {})
    }
}
