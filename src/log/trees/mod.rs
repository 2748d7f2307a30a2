//! Every tenant's tree while it grows: its peaks, and of each level of tiles the hashes of the last, unfinished one. The
//! thread that feeds sled makes it grow, a leaf hash and one inner hash per record; full tiles go to disk from there. At
//! a start nothing is read: what the unfinished tiles had before is looked up when somebody asks. Not here: the files
//! (`tiles.rs`), or finding what memory does not have (`tree.rs`).

mod tiles;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex, RwLock};

use super::frame::Records;
use super::manifest::TenantMark;
use super::medium::Medium;
use crate::merkle::{Hash, Peaks, TILE_HEIGHT, TILE_WIDTH};
use tiles::TileStore;

pub(crate) use tiles::TileName;
pub use tree::Tree;

const WIDTH: u64 = TILE_WIDTH as u64;

/// The trees of all tenants, as far as sled was fed: at most durable, never ahead.
pub(crate) struct Trees {
    tenants: RwLock<BTreeMap<u32, Arc<Mutex<Growing>>>>,
    pub(crate) store: TileStore,
    /// Goes up when any tree has grown.
    growth: Mutex<u64>,
    has_grown: Condvar,
    /// At most one word to the thread that makes them grow.
    hurry: (Sender<()>, Receiver<()>),
}

/// The right edge of one tree.
#[derive(Default)]
pub(crate) struct Growing {
    pub(crate) peaks: Peaks,
    rows: Vec<Row>,
}

/// The last, unfinished tile of a level: its hashes from `first` on. What stands before `first` was there at the start
/// of the process and has not been looked up.
#[derive(Clone, Default)]
pub(crate) struct Row {
    pub(crate) first: u64,
    pub(crate) hashes: Vec<Hash>,
}

/// A tile that became full.
pub(crate) struct Full {
    pub(crate) level: u8,
    pub(crate) index: u64,
    pub(crate) hashes: Vec<Hash>,
}

impl Growing {
    pub(crate) fn new(peaks: Peaks) -> Growing {
        Growing { peaks, rows: vec![] }
    }

    pub(crate) fn extend<'r>(&mut self, records: impl Iterator<Item = &'r [u8]>, full: &mut Vec<Full>) {
        let Growing { peaks, rows } = self;
        peaks.extend(records, |height, first, hashes| {
            if height.is_multiple_of(TILE_HEIGHT) {
                let level = u8::try_from(height / TILE_HEIGHT).expect("a tree is at most 64 high");
                (first..).zip(hashes).for_each(|(number, hash)| put(rows, level, number, hash, full));
            }
        });
    }

    /// The unfinished tile of a level, as far as it is known.
    fn row(&self, level: u8) -> Row {
        let count = self.peaks.leaves() >> (u32::from(level) * TILE_HEIGHT);
        self.rows.get(usize::from(level)).cloned().unwrap_or(Row { first: count, hashes: vec![] })
    }
}

/// Puts the hash with this number into the row of its level.
fn put(rows: &mut Vec<Row>, level: u8, number: u64, hash: &Hash, full: &mut Vec<Full>) {
    let at = usize::from(level);
    // a level begins when the one below it has filled its first tile
    if rows.len() == at {
        rows.push(Row { first: number, hashes: vec![] });
    }
    let Some(row) = rows.get_mut(at) else { return };
    row.hashes.push(*hash);
    if (number + 1).is_multiple_of(WIDTH) {
        let hashes = std::mem::take(&mut row.hashes);
        row.first = number + 1;
        // one that began before the process did is made anew when it is asked for
        if hashes.len() == usize::from(TILE_WIDTH) {
            full.push(Full { level, index: number / WIDTH, hashes });
        }
    }
}

impl Trees {
    /// The trees as a manifest has them.
    pub(crate) fn new(medium: Arc<dyn Medium>, marks: &BTreeMap<u32, TenantMark>) -> Arc<Trees> {
        let growing = |mark: &TenantMark| Arc::new(Mutex::new(Growing::new(mark.tree.clone())));
        Arc::new(Trees {
            tenants: RwLock::new(marks.iter().map(|(tenant, mark)| (*tenant, growing(mark))).collect()),
            store: TileStore::new(medium),
            growth: Mutex::new(0),
            has_grown: Condvar::new(),
            hurry: bounded(1),
        })
    }

    fn growing(&self, tenant: u32) -> Option<Arc<Mutex<Growing>>> {
        self.tenants.read().get(&tenant).cloned()
    }

    /// Takes the tenant's next records, and copies what the tree came to.
    pub(crate) fn grow(&self, tenant: u32, records: Records<'_>, into: &mut Peaks) {
        let growing = match self.growing(tenant) {
            Some(growing) => growing,
            None => Arc::clone(self.tenants.write().entry(tenant).or_default()),
        };
        let mut full = vec![];
        {
            let mut growing = growing.lock();
            growing.extend(records, &mut full);
            into.clone_from(&growing.peaks);
        }
        for tile in full {
            self.store.keep(tenant, tile);
        }
    }

    /// Tells whoever waits that trees have grown.
    pub(crate) fn grown(&self) {
        *self.growth.lock() += 1;
        self.has_grown.notify_all();
    }

    /// How many leaves the tenant's tree has, and its root.
    pub(crate) fn head(&self, tenant: u32) -> (u64, Hash) {
        let peaks = self.growing(tenant).map(|growing| growing.lock().peaks.clone()).unwrap_or_default();
        (peaks.leaves(), peaks.root())
    }

    /// How many leaves every tree has.
    pub(crate) fn sizes(&self) -> Vec<(u32, u64)> {
        self.tenants.read().iter().map(|(tenant, growing)| (*tenant, growing.lock().peaks.leaves())).collect()
    }

    /// A sleep of the thread that makes them grow; who is in a hurry ends it.
    pub(crate) fn linger(&self, at_most: Duration) {
        self.hurry.1.recv_timeout(at_most).ok(); // either way it is over
    }

    /// Ends that sleep, or the next one.
    pub(crate) fn hurry(&self) {
        self.hurry.0.try_send(()).ok(); // one that is there already does as well
    }

    /// Waits until the tenant's tree has so many leaves; `false` if it had not within `wait`.
    pub(crate) fn reach(&self, tenant: u32, leaves: u64, wait: Duration) -> bool {
        let is_short = |_: &mut u64| {
            let is_short = self.head(tenant).0 < leaves;
            if is_short {
                self.hurry();
            }
            is_short
        };
        let mut growth = self.growth.lock();
        !self.has_grown.wait_while_for(&mut growth, is_short, wait).timed_out()
    }
}
