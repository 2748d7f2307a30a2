//! Where a report takes its facts from: one tenant up to one position. The published state where that is the head, the index
//! and the marks of the courses elsewhere, a state of the past only where nothing less says enough.

use super::{Asked, ReportError};
use crate::audit::as_of::{AsOf, At};
use crate::audit::each_event_about;
use crate::audit::hindsight::{Late, Moment, placed_since};
use crate::audit::part::{Wanted, coverage};
use crate::domain::command::{DeviceRef, HolderRef, PoolRef, UserRef};
use crate::domain::event::Recorded;
use crate::domain::ids::{Holder, PoolId, TenantId};
use crate::domain::key::PoolKey;
use crate::domain::placing::Chain;
use crate::domain::state::SeatState;
use crate::domain::subject::Subject;
use crate::domain::time::Time;
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use crate::projection::courses::PoolCourse;
use crate::projection::holders::{HeldSeat, seats_from};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Finding where events stand is as much work as reading so many of them.
const LOOK_WORK: u64 = 10;

/// What a report looks at. All its methods block.
pub struct Source<'a> {
    pub ledger: &'a Ledger,
    pub as_of: &'a AsOf,
    pub tenant: TenantId,
    /// The last position that counts.
    pub position: u64,
    /// The instant up to which what goes on is measured.
    pub until: Time,
    /// The state at that position, where it was taken with it; as it was known later, where that is asked for.
    pub pinned: Option<Arc<View>>,
    /// Where it is asked how the instant was known later: up to where, and the facts that count though they came later.
    pub hindsight: Option<Hindsight>,
    /// Events that were read since it was last asked for.
    pub work: Cell<u64>,
}

/// How far the holders of a pool's seats are covered.
#[derive(Default)]
pub(super) struct Covered {
    /// The last one of those up to whom all are, but for who is in `late`.
    pub last: Option<Holder>,
    /// Of whom something came late, up to there: who of them holds a seat and is covered is another question.
    pub late: Vec<Holder>,
    /// Whoever is behind the last one may not be.
    pub is_broken: bool,
    /// There is no seat behind it.
    pub is_end: bool,
}

/// What became known later.
#[derive(Debug, Clone)]
pub struct Hindsight {
    pub moment: Moment,
    pub late: Arc<[Late]>,
}

/// A pool that was listed by then.
#[derive(Debug, Clone)]
pub struct Label {
    pub pool: PoolId,
    pub key: PoolKey,
    pub course: Arc<PoolCourse>,
    /// The position that the course has reached.
    pub head: u64,
}

