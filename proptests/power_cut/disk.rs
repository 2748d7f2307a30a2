//! A disk in memory that forgets what was not synced. Per file it holds what is durable beside what was written since,
//! in blocks of 4 KiB; a name in a folder is durable only by a sync of that folder. Not here: the way to it through the
//! kernel (`mount.rs`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use fuser::Errno;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(crate) const BLOCK_BYTES: usize = 4096;
pub(crate) const TOP: u64 = 1;
const SECTOR_BYTES: usize = 512;
/// So many unsynced versions of one thing are remembered.
const VERSIONS_MAX: usize = 4;

/// `None` is zeros.
type Block = Option<Arc<[u8]>>;

/// How a power cut treats what was not synced.
pub(crate) struct Cut {
    survival_percent: u32,
    rng: StdRng,
}

impl Cut {
    pub(crate) fn new(survival_percent: u32, seed: u64) -> Cut {
        Cut { survival_percent, rng: StdRng::seed_from_u64(seed) }
    }

    fn survives(&mut self) -> bool {
        self.rng.random_range(0..100) < self.survival_percent
    }
}

/// A value as the disk holds it, and what took its place since, oldest first.
struct Kept<T> {
    durable: T,
    unsynced: Vec<T>,
}

impl<T: Clone> Kept<T> {
    fn new(durable: T) -> Kept<T> {
        Kept { durable, unsynced: vec![] }
    }

    fn now(&self) -> &T {
        self.unsynced.last().unwrap_or(&self.durable)
    }

    fn put(&mut self, value: T) {
        if self.unsynced.len() == VERSIONS_MAX {
            self.unsynced.remove(0);
        }
        self.unsynced.push(value);
    }

    fn sync(&mut self) {
        if let Some(newest) = self.unsynced.pop() {
            self.durable = newest;
            self.unsynced.clear();
        }
    }

    fn survivor(&self, cut: &mut Cut) -> T {
        match self.unsynced.as_slice() {
            [.., newest] if cut.survives() => newest.clone(),
            [older @ .., _] if !older.is_empty() && cut.survives() => {
                older[cut.rng.random_range(0..older.len())].clone()
            }
            _ => self.durable.clone(),
        }
    }
}

impl Kept<Block> {
    /// One of eight surviving blocks is torn: some of its sectors are from before.
    fn block_survivor(&self, cut: &mut Cut) -> Block {
        let whole = self.survivor(cut);
        if self.unsynced.is_empty() || cut.survival_percent == 0 || cut.rng.random_range(0..8) > 0 {
            return whole;
        }
        let mut torn = bytes_of(&whole);
        let before = bytes_of(&self.durable);
        for at in (0..BLOCK_BYTES).step_by(SECTOR_BYTES).filter(|_| cut.rng.random()) {
            torn[at..at + SECTOR_BYTES].copy_from_slice(&before[at..at + SECTOR_BYTES]);
        }
        as_block(&torn)
    }
}

fn bytes_of(block: &Block) -> Vec<u8> {
    block.as_ref().map_or_else(|| vec![0; BLOCK_BYTES], |bytes| bytes.to_vec())
}

fn as_block(bytes: &[u8]) -> Block {
    bytes.iter().any(|byte| *byte != 0).then(|| bytes.into())
}

pub(crate) struct Content {
    size: Kept<u64>,
    blocks: BTreeMap<u64, Kept<Block>>,
    unsynced: BTreeSet<u64>,
}

type Names = BTreeMap<OsString, Kept<Option<u64>>>;

enum Node {
    File(Content),
    Folder(Names),
}

/// What `stat` wants to know.
pub(crate) struct About {
    pub(crate) is_folder: bool,
    pub(crate) bytes: u64,
    pub(crate) mode: u16,
}

pub(crate) struct Disk {
    nodes: HashMap<u64, (Node, u16)>,
    next_node: u64,
    blocks_max: u64,
}

impl Disk {
    pub(crate) fn new() -> Disk {
        let top = (Node::Folder(Names::new()), 0o700);
        Disk { nodes: HashMap::from([(TOP, top)]), next_node: TOP + 1, blocks_max: u64::MAX }
    }

    /// From now on so many bytes fit, what is there included.
    pub(crate) fn limit(&mut self, bytes_max: u64) {
        self.blocks_max = bytes_max / BLOCK_BYTES as u64;
    }

    fn node(&self, id: u64) -> Result<&Node, Errno> {
        self.nodes.get(&id).map(|(node, _)| node).ok_or(Errno::ENOENT)
    }

