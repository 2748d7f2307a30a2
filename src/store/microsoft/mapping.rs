//! What an entry of the store's inventory is to the ledger (`rules.md` §5). Pure. Not here: asking.

use super::wire::{InventoryEntry, Localized, Package, PackageSet, Product, ProductKey, Version};
use crate::domain::command::InventoryItem;
use crate::domain::facts::{DistributionPolicy, HeldBy, InstalledBy, KeepOrRelease, Owned, PoolDetails};
use crate::domain::key::{LicenseType, PoolKey};
use serde_json::{Map, Value, json};

const NAME_CHARS_MAX: usize = 256;
const PACKAGES_MAX: usize = 64;
const PACKAGE_BYTES_MAX: usize = 4096;
/// A figure from here on stands for no limit: it is the largest that many a client can hold.
const NO_LIMIT: i64 = 2_147_483_647;
/// Products that are bought with an app or spent by it; nobody holds a seat of one.
const NOT_APPS: [&str; 4] = ["consumable", "unmanagedconsumable", "durable", "subscription"];

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Pool {
        license_type: LicenseType,
        policy: DistributionPolicy,
        owned: Owned,
        used: Option<u64>,
    },
    Removed(LicenseType),
    /// With what the ledger has no word for.
    /// Of either type where the store names one that is not known.
    Unsupported(Option<LicenseType>, String),
}

fn is(word: &str, text: &str) -> bool {
    text.eq_ignore_ascii_case(word)
}

pub(super) fn kind(entry: &InventoryEntry) -> Kind {
    let license_type = match entry.license_type.as_str() {
        text if is("online", text) => LicenseType::Online,
        text if is("offline", text) => LicenseType::Offline,
        text => return Kind::Unsupported(None, said("license type", text)),
    };
    match entry.status.as_deref() {
        Some(text) if is("removed", text) => return Kind::Removed(license_type),
        Some(text) if !is("active", text) => return Kind::Unsupported(Some(license_type), said("status", text)),
        Some(_) | None => {}
    }
    let policy = match entry.distribution_policy.as_deref() {
        Some(text) if is("open", text) => DistributionPolicy::Open,
        // what is not known to be without limit has one
        Some(_) | None => DistributionPolicy::Restricted,
    };
    let owned = match entry.seat_capacity {
        Some(capacity) if capacity >= NO_LIMIT => Owned::Unlimited,
        Some(capacity) => match u64::try_from(capacity) {
            Ok(capacity) => Owned::Count(capacity),
            Err(_) => return Kind::Unsupported(Some(license_type), "a capacity below zero".into()),
        },
        None if license_type == LicenseType::Offline || policy == DistributionPolicy::Open => Owned::Unlimited,
        None => return Kind::Unsupported(Some(license_type), "a restricted pool without a capacity".into()),
    };
    let used = match (license_type, policy, owned, entry.available_seats) {
        (LicenseType::Online, DistributionPolicy::Restricted, Owned::Count(owned), Some(free)) => {
            u64::try_from(free).ok().and_then(|free| owned.checked_sub(free))
        }
        (LicenseType::Online | LicenseType::Offline, _, Owned::Count(_) | Owned::Unlimited, _) => None,
    };
    Kind::Pool { license_type, policy, owned, used }
}

/// A text of the store's among words of ours.
fn said(what: &str, text: &str) -> String {
    format!("{what} {:?}", label(text, 40).unwrap_or_default())
}

/// Without control characters and blanks around it, at most so long; `None` if nothing is left.
pub(super) fn label(text: &str, chars_max: usize) -> Option<String> {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut: String = clean.trim().chars().take(chars_max).collect();
    let cut = cut.trim();
    (!cut.is_empty()).then(|| cut.to_owned())
}

pub(super) fn pool_key(key: &ProductKey, license_type: LicenseType) -> PoolKey {
    PoolKey::Microsoft { product_id: key.product_id.clone(), sku_id: key.sku_id.clone(), license_type }
}

/// What is read of a product beside its figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Described {
    name: Option<String>,
    publisher: Option<String>,
    /// One compact JSON text a package.
    packages: Vec<String>,
    is_encrypted: bool,
    related_set: Option<String>,
    /// Why it is no app, if it is none.
    pub(super) not_an_app: Option<String>,
}

pub(super) fn described(product: Option<Product>, named: Option<Localized>, set: Option<PackageSet>) -> Described {
    let (name, publisher) = named.map_or((None, None), |it| (it.display_name, it.publisher.and_then(|it| it.name)));
    let (set_id, packages) = set.map_or((None, vec![]), |it| (it.id, it.packages.unwrap_or_default()));
    let (product_type, family) = product.map_or((None, None), |it| (it.product_type, it.package_family_name));
    let clean = |text: Option<String>| text.and_then(|text| label(&text, NAME_CHARS_MAX));
    let not_an_app = product_type.filter(|it| NOT_APPS.iter().any(|word| is(word, it)));
    Described {
        name: clean(name),
        publisher: clean(publisher),
        is_encrypted: !packages.is_empty() && packages.iter().all(is_encrypted),
        packages: packages.iter().take(PACKAGES_MAX).filter_map(|it| package(it, family.as_deref())).collect(),
        related_set: clean(set_id),
        not_an_app: not_an_app.map(|it| said("product type", &it)),
    }
}

