//! Syncs with what they skipped, what the brake holds back, drift; accounts and tools.

use crate::domain::facts::{DriftKind, DriftResolution, ItemSkipReason, ReleaseCause, SyncSeats};
use crate::domain::ids::{DriftId, HeldId, Holder, PoolId, SyncId};
use crate::domain::key::{PoolKey, Provider};
use crate::domain::state::{Drift, HeldEndings, StoreAccount, Sync, SyncState, Tenant, Tool};
use crate::domain::time::Time;
use crate::http::problem::owned_json;
use crate::http::wire::text::OwnedWord;
use crate::http::wire::words;
use crate::store::desk::Seen;
use crate::store::worker::UnitStanding;
use serde::Serialize;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use utoipa::ToSchema;

/// So many held seats are shown; the count is of all.
const HELD_SHOWN_MAX: usize = 1000;
const SECOND_MICROS: i64 = 1_000_000;

/// One pass over a provider's inventory
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sync)]
pub(in crate::http) struct SyncBody {
    #[schema(value_type = String)]
    id: SyncId,
    #[schema(value_type = words::Provider)]
    provider: Provider,
    full: bool,
    dry_run: bool,
    language: String,
    #[schema(value_type = words::SyncState)]
    state: SyncState,
    #[schema(value_type = String, format = DateTime)]
    started_at: Time,
    started_position: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Time>,
    ended_position: Option<u64>,
    failure: Option<String>,
    counts: CountsView,
    /// Null where no connector looked at seats
    seats: Option<SeatsView>,
}

/// What a sync found, in seats
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncSeats)]
struct SeatsView {
    /// That the store shows
    seen: u64,
    /// Among them, that the ledger did not hold
    foreign: u64,
    /// That two complete syncs in a row did not show
    lost: u64,
}

/// What a sync found, in items
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncCounts)]
struct CountsView {
    listed: u32,
    changed: u32,
    delisted: u32,
    skipped: u32,
    unchanged: u32,
    pages: u32,
}

impl SyncBody {
    pub(in crate::http) fn of(sync: &Sync) -> Self {
        let counts = sync.counts;
        Self {
            id: sync.id,
            provider: sync.provider,
            full: sync.is_full,
            dry_run: sync.is_dry_run,
            language: sync.language.clone(),
            state: sync.state,
            started_at: sync.started_at,
            started_position: sync.started_position,
            ended_at: sync.ended_at,
            ended_position: sync.ended_position,
            failure: sync.failure.clone(),
            counts: CountsView {
                listed: counts.listed,
                changed: counts.changed,
                delisted: counts.delisted,
                skipped: counts.skipped,
                unchanged: counts.unchanged,
                pages: counts.pages,
            },
            seats: sync.seats.map(|SyncSeats { seen, foreign, lost }| SeatsView { seen, foreign, lost }),
        }
    }
}

/// An item that makes no pool
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SkippedItem)]
pub(in crate::http) struct SkippedBody {
    key: String,
    reason: words::ItemSkipReason,
}

impl SkippedBody {
    pub(in crate::http) fn of(key: &PoolKey, reason: ItemSkipReason) -> Self {
        let reason = match reason {
            ItemSkipReason::EncryptedPackage => words::ItemSkipReason::EncryptedPackage,
            ItemSkipReason::UnsupportedType => words::ItemSkipReason::UnsupportedType,
        };
        Self { key: key.to_string(), reason }
    }
}

/// A sync, what it skipped, and what of it waits for a person
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncDetail)]
pub(in crate::http) struct SyncDetail {
    #[serde(flatten)]
    pub(in crate::http) sync: SyncBody,
    /// While it runs
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) progress: Option<ProgressView>,
    /// At most 1000; the events have them all
    pub(in crate::http) skipped: Vec<SkippedBody>,
    pub(in crate::http) held: Vec<HeldBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) position: Option<u64>,
}

/// Seat endings and removals that the brake holds back until a person confirms them
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Held)]
pub(in crate::http) struct HeldBody {
    #[schema(value_type = String)]
    id: HeldId,
    #[schema(value_type = Option<String>)]
    sync: Option<SyncId>,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    since_position: u64,
    seats_count: u64,
    /// At most 1000
    seats: Vec<HeldSeatView>,
    /// Pools that would be removed
    #[schema(value_type = Vec<String>)]
    removals: Vec<PoolId>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldSeat)]
