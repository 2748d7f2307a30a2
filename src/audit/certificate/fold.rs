//! Counting a history again, record by record: what every pool owns and who holds its seats, by the few events that say so.
//! Nothing of the service's own state, projections or reports is used. Memory goes with the seats that are held at once.

use super::figures::{Over, PoolFigures};
use crate::audit::sentence::word;
use crate::domain::event::{Event, Recorded};
use crate::domain::facts::{DistributionPolicy, Owned};
use crate::domain::ids::{Holder, PoolId};
use crate::domain::rejection::RejectionClass;
use crate::domain::time::Time;
use std::collections::{BTreeMap, HashSet};

/// What the records of no log of ours can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {what}")]
pub struct Impossible {
    pub position: u64,
    pub what: String,
}

/// The event with which the pool came above its cap.
#[derive(Debug, Clone)]
struct Beginning {
    position: u64,
    at: Time,
    by: String,
    cause: Option<String>,
}

#[derive(Debug)]
struct Pool {
    key: String,
    owned: Owned,
    is_restricted: bool,
    holders: HashSet<Holder>,
    owned_position: u64,
    held_position: Option<u64>,
    over_since: Option<Beginning>,
    /// From the period's beginning on, or the pool's if that is later.
    figures: Option<PoolFigures>,
}

/// A history up to where it was read.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pools: BTreeMap<PoolId, Pool>,
    has_begun: bool,
    /// So many times above the cap are still remembered; all are counted.
    over_room: usize,
    pub(super) recorded_at: Option<Time>,
}

impl Fold {
    pub(super) fn new(over_room: usize) -> Self {
        Self { over_room, ..Self::default() }
    }

    /// The period begins here: what is so now is where its figures begin.
    pub(super) fn begin(&mut self) {
        self.has_begun = true;
        let room = &mut self.over_room;
        self.pools.iter_mut().for_each(|(id, pool)| pool.begin(*id, room));
    }

    pub(super) fn take(&mut self, recorded: &Recorded) -> Result<(), Impossible> {
        self.recorded_at = Some(recorded.envelope.recorded_at);
        let position = recorded.position;
        let impossible = |what: String| Impossible { position, what };
        if let Event::PoolListed { pool, key, owned, distribution_policy, .. } = &recorded.event {
            let new = Pool {
                key: key.to_string(),
                owned: *owned,
                is_restricted: *distribution_policy == DistributionPolicy::Restricted,
                holders: HashSet::new(),
                owned_position: position,
                held_position: None,
                over_since: None,
                figures: None,
            };
            if self.pools.insert(*pool, new).is_some() {
                return Err(impossible(format!("{pool} is listed a second time")));
            }
            if let (true, Some(new)) = (self.has_begun, self.pools.get_mut(pool)) {
                new.begin(*pool, &mut self.over_room);
            }
            return Ok(());
        }
        let Some(id) = pool_of(&recorded.event) else { return Ok(()) };
        let unlisted = || impossible(format!("{id} was never listed"));
        let pool = self.pools.get_mut(&id).ok_or_else(unlisted)?;
        pool.take(recorded).map_err(|what| impossible(format!("{id}: {what}")))?;
        pool.look(id, recorded, &mut self.over_room);
        Ok(())
    }

    /// The figures of the pools that were listed by now, in the order of their ids.
    pub(super) fn into_figures(self) -> BTreeMap<PoolId, PoolFigures> {
        self.pools.into_iter().filter_map(|(id, pool)| Some((id, pool.figures?))).collect()
    }
}

/// The pool whose figures the event may change.
fn pool_of(event: &Event) -> Option<PoolId> {
    if let Event::CapacityChanged { pool, .. }
    | Event::DistributionPolicyChanged { pool, .. }
    | Event::PoolDelisted { pool, .. }
    | Event::SeatGranted { pool, .. }
    | Event::ForeignSeatSeen { pool, .. }
    | Event::SeatReleased { pool, .. }
    | Event::CommandRefused { pool: Some(pool), .. }
    | Event::BatchRefused { pool: Some(pool), .. }
    | Event::RefusalsCounted { pool: Some(pool), .. } = event
    {
        Some(*pool)
    } else {
        None
    }
}

impl Pool {
    fn cap(&self) -> Option<u64> {
        match self.owned {
            Owned::Count(count) if self.is_restricted => Some(count),
            Owned::Count(_) | Owned::Unlimited => None,
        }
    }

    fn held(&self) -> u64 {
        self.holders.len() as u64
    }

    fn over_by(&self) -> u64 {
        self.cap().map_or(0, |cap| self.held().saturating_sub(cap))
    }

    fn owned_number(&self) -> Option<u64> {
        match self.owned {
            Owned::Count(count) => Some(count),
            Owned::Unlimited => None,
        }
    }

