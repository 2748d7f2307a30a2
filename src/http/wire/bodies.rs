//! The bodies of commands as they are written, unknown fields refused. Not here: what they come to (`mod.rs`).

use super::text::{Comment, Label, Name, OwnedWord, Reference, Word};
use crate::domain::facts::{
    DeficitPolicy, DepartureCause, DistributionPolicy, GroupKind, InstalledBy, Intent, Join, KeepOrRelease, Licensing,
    Mode, Role,
};
use crate::domain::key::LicenseType;
use crate::domain::time::{Day, Time};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// `null` is a value here: it sets the policy back.
fn some<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// What every command may say besides.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Aside {
    pub(crate) occurred_at: Option<Time>,
    pub(crate) reason: Option<Word>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignBody {
    #[schema(value_type = Reference)]
    pub(crate) pool: Reference,
    pub(crate) target: TargetBody,
    #[schema(value_type = super::words::Intent)]
    pub(crate) intent: Intent,
    #[schema(value_type = Option<super::words::Mode>)]
    pub(crate) mode: Option<Mode>,
    #[schema(value_type = Option<super::words::Licensing>)]
    pub(crate) licensing: Option<Licensing>,
}

/// One of `user`, `device`, `group`; `exclude` goes with `group`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetBody {
    pub(crate) user: Option<Reference>,
    pub(crate) device: Option<Reference>,
    pub(crate) group: Option<Reference>,
    pub(crate) exclude: Option<Reference>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstallBody {
    pub(crate) pool: Reference,
    pub(crate) device: Reference,
    /// Whose install it is; leave it out with `all_users`
    pub(crate) user: Option<Reference>,
    #[serde(default)]
    pub(crate) all_users: bool,
    /// `true` for a fact that was found on the device
    #[serde(default)]
    pub(crate) report: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepartureBody {
    #[schema(value_type = super::words::DepartureCause)]
    pub(crate) cause: DepartureCause,
    #[serde(default)]
    pub(crate) retire_devices: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundBody {
    pub(crate) order: Name,
    #[schema(minimum = 1)]
    pub(crate) quantity: u64,
    #[schema(value_type = String, format = Date)]
    pub(crate) ordered_on: Day,
    pub(crate) amount: MoneyBody,
    /// A drift that this refund explains
    #[schema(value_type = Option<Reference>)]
    pub(crate) explains: Option<Reference>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoneyBody {
    /// ISO 4217
    #[schema(pattern = "^[A-Z]{3}$")]
    pub(crate) currency: String,
    pub(crate) minor_units: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyBody {
    #[schema(value_type = Option<super::words::KeepOrRelease>)]
    pub(crate) on_uninstall: Option<KeepOrRelease>,
    #[schema(value_type = Option<super::words::KeepOrRelease>)]
    pub(crate) untargeted: Option<KeepOrRelease>,
    #[schema(value_type = Option<super::words::DeficitPolicy>)]
    pub(crate) deficit: Option<DeficitPolicy>,
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<super::words::KeepOrRelease>)]
    pub(crate) on_device_retirement: Option<Option<KeepOrRelease>>,
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 3650)]
    pub(crate) reservation_timeout_days: Option<Option<u32>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    pub(crate) user_name: Name,
    pub(crate) external_id: Option<Label>,
    pub(crate) display_name: Option<Label>,
    #[serde(default)]
    #[schema(max_items = 20)]
    pub(crate) emails: Vec<Name>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupBody {
    #[schema(value_type = super::words::GroupKind)]
    pub(crate) kind: GroupKind,
    #[serde(default)]
    #[schema(value_type = Vec<Reference>)]
    pub(crate) members: Vec<Reference>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceBody {
    pub(crate) platform: Word,
    #[schema(value_type = super::words::Join)]
    pub(crate) join: Join,
    pub(crate) enrolled: bool,
    pub(crate) os_build: Option<u32>,
    pub(crate) serial: Option<Name>,
    pub(crate) device_id: Option<Name>,
    pub(crate) primary_user: Option<Reference>,
}

/// One of `user`, `device`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfflineLicenseBody {
    pub(crate) user: Option<Reference>,
    pub(crate) device: Option<Reference>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsBody {
    /// A language tag, as in `en-US`
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length = 35)]
    pub(crate) language: Option<Word>,
    pub(crate) sync_enabled: Option<bool>,
    #[schema(maximum = 3650)]
    pub(crate) departure_grace_days: Option<u32>,
    #[schema(maximum = 3650)]
    pub(crate) return_window_days: Option<u32>,
    pub(crate) brake: Option<BrakeBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrakeBody {
    /// Part of the seats held, in percent
    #[schema(maximum = 100)]
    pub(crate) share: u32,
    pub(crate) at_least: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreAccountBody {
    pub(crate) account_id: Name,
    /// Connection settings, without secrets; left out, they stay as they are
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) settings: Option<Map<String, Value>>,
    /// Microsoft: `{"client_secret"}`. Apple: `{"content_tokens": [...]}`, one for each unit. Kept outside the log with
    /// mode 0600, never shown again; given alone they are renewed
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    #[expect(
        dead_code,
        reason = "kept apart before the command is read: here is their fingerprint, for the content's hash"
    )]
    pub(crate) credentials: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolBody {
    pub(crate) name: Name,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncBody {
    #[schema(value_type = super::words::Provider)]
    pub(crate) provider: crate::domain::key::Provider,
    #[serde(default)]
    pub(crate) full: bool,
    #[serde(default)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenBody {
    pub(crate) name: Name,
    #[schema(value_type = super::words::Role)]
    pub(crate) role: Role,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<Time>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantBody {
    pub(crate) name: Name,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockBody {
    #[schema(minimum = 0, maximum = 315_360_000)]
    pub(crate) advance_seconds: u64,
}

/// A whole declared inventory, or a part of one
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InventoryBody {
    /// What is not named is gone
    #[serde(default)]
    pub(crate) complete: bool,
    #[serde(default)]
    pub(crate) dry_run: bool,
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length = 35)]
    pub(crate) language: Option<Word>,
    #[schema(max_items = 10_000)]
    pub(crate) items: Vec<ItemBody>,
    /// What this list does not speak of: it stays as it is in pools that are there, whatever their items say
    #[serde(default)]
    #[schema(max_items = 11)]
    pub(crate) keep: Vec<ItemField>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ItemField {
    LicenseType,
    Publisher,
    DistributionPolicy,
    Price,
    RelatedSet,
    Packages,
    InstalledBy,
    Irrevocable,
    #[serde(rename = "requires_windows_1511")]
    RequiresWindows1511,
    PrivateStoreVisible,
    EndsOn,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemBody {
    pub(crate) sku: Name,
    #[schema(value_type = super::words::LicenseType)]
    pub(crate) license_type: LicenseType,
    pub(crate) name: Name,
    pub(crate) publisher: Option<Label>,
    pub(crate) owned: OwnedWord,
    #[schema(value_type = super::words::DistributionPolicy)]
    pub(crate) distribution_policy: DistributionPolicy,
    pub(crate) price: Option<MoneyBody>,
    #[serde(default)]
    pub(crate) encrypted: bool,
    pub(crate) related_set: Option<Label>,
    /// What the app consists of, each an object of the vendor's making
    #[serde(default)]
    #[schema(value_type = Vec<Object>, max_items = 64)]
    pub(crate) packages: Vec<Map<String, Value>>,
    #[schema(value_type = Option<super::words::InstalledBy>)]
    pub(crate) installed_by: Option<InstalledBy>,
    #[serde(default)]
    pub(crate) irrevocable: bool,
    #[serde(default)]
    pub requires_windows_1511: bool,
    pub(crate) private_store_visible: Option<bool>,
    /// The last day on which the seats are owned
    #[schema(value_type = Option<String>, format = Date)]
    pub(crate) ends_on: Option<Day>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewReview)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewBody {
    /// Not for personal data
    pub(crate) name: Name,
    /// Whose holders are frozen
    #[schema(min_items = 1, max_items = 200)]
    pub(crate) pools: Vec<Reference>,
    /// What becomes of a seat that nobody decided on
    #[schema(value_type = super::words::KeepOrRelease)]
    pub(crate) undecided: KeepOrRelease,
    /// When it ends by itself
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) ends_at: Option<Time>,
    /// Ids of the tokens whose people decide; without any, admins and operators do
    #[serde(default)]
    #[schema(max_items = 50)]
    pub(crate) reviewers: Vec<Reference>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Decision)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionBody {
    pub(crate) pool: Reference,
    /// `user:<ref>` or `device:<ref>`
    pub(crate) holder: Reference,
    #[schema(value_type = super::words::KeepOrRelease)]
    pub(crate) decision: KeepOrRelease,
    /// Not for personal data
    pub(crate) comment: Option<Comment>,
}

/// An array of decisions, or an object that has it under `decisions`; at most 10 000. The last one on a seat counts
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Decisions)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the contract; decisions.rs reads the rows one by one")]
pub(crate) enum DecisionsBody {
    Array(Vec<DecisionBody>),
    Object { decisions: Vec<DecisionBody> },
}
