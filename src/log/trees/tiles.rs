//! Full tiles as files: `tiles/<tenant>/<level>/x001/234`, 256 hashes each, written aside and renamed, never changed.
//! They are a cache: not synced, and whoever reads one compares it with what stands above it in the tree. A few stay in
//! memory. Hashes of records are not among the files: 256 records lie side by side in the log, and are hashed again as fast as
//! a file is opened. Not here: judging them (`tree.rs`).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::medium::{ASIDE, Medium, read_file};
use super::Full;
use crate::merkle::{Hash, TILE_WIDTH, TileAddress, tile_bytes, tile_hashes};

const TILES: &str = "tiles";
/// 8 KiB each.
const IN_MEMORY_MAX: usize = 1024;

/// Which tile: of a tenant, a level, an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TileName {
    pub(crate) tenant: u32,
    pub(crate) level: u8,
    pub(crate) index: u64,
}

impl TileName {
    /// Whether it is kept in a file.
    pub(crate) fn has_file(&self) -> bool {
        self.level > 0
    }

    /// Its place below the data folder.
    pub(crate) fn file(&self) -> String {
        let address = TileAddress::hashes(self.level, self.index, TILE_WIDTH).to_string();
        format!("{TILES}/{}/{}", self.tenant, address.strip_prefix("tile/").unwrap_or(&address))
    }
}

pub(crate) struct TileStore {
    medium: Arc<dyn Medium>,
    memory: Mutex<Memory>,
    /// Held while tiles are made anew, so that two who miss the same do it once.
    pub(crate) making: Mutex<()>,
}

#[derive(Default)]
struct Memory {
    tiles: HashMap<TileName, Arc<Vec<Hash>>>,
    oldest_first: VecDeque<TileName>,
}

impl TileStore {
    pub(crate) fn new(medium: Arc<dyn Medium>) -> TileStore {
        TileStore { medium, memory: Mutex::default(), making: Mutex::new(()) }
    }

    /// A tile that was found good before.
    pub(crate) fn remembered(&self, name: &TileName) -> Option<Arc<Vec<Hash>>> {
        self.memory.lock().tiles.get(name).cloned()
    }

    pub(crate) fn remember(&self, name: TileName, hashes: Arc<Vec<Hash>>) {
        let mut memory = self.memory.lock();
        if memory.tiles.insert(name, hashes).is_some() {
            return;
        }
        memory.oldest_first.push_back(name);
        if memory.oldest_first.len() > IN_MEMORY_MAX
            && let Some(oldest) = memory.oldest_first.pop_front()
        {
            memory.tiles.remove(&oldest);
        }
    }

    /// A tile as its file has it, whatever that says. `None` if it is not there or not so long.
    pub(crate) fn on_disk(&self, name: &TileName) -> Option<Vec<Hash>> {
        if !name.has_file() {
            return None;
        }
        let bytes = read_file(self.medium.as_ref(), &name.file()).ok().flatten()?;
        tile_hashes(&bytes, TILE_WIDTH).ok()
    }

    /// Whether there is a file of this name.
    pub(crate) fn is_on_disk(&self, name: &TileName) -> bool {
        name.has_file() && self.medium.open(&name.file()).is_ok()
    }

    /// Takes a tile that has just become full.
    pub(crate) fn keep(&self, tenant: u32, full: Full) {
        let name = TileName { tenant, level: full.level, index: full.index };
        self.write(&name, &full.hashes);
        self.remember(name, Arc::new(full.hashes));
    }

    /// Writes a tile, if such are kept. That it can't be written costs a look into the log later on, and nothing else.
    pub(crate) fn write(&self, name: &TileName, hashes: &[Hash]) {
        if name.has_file()
            && let Err(error) = self.try_write(name, hashes)
        {
            tracing::warn!(%error, tile = name.file(), "a tile could not be written; it is made again when it is asked for");
        }
    }

    fn try_write(&self, name: &TileName, hashes: &[Hash]) -> io::Result<()> {
        let file = name.file();
        let aside = format!("{file}{ASIDE}");
        let made = match self.medium.create(&aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = file.rsplit_once('/').map_or(TILES, |(folder, _)| folder);
                self.medium.create_folder(folder)?;
                self.medium.create(&aside)?
            }
            made => made?,
        };
        made.write_at(0, &tile_bytes(hashes))?;
        self.medium.rename(&aside, &file)
    }
}