/// The formats of encrypted packages begin with an E: `EAppx`, `EAppxBundle`, `EMsix`.
fn is_encrypted(package: &Package) -> bool {
    let format = package.format.as_deref().unwrap_or_default().to_ascii_lowercase();
    format.starts_with("eappx") || format.starts_with("emsix") || format.contains("encrypted")
}

fn version(version: &Option<Version>) -> Option<String> {
    version.map(|it| format!("{}.{}.{}.{}", it.major, it.minor, it.build, it.revision))
}

/// Without the place to load it from, which soon is none any more.
fn package(package: &Package, family: Option<&str>) -> Option<String> {
    let platform = |it: &super::wire::Platform| {
        json!({
            "name": it.name, "min_version": version(&it.min_version), "max_tested_version": version(&it.max_tested_version),
        })
    };
    let platforms: Vec<Value> = package.platforms.iter().flatten().map(platform).collect();
    let dependencies: Vec<&String> =
        package.dependencies.iter().flatten().filter_map(|it| it.full_name.as_ref().or(it.id.as_ref())).collect();
    let all = [
        ("id", json!(package.id)),
        ("full_name", json!(package.full_name)),
        ("identity_name", json!(package.identity_name)),
        ("family_name", json!(family)),
        ("format", json!(package.format)),
        ("content_id", json!(package.content_id)),
        ("bytes", json!(package.file_bytes)),
        ("rank", json!(package.rank)),
        ("architectures", json!(package.architectures)),
        ("platforms", Value::Array(platforms)),
        ("dependencies", json!(dependencies)),
    ];
    let said = all.into_iter().filter(|(_, value)| !value.is_null() && *value != json!([]));
    let mut map: Map<String, Value> = said.map(|(name, value)| (name.to_owned(), value)).collect();
    let mut text = Value::Object(map.clone()).to_string();
    if text.len() > PACKAGE_BYTES_MAX {
        map.remove("dependencies");
        text = Value::Object(map).to_string();
    }
    (text.len() <= PACKAGE_BYTES_MAX).then_some(text)
}

