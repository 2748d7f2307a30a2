//! The anchor: two slots, each in a 4 KiB block of its own, that say which finished checkpoint counts. It is what makes
//! a shortened journal visible: the chain alone can't tell that later groups are missing. Not here: checkpoints.

use std::io;

use super::bytes::{Take, close_block, open_block, wide};
use super::medium::{Medium, TOP, read_file, write_whole};

pub(crate) const ANCHOR: &str = "anchor";
const SLOT_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"SLANCHR1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Grows by one with every write; the greater of two is the newer.
    pub(crate) counter: u64,
    pub(crate) group: u64,
    pub(crate) manifest: u64,
    pub(crate) manifest_hash: [u8; 32],
    pub(crate) log_id: [u8; 16],
}

impl Slot {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.counter.to_le_bytes());
        bytes.extend_from_slice(&self.group.to_le_bytes());
        bytes.extend_from_slice(&self.manifest.to_le_bytes());
        bytes.extend_from_slice(&self.manifest_hash);
        bytes.extend_from_slice(&self.log_id);
        close_block(&mut bytes, SLOT_BYTES);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Slot> {
        let mut take: Take<'_> = open_block(bytes)?;
        if take.array()? != MAGIC {
            return None;
        }
        Some(Slot {
            counter: take.u64()?,
            group: take.u64()?,
            manifest: take.u64()?,
            manifest_hash: *take.array()?,
            log_id: *take.array()?,
        })
    }
}

/// Both slots as they were found or last written. `None` is a slot that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) slots: [Option<Slot>; 2],
}

impl Anchor {
    /// `None` if there is no such file.
    pub(crate) fn read(medium: &dyn Medium) -> io::Result<Option<Anchor>> {
        let Some(bytes) = read_file(medium, ANCHOR)? else { return Ok(None) };
        let slot = |at: usize| bytes.get(at * SLOT_BYTES..(at + 1) * SLOT_BYTES).and_then(Slot::decode);
        Ok(Some(Anchor { slots: [slot(0), slot(1)] }))
    }

    /// Makes the file with the same content in both slots.
    pub(crate) fn create(medium: &dyn Medium, mut slot: Slot) -> io::Result<Anchor> {
        let mut bytes = slot.encode();
        let first = slot;
        slot.counter += 1;
        bytes.extend_from_slice(&slot.encode());
        write_whole(medium, TOP, ANCHOR, &bytes)?;
        Ok(Anchor { slots: [Some(first), Some(slot)] })
    }

    /// The valid slots, the newest first.
    pub(crate) fn newest_first(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.slots.iter().flatten().copied().collect();
        slots.sort_by_key(|slot| std::cmp::Reverse(slot.counter));
        slots
    }

    pub(crate) fn bad_slot(&self) -> Option<u8> {
        match self.slots {
            [None, _] => Some(0),
            [_, None] => Some(1),
            [Some(_), Some(_)] => None,
        }
    }

    /// Writes the next slot over the older one (a bad one is older than any), and syncs. The other slot is not touched.
    pub(crate) fn advance(
        &mut self,
        medium: &dyn Medium,
        group: u64,
        manifest: u64,
        manifest_hash: [u8; 32],
        log_id: [u8; 16],
    ) -> io::Result<()> {
        let counter = self.newest_first().first().map_or(0, |slot| slot.counter) + 1;
        let older = match self.slots {
            [None, _] => 0,
            [_, None] => 1,
            [Some(a), Some(b)] => usize::from(a.counter > b.counter),
        };
        let slot = Slot { counter, group, manifest, manifest_hash, log_id };
        let file = medium.open(ANCHOR)?;
        file.write_at(wide(older * SLOT_BYTES), &slot.encode())?;
        file.sync()?;
        if let Some(place) = self.slots.get_mut(older) {
            *place = Some(slot);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_spoils_a_slot() {
        let slot = Slot { counter: 4, group: 9, manifest: 3, manifest_hash: [1; 32], log_id: [2; 16] };
        let bytes = slot.encode();
        assert_eq!(Slot::decode(&bytes), Some(slot));
        for bit in 0..bytes.len() * 8 {
            let mut rotten = bytes.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Slot::decode(&rotten), None, "bit {bit}");
        }
    }
}
