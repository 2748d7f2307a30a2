//! Finding events: by subject, by command, by both. Everything here is blocking, bounded, and shows durable positions only.
//! Not here: reading on from a position (`Ledger::events`).

use super::{Ledger, ReadError, SeatSteps, Step};
use crate::domain::command::Actor;
use crate::domain::event::{Event, Recorded};
use crate::domain::event_type::EventType;
use crate::domain::ids::{DeviceId, GroupId, Holder, PoolId, ReviewId, TenantId, UserId};
use crate::domain::placing::{LateStep, Lateness};
use crate::domain::subject::{Subject, subjects_of};
use crate::log::record;
use crate::vault::reveal;
use std::collections::BTreeSet;
use std::ops::Range;

/// The most events of one answer to a query.
pub const PAGE_EVENTS_MAX: usize = 1000;
/// And of their records, but for the last one: what is in them takes several times the room.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// A query that looked at so many events answers with what it has and where to go on.
const EXAMINED_MAX: usize = 10_000;
/// So many positions are taken from an index at once.
const CHUNK_MIN: usize = 64;
const CHUNK_MAX: usize = 512;
/// Facts that are about a pool and don't name it: they name an assignment of it, or a drift. The index has them by their
/// types alone.
const REFERRING: [EventType; 2] = [EventType::MembersSkipped, EventType::DriftResolved];

/// Which events are wanted: those for which everything that is said holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventQuery {
    pub from: u64,
    /// Exclusive.
    pub to: Option<u64>,
    /// One of these; of any type when empty.
    pub types: Vec<EventType>,
    pub pool: Option<PoolId>,
    pub user: Option<UserId>,
    pub device: Option<DeviceId>,
    pub group: Option<GroupId>,
    pub review: Option<ReviewId>,
    /// Who did it.
    pub actor: Option<Actor>,
    pub command_id: Option<String>,
    /// At least 1 and at most [`PAGE_EVENTS_MAX`] are given.
    pub limit: usize,
    pub newest_first: bool,
}

/// Some events, in the order asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventPage {
    pub events: Vec<Recorded>,
    /// Where there is more to look at: `from` of the next query, or its `to` when the newest come first. A page may be
    /// empty and still have a next one.
    pub next: Option<u64>,
}

impl EventQuery {
    /// `pool_of` says which pool is meant by a fact that does not name it.
    fn is_met_by(&self, recorded: &Recorded, pool_of: impl Fn(&Event) -> Option<PoolId>) -> bool {
        let Recorded { envelope, event, .. } = recorded;
        let is_of_command = |id: &String| envelope.command_id.as_ref() == Some(id);
        (self.types.is_empty() || self.types.contains(&event.event_type()))
            && self.command_id.as_ref().is_none_or(is_of_command)
            && {
                let named = subjects_of(recorded);
                let is_meant = |subject| matches!(subject, Subject::Pool(pool) if pool_of(event) == Some(pool));
                self.subjects().all(|subject| named.contains(&subject) || is_meant(subject))
            }
    }

    fn subjects(&self) -> impl Iterator<Item = Subject> {
        let (device, group) = (self.device.map(Subject::Device), self.group.map(Subject::Group));
        let (pool, user) = (self.pool.map(Subject::Pool), self.user.map(Subject::User));
        let (review, actor) = (self.review.map(Subject::Review), self.actor.map(Subject::Actor));
        [pool, user, device, group, review, actor].into_iter().flatten()
    }
}

/// The next positions to look at, in the order asked for, and what of the range is left behind them.
struct Candidates {
    positions: Vec<u64>,
    rest: Range<u64>,
}

impl Candidates {
    /// What an index gave when it was asked for `max`.
    fn listed(positions: Vec<u64>, range: &Range<u64>, max: usize, newest_first: bool) -> Self {
        let rest = match positions.last().filter(|_| positions.len() >= max) {
            Some(last) => behind(*last, range, newest_first),
            None if newest_first => range.start..range.start,
            None => range.end..range.end,
        };
        Self { positions, rest }
    }

