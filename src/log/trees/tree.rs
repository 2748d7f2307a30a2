//! One tenant's tree to be asked: tiles, nodes and records. What memory does not have comes from the tiles on disk, what
//! they do not have or have wrong from the log; everything is compared with the root that the running log knows before it
//! is handed out. Not here: growing.

use std::sync::Arc;

use super::super::error::{Damage, ReadError};
use super::super::reader::LogReader;
use super::{Row, TileName, Trees, WIDTH};
use crate::merkle::{
    Hash, Nodes, Peaks, TILE_HEIGHT, TILE_WIDTH, TileAddress, TileKind, leaf, put_into_bundle, subtree_root, tile_bytes,
};

/// How much of the log is read at once to hash it.
const READ_BYTES: usize = 256 << 10;

/// A tenant's tree. It may grow while it is asked; every answer is of the tree as it was at some moment of the call.
pub struct Tree<'l> {
    pub(crate) reader: &'l LogReader,
    pub(crate) tenant: u32,
}

/// What a tile was found to be.
enum Found {
    Full,
    /// The last one of its level, of so many hashes.
    Partial {
        row: Row,
        peaks: Peaks,
    },
    /// The tree has not grown so far.
    Absent,
}

impl Tree<'_> {
    fn trees(&self) -> &Trees {
        &self.reader.shared.trees
    }

    /// How many leaves it has, and its root.
    #[must_use]
    pub fn head(&self) -> (u64, Hash) {
        self.trees().head(self.tenant)
    }

    /// The bytes of a tile as C2SP tlog-tiles serves it. `None` if the tree has not grown so far. Blocking.
    ///
    /// # Errors
    /// When the log can't be read, or does not have what was in the tree.
    pub fn tile(&self, address: &TileAddress) -> Result<Option<Vec<u8>>, ReadError> {
        if address.leaves_needed().is_none_or(|needed| needed > self.head().0) {
            return Ok(None);
        }
        let width = usize::from(address.width);
        match address.kind {
            TileKind::Hashes { level } => Ok(self.hashes(level, address.index)?.get(..width).map(tile_bytes)),
            TileKind::Entries => {
                let mut bundle = vec![];
                for record in self.records(address.index * WIDTH, width)? {
                    put_into_bundle(&mut bundle, &record)
                        .map_err(|error| self.broken(address.index * WIDTH, &error.to_string()))?;
                }
                Ok(Some(bundle))
            }
        }
    }

    /// So many records from a position on, all of which are in the log.
    fn records(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut records = Vec::with_capacity(count);
        let mut next = from;
        while records.len() < count {
            let read = self.reader.read(self.tenant, next, READ_BYTES)?;
            if read.is_empty() {
                return Err(self.broken(next, "the log ends before its tree does"));
            }
            for (position, record) in read.into_iter().take(count - records.len()) {
                next = position + 1;
                records.push(record);
            }
        }
        Ok(records)
    }

    fn find(&self, level: u8, index: u64) -> Found {
        let Some(growing) = self.trees().growing(self.tenant) else { return Found::Absent };
        let growing = growing.lock();
        let count = growing.peaks.leaves() >> (u32::from(level) * TILE_HEIGHT);
        match index.cmp(&(count / WIDTH)) {
            std::cmp::Ordering::Less => Found::Full,
            std::cmp::Ordering::Equal if !count.is_multiple_of(WIDTH) => {
                Found::Partial { row: growing.row(level), peaks: growing.peaks.clone() }
            }
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => Found::Absent,
        }
    }

    /// The hashes of a tile, all that there are by now, each of them part of the root that the log knows.
    fn hashes(&self, level: u8, index: u64) -> Result<Arc<Vec<Hash>>, ReadError> {
        match self.find(level, index) {
            Found::Full => self.full(TileName { tenant: self.tenant, level, index }),
            Found::Partial { row, peaks } => self.partial(level, index, row, &peaks),
            Found::Absent => Err(self.broken(index, "a tile was asked for that the tree does not have")),
        }
    }

    fn full(&self, name: TileName) -> Result<Arc<Vec<Hash>>, ReadError> {
        let store = &self.trees().store;
        if let Some(hashes) = store.remembered(&name) {
            return Ok(hashes);
        }
        let above = self.hashes(name.level + 1, name.index / WIDTH)?;
        let at = usize::try_from(name.index % WIDTH).unwrap_or(usize::MAX);
        let root = above.get(at).ok_or_else(|| self.broken(name.index, "a tile has nothing above it"))?;
        let is_good = |hashes: &Vec<Hash>| subtree_root(hashes).as_ref() == Some(root);
        if let Some(hashes) = store.on_disk(&name).filter(is_good) {
            let hashes = Arc::new(hashes);
            store.remember(name, Arc::clone(&hashes));
            return Ok(hashes);
        }
        let _once = store.making.lock();
        if let Some(hashes) = store.remembered(&name) {
            return Ok(hashes);
        }
        if store.is_on_disk(&name) {
            tracing::warn!(tile = name.file(), "a tile is damaged; it is made anew from the log");
        }
        let mut hashes = self.make(name, false)?;
        if !is_good(&hashes) {
            hashes = self.make(name, true)?;
        }
        if !is_good(&hashes) {
            let what = format!("the records under {} do not hash to what stands above it in the tree", name.file());
            return Err(self.broken(name.index << (TILE_HEIGHT * u32::from(name.level + 1)).min(63), &what));
        }
        store.write(&name, &hashes);
        let hashes = Arc::new(hashes);
        store.remember(name, Arc::clone(&hashes));
        Ok(hashes)
    }

    /// The hashes of a full tile out of what is below it: of the tiles there, whatever they say, or, if `is_thorough`, of
    /// the records. Who calls compares them.
    fn make(&self, name: TileName, is_thorough: bool) -> Result<Vec<Hash>, ReadError> {
        let begin = name.index * WIDTH;
        match name.level.checked_sub(1) {
            None => Ok(self.records(begin, usize::from(TILE_WIDTH))?.iter().map(|record| leaf(record)).collect()),
            Some(below) => (begin..begin + WIDTH).map(|index| self.root_of(below, index, is_thorough)).collect(),
        }
    }

    /// The root of a full tile, without a look at what is above it.
    fn root_of(&self, level: u8, index: u64, is_thorough: bool) -> Result<Hash, ReadError> {
        let (store, name) = (&self.trees().store, TileName { tenant: self.tenant, level, index });
        if let Some(root) = store.remembered(&name).and_then(|hashes| subtree_root(&hashes)) {
            return Ok(root);
        }
        let on_disk = if is_thorough { None } else { store.on_disk(&name) };
        let hashes = match on_disk {
            Some(hashes) => hashes,
            None => {
                let made = self.make(name, is_thorough)?;
                store.write(&name, &made);
                made
            }
        };
        subtree_root(&hashes).ok_or_else(|| self.broken(index, "a tile is not 256 hashes"))
    }

    /// The unfinished tile: what the process has seen, and what was there before it.
    fn partial(&self, level: u8, index: u64, row: Row, peaks: &Peaks) -> Result<Arc<Vec<Hash>>, ReadError> {
        let begin = index * WIDTH;
        if row.first == begin {
            return Ok(Arc::new(row.hashes));
        }
        let whole = |is_thorough: bool| -> Result<Vec<Hash>, ReadError> {
            let mut hashes: Vec<Hash> = match level.checked_sub(1) {
                None => {
                    let count = usize::try_from(row.first - begin).unwrap_or(0);
                    self.records(begin, count)?.iter().map(|record| leaf(record)).collect()
                }
                Some(below) => {
                    let _once = self.trees().store.making.lock();
                    let roots = (begin..row.first).map(|index| self.root_of(below, index, is_thorough));
                    roots.collect::<Result<_, _>>()?
                }
            };
            hashes.extend_from_slice(&row.hashes);
            Ok(hashes)
        };
        let mut hashes = whole(false)?;
        if !fits(level, &hashes, peaks) && level > 0 {
            tracing::warn!(tenant = self.tenant, level, "tiles are damaged; they are made anew from the log");
            hashes = whole(true)?;
        }
        if !fits(level, &hashes, peaks) {
            let begin = begin << (TILE_HEIGHT * u32::from(level)).min(63);
            return Err(self.broken(begin, "the records do not hash to the root that the log's checkpoint names"));
        }
        self.install(level, begin, &row, &hashes);
        Ok(Arc::new(hashes))
    }

    /// Lets the growing tree have what was looked up, unless it has begun another tile meanwhile.
    fn install(&self, level: u8, begin: u64, row: &Row, hashes: &[Hash]) {
        let Some(growing) = self.trees().growing(self.tenant) else { return };
        let mut growing = growing.lock();
        let at = usize::from(level);
        while growing.rows.len() <= at {
            let next = u8::try_from(growing.rows.len()).unwrap_or(u8::MAX);
            let first = growing.row(next).first;
            growing.rows.push(Row { first, hashes: vec![] });
        }
        if let Some(known) = growing.rows.get_mut(at).filter(|known| known.first == row.first) {
            let before = hashes.get(..hashes.len() - row.hashes.len()).unwrap_or_default();
            *known = Row { first: begin, hashes: [before, known.hashes.as_slice()].concat() };
        }
    }

    fn broken(&self, position: u64, what: &str) -> ReadError {
        ReadError::Damaged(Damage {
            file: "the tree".into(),
            tenant: Some(self.tenant),
            position: Some(position),
            what: what.into(),
            ..Damage::default()
        })
    }
}

/// Whether an unfinished tile's hashes come to the peaks of its level.
fn fits(level: u8, hashes: &[Hash], peaks: &Peaks) -> bool {
    let base = u32::from(level) * TILE_HEIGHT;
    let mut rest = hashes;
    for (height, _, peak) in peaks.subtrees().filter(|(height, ..)| (base..base + TILE_HEIGHT).contains(height)) {
        let Some((part, behind)) = rest.split_at_checked(1 << (height - base)) else { return false };
        if subtree_root(part).as_ref() != Some(peak) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

impl Nodes for Tree<'_> {
    type Error = ReadError;

    fn node(&self, height: u32, index: u64) -> Result<Hash, ReadError> {
        let level = u8::try_from(height / TILE_HEIGHT).map_err(|_| self.broken(index, "no tree is so high"))?;
        let first = index << (height % TILE_HEIGHT);
        let hashes = self.hashes(level, first / WIDTH)?;
        let begin = usize::try_from(first % WIDTH).unwrap_or(usize::MAX);
        let part = hashes.get(begin..begin + (1 << (height % TILE_HEIGHT)));
        let root = part.and_then(subtree_root);
        root.ok_or_else(|| self.broken(index, "a node was asked for that the tree does not have"))
    }
}
