//! What one holder ever held, folded from the holder's own events: one entry from the grant to the end, with the causes
//! of both and every event between.

use super::change::Change;
use super::figures::PoolFigures;
use super::holders::seat_of;
use crate::domain::event::{Event, Recorded};
use crate::domain::facts::{GrantCause, ReleaseCause};
use crate::domain::ids::{Holder, PoolId};
use crate::domain::state::SeatState;
use crate::domain::time::Time;
use std::collections::BTreeMap;

/// How a seat came to its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    Granted(GrantCause),
    /// Seen at the store, not granted here.
    SeenAtStore,
}

/// One seat from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub pool: PoolId,
    pub began_position: u64,
    pub began_at: Time,
    pub beginning: Beginning,
    /// When the app was first in use under it.
    pub first_used_at: Option<Time>,
    pub ended: Option<(u64, Time, ReleaseCause)>,
    /// Every event about it, in order.
    pub positions: Vec<u64>,
}

/// The fold. Nothing is kept of seats whose events the caller took out.
#[derive(Debug, Clone)]
pub struct Holdings {
    holder: Holder,
    open: BTreeMap<PoolId, Holding>,
    /// The holder's part of each pool.
    figures: BTreeMap<PoolId, PoolFigures>,
}

impl Holdings {
    #[must_use]
    pub fn new(holder: Holder) -> Self {
        Self { holder, open: BTreeMap::new(), figures: BTreeMap::new() }
    }

    /// Those that have not ended, by where they began.
    #[must_use]
    pub fn into_open(self) -> Vec<Holding> {
        let mut open: Vec<_> = self.open.into_values().collect();
        open.sort_by_key(|holding| holding.began_position);
        open
    }

    /// Takes one fact; gives the holding that it ended.
    pub fn take(&mut self, recorded: &Recorded) -> Option<Holding> {
        if let Some((pool, _)) = Change::of(&recorded.event) {
            self.figures.entry(pool).or_insert_with(|| PoolFigures::new(pool)).take(&recorded.event);
        }
        let (pool, holder) = seat_of(&recorded.event)?;
        if holder != self.holder {
            return None;
        }
        let (position, at) = (recorded.position, recorded.envelope.recorded_at);
        let beginning = if let Event::SeatGranted { cause, .. } = &recorded.event {
            Some(Beginning::Granted(*cause))
        } else {
            matches!(recorded.event, Event::ForeignSeatSeen { .. }).then_some(Beginning::SeenAtStore)
        };
        if let Some(beginning) = beginning {
            let (first_used_at, ended, positions) = (None, None, Vec::new());
            let begun =
                Holding { pool, began_position: position, began_at: at, beginning, first_used_at, ended, positions };
            self.open.insert(pool, begun);
        }
        let state = self.figures.get(&pool).and_then(|figures| figures.seat(holder));
        let holding = self.open.get_mut(&pool)?;
        holding.positions.push(position);
        if state == Some(SeatState::InUse) {
            holding.first_used_at.get_or_insert(at);
        }
        if let Event::SeatReleased { cause, .. } = &recorded.event {
            holding.ended = Some((position, at, *cause));
            return self.open.remove(&pool);
        }
        None
    }
}
