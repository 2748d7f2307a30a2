//! How a holder came to a seat of a pool, or came to none: every event that bears on it, in order, and where the holder
//! stands. Not here: counts of the whole pool (`explain.rs`).

mod devices;

use super::hindsight::{Moment, late};
use crate::domain::event::{Event, Recorded};
use crate::domain::event_type::EventType;
use crate::domain::facts::{DequeueCause, Licensing, ReleaseCause};
use crate::domain::ids::{AssignmentId, GroupId, Holder, PoolId, TenantId};
use crate::domain::state::SeatState;
use crate::domain::subject::{Subject, subjects_of};
use crate::ledger::{EventQuery, Ledger, PAGE_EVENTS_MAX, ReadError};
use crate::projection::figures::PoolFigures;
use std::collections::{BTreeMap, BTreeSet};

/// What changes whether a pool's queue is served while seats are free.
const TERMS: [EventType; 5] = [
    EventType::PoolSuspended,
    EventType::PoolResumed,
    EventType::PoolRelisted,
    EventType::ServingPaused,
    EventType::ServingResumed,
];

/// Why somebody who waits is given no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// None is free.
    Seat,
    /// The pool is suspended.
    Resumption,
    /// The provider had not enough: the queue is paused until a complete sync.
    Serving,
}

/// Where a holder stands with a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Has never held a seat nor waited for one.
    Never,
    Holds(SeatState),
    Waits(WaitsFor),
    /// Lost the seat in a way after which none is granted by itself.
    Lapsed(ReleaseCause),
    GaveBack(ReleaseCause),
    LeftTheQueue(DequeueCause),
}

/// A page of the events that bear on one holder's seat, and what they come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    pub events: Vec<Recorded>,
    /// Ask again with `after` set to this for the next page.
    pub next_after: Option<u64>,
    pub standing: Standing,
    /// The position that brought it about; `None` for one who never had to do with the pool.
    pub since: Option<u64>,
    /// The newest refusal that names holder and pool.
    pub refused_at: Option<u64>,
}

/// What is known of a holder's seat at a moment: the assignments that could cover it, directly, through groups or through
/// a user's devices, the memberships and devices through which they did, where they left it out, its grants, installs and
/// endings, what kept it waiting, and the departures and returns of its holder. Blocking, for as long as reading the
/// holder's events of this pool takes.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn story(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    holder: Holder,
    moment: Moment,
    after: Option<u64>,
    limit: usize,
) -> Result<Story, ReadError> {
    let to = moment.position;
    if to > ledger.head(tenant)? {
        return Err(ReadError::NotReached(to));
    }
    let asked = Asked { ledger, tenant, to };
    let mut own = asked.all(of(holder, Some(pool), &[]))?;
    own.extend(late(ledger, tenant, moment, Some(pool))?.into_iter().map(|late| late.recorded).filter(|recorded| {
        let named = subjects_of(recorded);
        named.contains(&Subject::Pool(pool)) && named.contains(&Subject::from(holder))
    }));
    let terms = if own.iter().any(|recorded| is_wait(&recorded.event)) {
        asked.all(EventQuery { pool: Some(pool), types: TERMS.to_vec(), ..EventQuery::default() })?
    } else {
        Vec::new()
    };
    let Stands { standing, since, kept_by } = stands(&own, &terms, pool, holder);
    let refused = own.iter().rev().find(|recorded| is_refusal(&recorded.event));
    let refused_at = refused.map(|recorded| recorded.position);

    // from the groups that the holder was ever in: a pool may have an assignment for each of its holders
    let mut rest = asked.through_groups(pool, holder, |_| true)?;
    if let Holder::User(user) = holder {
        rest.extend(asked.through_devices(pool, user, &own)?);
    }
    rest.extend(terms.into_iter().filter(|recorded| kept_by.contains(&recorded.position)));
    rest.extend(asked.all(of(
        holder,
        None,
        &[
            EventType::UserDeparted,
            EventType::GraceEnded,
            EventType::UserReturned,
            EventType::DeviceRetired,
            EventType::DeviceReturned,
        ],
    ))?);

    let all: BTreeMap<u64, Recorded> = own.into_iter().chain(rest).map(|one| (one.position, one)).collect();
    let first = after.map_or(0, |after| after.saturating_add(1));
    let mut rest = all.into_iter().skip_while(|(position, _)| *position < first).map(|(_, one)| one);
    let events: Vec<Recorded> = rest.by_ref().take(limit).collect();
    let next_after = rest.next().and_then(|_| events.last()).map(|last| last.position);
    Ok(Story { events, next_after, standing, since, refused_at })
}

struct Asked<'a> {
    ledger: &'a Ledger,
    tenant: TenantId,
    to: u64,
}