    /// Every position of the range.
    fn unlisted(range: &Range<u64>, max: usize, newest_first: bool) -> Self {
        let positions =
            if newest_first { range.clone().rev().take(max).collect() } else { range.clone().take(max).collect() };
        Self::listed(positions, range, max, newest_first)
    }

    /// What either list holds, as far as both reach.
    fn union(self, other: Self, newest_first: bool) -> Self {
        let rest = if newest_first {
            self.rest.start.min(other.rest.start)..self.rest.end.max(other.rest.end)
        } else {
            self.rest.start.min(other.rest.start)..self.rest.end
        };
        let mut positions = self.positions;
        positions.extend(other.positions);
        positions.retain(|position| !rest.contains(position));
        positions.sort_unstable();
        positions.dedup();
        if newest_first {
            positions.reverse();
        }
        Self { positions, rest }
    }
}

/// What is left of a range when everything up to a position was seen.
fn behind(seen: u64, range: &Range<u64>, newest_first: bool) -> Range<u64> {
    if newest_first { range.start..seen } else { seen + 1..range.end }
}

impl Ledger {
    /// Positions within `range` of events about a subject, at most `max`: the first ones ascending, or the last ones
    /// descending.
    ///
    /// # Errors
    /// When there is no such tenant, or the index is damaged: it is made anew at the next start.
    pub fn positions(
        &self,
        tenant: TenantId,
        subject: Subject,
        range: Range<u64>,
        max: usize,
        newest_first: bool,
    ) -> Result<Vec<u64>, ReadError> {
        self.0.shelf.desk(tenant)?;
        let found = self.0.writer.subjects().positions(tenant, subject, range, max, newest_first);
        found.map_err(|error| ReadError::Log(error.to_string()))
    }

    /// Positions within `range` of facts that came late by a step, of one pool or of all, with how late: at most so many, the
    /// first ones ascending.
    ///
    /// # Errors
    /// As [`Self::positions`].
    pub fn late_facts(
        &self,
        tenant: TenantId,
        late: (Option<PoolId>, LateStep),
        range: &Range<u64>,
        max: usize,
    ) -> Result<Vec<(u64, Lateness)>, ReadError> {
        let found = self.0.writer.subjects().late(tenant, late, range, max);
        found.map_err(|error| ReadError::Log(error.to_string()))
    }

    /// Holders from one to another with steps about their seats of a pool up to a position, at most so many.
    ///
    /// # Errors
    /// As [`Self::positions`].
    pub fn seats_between(
        &self,
        tenant: TenantId,
        pool: PoolId,
        between: (Holder, Holder),
        last_position: u64,
        max: usize,
    ) -> Result<Vec<(Holder, Vec<Step>)>, ReadError> {
        let found = self.0.writer.subjects().seats(tenant, pool, between, last_position, max);
        found.map_err(|error| ReadError::Log(error.to_string()))
    }

    /// The same of the pools of users, or of devices.
    ///
    /// # Errors
    /// As [`Self::positions`].
    pub fn held_between(
        &self,
        tenant: TenantId,
        between: (Holder, Holder),
        last_position: u64,
    ) -> Result<Vec<(Holder, PoolId, Vec<Step>)>, ReadError> {
        let found = self.0.writer.subjects().held(tenant, between, last_position);
        found.map_err(|error| ReadError::Log(error.to_string()))
    }

    /// The steps up to a position about these holders' seats of these pools; nothing of those who had none.
    ///
    /// # Errors
    /// As [`Self::positions`].
    pub fn seats_of(
        &self,
        tenant: TenantId,
        of: &BTreeSet<(PoolId, Holder)>,
        last_position: u64,
    ) -> Result<Vec<SeatSteps>, ReadError> {
        let found = self.0.writer.subjects().seats_of(tenant, of, last_position);
        found.map_err(|error| ReadError::Log(error.to_string()))
    }