/// The item of a pool. Without a name it has that of its product's id.
pub(super) fn item(
    key: PoolKey,
    product: &ProductKey,
    (license_type, distribution_policy): (LicenseType, DistributionPolicy),
    (owned, store_used): (Owned, Option<u64>),
    described: &Described,
) -> InventoryItem {
    let is_online = license_type == LicenseType::Online;
    InventoryItem {
        key,
        details: PoolDetails {
            license_type,
            installed_by: if is_online { InstalledBy::Store } else { InstalledBy::Tool },
            held_by: if is_online { HeldBy::User } else { HeldBy::UserOrDevice },
            is_confirmed_by_provider: is_online,
            is_irrevocable: false,
            requires_windows_1511: true,
            requires_eligible_device: true,
            on_uninstall: KeepOrRelease::Release,
            related_set: described.related_set.clone(),
        },
        name: described.name.clone().unwrap_or_else(|| product.product_id.clone()),
        publisher: described.publisher.clone(),
        owned,
        distribution_policy,
        price: None,
        is_encrypted: described.is_encrypted,
        packages: described.packages.clone(),
        is_private_store_visible: true,
        ends_on: None,
        store_used,
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;

    fn entry(rest: Value) -> InventoryEntry {
        let mut entry = json!({ "productKey": { "productId": "9W", "skuId": "0016" } });
        let map = entry.as_object_mut().expect("an object");
        map.extend(rest.as_object().expect("an object").clone());
        wire::read(entry).expect("an entry")
    }

    #[test]
    fn an_entry_is_a_pool_removed_or_unsupported() {
        use DistributionPolicy::{Open, Restricted};
        use LicenseType::{Offline, Online};
        let pool = |license_type, policy, owned, used| Kind::Pool { license_type, policy, owned, used };
        let table = [
            (
                json!({"licenseType": "Online", "distributionPolicy": "Restricted", "seatCapacity": 10, "availableSeats": 3, "status": "Active"}),
                pool(Online, Restricted, Owned::Count(10), Some(7)),
            ),
            (
                json!({"licenseType": "online", "distributionPolicy": "restricted", "seatCapacity": 0, "availableSeats": 0}),
                pool(Online, Restricted, Owned::Count(0), Some(0)),
            ),
            (json!({"licenseType": "ONLINE", "seatCapacity": 10}), pool(Online, Restricted, Owned::Count(10), None)),
            (
                json!({"licenseType": "Online", "distributionPolicy": "OPEN", "seatCapacity": 5, "availableSeats": 1}),
                pool(Online, Open, Owned::Count(5), None),
            ),
            (
                json!({"licenseType": "Online", "distributionPolicy": "Open"}),
                pool(Online, Open, Owned::Unlimited, None),
            ),
            (
                json!({"licenseType": "Online", "distributionPolicy": "Restricted", "seatCapacity": 2_147_483_647_i64, "availableSeats": 2_147_483_640_i64}),
                pool(Online, Restricted, Owned::Unlimited, None),
            ),
            // more free than there are: nothing is said of what is used
            (
                json!({"licenseType": "Online", "seatCapacity": 5, "availableSeats": 6}),
                pool(Online, Restricted, Owned::Count(5), None),
            ),
            (
                json!({"licenseType": "Offline", "distributionPolicy": "Restricted", "seatCapacity": 10, "availableSeats": 10}),
                pool(Offline, Restricted, Owned::Count(10), None),
            ),
            (json!({"licenseType": "Offline"}), pool(Offline, Restricted, Owned::Unlimited, None)),
            (json!({"licenseType": "Offline", "status": "removed"}), Kind::Removed(Offline)),
            (json!({"licenseType": "Lease"}), Kind::Unsupported(None, "license type \"Lease\"".into())),
            (
                json!({"licenseType": "Online", "status": "Frozen\n"}),
                Kind::Unsupported(Some(LicenseType::Online), "status \"Frozen\"".into()),
            ),
            (
                json!({"licenseType": "Offline", "status": "Frozen"}),
                Kind::Unsupported(Some(LicenseType::Offline), "status \"Frozen\"".into()),
            ),
            (
                json!({"licenseType": "Online"}),
                Kind::Unsupported(Some(LicenseType::Online), "a restricted pool without a capacity".into()),
            ),
            (
                json!({"licenseType": "Online", "seatCapacity": -1}),
                Kind::Unsupported(Some(LicenseType::Online), "a capacity below zero".into()),
            ),
        ];
        for (said, expected) in table {
            assert_eq!(kind(&entry(said.clone())), expected, "{said}");
        }
    }

    #[test]
    fn a_pool_is_what_the_rules_say_of_its_license_type() {
        let product = ProductKey { product_id: "9W".into(), sku_id: "0016".into() };
        let of = |license_type| {
            let key = pool_key(&product, license_type);
            let kind = (license_type, DistributionPolicy::Restricted);
            item(key, &product, kind, (Owned::Count(1), None), &Described::default())
        };
        let (online, offline) = (of(LicenseType::Online), of(LicenseType::Offline));
        assert_eq!(online.name, "9W");
        assert!(online.details.is_confirmed_by_provider && !offline.details.is_confirmed_by_provider);
        assert_eq!((online.details.held_by, offline.details.held_by), (HeldBy::User, HeldBy::UserOrDevice));
        assert_eq!(
            (online.details.installed_by, offline.details.installed_by),
            (InstalledBy::Store, InstalledBy::Tool)
        );
        for pool in [&online, &offline] {
            assert_eq!(pool.details.on_uninstall, KeepOrRelease::Release);
            assert!(pool.details.requires_windows_1511 && !pool.details.is_irrevocable);
        }
    }

    #[test]
    fn names_packages_and_encryption_are_read_and_bounded() {
        let named: Localized = wire::read(json!({
            "Language": "en-us", "displayName": format!(" Of\u{7}fice {}", "x".repeat(400)), "publisher": {"publisherName": "Contoso"}
        }))
        .expect("names");
        let set = |format: &str| -> PackageSet {
            wire::read(json!({"packageSetId": "set-1", "productPackages": [{
                "packageId": "p1", "packageFullName": "Full_1.0", "packageFormat": format, "Architectures": ["x64"],
                "location": {"url": "https://secret.example/?sig=1"}, "fileSize": 17,
                "platforms": [{"platformName": "Windows.Desktop", "minVersion": {"major": 10, "minor": 0, "build": 10586, "revision": 0}}],
                "frameworkDependencyPackages": [{"packageFullName": "Framework_2"}]
            }]}))
            .expect("a set")
        };
        let product: Product =
            wire::read(json!({"productType": "Application", "packageFamilyName": "fam"})).expect("it");
        let open = described(Some(product), Some(named), Some(set("AppxBundle")));
        assert!(open.name.as_deref().is_some_and(|name| name.starts_with("Of fice x") && name.chars().count() == 256));
        assert_eq!((open.publisher.as_deref(), open.related_set.as_deref()), (Some("Contoso"), Some("set-1")));
        assert_eq!(
            open.packages,
            [concat!(
                r#"{"architectures":["x64"],"bytes":17,"dependencies":["Framework_2"],"family_name":"fam","format":"AppxBundle","#,
                r#""full_name":"Full_1.0","id":"p1","platforms":[{"max_tested_version":null,"min_version":"10.0.10586.0","#,
                r#""name":"Windows.Desktop"}]}"#
            )]
        );
        assert!(!open.is_encrypted && open.not_an_app.is_none());
        assert!(described(None, None, Some(set("EAppxBundle"))).is_encrypted);
        let spent: Product = wire::read(json!({"productType": "Consumable"})).expect("it");
        assert_eq!(described(Some(spent), None, None).not_an_app.as_deref(), Some("product type \"Consumable\""));
    }
}