impl Asked<'_> {
    fn all(&self, query: EventQuery) -> Result<Vec<Recorded>, ReadError> {
        let to = Some(self.to.saturating_add(1));
        let mut query = EventQuery { to, limit: PAGE_EVENTS_MAX, ..query };
        let mut found = Vec::new();
        loop {
            let page = self.ledger.query(self.tenant, &query)?;
            found.extend(page.events);
            match page.next {
                Some(next) => query.from = next,
                None => return Ok(found),
            }
        }
    }

    /// The assignments of a pool, made with such a licensing, for groups that somebody was ever in, or but for them; and the
    /// memberships of these.
    fn through_groups(
        &self,
        pool: PoolId,
        member: Holder,
        is_meant: impl Fn(Option<Licensing>) -> bool,
    ) -> Result<Vec<Recorded>, ReadError> {
        let mut memberships = self.all(of(member, None, &[EventType::MembersAdded, EventType::MembersRemoved]))?;
        let joined: BTreeSet<GroupId> = memberships.iter().filter_map(|recorded| group_of(&recorded.event)).collect();
        let (mut found, mut targeted) = (Vec::new(), BTreeSet::new());
        for group in joined {
            let types = vec![EventType::AssignmentMade, EventType::AssignmentEnded];
            let query = EventQuery { pool: Some(pool), group: Some(group), types, ..EventQuery::default() };
            let mut assignments = self.all(query)?;
            devices::retain_made(&mut assignments, &is_meant);
            if !assignments.is_empty() {
                targeted.insert(group);
            }
            found.extend(assignments);
        }
        memberships.retain(|recorded| group_of(&recorded.event).is_some_and(|group| targeted.contains(&group)));
        found.extend(memberships);
        Ok(found)
    }
}

fn of(holder: Holder, pool: Option<PoolId>, types: &[EventType]) -> EventQuery {
    let (user, device) = match holder {
        Holder::User(user) => (Some(user), None),
        Holder::Device(device) => (None, Some(device)),
    };
    EventQuery { pool, user, device, types: types.to_vec(), ..EventQuery::default() }
}

fn is_refusal(event: &Event) -> bool {
    matches!(event, Event::CommandRefused { .. } | Event::BatchRefused { .. })
}

fn group_of(event: &Event) -> Option<GroupId> {
    if let Event::MembersAdded { group, .. } | Event::MembersRemoved { group, .. } = event {
        Some(*group)
    } else {
        None
    }
}

fn assignment_of(event: &Event) -> Option<AssignmentId> {
    if let Event::AssignmentMade { assignment, .. }
    | Event::AssignmentEnded { assignment, .. }
    | Event::MembersSkipped { assignment, .. } = event
    {
        Some(*assignment)
    } else {
        None
    }
}

fn is_wait(event: &Event) -> bool {
    matches!(event, Event::Queued { .. } | Event::Requeued { .. })
}

/// The terms that keep a queue from being served, by where each was set.
#[derive(Default)]
struct Terms {
    suspended: Option<u64>,
    paused: Option<u64>,
}

impl Terms {
    /// Whether it is one that changed them.
    fn take(&mut self, Recorded { position, event, .. }: &Recorded) -> bool {
        if matches!(event, Event::PoolSuspended { .. }) {
            self.suspended = Some(*position);
        } else if matches!(event, Event::PoolResumed { .. } | Event::PoolRelisted { .. }) {
            self.suspended = None;
        } else if matches!(event, Event::ServingPaused { .. }) {
            self.paused = Some(*position);
        } else if matches!(event, Event::ServingResumed { .. }) {
            self.paused = None;
        } else {
            return false;
        }
        true
    }

    fn waits_for(&self) -> WaitsFor {
        match (self.suspended, self.paused) {
            (Some(_), _) => WaitsFor::Resumption,
            (None, Some(_)) => WaitsFor::Serving,
            (None, None) => WaitsFor::Seat,
        }
    }
}

/// What a holder's events come to.
struct Stands {
    standing: Standing,
    since: Option<u64>,
    /// Where terms were set that kept the holder waiting, and where they ended meanwhile.
    kept_by: BTreeSet<u64>,
}

/// The holder's own events come to this: what is held or waited for as every count has it, else how it ended.
fn stands(own: &[Recorded], terms: &[Recorded], pool: PoolId, holder: Holder) -> Stands {
    let mut figures = PoolFigures::new(pool);
    let (mut standing, mut since) = (Standing::Never, None);
    let (mut in_force, mut kept_by) = (Terms::default(), BTreeSet::new());
    let mut told: Vec<&Recorded> = own.iter().chain(terms).collect();
    told.sort_by_key(|recorded| recorded.position);
    for recorded in told {
        let Recorded { position, event, .. } = recorded;
        let is_change = in_force.take(recorded);
        figures.take(event);
        let is_queued = figures.is_queued(holder);
        if is_queued {
            kept_by.extend(in_force.suspended.iter().chain(&in_force.paused).chain(is_change.then_some(position)));
        }
        let now = match (figures.seat(holder), is_queued) {
            (Some(state), _) => Standing::Holds(state),
            (None, true) => Standing::Waits(in_force.waits_for()),
            (None, false) => ended(event, pool, holder, standing),
        };
        let still_waits = matches!((standing, now), (Standing::Waits(_), Standing::Waits(_)));
        if now != standing && !still_waits {
            since = Some(*position);
        }
        standing = now;
    }
    Stands { standing, since, kept_by }
}

/// How one stands who neither holds nor waits after an event.
fn ended(event: &Event, of_pool: PoolId, of_holder: Holder, before: Standing) -> Standing {
    let is_own = |pool: PoolId, holder: Holder| (pool, holder) == (of_pool, of_holder);
    match (event, before) {
        (Event::SeatReleased { pool, holder, cause, lapsed }, _) if is_own(*pool, *holder) => {
            if *lapsed {
                Standing::Lapsed(*cause)
            } else {
                Standing::GaveBack(*cause)
            }
        }
        (Event::Dequeued { pool, holder, cause }, _) if is_own(*pool, *holder) => Standing::LeftTheQueue(*cause),
        (Event::LapseEnded { pool, holder }, Standing::Lapsed(cause)) if is_own(*pool, *holder) => {
            Standing::GaveBack(cause)
        }
        (_, before) => before,
    }
}
