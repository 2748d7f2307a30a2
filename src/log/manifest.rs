//! The manifest: what a finished checkpoint covers, tenant by tenant and segment by segment. Written once, whole, named
//! by an anchor slot together with its hash, and never changed. Not here: when one is written (`checkpoint.rs`).

use std::collections::BTreeMap;
use std::io;

use sha2::{Digest, Sha256};

use super::bytes::{Take, wide};
use super::frame::Head;
use super::medium::{ASIDE, Medium, TOP, write_whole};
use crate::merkle::Peaks;

const MAGIC: &[u8; 8] = b"SLMANIF1";
const PREFIX: &str = "manifest-";

/// A tenant's stream as far as a checkpoint covers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TenantMark {
    pub(crate) head: Head,
    pub(crate) tree: Peaks,
}

/// A segment that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiveEntry {
    pub(crate) id: u32,
    pub(crate) first_group: u64,
}

/// A segment that a verified backup holds and the operator let go: no hole, but no rebuild without that backup either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DroppedEntry {
    pub(crate) id: u32,
    pub(crate) first_group: u64,
    pub(crate) last_group: u64,
    /// Where each tenant stood at the segment's end.
    pub(crate) heads: BTreeMap<u32, Head>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) number: u64,
    pub(crate) log_id: [u8; 16],
    /// The last group that is covered.
    pub(crate) group: u64,
    pub(crate) live: Vec<LiveEntry>,
    pub(crate) dropped: Vec<DroppedEntry>,
    pub(crate) tenants: BTreeMap<u32, TenantMark>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.log_id);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.group.to_le_bytes());
        put_count(&mut out, self.live.len());
        for entry in &self.live {
            out.extend_from_slice(&entry.id.to_le_bytes());
            out.extend_from_slice(&entry.first_group.to_le_bytes());
        }
        put_count(&mut out, self.dropped.len());
        for entry in &self.dropped {
            out.extend_from_slice(&entry.id.to_le_bytes());
            out.extend_from_slice(&entry.first_group.to_le_bytes());
            out.extend_from_slice(&entry.last_group.to_le_bytes());
            put_count(&mut out, entry.heads.len());
            for (tenant, head) in &entry.heads {
                put_head(&mut out, *tenant, head);
            }
        }
        put_count(&mut out, self.tenants.len());
        for (tenant, mark) in &self.tenants {
            put_head(&mut out, *tenant, &mark.head);
            out.extend_from_slice(&mark.tree.root());
            for peak in mark.tree.peaks() {
                out.extend_from_slice(peak);
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Manifest> {
        let mut take = Take(bytes);
        if take.array()? != MAGIC {
            return None;
        }
        let mut manifest =
            Manifest { log_id: *take.array()?, number: take.u64()?, group: take.u64()?, ..Manifest::default() };
        for _ in 0..take.u32()? {
            manifest.live.push(LiveEntry { id: take.u32()?, first_group: take.u64()? });
        }
        for _ in 0..take.u32()? {
            let (id, first_group, last_group) = (take.u32()?, take.u64()?, take.u64()?);
            let mut heads = BTreeMap::new();
            for _ in 0..take.u32()? {
                let (tenant, head) = take_head(&mut take)?;
                heads.insert(tenant, head);
            }
            manifest.dropped.push(DroppedEntry { id, first_group, last_group, heads });
        }
        for _ in 0..take.u32()? {
            let (tenant, head) = take_head(&mut take)?;
            let root = take.array::<32>()?;
            let mut peaks = vec![];
            for _ in 0..head.next_position.count_ones() {
                peaks.push(*take.array::<32>()?);
            }
            let tree = Peaks::from_parts(head.next_position, peaks).filter(|tree| tree.root() == *root)?;
            manifest.tenants.insert(tenant, TenantMark { head, tree });
        }
        take.is_empty().then_some(manifest)
    }

    /// Writes the manifest, whole or not at all, and answers the hash by which an anchor slot names it.
    pub(crate) fn write(&self, medium: &dyn Medium) -> io::Result<[u8; 32]> {
        let bytes = self.encode();
        write_whole(medium, TOP, &manifest_name(self.number), &bytes)?;
        Ok(Sha256::digest(&bytes).into())
    }
}

pub(crate) fn manifest_name(number: u64) -> String {
    format!("{PREFIX}{number:016}")
}

pub(crate) fn is_manifest(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Removes every manifest that no anchor slot names. Harmless if it fails: a later one takes them away.
pub(crate) fn remove_others(medium: &dyn Medium, keep: &[u64]) -> io::Result<()> {
    for file in medium.list(TOP)? {
        let number = file.strip_prefix(PREFIX).filter(|_| !file.ends_with(ASIDE)).and_then(|n| n.parse::<u64>().ok());
        if number.is_some_and(|number| !keep.contains(&number)) {
            medium.remove(&file)?;
        }
    }
    Ok(())
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(wide(count)).expect("fewer than 2^32 entries").to_le_bytes());
}

fn put_head(out: &mut Vec<u8>, tenant: u32, head: &Head) {
    out.extend_from_slice(&tenant.to_le_bytes());
    out.extend_from_slice(&head.next_position.to_le_bytes());
    out.extend_from_slice(&head.chain);
}

fn take_head(take: &mut Take<'_>) -> Option<(u32, Head)> {
    Some((take.u32()?, Head { next_position: take.u64()?, chain: *take.array()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_and_nothing_shorter_or_longer_does() {
        let mut tree = Peaks::default();
        (0..5u8).for_each(|n| tree.push(&[n]));
        let head = Head { next_position: 5, chain: [4; 32] };
        let dropped = DroppedEntry { id: 1, first_group: 1, last_group: 8, heads: BTreeMap::from([(2, head)]) };
        let manifest = Manifest {
            number: 3,
            log_id: [9; 16],
            group: 40,
            live: vec![LiveEntry { id: 2, first_group: 9 }],
            dropped: vec![dropped],
            tenants: BTreeMap::from([(2, TenantMark { head, tree })]),
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Some(manifest));
        assert_eq!(Manifest::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Manifest::decode(&[bytes.as_slice(), &[0]].concat()), None);
    }
}