struct HeldSeatView {
    #[schema(value_type = String)]
    pool: PoolId,
    #[schema(value_type = String)]
    holder: Holder,
    #[schema(value_type = words::ReleaseCause)]
    cause: ReleaseCause,
}

impl HeldBody {
    /// What of it would still end.
    pub(in crate::http) fn of(state: &Tenant, held: &HeldEndings) -> Self {
        let counted = state.counted_of(held);
        // where they are counted, none is looked for behind the last that is shown
        let shown = counted.and_then(|seats| usize::try_from(seats).ok()).map(|seats| seats.min(HELD_SHOWN_MAX));
        let seats = state.seats_held_by(held).take(shown.unwrap_or(usize::MAX));
        let mut seats: Vec<_> = seats.map(|(pool, holder, cause)| HeldSeatView { pool, holder, cause }).collect();
        let seats_count = counted.unwrap_or(seats.len() as u64);
        seats.truncate(HELD_SHOWN_MAX);
        Self {
            id: held.id,
            sync: held.sync,
            since: held.at,
            since_position: held.position,
            seats_count,
            seats,
            removals: state.removals_held(held).collect(),
        }
    }
}

/// Why store and ledger differ, as far as it is known.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DriftCause {
    /// A refund that was recorded here explains it
    Refund,
    /// A refund was recorded here, and the store does not show it
    RefundDenied,
    /// The store counts other seats as used than are held here
    SeatsDiffer,
    Unexplained,
}

/// A difference between what the store says and what the ledger says
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
pub(in crate::http) struct DriftBody {
    #[schema(value_type = String)]
    id: DriftId,
    #[schema(value_type = String)]
    pool: PoolId,
    pool_key: String,
    #[schema(value_type = words::DriftKind)]
    kind: DriftKind,
    cause: DriftCause,
    /// What the ledger said
    #[schema(value_type = OwnedWord)]
    before: Value,
    /// What the store said
    #[schema(value_type = OwnedWord)]
    after: Value,
    #[schema(value_type = String, format = DateTime)]
    found_at: Time,
    found_position: u64,
    /// Until it was resolved, or until the point that is looked at
    age_seconds: u64,
    #[schema(value_type = Option<words::DriftResolution>)]
    resolution: Option<DriftResolution>,
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Time>,
}

impl DriftBody {
    pub(in crate::http) fn of(state: &Tenant, drift: &Drift, now: Time) -> Self {
        let cause = match (drift.kind, drift.resolution) {
            (DriftKind::OwnedFell, Some(DriftResolution::Refund)) => DriftCause::Refund,
            (DriftKind::OwnedFell, Some(DriftResolution::Agreed) | None) => DriftCause::Unexplained,
            (DriftKind::RefundNotSeen, _) => DriftCause::RefundDenied,
            (DriftKind::StoreUsed, _) => DriftCause::SeatsDiffer,
        };
        let age = drift.resolved_at.unwrap_or(now).0.saturating_sub(drift.found_at.0);
        Self {
            id: drift.id,
            pool: drift.pool,
            pool_key: state.pool(drift.pool).key.to_string(),
            kind: drift.kind,
            cause,
            before: owned_json(drift.before),
            after: owned_json(drift.after),
            found_at: drift.found_at,
            found_position: drift.found_position,
            age_seconds: u64::try_from(age / SECOND_MICROS).unwrap_or(0),
            resolution: drift.resolution,
            resolved_at: drift.resolved_at,
        }
    }
}

