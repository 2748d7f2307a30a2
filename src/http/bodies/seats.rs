//! Seats, places in queues, and installs.

use crate::audit::hindsight;
use crate::domain::ids::{AssignmentId, DeviceId, Holder, PoolId, UserId};
use crate::domain::placing::Chain;
use crate::domain::state::{Install, InstallKey, Pool, QueuePlace, Seat, SeatMark, SeatState, Tenant};
use crate::domain::time::Time;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::wire::words;
use crate::projection::View;
use serde::Serialize;
use utoipa::ToSchema;

/// What is peculiar about a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum SeatFlag {
    /// No assignment covers the holder
    Untargeted,
    /// The holder lost a seat and gets one back by a grant, an install or a new assignment alone
    Lapsed,
    /// Wanted again while its release is on the way
    Regrant,
    /// The provider has not said yes
    Unconfirmed,
    /// The provider would not take it back
    ReleaseRefused,
    /// Seen at the store, not granted here
    Foreign,
    /// Counts for good
    Irrevocable,
    /// The holder has left and keeps it until the grace ends
    InGrace,
}

fn flags_of(state: &Tenant, pool: &Pool, holder: Holder, seat: Option<&Seat>) -> Vec<SeatFlag> {
    let is_in = |wanted: SeatState| seat.is_some_and(|seat| seat.state == wanted);
    let is_in_grace = match holder {
        Holder::User(user) => state.user(user).is_in_grace(),
        Holder::Device(_) => false,
    };
    let is_ours = is_in(SeatState::Reserved) || is_in(SeatState::InUse);
    let all = [
        (SeatFlag::Untargeted, is_ours && !state.coverage(pool.id, holder).is_covered()),
        (SeatFlag::Lapsed, state.is_lapsed(pool.id, holder)),
        (SeatFlag::Regrant, seat.is_some_and(|seat| seat.is(SeatMark::RegrantWanted))),
        (SeatFlag::Unconfirmed, is_ours && seat.is_some_and(|seat| !seat.is_confirmed())),
        (SeatFlag::ReleaseRefused, seat.is_some_and(|seat| seat.is(SeatMark::ReleaseRefused))),
        (SeatFlag::Foreign, is_in(SeatState::Foreign)),
        (SeatFlag::Irrevocable, seat.is_some() && pool.details.is_irrevocable),
        (SeatFlag::InGrace, is_in_grace && seat.is_some()),
    ];
    all.into_iter().filter_map(|(flag, holds)| holds.then_some(flag)).collect()
}

/// The devices whose installs this holder's seat licenses.
fn devices_of(pool: &Pool, holder: Holder) -> Vec<DeviceId> {
    let is_licensed = |key: &InstallKey| pool.installs.get(key).is_some_and(|install| install.seat == Some(holder));
    let mut devices: Vec<_> = pool.installs_of(holder).into_iter().filter(is_licensed).map(|key| key.device).collect();
    devices.dedup();
    devices
}

/// One license occupied by one holder
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Seat)]
pub(in crate::http) struct SeatBody {
    #[schema(value_type = String)]
    pool: PoolId,
    pool_key: String,
    #[schema(value_type = String)]
    holder: Holder,
    #[schema(value_type = words::SeatState)]
    state: SeatState,
    flags: Vec<SeatFlag>,
    /// When it entered this state
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    since_position: u64,
    /// Where it was granted, or first seen
    granted_position: u64,
    /// What reaches the holder
    #[schema(value_type = Vec<String>)]
    assignments: Vec<AssignmentId>,
    /// Where the app is installed under this seat
    #[schema(value_type = Vec<String>)]
    devices: Vec<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    #[serde(skip)]
    is_in_hindsight: bool,
}

impl SeatBody {
    pub(in crate::http) fn of(view: &View, pool: &Pool, holder: Holder, seat: &Seat) -> Self {
        let state = &view.state;
        Self {
            pool: pool.id,
            pool_key: pool.key.to_string(),
            holder,
            state: seat.state,
            flags: flags_of(state, pool, holder, Some(seat)),
            since: seat.since,
            since_position: seat.since_position,
            granted_position: seat.granted_at,
            assignments: state.assignments_of(pool.id, holder),
            devices: devices_of(pool, holder),
            position: None,
            is_in_hindsight: view.hindsight.is_some(),
        }
    }

    /// In hindsight a state is entered where its fact is placed. Blocking.
    pub(in crate::http) fn placed(self, caller: &Caller) -> Result<Self, Problem> {
        let chain = Chain::Seat { pool: self.pool, holder: self.holder };
        let since = placed(caller, self.is_in_hindsight, chain, self.since, self.since_position)?;
        Ok(Self { since, ..self })
    }
}

fn placed(caller: &Caller, is_in_hindsight: bool, chain: Chain, since: Time, position: u64) -> Result<Time, Problem> {
    if !is_in_hindsight {
        return Ok(since);
    }
    Ok(hindsight::placed_since(&caller.service.ledger, caller.tenant, chain, since, position)?)
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Waiting {
    Queued,
}

/// A holder who waits for a seat
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuedHolder)]
pub(in crate::http) struct QueuedBody {
    #[schema(value_type = String)]
    pool: PoolId,
    pool_key: String,
    #[schema(value_type = String)]
    holder: Holder,
    state: Waiting,
    /// 1 is served next
    place: u64,
    flags: Vec<SeatFlag>,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    pub(in crate::http) since_position: u64,
    #[schema(value_type = Vec<String>)]
    assignments: Vec<AssignmentId>,
    /// Where the app is installed without a seat
    #[schema(value_type = Vec<String>)]
    devices: Vec<DeviceId>,
}

impl QueuedBody {
    pub(in crate::http) fn of(state: &Tenant, pool: &Pool, place: u64, at: QueuePlace, holder: Holder) -> Self {
        let mut devices: Vec<_> = pool.installs_of(holder).into_iter().map(|key| key.device).collect();
        devices.dedup();
        Self {
            pool: pool.id,
            pool_key: pool.key.to_string(),
            holder,
            state: Waiting::Queued,
            place,
            flags: flags_of(state, pool, holder, None),
            since: Time(0),
            since_position: at,
            assignments: state.assignments_of(pool.id, holder),
            devices,
        }
    }

    pub(in crate::http) fn queued_at(self, since: Time) -> Self {
        Self { since, ..self }
    }
}

/// An app present on a device
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Install)]
pub(in crate::http) struct InstallBody {
    #[schema(value_type = String)]
    pool: PoolId,
    pool_key: String,
    #[schema(value_type = String)]
    device: DeviceId,
    /// Null: for all users of the device
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// Whose seat licenses it
    #[schema(value_type = Option<String>)]
    seat: Option<Holder>,
    licensed: bool,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    since_position: u64,
    #[serde(skip)]
    is_in_hindsight: bool,
}

impl InstallBody {
    pub(in crate::http) fn of(view: &View, pool: &Pool, key: InstallKey, install: &Install) -> Self {
        Self {
            pool: pool.id,
            pool_key: pool.key.to_string(),
            device: key.device,
            user: key.user,
            seat: install.seat,
            licensed: install.seat.is_some(),
            since: install.since,
            since_position: install.since_position,
            is_in_hindsight: view.hindsight.is_some(),
        }
    }

    /// As of a seat. Blocking.
    pub(in crate::http) fn placed(self, caller: &Caller) -> Result<Self, Problem> {
        let chain = Chain::Install { pool: self.pool, device: self.device, user: self.user };
        let since = placed(caller, self.is_in_hindsight, chain, self.since, self.since_position)?;
        Ok(Self { since, ..self })
    }
}
