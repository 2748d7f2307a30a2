//! The bodies of commands as they are written, unknown fields refused. Not here: what they come to (`mod.rs`).

use super::text::{Name, OwnedWord, Reference, Word};
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
pub struct Aside {
    pub occurred_at: Option<Time>,
    pub reason: Option<Word>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignBody {
    #[schema(value_type = Reference)]
    pub pool: Reference,
    pub target: TargetBody,
    #[schema(value_type = super::words::Intent)]
    pub intent: Intent,
    #[schema(value_type = Option<super::words::Mode>)]
    pub mode: Option<Mode>,
    #[schema(value_type = Option<super::words::Licensing>)]
    pub licensing: Option<Licensing>,
}

/// One of `user`, `device`, `group`; `exclude` goes with `group`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetBody {
    pub user: Option<Reference>,
    pub device: Option<Reference>,
    pub group: Option<Reference>,
    pub exclude: Option<Reference>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallBody {
    pub pool: Reference,
    pub device: Reference,
    /// Whose install it is; leave it out with `all_users`
    pub user: Option<Reference>,
    #[serde(default)]
    pub all_users: bool,
    /// `true` for a fact that was found on the device
    #[serde(default)]
    pub report: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DepartureBody {
    #[schema(value_type = super::words::DepartureCause)]
    pub cause: DepartureCause,
    #[serde(default)]
    pub retire_devices: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundBody {
    pub order: Name,
    #[schema(minimum = 1)]
    pub quantity: u64,
    #[schema(value_type = String, format = Date)]
    pub ordered_on: Day,
    pub amount: MoneyBody,
    /// A drift that this refund explains
    #[schema(value_type = Option<Reference>)]
    pub explains: Option<Reference>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoneyBody {
    /// ISO 4217
    #[schema(pattern = "^[A-Z]{3}$")]
    pub currency: String,
    pub minor_units: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    #[schema(value_type = Option<super::words::KeepOrRelease>)]
    pub on_uninstall: Option<KeepOrRelease>,
    #[schema(value_type = Option<super::words::KeepOrRelease>)]
    pub untargeted: Option<KeepOrRelease>,
    #[schema(value_type = Option<super::words::DeficitPolicy>)]
    pub deficit: Option<DeficitPolicy>,
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<super::words::KeepOrRelease>)]
    pub on_device_retirement: Option<Option<KeepOrRelease>>,
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 3650)]
    pub reservation_timeout_days: Option<Option<u32>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserBody {
    pub user_name: Name,
    pub external_id: Option<Name>,
    pub display_name: Option<Name>,
    #[serde(default)]
    #[schema(max_items = 20)]
    pub emails: Vec<Name>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupBody {
    #[schema(value_type = super::words::GroupKind)]
    pub kind: GroupKind,
    #[serde(default)]
    #[schema(value_type = Vec<Reference>)]
    pub members: Vec<Reference>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceBody {
    pub platform: Word,
    #[schema(value_type = super::words::Join)]
    pub join: Join,
    pub enrolled: bool,
    pub os_build: Option<u32>,
    pub serial: Option<Name>,
    pub device_id: Option<Name>,
    pub primary_user: Option<Reference>,
}

/// One of `user`, `device`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfflineLicenseBody {
    pub user: Option<Reference>,
    pub device: Option<Reference>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsBody {
    /// A language tag, as in `en-US`
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length = 35)]
    pub language: Option<Word>,
    pub sync_enabled: Option<bool>,
    #[schema(maximum = 3650)]
    pub departure_grace_days: Option<u32>,
    #[schema(maximum = 3650)]
    pub return_window_days: Option<u32>,
    pub brake: Option<BrakeBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrakeBody {
    /// Part of the seats held, in percent
    #[schema(maximum = 100)]
    pub share: u32,
    pub at_least: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreAccountBody {
    pub account_id: Name,
    /// Connection settings, without secrets
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolBody {
    pub name: Name,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncBody {
    #[schema(value_type = super::words::Provider)]
    pub provider: crate::domain::key::Provider,
    #[serde(default)]
    pub full: bool,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    pub name: Name,
    #[schema(value_type = super::words::Role)]
    pub role: Role,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantBody {
    pub name: Name,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockBody {
    #[schema(minimum = 0, maximum = 3_153_600_000.0)]
    pub advance_seconds: u64,
}

/// A whole declared inventory, or a part of one
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InventoryBody {
    /// What is not named is gone
    #[serde(default)]
    pub complete: bool,
    #[serde(default)]
    pub dry_run: bool,
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length = 35)]
    pub language: Option<Word>,
    #[schema(max_items = 10_000)]
    pub items: Vec<ItemBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemBody {
    pub sku: Name,
    #[schema(value_type = super::words::LicenseType)]
    pub license_type: LicenseType,
    pub name: Name,
    pub publisher: Option<Name>,
    pub owned: OwnedWord,
    #[schema(value_type = super::words::DistributionPolicy)]
    pub distribution_policy: DistributionPolicy,
    pub price: Option<MoneyBody>,
    #[serde(default)]
    pub encrypted: bool,
    pub related_set: Option<Name>,
    /// What the app consists of, each an object of the vendor's making
    #[serde(default)]
    #[schema(value_type = Vec<Object>, max_items = 64)]
    pub packages: Vec<Map<String, Value>>,
    #[schema(value_type = Option<super::words::InstalledBy>)]
    pub installed_by: Option<InstalledBy>,
    #[serde(default)]
    pub irrevocable: bool,
    #[serde(default)]
    pub requires_windows_1511: bool,
    pub private_store_visible: Option<bool>,
    /// The last day on which the seats are owned
    #[schema(value_type = Option<String>, format = Date)]
    pub ends_on: Option<Day>,
}
