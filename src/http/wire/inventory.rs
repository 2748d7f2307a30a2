//! A declared inventory into the domain's.

use super::super::auth::Caller;
use super::super::problem::Problem;
use super::bodies::{InventoryBody, ItemBody};
use super::text::Label;
use super::{money, within};
use crate::domain::command::{Inventory, InventoryItem};
use crate::domain::facts::{HeldBy, InstalledBy, KeepOrRelease, PoolDetails};
use crate::domain::key::{PoolKey, Provider};
use serde_json::Value;

const ITEMS_MAX: u64 = 10_000;
const PACKAGES_MAX: u64 = 64;
const PACKAGE_BYTES_MAX: u64 = 4096;

pub(super) fn declared(caller: &Caller, body: InventoryBody) -> Result<Inventory, Problem> {
    within("items", body.items.len() as u64, 0, ITEMS_MAX)?;
    let language = match body.language {
        Some(tag) => language(&tag.0)?,
        None => caller.service.ledger.read(caller.tenant, |view| view.state.settings.language.clone())?,
    };
    Ok(Inventory {
        provider: Provider::Declared,
        is_complete: body.complete,
        is_dry_run: body.dry_run,
        language,
        pages: 1,
        items: body.items.into_iter().map(item).collect::<Result<_, _>>()?,
    })
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
    let details = PoolDetails {
        license_type: body.license_type,
        installed_by: body.installed_by.unwrap_or(InstalledBy::Tool),
        held_by: HeldBy::UserOrDevice,
        is_confirmed_by_provider: false,
        is_irrevocable: body.irrevocable,
        requires_windows_1511: body.requires_windows_1511,
        requires_eligible_device: false,
        on_uninstall: KeepOrRelease::Release,
        related_set: body.related_set.and_then(Label::text),
    };
    Ok(InventoryItem {
        key: PoolKey::Declared { sku: body.sku.0 },
        details,
        name: body.name.0,
        publisher: body.publisher.and_then(Label::text),
        owned: body.owned.0,
        distribution_policy: body.distribution_policy,
        price: body.price.map(money).transpose()?,
        is_encrypted: body.encrypted,
        packages,
        is_private_store_visible: body.private_store_visible.unwrap_or(true),
        ends_on: body.ends_on,
        store_used: None,
    })
}
