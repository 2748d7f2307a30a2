//! A declared inventory into the domain's.

use super::super::auth::Caller;
use super::super::problem::Problem;
use super::bodies::{InventoryBody, ItemBody, ItemField};
use super::text::Label;
use super::{money, within};
use crate::domain::command::{Inventory, InventoryItem};
use crate::domain::facts::PoolDetails;
use crate::domain::key::Provider;
use crate::domain::state::Pool;
use serde_json::Value;

const ITEMS_MAX: u64 = 10_000;
const ITEM_FIELDS: u64 = 11;
const PACKAGES_MAX: u64 = 64;
const PACKAGE_BYTES_MAX: u64 = 4096;

pub(super) fn declared(caller: &Caller, body: InventoryBody) -> Result<Inventory, Problem> {
    within("items", body.items.len() as u64, 0, ITEMS_MAX)?;
    within("keep", body.keep.len() as u64, 0, ITEM_FIELDS)?;
    let language = match body.language {
        Some(tag) => language(&tag.0)?,
        None => caller.service.ledger.read(caller.tenant, |view| view.state.settings.language.clone())?,
    };
    let mut items: Vec<InventoryItem> = body.items.into_iter().map(item).collect::<Result<_, _>>()?;
    if !body.keep.is_empty() {
        caller.service.ledger.read(caller.tenant, |view| {
            for item in &mut items {
                let pool = view.state.pool_keys.get(&item.key).map(|id| view.state.pool(id));
                pool.into_iter().for_each(|pool| keep(item, pool, &language, &body.keep));
            }
        })?;
    }
    Ok(Inventory {
        provider: Provider::Declared,
        is_complete: body.complete,
        is_dry_run: body.dry_run,
        language,
        pages: 1,
        part: None,
        items,
    })
}

/// What is recorded of a pool, in the place of what its item says.
fn keep(item: &mut InventoryItem, pool: &Pool, language: &str, fields: &[ItemField]) {
    for field in fields {
        match field {
            ItemField::LicenseType => item.details.license_type = pool.details.license_type,
            ItemField::Publisher => {
                let named = pool.names.get(language).or_else(|| pool.names.values().next());
                item.publisher = named.and_then(|named| named.publisher.clone());
            }
            ItemField::DistributionPolicy => item.distribution_policy = pool.distribution_policy,
            ItemField::Price => item.price = pool.price.clone(),
            ItemField::RelatedSet => item.details.related_set = pool.details.related_set.clone(),
            ItemField::Packages => item.packages = pool.packages.clone(),
            ItemField::InstalledBy => item.details.installed_by = pool.details.installed_by,
            ItemField::Irrevocable => item.details.is_irrevocable = pool.details.is_irrevocable,
            ItemField::RequiresWindows1511 => item.details.requires_windows_1511 = pool.details.requires_windows_1511,
            ItemField::PrivateStoreVisible => item.is_private_store_visible = pool.is_private_store_visible,
            ItemField::EndsOn => item.ends_on = pool.ends_on,
        }
    }
}

/// A language tag in the shape of BCP 47.
pub(super) fn language(tag: &str) -> Result<String, Problem> {
    let is_part = |part: &str, min| (min..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = tag.split('-');
    let is_tag = parts.next().is_some_and(|first| is_part(first, 2) && first.bytes().all(|b| b.is_ascii_alphabetic()))
        && parts.all(|part| is_part(part, 1))
        && tag.len() <= 35;
    if is_tag {
        return Ok(tag.to_owned());
    }
    Err(Problem::meaningless("a language is a tag as in en-US").with("field", "language"))
}

fn item(body: ItemBody) -> Result<InventoryItem, Problem> {
    within("packages", body.packages.len() as u64, 0, PACKAGES_MAX)?;
    let packages: Vec<String> = body.packages.into_iter().map(|package| Value::Object(package).to_string()).collect();
    for package in &packages {
        within("packages: the bytes of one", package.len() as u64, 0, PACKAGE_BYTES_MAX)?;
    }
    let usual = InventoryItem::declared(&body.sku.0, &body.name.0, body.license_type, body.owned.0);
    let details = PoolDetails {
        installed_by: body.installed_by.unwrap_or(usual.details.installed_by),
        is_irrevocable: body.irrevocable,
        requires_windows_1511: body.requires_windows_1511,
        related_set: body.related_set.and_then(Label::text),
        ..usual.details
    };
    Ok(InventoryItem {
        details,
        publisher: body.publisher.and_then(Label::text),
        distribution_policy: body.distribution_policy,
        price: body.price.map(money).transpose()?,
        is_encrypted: body.encrypted,
        packages,
        is_private_store_visible: body.private_store_visible.unwrap_or(usual.is_private_store_visible),
        ends_on: body.ends_on,
        ..usual
    })
}
