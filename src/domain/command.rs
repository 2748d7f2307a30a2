//! What may be asked of the ledger: commands, which rules may refuse, and observations, which report what already is.
//! Names are references here; `decide` looks them up in the state it judges.

use super::facts::{
    AppPrice, DepartureCause, DeviceFacts, DistributionPolicy, GroupKind, Intent, KeepOrRelease, Licensing, Mode,
    Owned, PolicyPatch, PoolDetails, RefundAmount, Role, Settings, SettingsPatch, SyncSeats,
};
use super::ids::{AssignmentId, DeviceId, DriftId, GroupId, HeldId, Holder, PoolId, ReviewId, SyncId, TokenId, UserId};
use super::key::{LicenseType, PoolKey, Provider};
use super::personal::{Blind, Personal};
use super::report::{ReportAsked, ReportName};
use super::time::{Day, Time};
use serde::{Deserialize, Serialize};

/// Everything about a command that is not the command: who, when, through which door, and under which id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The ledger's clock, never running backwards within a tenant.
    pub recorded_at: Time,
    pub occurred_at: Option<Time>,
    pub actor: Actor,
    pub door: Door,
    pub command_id: Option<String>,
    /// Tells the same command sent again from another one under the same id. Not a defence against an attacker; masked by the
    /// vault, because names are in the content.
    pub content_hash: u64,
    pub reason: Option<String>,
}

/// What has to be so for a command to be judged by its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// What it is about is there, in whatever state.
    Any,
    /// It is there, and its ETag is this one.
    Tag(u64),
    /// It is not there: for the ledger's own word, no door says it.
    Nothing,
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The ledger itself: timers, and the note that its log was restored.
    Ledger,
    Root,
    Token(TokenId),
}

/// Through which door it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    Timer,
    Http,
    Bulk,
    Import,
    Scim,
    Sync,
    Console,
    Cli,
}

/// A person, by the ledger's id or by a user name's keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserRef {
    Id(UserId),
    Name(Blind),
}

/// A device, by the ledger's id or by a name that may be a serial number or a device id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceRef {
    Id(DeviceId),
    Name { serial: Blind, device_id: Blind },
}

/// A group, by the ledger's id or by its external id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRef {
    Id(GroupId),
    Name(String),
}

/// A pool, by the ledger's id or by its key at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolRef {
    Id(PoolId),
    Key(PoolKey),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderRef {
    User(UserRef),
    Device(DeviceRef),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetRef {
    User(UserRef),
    Device(DeviceRef),
    Group { group: GroupRef, exclude: Option<GroupRef> },
}

/// One thing asked, of either class.
#[derive(Debug, Clone, PartialEq)]
pub enum Intake {
    Command(Command),
    Observation(Observation),
}

/// Refused where a rule says so.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    RenameTenant {
        name: String,
    },
    ChangeSettings {
        patch: SettingsPatch,
    },
    IssueToken {
        name: String,
        role: Role,
        hash: [u8; 32],
        expires_at: Option<Time>,
    },
    RevokeToken {
        token: TokenId,
    },
    /// Whether another tenant has linked the same account is the writer's to know: it sees all of them.
    LinkStoreAccount {
        provider: Provider,
        account_id: String,
        settings: String,
        is_linked_elsewhere: bool,
    },
    /// A unit that the store names, beside the account's own.
    LinkStoreUnit {
        provider: Provider,
        unit: String,
        is_linked_elsewhere: bool,
    },
    ActivateTool {
        tool: String,
        name: String,
    },
    DeactivateTool {
        tool: String,
    },
    /// Whether the provider can be asked at all is the caller's to know: credentials are kept outside the log.
    StartSync {
        provider: Provider,
        is_full: bool,
        is_dry_run: bool,
        is_connected: bool,
    },
    ConfirmSync {
        sync: SyncId,
    },
    Assign {
        pool: PoolRef,
        target: TargetRef,
        intent: Intent,
        mode: Option<Mode>,
        licensing: Option<Licensing>,
    },
    Unassign {
        assignment: AssignmentId,
    },
    /// `user: None` is an install for all users of the device.
    Install {
        pool: PoolRef,
        device: DeviceRef,
        user: Option<UserRef>,
        is_report: bool,
    },
    Uninstall {
        pool: PoolRef,
        device: DeviceRef,
        user: Option<UserRef>,
        is_report: bool,
    },
    Reclaim {
        pool: PoolRef,
        holder: HolderRef,
    },
    Adopt {
        pool: PoolRef,
        holder: HolderRef,
    },
    Grant {
        pool: PoolRef,
        holder: HolderRef,
    },
    Refund(RefundOrder),
    IssueOfflineLicense {
        pool: PoolRef,
        holder: HolderRef,
    },
    /// Forget for good what somebody who is gone was called.
    Erase {
        holder: HolderRef,
    },
    SetPolicy {
        pool: PoolRef,
        patch: PolicyPatch,
    },
    ResolveDeficit {
        pool: PoolRef,
    },
    ConfirmHeld {
        held: HeldId,
    },
    OpenReview(NewReview),
    /// A later decision on a seat takes the place of an earlier one.
    DecideReview {
        review: ReviewId,
        pool: PoolRef,
        holder: HolderRef,
        decision: KeepOrRelease,
        comment: Option<String>,
    },
    EndReview {
        review: ReviewId,
    },
    CancelReview {
        review: ReviewId,
    },
}