/// The provider's account that the tenant is linked to
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoreAccount)]
pub(in crate::http) struct StoreAccountBody {
    #[schema(value_type = words::Provider)]
    provider: Provider,
    /// Null for declared inventories, which are linked always
    account_id: Option<String>,
    #[schema(value_type = Object)]
    settings: Value,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    /// How its connector stands now; absent in the past, and where none can be
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<ConnectorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

/// How the connector of a store account stands
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connector)]
struct ConnectorView {
    /// Whether it has credentials and works
    running: bool,
    /// Why it does not run, or why the store can't be written to now
    problem: Option<String>,
    /// Whether only a person can help, for no unit lets us in: each was taken over, or its credentials are not accepted. Grants
    /// are refused
    read_only: bool,
    /// When the first of its credentials ends, where the store says that
    #[schema(value_type = Option<String>, format = DateTime)]
    token_expires_at: Option<Time>,
    /// Each unit of the account: at Microsoft one without a name, at Apple one a content token
    units: Vec<UnitView>,
    /// The position up to which the three figures below know what was recorded
    followed_to: u64,
    /// Reservations that the store has not confirmed yet, in seats
    unconfirmed: u64,
    /// Releases that the store has not confirmed yet, in seats
    releasing: u64,
    /// Seats among them whose last request may or may not have had an effect
    unknown: u64,
    /// How long the oldest of them has waited
    oldest_seconds: Option<u64>,
    #[schema(value_type = Option<String>)]
    sync: Option<SyncId>,
}

/// How one unit of a store account stands
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectorUnit)]
struct UnitView {
    /// As the store calls it; null until it has said so
    unit: Option<String>,
    /// Why it can't be written to now
    problem: Option<String>,
    /// Whether only a person can help. Grants of this unit's pools are refused, and the other units go on
    read_only: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    token_expires_at: Option<Time>,
    /// Why the store does not tell of changes by itself, though `notification_url` is set
    notifications: Option<String>,
}

/// How far a pass over the store is
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncProgress)]
pub(in crate::http) struct ProgressView {
    pages: u64,
    items: u64,
    seats: u64,
}

impl ProgressView {
    pub(in crate::http) fn of(seen: &Seen, sync: SyncId) -> Option<Self> {
        let (_, progress) = seen.standing.progress.as_ref().filter(|(running, _)| *running == sync)?;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some(Self { pages: read(&progress.pages), items: read(&progress.items), seats: read(&progress.seats) })
    }
}

impl ConnectorView {
    fn of(seen: &Seen) -> Self {
        let Seen { is_connected, problem, standing, .. } = seen;
        let unit = |unit: &UnitStanding| UnitView {
            unit: unit.unit.clone(),
            problem: unit.trouble.as_ref().map(ToString::to_string),
            read_only: unit.is_shut(),
            token_expires_at: unit.token_expires_at,
            notifications: unit.untold.clone(),
        };
        Self {
            running: *is_connected,
            problem: problem.clone().or_else(|| standing.problem()),
            read_only: standing.is_shut(),
            token_expires_at: standing.units.iter().filter_map(|unit| unit.token_expires_at).min(),
            units: standing.units.iter().map(unit).collect(),
            followed_to: standing.followed_to,
            unconfirmed: standing.backlog.grants,
            releasing: standing.backlog.releases,
            unknown: standing.backlog.unknown,
            oldest_seconds: standing.backlog.oldest.map(|oldest| oldest.as_secs()),
            sync: standing.progress.as_ref().map(|(sync, _)| *sync),
        }
    }
}

impl StoreAccountBody {
    pub(in crate::http) fn with(mut self, seen: Option<&Seen>) -> Self {
        self.connector = seen.map(ConnectorView::of);
        self
    }

    /// The account of a provider with its ETag, where one is linked.
    pub(in crate::http) fn of(state: &Tenant, provider: Provider) -> Option<(Self, u64)> {
        let body = |account_id: Option<&String>, settings: &str, since| Self {
            provider,
            account_id: account_id.cloned(),
            settings: serde_json::from_str(settings).unwrap_or_else(|_| serde_json::json!({})),
            since,
            connector: None,
            position: None,
        };
        match (state.accounts.get(&provider), provider) {
            (Some(StoreAccount { account_id, settings, since, etag, .. }), _) => {
                Some((body(Some(account_id), settings, *since), *etag))
            }
            (None, Provider::Declared) => Some((body(None, "{}", state.created_at), 0)),
            (None, Provider::MicrosoftStore | Provider::AppleBusiness) => None,
        }
    }
}

/// A client that may act for the store account
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool)]
pub(in crate::http) struct ToolBody {
    tool: String,
    name: String,
    active: bool,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
}

impl ToolBody {
    pub(in crate::http) fn of(tool: &str, entry: &Tool) -> Self {
        Self { tool: tool.to_owned(), name: entry.name.clone(), active: entry.is_active, since: entry.since }
    }
}
