//! A pool with its figures.

use crate::domain::facts::Policy;
use crate::domain::key::LicenseType;
use crate::domain::state::{Pool, PoolName, Tenant};
use crate::domain::time::Time;
use crate::http::fields::Fields;
use crate::http::problem::owned_json;
use crate::http::wire::text::OwnedWord;
use crate::http::wire::words;
use crate::projection::View;
use crate::projection::figures::Figures;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a pool takes as text, most often.
const BYTES_GUESS: usize = 1024;

/// One counted stock of seats
//
// Here and below in the order of names, so that it reads the same whether it is written straight or through a map.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pool)]
pub(in crate::http) struct PoolBody {
    #[schema(value_type = words::DistributionPolicy)]
    distribution_policy: crate::domain::facts::DistributionPolicy,
    #[schema(value_type = Option<String>, format = Date)]
    ends_on: Option<crate::domain::time::Day>,
    foreign: u64,
    #[schema(value_type = OwnedWord)]
    free: Value,
    held: u64,
    id: String,
    in_use: u64,
    installed: u64,
    #[schema(value_type = words::InstalledBy)]
    installed_by: crate::domain::facts::InstalledBy,
    irrevocable: bool,
    key: String,
    #[schema(value_type = words::LicenseType)]
    license_type: LicenseType,
    /// In the tenant's language, with (Online) or (Offline) behind it
    name: String,
    over_by: u64,
    #[schema(value_type = OwnedWord)]
    owned: Value,
    policy: PolicyView,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    price: Option<PriceView>,
    private_store_visible: bool,
    #[schema(value_type = words::Provider)]
    provider: crate::domain::key::Provider,
    publisher: Option<String>,
    queued: u64,
    refused: u64,
    releasing: u64,
    reserved: u64,
    #[schema(value_type = words::PoolState)]
    state: crate::domain::facts::PoolState,
    #[schema(value_type = Option<String>, format = DateTime)]
    store_seen_at: Option<Time>,
    store_used: Option<u64>,
    unlicensed: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
struct PolicyView {
    #[schema(value_type = words::DeficitPolicy)]
    deficit: crate::domain::facts::DeficitPolicy,
    #[schema(value_type = Option<words::KeepOrRelease>)]
    on_device_retirement: Option<crate::domain::facts::KeepOrRelease>,
    #[schema(value_type = words::KeepOrRelease)]
    on_uninstall: crate::domain::facts::KeepOrRelease,
    reservation_timeout_days: Option<u32>,
    #[schema(value_type = words::KeepOrRelease)]
    untargeted: crate::domain::facts::KeepOrRelease,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Price)]
pub(in crate::http) struct PriceView {
    currency: String,
    minor_units: u64,
}

/// Name and publisher in the tenant's language, or in the first there is.
pub(in crate::http) fn named<'s>(state: &Tenant, pool: &'s Pool) -> Option<&'s PoolName> {
    pool.names.get(&state.settings.language).or_else(|| pool.names.values().next())
}

pub(in crate::http) fn plain_name(state: &Tenant, pool: &Pool) -> String {
    named(state, pool).map_or_else(|| pool.key.to_string(), |named| named.name.clone())
}

pub(in crate::http) fn shown_name(state: &Tenant, pool: &Pool) -> String {
    let kind = match pool.details.license_type {
        LicenseType::Online => "Online",
        LicenseType::Offline => "Offline",
    };
    format!("{} ({kind})", plain_name(state, pool))
}

impl PoolBody {
    /// As text, with the position that it speaks of: as serde has it, field for field.
    pub(in crate::http) fn written(&self, position: u64) -> Vec<u8> {
        let mut text = Vec::with_capacity(BYTES_GUESS);
        let mut fields = Fields::of(&mut text);
        fields.value("distribution_policy", &self.distribution_policy);
        fields.value("ends_on", &self.ends_on);
        fields.number("foreign", self.foreign);
        fields.value("free", &self.free);
        fields.number("held", self.held);
        fields.word("id", &self.id);
        fields.number("in_use", self.in_use);
        fields.number("installed", self.installed);
        fields.value("installed_by", &self.installed_by);
        fields.flag("irrevocable", self.irrevocable);
        fields.text("key", &self.key);
        fields.value("license_type", &self.license_type);
        fields.text("name", &self.name);
        fields.number("over_by", self.over_by);
        fields.value("owned", &self.owned);
        fields.value("policy", &self.policy);
        fields.number("position", position);
        fields.value("price", &self.price);
        fields.flag("private_store_visible", self.private_store_visible);
        fields.value("provider", &self.provider);
        match &self.publisher {
            Some(publisher) => fields.text("publisher", publisher),
            None => fields.null("publisher"),
        }
        fields.number("queued", self.queued);
        fields.number("refused", self.refused);
        fields.number("releasing", self.releasing);
        fields.number("reserved", self.reserved);
        fields.value("state", &self.state);
        fields.value("store_seen_at", &self.store_seen_at);
        fields.number_or_null("store_used", self.store_used);
        fields.number("unlicensed", self.unlicensed);
        fields.end();
        text
    }

