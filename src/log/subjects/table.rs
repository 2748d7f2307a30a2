//! What no run holds yet. The writer puts entries down in the order in which they come and does nothing else about them: a
//! block of them is sorted by who first looks for something in it, or by the flush. Not here: the lock around it.

use super::run::{Entry, Wanted};
use super::{Key, order};
use parking_lot::Mutex;
use std::ops::{ControlFlow, Range, RangeInclusive};
use std::sync::{Arc, OnceLock};

/// Few enough to go through them one by one while the writer waits.
const BLOCK_ENTRIES: usize = if cfg!(test) { 64 } else { 4096 };

/// Entries that no more come to.
struct Block {
    /// As they came, until they are sorted.
    came: Mutex<Vec<Entry>>,
    sorted: OnceLock<Vec<Entry>>,
}

/// In the order in which they came, which for each key is the order of its positions.
#[derive(Clone, Default)]
pub(super) struct Table {
    blocks: Vec<Arc<Block>>,
    tail: Vec<Entry>,
    len: usize,
}

/// What was in a table at a moment, to be searched while more comes to it.
#[derive(Default)]
pub(super) struct Look {
    blocks: Vec<Arc<Block>>,
    /// Those of the tail that were asked for.
    tail: Vec<Entry>,
}

impl Block {
    fn of(came: Vec<Entry>) -> Arc<Self> {
        Arc::new(Self { came: Mutex::new(came), sorted: OnceLock::new() })
    }

    fn sorted(&self) -> &[Entry] {
        self.sorted.get_or_init(|| {
            let mut entries = std::mem::take(&mut *self.came.lock());
            order::by_key(&mut entries);
            entries
        })
    }

    /// In whichever order they have.
    fn show(&self, see: &mut dyn FnMut(&[Entry])) {
        let came = self.came.lock();
        if came.is_empty() {
            drop(came);
            see(self.sorted());
        } else {
            see(&came);
        }
    }

    fn within(&self, keys: &RangeInclusive<Key>) -> &[Entry] {
        let sorted = self.sorted();
        let begin = sorted.partition_point(|(key, _)| key < keys.start());
        let end = sorted.partition_point(|(key, _)| key <= keys.end()).max(begin);
        sorted.get(begin..end).unwrap_or_default()
    }
}

impl Table {
    pub(super) fn push(&mut self, key: Key, position: u64) {
        if self.tail.len() >= BLOCK_ENTRIES {
            self.end_block();
        }
        self.tail.push((key, position));
        self.len += 1;
    }

    fn end_block(&mut self) {
        if !self.tail.is_empty() {
            self.blocks.push(Block::of(std::mem::replace(&mut self.tail, Vec::with_capacity(BLOCK_ENTRIES))));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds what there is to a look that has all that is older.
    pub(super) fn look(&self, keys: &RangeInclusive<Key>, look: &mut Look) {
        let older = look.end();
        look.blocks.extend(older);
        look.blocks.extend(self.blocks.iter().cloned());
        look.tail.extend(self.tail.iter().filter(|(key, _)| keys.contains(key)));
    }

    /// What came later, behind it.
    pub(super) fn append(&mut self, newer: Self) {
        self.end_block();
        self.blocks.extend(newer.blocks);
        self.tail = newer.tail;
        self.len += newer.len;
    }

    /// Every entry, by key and position.
    pub(super) fn sorted(&self) -> Vec<Entry> {
        order::of_parts(self.len(), |each| {
            self.blocks.iter().for_each(|block| block.show(each));
            each(&self.tail);
        })
    }
}

impl Look {
    /// What an older table had in its tail is a block before a newer table's.
    fn end(&mut self) -> Option<Arc<Block>> {
        (!self.tail.is_empty()).then(|| Block::of(std::mem::take(&mut self.tail)))
    }

    /// Adds a key's positions within a range, in the order asked for, until there are `max`. Sorts blocks that nobody has
    /// looked into before: some tenths of a millisecond each.
    pub(super) fn positions(
        &mut self,
        key: Key,
        range: &Range<u64>,
        max: usize,
        newest_first: bool,
        found: &mut Vec<u64>,
    ) {
        let rest = self.end();
        self.blocks.extend(rest);
        let add = |block: &Arc<Block>| {
            let of_key: Vec<u64> = block.within(&(key..=key)).iter().map(|(_, position)| *position).collect();
            super::take_within(&of_key, range, max, newest_first, found);
            (found.len() < max).then_some(())
        };
        let _enough = if newest_first {
            self.blocks.iter().rev().try_for_each(add)
        } else {
            self.blocks.iter().try_for_each(add)
        };
    }

    /// Hands out the entries of these keys, in no order.
    pub(super) fn scan(&mut self, keys: &RangeInclusive<Key>, mut each: impl FnMut(Key, u64)) {
        let rest = self.end();
        self.blocks.extend(rest);
        for (key, position) in self.blocks.iter().flat_map(|block| block.within(keys)) {
            each(*key, *position);
        }
    }

    /// The same of these keys, which ascend.
    pub(super) fn scan_each(&mut self, keys: &[Key], mut each: impl FnMut(Key, u64)) {
        let rest = self.end();
        self.blocks.extend(rest);
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return };
        for block in &self.blocks {
            let mut wanted = Wanted(keys);
            let _behind_the_last = block.within(&(*first..=*last)).iter().try_for_each(|(key, position)| {
                if wanted.has(*key)? {
                    each(*key, *position);
                }
                ControlFlow::Continue(())
            });
        }
    }
}
