//! A disk in memory that knows what was synced: names and blocks apart, as strictly as POSIX allows. Not here: when it
//! fails (`faults.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::bytes::{size, wide};
use super::super::medium::{Medium, MediumFile};
use super::Faults;

const BLOCK: usize = 4096;
const SECTOR: usize = 512;

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Blocks written since the last sync.
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    free_bytes: u64,
}

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) seed: u64,
    /// Of a hundred unsynced blocks, how many survive.
    pub(crate) percent: u32,
}

#[derive(Clone)]
pub(crate) struct MemoryDisk {
    state: Arc<Mutex<State>>,
    faults: Faults,
}

impl MemoryDisk {
    pub(crate) fn new(faults: Faults) -> MemoryDisk {
        let state = State { free_bytes: u64::MAX, ..State::default() };
        MemoryDisk { state: Arc::new(Mutex::new(state)), faults }
    }

    pub(crate) fn set_free_bytes(&self, free: u64) {
        self.state.lock().free_bytes = free;
    }

    /// The same disk for the next process: everything written is still there, and what was not synced still is not.
    pub(crate) fn after_kill(&self, faults: Faults) -> MemoryDisk {
        MemoryDisk { state: Arc::new(Mutex::new(self.state.lock().clone())), faults }
    }

    /// The disk after the power came back.
    pub(crate) fn after_power_cut(&self, cut: Cut, faults: Faults) -> MemoryDisk {
        let mut rng = StdRng::seed_from_u64(cut.seed);
        let before = self.state.lock().clone();
        let mut survives = |percent: u32| rng.random_range(0..100) < percent;
        let mut names = before.durable_names.clone();
        if survives(cut.percent) {
            names.clone_from(&before.names); // the folders happened to be written back
        }
        let files: Vec<Content> = before
            .files
            .iter()
            .map(|file| {
                let mut left = file.durable.clone();
                for block in &file.dirty {
                    let at = block * BLOCK;
                    let Some(new) = file.now.get(at..file.now.len().min(at + BLOCK)) else { continue };
                    if !survives(cut.percent) {
                        continue;
                    }
                    let kept = if survives(20) { new.len().min(SECTOR * 3) } else { new.len() };
                    if left.len() < at + kept {
                        left.resize(at + kept, 0);
                    }
                    left[at..at + kept].copy_from_slice(&new[..kept]);
                }
                Content { now: left.clone(), durable: left, dirty: BTreeSet::new() }
            })
            .collect();
        let state = State { files, durable_names: names.clone(), names, free_bytes: before.free_bytes };
        MemoryDisk { state: Arc::new(Mutex::new(state)), faults }
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state.lock().names.keys().cloned().collect()
    }

    /// Changes a file behind everybody's back.
    pub(crate) fn spoil(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        let id = state.names[name];
        let content = &mut state.files[id];
        change(&mut content.now);
        content.durable.clone_from(&content.now);
    }

    pub(crate) fn take_away(&self, name: &str) {
        let mut state = self.state.lock();
        state.names.remove(name).expect("a file that is there");
        state.durable_names.remove(name);
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Medium for MemoryDisk {
    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.faults.step("create folder", name, || {}, || Ok(()))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        let inside = state.names.keys().filter(|name| folder_of(name) == folder);
        Ok(inside.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let make = || {
            let mut state = self.state.lock();
            state.files.push(Content::default());
            let id = state.files.len() - 1;
            state.names.insert(name.to_owned(), id);
            Ok(())
        };
        self.faults.step("create", name, || {}, make)?;
        self.open(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let id = *self.state.lock().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        let (state, faults) = (Arc::clone(&self.state), self.faults.clone());
        Ok(Box::new(MemoryFile { state, faults, name: name.to_owned(), id }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.faults.step(
            "rename",
            to,
            || {},
            || {
                let mut state = self.state.lock();
                let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
                state.names.insert(to.to_owned(), id);
                Ok(())
            },
        )
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.faults.step(
            "remove",
            name,
            || {},
            || self.state.lock().names.remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into()),
        )
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        let sync = || {
            let mut state = self.state.lock();
            let State { names, durable_names, .. } = &mut *state;
            durable_names.retain(|file, _| folder_of(file) != name);
            durable_names
                .extend(names.iter().filter(|(file, _)| folder_of(file) == name).map(|(f, id)| (f.clone(), *id)));
            Ok(())
        };
        self.faults.step("sync folder", name, || {}, sync)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.state.lock().free_bytes)
    }

    fn describe(&self, name: &str) -> String {
        format!("memory:{name}")
    }
}

struct MemoryFile {
    state: Arc<Mutex<State>>,
    faults: Faults,
    name: String,
    id: usize,
}

impl MemoryFile {
    fn put(&self, offset: u64, bytes: &[u8]) {
        let at = size(offset);
        let content = &mut self.state.lock().files[self.id];
        if content.now.len() < at + bytes.len() {
            content.now.resize(at + bytes.len(), 0);
        }
        content.now[at..at + bytes.len()].copy_from_slice(bytes);
        content.dirty.extend(at / BLOCK..=(at + bytes.len().max(1) - 1) / BLOCK);
    }
}

impl MediumFile for MemoryFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let half = || self.put(offset, &bytes[..bytes.len() / 2]);
        self.faults.step("write", &self.name, half, || {
            self.put(offset, bytes);
            Ok(())
        })
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.state.lock();
        let from = state.files[self.id].now.get(size(offset)..).unwrap_or_default();
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(wide(self.state.lock().files[self.id].now.len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.step(
            "set length",
            &self.name,
            || {},
            || {
                self.state.lock().files[self.id].now.resize(size(len), 0);
                Ok(())
            },
        )
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.step(
            "sync",
            &self.name,
            || {},
            || {
                let content = &mut self.state.lock().files[self.id];
                content.durable.clone_from(&content.now);
                content.dirty.clear();
                Ok(())
            },
        )
    }
}