    fn file(&mut self, id: u64) -> Result<&mut Content, Errno> {
        match self.nodes.get_mut(&id) {
            Some((Node::File(file), _)) => Ok(file),
            Some((Node::Folder(_), _)) => Err(Errno::EISDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn names(&mut self, id: u64) -> Result<&mut Names, Errno> {
        match self.nodes.get_mut(&id) {
            Some((Node::Folder(names), _)) => Ok(names),
            Some((Node::File(_), _)) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    pub(crate) fn about(&self, id: u64) -> Result<About, Errno> {
        let (node, mode) = self.nodes.get(&id).ok_or(Errno::ENOENT)?;
        let (is_folder, bytes) = match node {
            Node::File(file) => (false, *file.size.now()),
            Node::Folder(_) => (true, 0),
        };
        Ok(About { is_folder, bytes, mode: *mode })
    }

    pub(crate) fn lookup(&self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        let Node::Folder(names) = self.node(folder)? else { return Err(Errno::ENOTDIR) };
        names.get(name).and_then(|id| *id.now()).ok_or(Errno::ENOENT)
    }

    /// The names in a folder, with what they stand for.
    pub(crate) fn list(&self, folder: u64) -> Result<Vec<(OsString, u64)>, Errno> {
        let Node::Folder(names) = self.node(folder)? else { return Err(Errno::ENOTDIR) };
        Ok(names.iter().filter_map(|(name, id)| id.now().map(|id| (name.clone(), id))).collect())
    }

    pub(crate) fn create(&mut self, folder: u64, name: &OsStr, is_folder: bool, mode: u16) -> Result<u64, Errno> {
        if self.lookup(folder, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        if self.free_blocks() == 0 {
            return Err(Errno::ENOSPC);
        }
        let node = if is_folder {
            Node::Folder(Names::new())
        } else {
            Node::File(Content { size: Kept::new(0), blocks: BTreeMap::new(), unsynced: BTreeSet::new() })
        };
        let id = self.next_node;
        self.put_name(folder, name, Some(id))?;
        self.next_node += 1;
        self.nodes.insert(id, (node, mode));
        Ok(id)
    }

    fn put_name(&mut self, folder: u64, name: &OsStr, id: Option<u64>) -> Result<(), Errno> {
        self.names(folder)?.entry(name.to_owned()).or_insert_with(|| Kept::new(None)).put(id);
        Ok(())
    }

    pub(crate) fn set_mode(&mut self, id: u64, mode: u16) -> Result<(), Errno> {
        self.nodes.get_mut(&id).ok_or(Errno::ENOENT)?.1 = mode & 0o777;
        Ok(())
    }

    /// The name goes; what it stood for stays as long as somebody has it open, or a cut brings the name back.
    pub(crate) fn remove(&mut self, folder: u64, name: &OsStr, is_folder: bool) -> Result<(), Errno> {
        let id = self.lookup(folder, name)?;
        match (self.node(id)?, is_folder) {
            (Node::File(_), true) => return Err(Errno::ENOTDIR),
            (Node::Folder(_), false) => return Err(Errno::EISDIR),
            (Node::Folder(_), true) if !self.list(id)?.is_empty() => return Err(Errno::ENOTEMPTY),
            (Node::File(_) | Node::Folder(_), _) => {}
        }
        self.put_name(folder, name, None)
    }

    pub(crate) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), Errno> {
        let id = self.lookup(from.0, from.1)?;
        if let Ok(there) = self.lookup(to.0, to.1)
            && matches!(self.node(there)?, Node::Folder(_))
            && !self.list(there)?.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        self.put_name(to.0, to.1, Some(id))?;
        self.put_name(from.0, from.1, None)
    }

    pub(crate) fn read(&mut self, id: u64, offset: u64, bytes: usize) -> Result<Vec<u8>, Errno> {
        let file = self.file(id)?;
        let end = (*file.size.now()).min(offset + bytes as u64);
        let mut into = vec![];
        let mut at = offset;
        while at < end {
            let (block, from) = place(at);
            let to = BLOCK_BYTES.min(from + (end - at) as usize);
            match file.blocks.get(&block).and_then(|kept| kept.now().as_ref()) {
                Some(block) => into.extend_from_slice(&block[from..to]),
                None => into.resize(into.len() + to - from, 0),
            }
            at += (to - from) as u64;
        }
        Ok(into)
    }

    /// Says how much of it fitted; nothing at all is an error.
    pub(crate) fn write(&mut self, id: u64, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let mut free = self.free_blocks();
        let file = self.file(id)?;
        let mut done = 0;
        while done < bytes.len() {
            let (block, from) = place(offset + done as u64);
            let part = &bytes[done..bytes.len().min(done + BLOCK_BYTES - from)];
            if !file.blocks.contains_key(&block) {
                if free == 0 {
                    break;
                }
                free -= 1;
            }
            file.change(block, |content| content[from..from + part.len()].copy_from_slice(part));
            done += part.len();
        }
        if done == 0 && !bytes.is_empty() {
            return Err(Errno::ENOSPC);
        }
        let end = offset + done as u64;
        if end > *file.size.now() {
            file.size.put(end);
        }
        Ok(done)
    }

    pub(crate) fn set_size(&mut self, id: u64, size: u64) -> Result<(), Errno> {
        let file = self.file(id)?;
        if size < *file.size.now() {
            let (block, from) = place(size);
            let cut: Vec<u64> = file.blocks.range(block..).map(|(at, _)| *at).collect();
            for at in cut {
                let from = if at == block { from } else { 0 };
                file.change(at, |content| content[from..].fill(0));
            }
        }
        if size != *file.size.now() {
            file.size.put(size);
        }
        Ok(())
    }

    /// `fsync` and `fdatasync` of a file make its bytes and its size durable, not its name; of a folder, its names.
    pub(crate) fn sync(&mut self, id: u64) -> Result<(), Errno> {
        match self.nodes.get_mut(&id).map(|(node, _)| node) {
            Some(Node::File(file)) => {
                file.size.sync();
                for block in std::mem::take(&mut file.unsynced) {
                    file.blocks.get_mut(&block).expect("a block that was written").sync();
                }
            }
            Some(Node::Folder(names)) => {
                names.values_mut().for_each(Kept::sync);
                names.retain(|_, id| id.durable.is_some());
            }
            None => return Err(Errno::ENOENT),
        }
        Ok(())
    }

    pub(crate) fn free_blocks(&self) -> u64 {
        match self.blocks_max {
            u64::MAX => 1 << 30,
            max => max.saturating_sub(self.used_blocks(TOP)),
        }
    }

    fn used_blocks(&self, id: u64) -> u64 {
        match self.node(id) {
            Ok(Node::File(file)) => 1 + (file.blocks.len() as u64).min(file.size.now().div_ceil(BLOCK_BYTES as u64)),
            Ok(Node::Folder(names)) => {
                1 + names.values().filter_map(|id| *id.now()).map(|id| self.used_blocks(id)).sum::<u64>()
            }
            Err(_) => 0,
        }
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_blocks(TOP) * BLOCK_BYTES as u64
    }

    /// The power goes: what was synced stays, of the rest each block, size and name stays or goes on its own.
    pub(crate) fn cut(&mut self, cut: &mut Cut) {
        let mut reached = HashSet::from([TOP]);
        let mut waiting = vec![TOP];
        while let Some(id) = waiting.pop() {
            match self.nodes.get_mut(&id).map(|(node, _)| node) {
                Some(Node::File(file)) => file.cut(cut),
                Some(Node::Folder(names)) => {
                    let mut kept = Names::new();
                    for (name, child) in std::mem::take(names) {
                        let Some(child) = child.survivor(cut) else { continue };
                        let is_file = matches!(self.node(child), Ok(Node::File(_)));
                        // a file may have both names of a rename; a folder has one
                        let is_first = reached.insert(child);
                        if is_first {
                            waiting.push(child);
                        }
                        if is_first || is_file {
                            kept.insert(name, Kept::new(Some(child)));
                        }
                    }
                    *self.names(id).expect("it was a folder a moment ago") = kept;
                }
                None => {}
            }
        }
        self.nodes.retain(|id, _| reached.contains(id));
    }
}

impl Content {
    fn change(&mut self, block: u64, change: impl FnOnce(&mut [u8])) {
        let kept = self.blocks.entry(block).or_insert_with(|| Kept::new(None));
        let mut content = bytes_of(kept.now());
        change(&mut content);
        kept.put(as_block(&content));
        self.unsynced.insert(block);
    }

    fn cut(&mut self, cut: &mut Cut) {
        self.size = Kept::new(self.size.survivor(cut));
        for block in std::mem::take(&mut self.unsynced) {
            let kept = self.blocks.get_mut(&block).expect("a block that was written");
            *kept = Kept::new(kept.block_survivor(cut));
        }
        // what lies behind the end is not there
        let size = *self.size.now();
        let (last, used) = place(size);
        self.blocks.retain(|at, _| *at < last || (*at == last && used > 0));
        if let Some(kept) = self.blocks.get_mut(&last) {
            let mut content = bytes_of(kept.now());
            content[used..].fill(0);
            *kept = Kept::new(as_block(&content));
        }
    }
}

/// The block that holds a byte, and where in it.
fn place(offset: u64) -> (u64, usize) {
    (offset / BLOCK_BYTES as u64, (offset % BLOCK_BYTES as u64) as usize)
}