    fn begin(&mut self, id: PoolId, over_room: &mut usize) {
        self.figures = Some(PoolFigures {
            pool: id,
            key: self.key.clone(),
            held_max: self.held(),
            held_max_position: self.held_position.unwrap_or(self.owned_position),
            owned_min: self.owned_number(),
            grants: 0,
            grants_above_cap: 0,
            refusals: 0,
            times_over: 0,
            over: vec![],
        });
        self.open_over(id, over_room);
    }

    /// What an event changes, and what no log can say.
    fn take(&mut self, recorded: &Recorded) -> Result<(), String> {
        let (position, event) = (recorded.position, &recorded.event);
        if let Event::CapacityChanged { owned, .. } = event {
            (self.owned, self.owned_position) = (*owned, position);
        } else if let Event::DistributionPolicyChanged { distribution_policy, .. } = event {
            self.is_restricted = *distribution_policy == DistributionPolicy::Restricted;
            self.owned_position = position;
        } else if let Event::PoolDelisted { .. } = event {
            (self.owned, self.owned_position) = (Owned::Count(0), position);
        } else if let Event::SeatGranted { holder, .. } | Event::ForeignSeatSeen { holder, .. } = event {
            let is_grant = matches!(event, Event::SeatGranted { .. });
            let is_above = is_grant && self.cap().is_some_and(|cap| self.held() >= cap);
            if let Some(figures) = &mut self.figures {
                figures.grants += u64::from(is_grant);
                figures.grants_above_cap += u64::from(is_above);
            }
            if !self.holders.insert(*holder) {
                return Err(format!("{holder} holds a seat already"));
            }
            self.held_position = Some(position);
        } else if let Event::SeatReleased { holder, .. } = event {
            if !self.holders.remove(holder) {
                return Err(format!("{holder} holds no seat that could go"));
            }
            self.held_position = Some(position);
        } else if let (Some(figures), Some(count)) = (&mut self.figures, refusals(event)) {
            figures.refusals += count;
        }
        Ok(())
    }

    /// What is remembered of where the pool stands behind an event.
    fn look(&mut self, id: PoolId, recorded: &Recorded, over_room: &mut usize) {
        let (held, owned, over_by) = (self.held(), self.owned_number(), self.over_by());
        if let Some(figures) = &mut self.figures {
            if held > figures.held_max {
                (figures.held_max, figures.held_max_position) = (held, recorded.position);
            }
            figures.owned_min = match (figures.owned_min, owned) {
                (Some(least), Some(owned)) => Some(least.min(owned)),
                (least, owned) => least.or(owned),
            };
        }
        match (over_by > 0, self.over_since.is_some()) {
            (true, false) => {
                self.over_since = Some(Beginning {
                    position: recorded.position,
                    at: recorded.envelope.recorded_at,
                    by: recorded.event.type_name().to_owned(),
                    cause: cause_of(&recorded.event),
                });
                self.open_over(id, over_room);
            }
            (true, true) => {
                if let Some(over) = self.open() {
                    over.over_by_max = over.over_by_max.max(over_by);
                }
            }
            (false, true) => {
                if let Some(over) = self.open() {
                    over.ended_position = Some(recorded.position);
                    over.ended_at = Some(recorded.envelope.recorded_at);
                }
                self.over_since = None;
            }
            (false, false) => {}
        }
    }

    fn open_over(&mut self, id: PoolId, over_room: &mut usize) {
        let over_by_max = self.over_by();
        let (Some(since), Some(figures)) = (&self.over_since, &mut self.figures) else { return };
        figures.times_over += 1;
        let Some(left) = over_room.checked_sub(1) else { return };
        *over_room = left;
        figures.over.push(Over {
            pool: id,
            over_by_max,
            began_position: since.position,
            began_at: since.at,
            began_by: since.by.clone(),
            cause: since.cause.clone(),
            ended_position: None,
            ended_at: None,
        });
    }

    /// The time above the cap that goes on, if it is remembered.
    fn open(&mut self) -> Option<&mut Over> {
        let began = self.over_since.as_ref()?.position;
        self.figures.as_mut()?.over.last_mut().filter(|over| over.began_position == began)
    }
}

/// Refusals by a rule of the state, and their repeats. A command that named nothing real or made no sense is none.
fn refusals(event: &Event) -> Option<u64> {
    if let Event::CommandRefused { rejection, .. } | Event::BatchRefused { rejection, .. } = event {
        Some(u64::from(rejection.class() == RejectionClass::Conflict))
    } else if let Event::RefusalsCounted { count, .. } = event {
        Some(*count)
    } else {
        None
    }
}

fn cause_of(event: &Event) -> Option<String> {
    if let Event::CapacityChanged { cause, .. } | Event::PoolDelisted { cause, .. } = event {
        Some(word(cause))
    } else if let Event::SeatGranted { cause, .. } = event {
        Some(word(cause))
    } else {
        None
    }
}
