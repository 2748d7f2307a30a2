//! Where the events about a subject stand: tenant and subject to positions, in order.
//!
//! What is new is in memory; the rest lies in sorted runs on disk, like the receipts. Runs are caches: a damaged one is
//! set aside and made anew from the log at the next start.

use crate::domain::command::Actor;
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::domain::subject::{Subject, name_subjects};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The index can't say where a subject's events are: a run is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index of subjects is damaged and will be made anew at the next start")]
pub struct NotWhole;

/// A tenant and the number that stands for a subject in the index.
type Key = (u32, u64);

/// Positions of a key, ascending.
type Table = HashMap<Key, Vec<u64>, foldhash::quality::RandomState>;

/// Clones are one index: the writer's, and those of who reads beside it.
#[derive(Clone, Default)]
pub struct Subjects(Arc<RwLock<Held>>);

#[derive(Default)]
struct Held {
    fresh: Table,
    /// Positions in `fresh`, over all keys.
    fresh_entries: usize,
    named: Vec<Subject>,
}

/// By kind, then by id; stands in files.
fn code(subject: Subject) -> u64 {
    let (kind, id) = match subject {
        Subject::Pool(pool) => (0, pool.0),
        Subject::User(user) => (1, user.0),
        Subject::Device(device) => (2, device.0),
        Subject::Group(group) => (3, group.0),
        Subject::Assignment(assignment) => (4, assignment.0),
        Subject::Actor(Actor::Ledger) => (5, 0),
        Subject::Actor(Actor::Root) => (5, 1),
        Subject::Actor(Actor::Token(token)) => (6, token.0),
        Subject::Refusals => (7, 0),
        Subject::Type(event_type) => (8, u32::from(event_type.number())),
    };
    kind << 32 | u64::from(id)
}

impl Subjects {
    /// Takes durable events in their order.
    pub fn take(&self, records: &[(TenantId, Recorded)]) {
        let held = &mut *self.0.write();
        for (tenant, recorded) in records {
            name_subjects(recorded, &mut held.named);
            held.fresh_entries += held.named.len();
            for subject in &held.named {
                held.fresh.entry((tenant.0, code(*subject))).or_default().push(recorded.position);
            }
        }
    }

    /// Positions within `range` of events about a subject, at most `max`: the first ones in ascending order, or the last
    /// ones in descending order. Blocking.
    ///
    /// # Errors
    /// When a run that may hold some can't be read.
    pub fn positions(
        &self,
        tenant: TenantId,
        subject: Subject,
        range: Range<u64>,
        max: usize,
        newest_first: bool,
    ) -> Result<Vec<u64>, NotWhole> {
        let key = (tenant.0, code(subject));
        let mut found = Vec::new();
        take_within(self.0.read().fresh.get(&key), &range, max, newest_first, &mut found);
        Ok(found)
    }
}

/// Adds what lies in the range, in the order asked for, until there are `max`.
fn take_within(sorted: Option<&Vec<u64>>, range: &Range<u64>, max: usize, newest_first: bool, found: &mut Vec<u64>) {
    let Some(sorted) = sorted else { return };
    let begin = sorted.partition_point(|position| *position < range.start);
    let end = sorted.partition_point(|position| *position < range.end).max(begin);
    let within = sorted.get(begin..end).unwrap_or_default().iter().copied();
    let wanted = max.saturating_sub(found.len());
    if newest_first { found.extend(within.rev().take(wanted)) } else { found.extend(within.take(wanted)) }
}