    pub(in crate::http) fn of(view: &View, pool: &Pool) -> Self {
        Self::with(&view.state, pool, view.figures(pool))
    }

    pub(in crate::http) fn with(state: &Tenant, pool: &Pool, figures: Figures) -> Self {
        let Policy { on_uninstall, untargeted, deficit, on_device_retirement, reservation_timeout_days } = pool.policy;
        let named = named(state, pool);
        Self {
            id: pool.id.to_string(),
            key: pool.key.to_string(),
            name: shown_name(state, pool),
            publisher: named.and_then(|named| named.publisher.clone()),
            provider: pool.key.provider(),
            license_type: pool.details.license_type,
            installed_by: pool.details.installed_by,
            distribution_policy: pool.distribution_policy,
            owned: owned_json(figures.owned),
            held: figures.held,
            reserved: figures.reserved,
            in_use: figures.in_use,
            releasing: figures.releasing,
            foreign: figures.foreign,
            free: owned_json(figures.free),
            over_by: figures.over_by,
            queued: figures.queued,
            installed: figures.installed,
            unlicensed: figures.unlicensed,
            refused: figures.refused,
            store_used: pool.store_used,
            store_seen_at: pool.store_seen_at,
            policy: PolicyView { on_uninstall, untargeted, deficit, on_device_retirement, reservation_timeout_days },
            state: pool.state,
            irrevocable: pool.details.is_irrevocable,
            private_store_visible: pool.is_private_store_visible,
            price: pool
                .price
                .as_ref()
                .map(|price| PriceView { currency: price.currency.clone(), minor_units: price.minor_units }),
            ends_on: pool.ends_on,
            position: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::{DeficitPolicy, DistributionPolicy, InstalledBy, KeepOrRelease, PoolState};
    use crate::domain::key::Provider;

    #[test]
    fn what_is_written_is_what_serde_has() {
        let policy = PolicyView {
            deficit: DeficitPolicy::Reclaim,
            on_device_retirement: Some(KeepOrRelease::Keep),
            on_uninstall: KeepOrRelease::Release,
            reservation_timeout_days: Some(7),
            untargeted: KeepOrRelease::Keep,
        };
        let mut pool = PoolBody {
            distribution_policy: DistributionPolicy::Restricted,
            ends_on: "2026-11-26".parse().ok(),
            foreign: 1,
            free: 2.into(),
            held: 3,
            id: "pool_4".into(),
            in_use: 5,
            installed: 6,
            installed_by: InstalledBy::Tool,
            irrevocable: true,
            key: "declared:a\"b".into(),
            license_type: LicenseType::Offline,
            name: "Büro (Offline)".into(),
            over_by: 7,
            owned: "unlimited".into(),
            policy,
            position: Some(18),
            price: Some(PriceView { currency: "EUR".into(), minor_units: 8 }),
            private_store_visible: false,
            provider: Provider::Declared,
            publisher: Some("A & B\\".into()),
            queued: 9,
            refused: 10,
            releasing: 11,
            reserved: 12,
            state: PoolState::Active,
            store_seen_at: Some(Time(1_790_000_000_000_000)),
            store_used: Some(13),
            unlicensed: 14,
        };
        for _ in 0..2 {
            assert_eq!(String::from_utf8(pool.written(18)).unwrap(), serde_json::to_string(&pool).unwrap());
            (pool.ends_on, pool.price, pool.publisher) = (None, None, None);
            (pool.store_seen_at, pool.store_used, pool.policy.on_device_retirement) = (None, None, None);
        }
    }
}