/// What an access review is to be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReview {
    /// Not for personal data.
    pub name: String,
    pub pools: Vec<PoolRef>,
    /// What becomes of a seat that nobody decided on.
    pub undecided: KeepOrRelease,
    pub ends_at: Option<Time>,
    /// Without any, whoever may open a review decides.
    pub reviewers: Vec<TokenId>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RefundOrder {
    pub pool: PoolRef,
    pub order: String,
    pub quantity: u64,
    pub ordered_on: Day,
    pub amount: RefundAmount,
    pub explains: Option<DriftId>,
}

/// Taken as it is; refused only when it can't be read or names something unknown.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    Inventory(Inventory),
    /// A connector's sync is over, well or not.
    EndSync {
        sync: SyncId,
        end: SyncEnd,
    },
    PutUser {
        user: UserRef,
        profile: Personal,
    },
    Depart {
        user: UserRef,
        cause: DepartureCause,
        retire_devices: bool,
    },
    Return {
        user: UserRef,
    },
    PutGroup {
        group: GroupRef,
        kind: GroupKind,
        members: Vec<HolderRef>,
    },
    DeleteGroup {
        group: GroupRef,
    },
    PutDevice {
        device: DeviceRef,
        names: Personal,
        identity: Option<Blind>,
        facts: DeviceFacts,
        primary_user: Option<UserRef>,
    },
    RetireDevice {
        device: DeviceRef,
    },
    /// What a provider that grants seats itself says about one seat or one pool.
    Provider {
        pool: PoolRef,
        report: ProviderReport,
    },
    /// A report is read, by whoever stands in the envelope.
    ReadReport {
        report: ReportName,
        asked: ReportAsked,
        position: u64,
    },
    /// The log's heads are signed with another key from here on.
    RotateLogKey {
        old_key: Option<String>,
        new_key: String,
        is_old_key_lost: bool,
    },
    /// Time has passed.
    Tick,
}

/// What the store said. The holder is the ledger's own id: the connector has looked it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderReport {
    GrantConfirmed {
        holder: Holder,
    },
    /// `not_enough`: the store had no seat left; otherwise the holder was refused for its own sake.
    GrantRefused {
        holder: Holder,
        not_enough: bool,
    },
    ReleaseSent {
        holder: Holder,
    },
    /// Also when the store does not know the seat.
    ReleaseConfirmed {
        holder: Holder,
    },
    ReleaseRefused {
        holder: Holder,
    },
    SeatSeen {
        holder: Holder,
    },
    /// A direct read says that the seat is not there, or two complete syncs agree on it.
    SeatAbsent {
        holder: Holder,
    },
    Suspended,
    Resumed,
}

/// A provider's inventory, whole or in part.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    pub provider: Provider,
    pub is_complete: bool,
    pub is_dry_run: bool,
    pub language: String,
    pub pages: u32,
    pub items: Vec<InventoryItem>,
    /// Of a sync that was started before and goes on; otherwise the inventory is a sync of its own.
    pub part: Option<SyncPart>,
}

/// What a connector's sync concludes from what it did not see. What is missing from an inventory without this is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncPart {
    pub sync: SyncId,
    /// What the store lists and the ledger has no word for, each key once.
    pub unsupported: Vec<PoolKey>,
    /// Pools that two complete passes in a row do not list.
    pub gone: Vec<PoolId>,
    /// Seats that two complete passes in a row do not show, of pools that they list.
    pub lost: Vec<(PoolId, Holder)>,
}

/// How a connector's sync ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncEnd {
    Completed { seats: SyncSeats },
    Failed { reason: String },
}

#[derive(Debug, Clone, PartialEq)]
pub struct InventoryItem {
    pub key: PoolKey,
    pub details: PoolDetails,
    pub name: String,
    pub publisher: Option<String>,
    pub owned: Owned,
    pub distribution_policy: DistributionPolicy,
    pub price: Option<AppPrice>,
    pub is_encrypted: bool,
    /// One compact JSON text a package.
    pub packages: Vec<String>,
    pub is_private_store_visible: bool,
    /// The last day on which the entitlement holds.
    pub ends_on: Option<Day>,
    /// What the provider says is used, where it says so.
    pub store_used: Option<u64>,
}

impl InventoryItem {
    /// An item of a declared inventory that says no more than it must.
    #[must_use]
    pub fn declared(sku: &str, name: &str, license_type: LicenseType, owned: Owned) -> Self {
        Self {
            key: PoolKey::Declared { sku: sku.to_owned() },
            details: PoolDetails::declared(license_type),
            name: name.to_owned(),
            publisher: None,
            owned,
            distribution_policy: DistributionPolicy::Restricted,
            price: None,
            is_encrypted: false,
            packages: Vec::new(),
            is_private_store_visible: true,
            ends_on: None,
            store_used: None,
        }
    }
}

/// What a new tenant starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    pub slug: String,
    pub name: String,
    pub settings: Settings,
}