impl Source<'_> {
    /// Everything as it was at the position. Pools, users and groups are shared with what is published.
    pub(super) fn view(&self) -> Result<Arc<View>, ReportError> {
        if let Some(view) = self.at_hand() {
            return Ok(view);
        }
        match &self.hindsight {
            Some(Hindsight { moment, .. }) => {
                Ok(self.as_of.moment(self.ledger, self.tenant, *moment, &Wanted::Everything)?)
            }
            None => Ok(self.as_of.view_at(self.ledger, self.tenant, At::Position(self.position))?),
        }
    }

    /// The facts about a pool that came later and count.
    pub(super) fn late(&self, pool: PoolId) -> impl Iterator<Item = &Recorded> {
        let late = self.hindsight.iter().flat_map(|hindsight| hindsight.late.iter());
        late.filter(move |late| late.pool() == Some(pool)).map(|late| &late.recorded)
    }

    /// Nothing came later that counts.
    pub(super) fn is_plain(&self) -> bool {
        self.hindsight.as_ref().is_none_or(|hindsight| hindsight.late.is_empty())
    }

    /// When a seat entered its state: in hindsight, where that is placed.
    pub(super) fn placed_since(&self, pool: PoolId, holder: Holder, seat: &HeldSeat) -> Result<Time, ReportError> {
        if self.hindsight.is_none() {
            return Ok(seat.since);
        }
        let chain = Chain::Seat { pool, holder };
        Ok(placed_since(self.ledger, self.tenant, chain, seat.since, seat.since_position)?)
    }

    /// The same, if it need not be made.
    pub(super) fn at_hand(&self) -> Option<Arc<View>> {
        self.pinned.clone().or_else(|| {
            let is_plain = self.is_plain();
            is_plain.then(|| self.as_of.at_hand(self.ledger, self.tenant, self.position)).flatten()
        })
    }

    /// Some of a pool's seats behind a holder, with who is covered: one more than so many.
    pub(super) fn seats_behind(
        &self,
        pool: PoolId,
        after: Option<Holder>,
        limit: usize,
    ) -> Result<Arc<View>, ReportError> {
        self.moment_of(&Wanted::Seats { pool: PoolRef::Id(pool), after, limit })
    }

    /// One holder's seat of a pool, if there is one, with who is covered.
    pub(super) fn seat_of(&self, pool: PoolId, holder: Holder) -> Result<Arc<View>, ReportError> {
        let asked = match holder {
            Holder::User(user) => HolderRef::User(UserRef::Id(user)),
            Holder::Device(device) => HolderRef::Device(DeviceRef::Id(device)),
        };
        self.moment_of(&Wanted::Seat(PoolRef::Id(pool), asked))
    }

    fn moment_of(&self, wanted: &Wanted) -> Result<Arc<View>, ReportError> {
        let moment = self.hindsight.as_ref().map_or(Moment::at(self.position), |hindsight| hindsight.moment);
        Ok(self.as_of.moment(self.ledger, self.tenant, moment, wanted)?)
    }

    /// How far, of so many of a pool's seats behind a holder, all are covered that were granted here. Less far than it is so
    /// where that takes much.
    pub(super) fn covered_behind(&self, pool: PoolId, after: Option<Holder>, count: usize) -> Covered {
        let found = coverage(self.ledger, (self.tenant, self.position), pool, (after, count));
        let found = found.inspect_err(|error| self.as_of.part_failed(error)).ok().flatten();
        let Some(view) = found else { return Covered { last: after, is_broken: true, ..Covered::default() } };
        let late = self.hindsight.iter().flat_map(|hindsight| hindsight.late.iter());
        let late = late.filter(|late| late.pool() == Some(pool)).flat_map(Late::holders);
        let mut late: BTreeSet<Holder> = late.filter(|holder| after.is_none_or(|after| *holder > after)).collect();
        let is_ours = |seat: &HeldSeat| matches!(seat.state, SeatState::Reserved | SeatState::InUse);
        let is_covered = |(holder, seat): &&(Holder, HeldSeat)| {
            !is_ours(seat) || late.contains(holder) || view.state.coverage(pool, *holder).is_covered()
        };
        let seats: Vec<_> = seats_from(view.state.pool(pool), after).take(count).collect();
        let covered = seats.iter().take_while(is_covered).count();
        let last = covered.checked_sub(1).and_then(|last| seats.get(last)).map_or(after, |(holder, _)| Some(*holder));
        let is_broken = covered < seats.len();
        let is_end = !is_broken && seats.len() < count;
        late.retain(|holder| is_end || Some(*holder) <= last);
        Covered { last, late: late.into_iter().collect(), is_broken, is_end }
    }

    /// The past, of which no state is at hand: none is made for it.
    pub(super) fn is_told_in_parts(&self) -> Result<bool, ReportError> {
        Ok(self.at_hand().is_none() && !self.is_head()?)
    }

    /// How much was read since this was last asked; never nothing.
    pub(super) fn worked(&self) -> u64 {
        self.work.replace(0) + 1
    }

    fn is_head(&self) -> Result<bool, ReportError> {
        Ok(self.ledger.head(self.tenant)? == self.position)
    }

    /// The pools that are asked for and were listed by then, from one on.
    pub(in crate::audit) fn pools(
        &self,
        asked: &Asked,
        from: u64,
    ) -> impl Iterator<Item = Result<Label, ReportError>> + use<'_> {
        let (mut next, only) = (usize::try_from(from).unwrap_or(usize::MAX), asked.pool);
        std::iter::from_fn(move || {
            let at = match only {
                Some(pool) if pool.index() >= next => pool.index(),
                Some(_) => return None,
                None => next,
            };
            next = at.saturating_add(1);
            self.label(PoolId(u32::try_from(at).ok()?)).transpose()
        })
    }

    /// A pool, if it was listed by then.
    pub fn label(&self, pool: PoolId) -> Result<Option<Label>, ReportError> {
        let found = self.ledger.read(self.tenant, |view| {
            let course = Arc::clone(view.courses.pool(pool)?);
            let key = view.state.pool(pool).key.clone();
            Some(Label { pool, key, course, head: view.state.next_position.saturating_sub(1) })
        })?;
        Ok(found.filter(|label| label.course.listed_position() <= self.position))
    }

    /// The events about a subject within some positions, but for what came later than the position that counts.
    pub(super) fn each_event(
        &self,
        subject: Subject,
        positions: Range<u64>,
        mut each: impl FnMut(&Recorded) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let positions = positions.start..positions.end.min(self.position + 1);
        self.work.set(self.work.get() + LOOK_WORK);
        if positions.is_empty() {
            return Ok(());
        }
        each_event_about(self.ledger, self.tenant, subject, positions, |recorded| {
            self.work.set(self.work.get() + 1);
            each(recorded)
        })
    }
}
