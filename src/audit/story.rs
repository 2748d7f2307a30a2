//! How a holder came to a seat of a pool, or came to none: every event that bears on it, in order, and where the holder
//! stands. Not here: counts of the whole pool (`explain.rs`).

use crate::domain::event::{Event, Recorded, Target};
use crate::domain::event_type::EventType;
use crate::domain::facts::{DequeueCause, ReleaseCause};
use crate::domain::ids::{GroupId, Holder, PoolId, TenantId};
use crate::domain::state::SeatState;
use crate::ledger::{EventQuery, Ledger, PAGE_EVENTS_MAX, ReadError};
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

/// What is known of a holder's seat at position `to`: the assignments that could cover it, the memberships through which they
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
    to: u64,
    after: Option<u64>,
    limit: usize,
) -> Result<Story, ReadError> {
    if to > ledger.head(tenant)? {
        return Err(ReadError::NotReached(to));
    }
    let asked = Asked { ledger, tenant, to };
    let of_holder = |types: &[EventType]| of(holder, None, types);
    let own = asked.all(of(holder, Some(pool), &[]))?;
    let (standing, since) = stands(&own, pool, holder);
    let refused = own.iter().rev().find(|recorded| is_refusal(&recorded.event));
    let refused_at = refused.map(|recorded| recorded.position);

    let of_pool = EventQuery {
        pool: Some(pool),
        types: vec![EventType::AssignmentMade, EventType::AssignmentEnded],
        ..EventQuery::default()
    };
    let assignments = asked.all(of_pool)?;
    let groups: BTreeSet<GroupId> = assignments.iter().flat_map(|recorded| groups_of(&recorded.event)).collect();
    let mut memberships = asked.all(of_holder(&[EventType::MembersAdded, EventType::MembersRemoved]))?;
    memberships.retain(|recorded| group_of(&recorded.event).is_some_and(|group| groups.contains(&group)));
    let joined: BTreeSet<GroupId> = memberships.iter().filter_map(|recorded| group_of(&recorded.event)).collect();
    let through = assignments
        .into_iter()
        .filter(|recorded| groups_of(&recorded.event).into_iter().any(|group| joined.contains(&group)));
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

/// The groups that an assignment is for or leaves out.
fn groups_of(event: &Event) -> Vec<GroupId> {
    let (Event::AssignmentMade { target, .. } | Event::AssignmentEnded { target, .. }) = event else { return vec![] };
    match target {
        Target::Group { group, exclude } => std::iter::once(*group).chain(*exclude).collect(),
        Target::User(_) | Target::Device(_) => vec![],
    }
}

fn group_of(event: &Event) -> Option<GroupId> {
    if let Event::MembersAdded { group, .. } | Event::MembersRemoved { group, .. } = event {
        Some(*group)
    } else {
        None
    }
}

/// The holder's own events come to this.
fn stands(own: &[Recorded], of_pool: PoolId, of_holder: Holder) -> (Standing, Option<u64>) {
    let (mut standing, mut since) = (Standing::Never, None);
    // a seat whose release was refused or taken back is again what it was before
    let mut before_release = SeatState::Reserved;
    for Recorded { position, event, .. } in own {
        if seat_of(event) != Some((of_pool, of_holder)) {
            continue;
        }
        let in_use = |in_use: bool| if in_use { SeatState::InUse } else { SeatState::Reserved };
        let now = if let Event::SeatGranted { in_use: is, .. } | Event::ForeignSeatAdopted { in_use: is, .. } = event {
            Standing::Holds(in_use(*is))
        } else if let Event::SeatTaken { .. } = event {
            Standing::Holds(SeatState::InUse)
        } else if let Event::SeatIdle { .. } = event {
            Standing::Holds(SeatState::Reserved)
        } else if let Event::SeatReleasing { .. } = event {
            if let Standing::Holds(state) = standing {
                before_release = state;
            }
            Standing::Holds(SeatState::Releasing)
        } else if let Event::SeatReleaseRefused { .. } | Event::SeatTakenBack { .. } = event {
            Standing::Holds(before_release)
        } else if let Event::ForeignSeatSeen { .. } = event {
            Standing::Holds(SeatState::Foreign)
        } else if let Event::SeatReleased { cause, lapsed, .. } = event {
            if *lapsed { Standing::Lapsed(*cause) } else { Standing::GaveBack(*cause) }
        } else if let (Event::LapseEnded { .. }, Standing::Lapsed(cause)) = (event, standing) {
            Standing::GaveBack(cause)
        } else if let Event::Queued { .. } | Event::Requeued { .. } = event {
            Standing::Waits
        } else if let Event::Dequeued { cause, .. } = event {
            Standing::LeftTheQueue(*cause)
        } else {
            continue;
        };
        (standing, since) = (now, Some(*position));
    }
    (standing, since)
}

/// Whose seat of which pool an event is about.
fn seat_of(event: &Event) -> Option<(PoolId, Holder)> {
    if let Event::SeatGranted { pool, holder, .. }
    | Event::SeatTaken { pool, holder }
    | Event::SeatIdle { pool, holder }
    | Event::SeatReleasing { pool, holder, .. }
    | Event::SeatReleaseRefused { pool, holder }
    | Event::SeatTakenBack { pool, holder }
    | Event::SeatReleased { pool, holder, .. }
    | Event::ForeignSeatSeen { pool, holder }
    | Event::ForeignSeatAdopted { pool, holder, .. }
    | Event::LapseEnded { pool, holder }
    | Event::Queued { pool, holder }
    | Event::Requeued { pool, holder, .. }
    | Event::Dequeued { pool, holder, .. } = event
    {
        Some((*pool, *holder))
    } else {
        None
    }
}