    /// Where events say what these are and belong to; nothing of those of whom nothing is said.
    ///
    /// # Errors
    /// As [`Self::positions`].
    pub fn own_facts_of(
        &self,
        tenant: TenantId,
        of: &BTreeSet<Holder>,
        last_position: u64,
    ) -> Result<Vec<(Holder, Vec<u64>)>, ReadError> {
        let found = self.0.writer.subjects().own_facts(tenant, of, last_position);
        found.map_err(|error| ReadError::Log(error.to_string()))
    }

    /// The events at these positions, in the order of the positions.
    ///
    /// # Errors
    /// When there is no such tenant, a position has not been reached, or the records can't be read.
    pub fn events_at(&self, tenant: TenantId, positions: &[u64]) -> Result<Vec<Recorded>, ReadError> {
        let mut found = self.facts_at(tenant, positions)?;
        found.iter_mut().for_each(|recorded| reveal(&self.0.vault, tenant.0, &mut recorded.event));
        Ok(found)
    }

    /// The same without the hashes by which names are found, which are not stored with the events: for who looks nobody up.
    ///
    /// # Errors
    /// As [`Self::events_at`].
    pub fn facts_at(&self, tenant: TenantId, positions: &[u64]) -> Result<Vec<Recorded>, ReadError> {
        self.0.shelf.desk(tenant)?;
        let mut sorted = positions.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let records = self.records_at(tenant, &sorted)?;
        let found = records.iter().map(decoded).collect::<Result<Vec<Recorded>, ReadError>>()?;
        if sorted == positions {
            return Ok(found);
        }
        let at = |position: &u64| sorted.binary_search(position).ok().and_then(|at| found.get(at)).cloned();
        Ok(positions.iter().filter_map(at).collect())
    }

