//! The newest groups in memory: what is durable but not yet in sled, and a little more so that a read just after an
//! answer need not go there. Also every tenant's durable head. Not here: anything that is not durable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::bytes::wide;
use super::frame::Head;
use super::group::{EncodedGroup, FrameSpan};

#[derive(Default)]
pub(crate) struct Window {
    heads: BTreeMap<u32, Head>,
    last_group: u64,
    groups: VecDeque<Arc<EncodedGroup>>,
    frames: BTreeMap<u32, VecDeque<(Arc<EncodedGroup>, FrameSpan)>>,
    bytes: u64,
    /// What of `bytes` sled has not been given yet.
    unfed_bytes: u64,
    bytes_kept: u64,
}

/// What memory can say to a read: where it begins to know the tenant, and its frames from there on.
pub(crate) struct Known {
    pub(crate) head: Head,
    /// Below this position sled has to be asked.
    pub(crate) from: u64,
    pub(crate) frames: Vec<(Arc<EncodedGroup>, FrameSpan)>,
}

impl Window {
    pub(crate) fn new(heads: BTreeMap<u32, Head>, last_group: u64, bytes_kept: u64) -> Window {
        Window { heads, last_group, bytes_kept, ..Window::default() }
    }

    pub(crate) fn heads(&self) -> &BTreeMap<u32, Head> {
        &self.heads
    }

    pub(crate) fn head(&self, tenant: u32) -> Head {
        self.heads.get(&tenant).copied().unwrap_or_default()
    }

    pub(crate) fn last_group(&self) -> u64 {
        self.last_group
    }

    pub(crate) fn unfed_bytes(&self) -> u64 {
        self.unfed_bytes
    }

    /// Takes a group that has just become durable.
    pub(crate) fn add(&mut self, group: &Arc<EncodedGroup>) {
        assert_eq!(group.number, self.last_group + 1, "groups become durable one after the other");
        for frame in &group.frames {
            self.heads.insert(frame.tenant, frame.head_after);
            self.frames.entry(frame.tenant).or_default().push_back((Arc::clone(group), frame.clone()));
        }
        self.last_group = group.number;
        self.bytes += wide(group.bytes.len());
        self.unfed_bytes += wide(group.bytes.len());
        self.groups.push_back(Arc::clone(group));
    }

    /// Sled has everything up to this group; what is beyond the bound may go.
    pub(crate) fn fed(&mut self, up_to: u64) {
        let above = |group: &&Arc<EncodedGroup>| group.number > up_to;
        self.unfed_bytes = self.groups.iter().rev().take_while(above).map(|group| wide(group.bytes.len())).sum();
        while self.bytes > self.bytes_kept {
            let Some(group) = self.groups.front().filter(|group| group.number <= up_to).cloned() else { return };
            self.groups.pop_front();
            self.bytes -= wide(group.bytes.len());
            for frame in &group.frames {
                let frames = self.frames.get_mut(&frame.tenant).expect("a group's frames stay as long as the group");
                frames.pop_front();
                if frames.is_empty() {
                    self.frames.remove(&frame.tenant);
                }
            }
        }
    }

    /// The tenant's frames in memory that hold positions from `from` on, about `max_bytes` of them.
    pub(crate) fn known(&self, tenant: u32, from: u64, max_bytes: usize) -> Known {
        let head = self.head(tenant);
        let Some(all) = self.frames.get(&tenant) else {
            return Known { head, from: head.next_position, frames: vec![] };
        };
        let begin = all.front().map_or(head.next_position, |(_, frame)| frame.first_position);
        let first = all.partition_point(|(_, frame)| frame.head_after.next_position <= from);
        let mut bytes = 0;
        let enough = |(_, frame): &&(Arc<EncodedGroup>, FrameSpan)| {
            let is_wanted = bytes <= max_bytes;
            bytes += frame.at.len();
            is_wanted
        };
        let frames = all.iter().skip(first).take_while(enough).cloned().collect();
        Known { head, from: begin, frames }
    }
}
