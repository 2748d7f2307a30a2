//! How a holder came to a seat of a pool, or came to none: every event that bears on it, in order, and where the holder
//! stands. Not here: counts of the whole pool (`explain.rs`).

use super::hindsight::{Moment, late};
use crate::domain::event::{Event, Recorded};
use crate::domain::event_type::EventType;
use crate::domain::facts::{DequeueCause, ReleaseCause};
use crate::domain::ids::{GroupId, Holder, PoolId, TenantId};
use crate::domain::state::SeatState;
use crate::domain::subject::{Subject, subjects_of};
use crate::ledger::{EventQuery, Ledger, PAGE_EVENTS_MAX, ReadError};
use crate::projection::figures::PoolFigures;
use std::collections::{BTreeMap, BTreeSet};

/// Where a holder stands with a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Has never held a seat nor waited for one.
    Never,
    Holds(SeatState),
    Waits,
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

/// What is known of a holder's seat at a moment: the assignments that could cover it, the memberships through which they
/// did, its grants, installs and endings, and the departures and returns of its holder. Blocking, for as long as reading
/// the holder's events of this pool takes.
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
    let of_holder = |types: &[EventType]| of(holder, None, types);
    let mut own = asked.all(of(holder, Some(pool), &[]))?;
    own.extend(late(ledger, tenant, moment, Some(pool))?.into_iter().map(|late| late.recorded).filter(|recorded| {
        let named = subjects_of(recorded);
        named.contains(&Subject::Pool(pool)) && named.contains(&Subject::from(holder))
    }));
    let (standing, since) = stands(&own, pool, holder);
    let refused = own.iter().rev().find(|recorded| is_refusal(&recorded.event));
    let refused_at = refused.map(|recorded| recorded.position);

    // from the groups that the holder was ever in: a pool may have an assignment for each of its holders
    let mut memberships = asked.all(of_holder(&[EventType::MembersAdded, EventType::MembersRemoved]))?;
    let joined: BTreeSet<GroupId> = memberships.iter().filter_map(|recorded| group_of(&recorded.event)).collect();
    let (mut through, mut targeted) = (Vec::new(), BTreeSet::new());
    for group in joined {
        let types = vec![EventType::AssignmentMade, EventType::AssignmentEnded];
        let query = EventQuery { pool: Some(pool), group: Some(group), types, ..EventQuery::default() };
        let assignments = asked.all(query)?;
        if !assignments.is_empty() {
            targeted.insert(group);
        }
        through.extend(assignments);
    }
    memberships.retain(|recorded| group_of(&recorded.event).is_some_and(|group| targeted.contains(&group)));
    let fates = asked.all(of_holder(&[
        EventType::UserDeparted,
        EventType::GraceEnded,
        EventType::UserReturned,
        EventType::DeviceRetired,
        EventType::DeviceReturned,
    ]))?;

    let all: BTreeMap<u64, Recorded> =
        own.into_iter().chain(memberships).chain(through).chain(fates).map(|one| (one.position, one)).collect();
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

/// The holder's own events come to this: what is held or waited for as every count has it, else how it ended.
fn stands(own: &[Recorded], pool: PoolId, holder: Holder) -> (Standing, Option<u64>) {
    let mut figures = PoolFigures::new(pool);
    let (mut standing, mut since) = (Standing::Never, None);
    for Recorded { position, event, .. } in own {
        figures.take(event);
        let now = match (figures.seat(holder), figures.is_queued(holder)) {
            (Some(state), _) => Standing::Holds(state),
            (None, true) => Standing::Waits,
            (None, false) => ended(event, pool, holder, standing),
        };
        if now != standing {
            (standing, since) = (now, Some(*position));
        }
    }
    (standing, since)
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