    /// Of positions that ascend.
    fn records_at(&self, tenant: TenantId, positions: &[u64]) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let records = self.0.writer.reader().read_at(tenant.0, positions);
        let records = records.map_err(|error| ReadError::Log(error.to_string()))?;
        match positions.get(records.len()) {
            Some(missing) => Err(ReadError::NotReached(*missing)),
            None => Ok(records),
        }
    }

    /// Whether no damage was met in the index of command ids. Until a start makes it anew, no command with an id is judged.
    #[must_use]
    pub fn is_receipts_whole(&self) -> bool {
        self.0.writer.receipts().is_whole()
    }

    /// The same of the index of subjects. Until then nothing is found by it.
    #[must_use]
    pub fn is_subjects_whole(&self) -> bool {
        self.0.writer.subjects().is_whole()
    }

    /// That a part of both indexes and of the archive can't be read.
    #[cfg(test)]
    pub(crate) fn let_indexes_rot(&self) {
        self.0.writer.receipts().let_rot();
        self.0.writer.subjects().let_rot();
        self.0.writer.archive().let_rot();
    }

    /// Where the records of a command stand; `None` when no command of this id has any.
    ///
    /// # Errors
    /// When there is no such tenant, or the index of command ids is damaged.
    pub fn command_range(&self, tenant: TenantId, command_id: &str) -> Result<Option<Range<u64>>, ReadError> {
        self.0.shelf.desk(tenant)?;
        let receipt = self.0.writer.receipts().get((tenant.0, record::command_key(command_id)));
        let receipt = receipt.map_err(|error| ReadError::Log(error.to_string()))?;
        Ok(receipt.map(|receipt| receipt.first_position..receipt.first_position + u64::from(receipt.records)))
    }

    /// Everything that came of a command, in order; nothing when no command of this id was recorded.
    ///
    /// # Errors
    /// As [`Self::command_range`] and [`Self::events`].
    pub fn command_events(&self, tenant: TenantId, command_id: &str) -> Result<Vec<Recorded>, ReadError> {
        let Some(range) = self.command_range(tenant, command_id)? else { return Ok(Vec::new()) };
        let records = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut events = self.events(tenant, range.start, records)?;
        // two ids may have one key in the index
        events.retain(|recorded| recorded.envelope.command_id.as_deref() == Some(command_id));
        Ok(events)
    }

    /// A page of the events that meet a query. It takes the index that names the fewest and looks at what that names.
    ///
    /// # Errors
    /// When there is no such tenant, or the log can't be read.
    pub fn query(&self, tenant: TenantId, query: &EventQuery) -> Result<EventPage, ReadError> {
        let mut range = query.from..query.to.unwrap_or(u64::MAX).min(self.head(tenant)?.saturating_add(1));
        if let Some(id) = &query.command_id {
            let Some(of_command) = self.command_range(tenant, id)? else { return Ok(EventPage::default()) };
            range = range.start.max(of_command.start)..range.end.min(of_command.end);
        }
        let limit = query.limit.clamp(1, PAGE_EVENTS_MAX);
        let chunk = (limit + 1).clamp(CHUNK_MIN, CHUNK_MAX);
        let (mut events, mut examined, mut bytes) = (Vec::new(), 0, 0);
        while !range.is_empty() && examined < EXAMINED_MAX {
            let Candidates { mut positions, rest } = self.candidates(tenant, query, &range, chunk);
            examined += positions.len();
            positions.sort_unstable();
            positions.dedup();
            let mut records = self.records_at(tenant, &positions)?;
            if query.newest_first {
                records.reverse();
            }
            for record in &records {
                let mut recorded = decoded(record)?;
                reveal(&self.0.vault, tenant.0, &mut recorded.event);
                if !query.is_met_by(&recorded, |event| self.pool_referred_to(tenant, event)) {
                    continue;
                }
                if events.len() == limit || bytes > PAGE_BYTES_MAX {
                    let next = if query.newest_first { recorded.position + 1 } else { recorded.position };
                    return Ok(EventPage { events, next: Some(next) });
                }
                bytes += record.1.len();
                events.push(recorded);
            }
            range = rest;
        }
        let next = if query.newest_first { range.end } else { range.start };
        Ok(EventPage { events, next: (!range.is_empty()).then_some(next) })
    }

    fn pool_referred_to(&self, tenant: TenantId, event: &Event) -> Option<PoolId> {
        if let Event::MembersSkipped { assignment, .. } = event {
            self.read(tenant, |view| view.state.assignments.get(assignment.index()).map(|one| one.pool)).ok()?
        } else if let Event::DriftResolved { drift, .. } = event {
            self.read(tenant, |view| view.state.drifts.get(drift.index()).map(|one| one.pool)).ok()?
        } else {
            None
        }
    }

    /// From the index that reaches the farthest with so many positions.
    fn candidates(&self, tenant: TenantId, query: &EventQuery, range: &Range<u64>, max: usize) -> Candidates {
        let newest_first = query.newest_first;
        let listed = |subject| {
            let found = self.0.writer.subjects().positions(tenant, subject, range.clone(), max, newest_first).ok()?;
            Some(Candidates::listed(found, range, max, newest_first))
        };
        let mut types = query.types.clone();
        types.sort_unstable();
        types.dedup();
        let mut of_types = types.into_iter().map(|event_type| listed(Subject::Type(event_type)));
        let of_types = of_types
            .next()
            .and_then(|first| of_types.try_fold(first?, |all, next| Some(all.union(next?, newest_first))));
        let of_subject = |subject| {
            let is_wanted = |kind: &EventType| query.types.is_empty() || query.types.contains(kind);
            let mut referring =
                REFERRING.into_iter().filter(|kind| matches!(subject, Subject::Pool(_)) && is_wanted(kind));
            referring
                .try_fold(listed(subject)?, |all, kind| Some(all.union(listed(Subject::Type(kind))?, newest_first)))
        };
        query
            .subjects()
            .filter_map(of_subject)
            .chain(of_types)
            .min_by_key(|candidates| (candidates.rest.end - candidates.rest.start, candidates.positions.len()))
            .unwrap_or_else(|| Candidates::unlisted(range, max, newest_first))
    }
}

fn decoded((position, bytes): &(u64, Vec<u8>)) -> Result<Recorded, ReadError> {
    record::decode(*position, bytes).map_err(|error| ReadError::Log(format!("position {position}: {error}")))
}

#[cfg(test)]
mod tests;
