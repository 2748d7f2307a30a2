//! Facts. Each changes the state in one way or explains why nothing changed; together they are the history.
//! Variants are positional in the log: new ones go at the end, a changed meaning is a new version.

mod recorded;
mod target;

pub use recorded::Recorded;
pub use target::Target;

use super::asked::{About, CommandKind};
use super::command::Actor;
use super::facts::{
    AppPrice, AssignmentEndCause, CapacityCause, DepartureCause, DequeueCause, DeviceFacts, DistributionPolicy,
    DriftKind, DriftResolution, EndsOn, GrantCause, GroupKind, Intent, ItemSkipReason, KeepOrRelease, Licensing, Mode,
    Owned, Policy, PoolDetails, RefundAmount, ReleaseCause, Role, Settings, SkipReason, SyncCounts, SyncSeats,
};
use super::ids::{AssignmentId, DeviceId, DriftId, GroupId, HeldId, Holder, PoolId, ReviewId, SyncId, TokenId, UserId};
use super::key::{PoolKey, Provider};
use super::personal::Personal;
use super::rejection::Rejection;
use super::report::{ReportAsked, ReportName};
use super::time::{Day, Time};
use serde::{Deserialize, Serialize};

/// One fact. What is long and seldom lies by itself: the longest part of any would make all of them longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    TenantCreated {
        slug: String,
        name: String,
        settings: Settings,
    },
    TenantRenamed {
        name: String,
    },
    SettingsChanged {
        settings: Settings,
    },
    TokenIssued {
        token: TokenId,
        name: String,
        role: Role,
        hash: [u8; 32],
        expires_at: Option<Time>,
    },
    TokenRevoked {
        token: TokenId,
    },
    StoreAccountLinked {
        provider: Provider,
        account_id: String,
        settings: String,
    },
    StoreAccountChanged {
        provider: Provider,
        settings: String,
    },
    ToolActivated {
        tool: String,
        name: String,
    },
    ToolDeactivated {
        tool: String,
    },
    SyncStarted {
        sync: SyncId,
        provider: Provider,
        is_full: bool,
        is_dry_run: bool,
        language: String,
    },
    SyncCompleted {
        sync: SyncId,
        listed: u32,
        changed: u32,
        delisted: u32,
        skipped: u32,
        unchanged: u32,
        pages: u32,
    },
    SyncFailed {
        sync: SyncId,
        reason: String,
    },
    ItemSkipped {
        sync: SyncId,
        key: PoolKey,
        reason: ItemSkipReason,
    },
    PoolListed {
        pool: PoolId,
        key: Box<PoolKey>,
        details: PoolDetails,
        owned: Owned,
        distribution_policy: DistributionPolicy,
        price: Option<AppPrice>,
    },
    PoolDetailsChanged {
        pool: PoolId,
        details: PoolDetails,
        price: Option<AppPrice>,
    },
    PoolNamed {
        pool: PoolId,
        language: String,
        name: String,
        publisher: Option<String>,
    },
    PackagesListed {
        pool: PoolId,
        is_first: bool,
        packages: Vec<String>,
    },
    PrivateStoreVisibilityChanged {
        pool: PoolId,
        is_visible: bool,
    },
    EntitlementDated {
        pool: PoolId,
        ends_on: EndsOn,
    },
    CapacityChanged {
        pool: PoolId,
        owned: Owned,
        cause: CapacityCause,
    },
    /// A store that lags behind a refund stated the old count once; a second complete sync makes it a drift.
    RefundLagSeen {
        pool: PoolId,
        stated: Owned,
    },
    /// The store shows what a refund left.
    RefundSettled {
        pool: PoolId,
    },
    DistributionPolicyChanged {
        pool: PoolId,
        distribution_policy: DistributionPolicy,
    },
    PoolDelisted {
        pool: PoolId,
        cause: CapacityCause,
    },
    PoolRelisted {
        pool: PoolId,
    },
    PoolSuspended {
        pool: PoolId,
    },
    PoolResumed {
        pool: PoolId,
    },
    ServingPaused {
        pool: PoolId,
    },
    ServingResumed {
        pool: PoolId,
    },
    StoreUsedStated {
        pool: PoolId,
        used: u64,
    },
    PoolPolicyChanged {
        pool: PoolId,
        policy: Policy,
    },
    DriftFound {
        drift: DriftId,
        pool: PoolId,
        kind: DriftKind,
        before: Owned,
        after: Owned,
    },
    DriftResolved {
        drift: DriftId,
        resolution: DriftResolution,
    },
    UserAdded {
        user: UserId,
        profile: Personal,
    },
    UserChanged {
        user: UserId,
        profile: Personal,
    },
    UserDeparted {
        user: UserId,
        cause: DepartureCause,
        grace_until: Option<Time>,
    },
    /// What a departure could not release: irrevocable and foreign seats.
    SeatsKept {
        user: UserId,
        pools: Vec<PoolId>,
    },
    GraceEnded {
        user: UserId,
    },
    UserReturned {
        user: UserId,
    },
    SeatsOffered {
        user: UserId,
        pools: Vec<PoolId>,
    },
    DeviceAdded {
        device: DeviceId,
        names: Personal,
        facts: DeviceFacts,
        primary_user: Option<UserId>,
    },
    DeviceChanged {
        device: DeviceId,
        names: Personal,
        facts: DeviceFacts,
        primary_user: Option<UserId>,
    },
    /// The same serial number under another device id: wiped and enrolled again.
    DeviceReincarnated {
        device: DeviceId,
    },
    DeviceRetired {
        device: DeviceId,
    },
    DeviceReturned {
        device: DeviceId,
    },
    GroupAdded {
        group: GroupId,
        external_id: String,
        kind: GroupKind,
    },
    MembersAdded {
        group: GroupId,
        members: Vec<Holder>,
    },
    MembersRemoved {
        group: GroupId,
        members: Vec<Holder>,
    },
    GroupDeleted {
        group: GroupId,
    },
    EndingsHeld {
        held: HeldId,
        sync: Option<SyncId>,
        cause: ReleaseCause,
        seats: Vec<(PoolId, Holder)>,
    },
    RemovalHeld {
        held: HeldId,
        sync: SyncId,
        pool: PoolId,
    },
    EndingsConfirmed {
        held: HeldId,
    },
    AssignmentMade {
        assignment: AssignmentId,
        pool: PoolId,
        target: Target,
        intent: Intent,
        mode: Mode,
        licensing: Option<Licensing>,
    },
    AssignmentEnded {
        assignment: AssignmentId,
        pool: PoolId,
        target: Target,
        cause: AssignmentEndCause,
    },
    MembersSkipped {
        assignment: AssignmentId,
        members: Vec<(Holder, SkipReason)>,
    },
    /// A grant. `in_use` when an install of the holder is on record.
    SeatGranted {
        pool: PoolId,
        holder: Holder,
        cause: GrantCause,
        in_use: bool,
    },
    /// Reserved becomes in use, by a first install.
    SeatTaken {
        pool: PoolId,
        holder: Holder,
    },
    /// In use becomes reserved, by the last uninstall.
    SeatIdle {
        pool: PoolId,
        holder: Holder,
    },
    /// The release was asked of the provider; the seat counts until it says so.
    SeatReleasing {
        pool: PoolId,
        holder: Holder,
        cause: ReleaseCause,
        lapsed: bool,
    },
    SeatReleaseSent {
        pool: PoolId,
        holder: Holder,
    },
    SeatReleaseRefused {
        pool: PoolId,
        holder: Holder,
    },
    /// A releasing seat is wanted again before the release was sent.
    SeatTakenBack {
        pool: PoolId,
        holder: Holder,
    },
    /// A releasing seat is wanted again after the release was sent.
    RegrantFlagged {
        pool: PoolId,
        holder: Holder,
    },
    SeatReleased {
        pool: PoolId,
        holder: Holder,
        cause: ReleaseCause,
        lapsed: bool,
    },
    SeatConfirmed {
        pool: PoolId,
        holder: Holder,
    },
    ForeignSeatSeen {
        pool: PoolId,
        holder: Holder,
    },
    ForeignSeatAdopted {
        pool: PoolId,
        holder: Holder,
        in_use: bool,
    },
    LapseEnded {
        pool: PoolId,
        holder: Holder,
    },
    Queued {
        pool: PoolId,
        holder: Holder,
    },
    /// Back to an old place, after the provider had not enough.
    Requeued {
        pool: PoolId,
        holder: Holder,
        place: u64,
    },
    Dequeued {
        pool: PoolId,
        holder: Holder,
        cause: DequeueCause,
    },
    /// `seat: None` is an unlicensed install.
    Installed {
        pool: PoolId,
        device: DeviceId,
        user: Option<UserId>,
        seat: Option<Holder>,
        is_report: bool,
    },
    InstallLicensed {
        pool: PoolId,
        device: DeviceId,
        user: Option<UserId>,
        seat: Holder,
    },
    Uninstalled {
        pool: PoolId,
        device: DeviceId,
        user: Option<UserId>,
    },
    RefundRecorded {
        pool: PoolId,
        order: String,
        quantity: u64,
        ordered_on: Day,
        amount: RefundAmount,
        explains: Option<DriftId>,
    },
    OfflineLicenseIssued {
        pool: PoolId,
        holder: Holder,
    },
    CommandRefused {
        command: CommandKind,
        pool: Option<PoolId>,
        holder: Option<Holder>,
        target: Option<Target>,
        rejection: Rejection,
    },
    /// The same refusal again, so many times.
    RefusalsCounted {
        position: u64,
        actor: Actor,
        pool: Option<PoolId>,
        count: u64,
    },
    CommandUnchanged {
        command: CommandKind,
        about: About,
    },
    /// From here on the history is another log's: a backup was put back, without what was acknowledged after it.
    LogRestored {
        log_id_before: String,
        log_id: String,
    },
    /// A batch of which all is done or nothing was refused because of this one of its commands, and undone. The figures
    /// are those that the commands before it in the batch had left: no position of the log has them.
    BatchRefused {
        /// The command's place in the batch, from 0.
        place: u32,
        commands: u32,
        command: CommandKind,
        pool: Option<PoolId>,
        holder: Option<Holder>,
        target: Option<Target>,
        rejection: Rejection,
    },
    /// Somebody read a report; who it was stands in the envelope.
    ReportRead {
        report: ReportName,
        asked: ReportAsked,
        /// The last position that the answer spoke of; where it was as of now, the head when it was asked for.
        position: u64,
    },
    /// Who holds these pools is under review from here on: the holders are those at this position.
    ReviewOpened {
        review: ReviewId,
        name: String,
        pools: Vec<PoolId>,
        undecided: KeepOrRelease,
        ends_at: Option<Time>,
        reviewers: Vec<TokenId>,
    },
    ReviewDecided {
        review: ReviewId,
        pool: PoolId,
        holder: Holder,
        decision: KeepOrRelease,
        comment: Option<String>,
    },
    /// Nothing more is decided; the decisions are carried out from here on.
    ReviewClosed {
        review: ReviewId,
    },
    /// Carried out up to this seat, by pool and holder; the rest follows at once.
    ReviewCarriedOut {
        review: ReviewId,
        pool: PoolId,
        holder: Holder,
    },
    /// In seats: kept, released by the review, and gone for other causes before its end.
    ReviewEnded {
        review: ReviewId,
        kept: u64,
        released: u64,
        gone: u64,
    },
    ReviewCancelled {
        review: ReviewId,
    },
    /// Heads over records up to this one were signed with the old key; those that go further are signed with the new one,
    /// and the head that ends here with both. Keys are written as C2SP signed-note writes verifier keys.
    LogKeyRotated {
        /// `None` where it is lost and nobody wrote it down.
        old_key: Option<String>,
        new_key: String,
        /// The old key signed nothing of this.
        is_old_key_lost: bool,
    },
    /// The items of a sync that goes on are taken; what its seats are compared with comes next.
    SyncItemsTaken {
        sync: SyncId,
        counts: SyncCounts,
    },
    /// What the store showed of seats, all in all.
    SyncSeatsCompared {
        sync: SyncId,
        seats: SyncSeats,
    },
    /// A unit of a linked account is this tenant's from here on, and no other tenant's.
    StoreUnitLinked {
        provider: Provider,
        unit: String,
    },
    /// An inventory that names some pools alone named these: no other was looked at.
    PoolsSeen {
        sync: SyncId,
        pools: Vec<PoolId>,
    },
    /// What the holder was called is gone: the key of the names, wherever they stand sealed, is destroyed.
    NamesErased {
        holder: Holder,
        subject: super::ids::SubjectId,
    },
}
