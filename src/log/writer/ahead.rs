//! The newest snapshot, read on a thread of its own while keys and log are opened: reading it takes longer than those. Not
//! here: whether it is of this log, which shows only then.

use super::caches::SCHEMA;
use crate::log::record;
use crate::log::snapshot::{self, SnapshotMeta};
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// What a snapshot holds; `None` of another version's.
pub(super) type Found<C> = io::Result<Option<(SnapshotMeta, C)>>;

/// A snapshot that is being read.
pub struct Ahead<C>(Option<(PathBuf, JoinHandle<Found<C>>)>);

impl<C: DeserializeOwned + Send + 'static> Ahead<C> {
    /// Begins with the newest snapshot of a data folder. Changes nothing there: the folder need not be ours yet.
    #[must_use]
    pub fn begin(dir: &Path) -> Self {
        let newest = snapshot::look(dir).ok().and_then(|mut paths| paths.pop());
        let begun = newest.and_then(|path| {
            let of = path.clone();
            let thread = std::thread::Builder::new().name("snapshot".into()).spawn(move || read(&of)).ok()?;
            Some((path, thread))
        });
        Self(begun)
    }

    /// What the snapshot that is being read says of itself. Nothing of it was checked.
    pub(super) fn head(&self) -> Option<SnapshotMeta> {
        self.0.as_ref().and_then(|(path, _)| snapshot::head(path).ok())
    }

    /// What a snapshot holds; waits if that is the one being read, and else reads it.
    pub(super) fn found(&mut self, path: &Path) -> Found<C> {
        match self.0.take_if(|(of, _)| of == path) {
            Some((_, thread)) => thread.join().unwrap_or_else(|_| Err(io::Error::other("reading it panicked"))),
            None => read(path),
        }
    }
}

fn read<C: DeserializeOwned>(path: &Path) -> Found<C> {
    let (meta, copy) = snapshot::read(path, |meta, payload| {
        (meta.schema == SCHEMA).then(|| record::decode_cache(payload)).transpose()
    })?;
    Ok(copy.map(|copy| (meta, copy)))
}
