//! What a product is: its details, its names, its packages, the offline license. An encrypted package is told by its format
//! (`eappx`, `eappxBundle`) and by its file; the documents have no word for it.

use super::super::Inside;
use super::super::market::{Market, Package, Product, ProductKey, Sku};
use super::super::query;
use super::super::refusal::{PRODUCT, Refusal};
use super::{object, product_key, without_body, written_key};
use crate::domain::key::LicenseType;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A package's address is good for so long.
const ADDRESS_LIFE: Duration = Duration::from_secs(1800);

type Inner = State<Arc<Inside>>;

pub(super) async fn details(
    State(inside): Inner,
    Path((product, sku)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let call = |_tool: &str| {
        query::none(&uri)?;
        let key = product_key(product, sku)?;
        let market = inside.market.lock();
        let (product, _) = on_sale(&market, &key)?;
        Ok(json!({
            "productKey": written_key(&key),
            "productType": product.product_type,
            "supportedLanguages": product.names.iter().map(|name| name.language.as_str()).collect::<Vec<_>>(),
            "publisherId": product.publisher_id,
            "category": product.category,
            "alternateIds": product.alternate_ids.iter().map(|id| json!({"type": id.kind, "value": id.value}))
                .collect::<Vec<_>>(),
            "packageFamilyName": product.package_family_name,
            "supportedPlatforms": [platform()],
        }))
    };
    inside.answer("product", &headers, call).await
}

pub(super) async fn localized(
    State(inside): Inner,
    Path((product, sku, language)): Path<(String, String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let call = |_tool: &str| {
        query::none(&uri)?;
        let key = product_key(product, sku)?;
        if !is_language(&language) {
            return Err(Refusal::invalid("language", "as en-us"));
        }
        let market = inside.market.lock();
        let missing = || Refusal::NotFound { item: "productId, skuId, language", value: format!("{key}/{language}") };
        let (product, _) = market.sku(&key).ok_or_else(missing)?;
        let name = product.named(&language).ok_or_else(missing)?;
        let logo = format!("https://store-images.example/{}/logo.png", key.product_id);
        Ok(json!({
            "language": name.language,
            "displayName": name.display_name,
            "description": name.description,
            "images": [{
                "location": logo, "purpose": "logo", "height": "300", "width": "300", "caption": "",
                "backgroundColor": "#0078D7", "foregroundColor": "#FFFFFF", "fileSize": 12_345,
            }],
            "publisher": {"publisherName": name.publisher_name, "publisherWebsite": "https://publisher.example"},
        }))
    };
    inside.answer("localized", &headers, call).await
}

pub(super) async fn packages(
    State(inside): Inner,
    Path((product, sku)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let call = |_tool: &str| {
        query::none(&uri)?;
        let key = product_key(product, sku)?;
        let market = inside.market.lock();
        let (_, sku) = owned(&market, &key)?;
        let set = sku.package_set_id.clone().unwrap_or_else(|| format!("set-{}", key.product_id));
        let list: Vec<Value> = sku.packages.iter().map(|package| written(&market, package, true)).collect();
        Ok(json!({"packageSetId": set, "productPackages": list}))
    };
    inside.answer("packages", &headers, call).await
}

pub(super) async fn package(
    State(inside): Inner,
    Path((product, sku, package)): Path<(String, String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let call = |_tool: &str| {
        query::none(&uri)?;
        let key = product_key(product, sku)?;
        let market = inside.market.lock();
        let (_, sku) = owned(&market, &key)?;
        let found = sku.packages.iter().find(|p| p.package_id == package);
        let found = found.ok_or_else(|| Refusal::NotFound { item: PRODUCT, value: format!("{key}/{package}") })?;
        Ok(written(&market, found, true))
    };
    inside.answer("package", &headers, call).await
}

pub(super) async fn offline_license(
    State(inside): Inner,
    Path((product, sku, content)): Path<(String, String, String)>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    let call = |_tool: &str| {
        query::none(&uri)?;
        without_body(&body)?;
        let key = product_key(product, sku)?;
        let market = inside.market.lock();
        let (_, sku) = owned(&market, &key)?;
        if !market.owns(&key, LicenseType::Offline) {
            return Err(Refusal::Conflict("Not offline"));
        }
        if !sku.packages.iter().any(|package| package.content_id == content) {
            return Err(Refusal::NotFound { item: "Content", value: format!("{key}/{content}") });
        }
        let requestor = inside.gate.lock().tenant().to_owned();
        let text = format!("{}:{requestor}:{key}:{content}", inside.seed);
        let blob = digest(&SHA256, text.as_bytes());
        Ok(json!({
            "productKey": written_key(&key),
            "licenseBlob": BASE64_STANDARD.encode(blob.as_ref()),
            "licenseInstanceId": hex::encode(blob.as_ref().get(..16).unwrap_or_default()),
            "requestorId": requestor,
            "contentId": content,
        }))
    };
    inside.answer("offline-license", &headers, call).await
}

/// Asked without a token, by who writes device policies.
pub(super) async fn applocker(State(inside): Inner, Path(product): Path<String>) -> Response {
    let found = inside.market.lock().product(&product).map(|product| {
        let identity = product.skus.iter().flat_map(|sku| &sku.packages).map(|p| p.identity_name.clone()).next();
        json!({
            "packageFamilyName": product.package_family_name,
            "packageIdentityName": identity.unwrap_or_default(),
            "publisherCertificateName": product.publisher_id,
        })
    });
    let value = found.ok_or(Refusal::NotFound { item: PRODUCT, value: product });
    value.map_or_else(Refusal::into_response, |value| axum::Json(inside.written(value)).into_response())
}

fn on_sale<'a>(market: &'a Market, key: &ProductKey) -> Result<(&'a Product, &'a Sku), Refusal> {
    market.sku(key).ok_or_else(|| Refusal::NotFound { item: PRODUCT, value: key.to_string() })
}

fn owned<'a>(market: &'a Market, key: &ProductKey) -> Result<(&'a Product, &'a Sku), Refusal> {
    let found = on_sale(market, key)?;
    let is_owned = market.owns(key, LicenseType::Online) || market.owns(key, LicenseType::Offline);
    if is_owned { Ok(found) } else { Err(Refusal::Conflict("Not owned")) }
}

fn platform() -> Value {
    let version = |build: i32| json!({"major": 10, "minor": 0, "build": build, "revision": 0});
    json!({"platformName": "Windows.Desktop", "minVersion": version(10_586), "maxTestedVersion": version(22_621)})
}

fn written(market: &Market, package: &Package, has_frameworks: bool) -> Value {
    let format = match (package.is_encrypted, package.is_bundle) {
        (false, false) => "Appx",
        (false, true) => "appxBundle",
        (true, false) => "eappx",
        (true, true) => "eappxBundle",
    };
    let ends = super::written_time(crate::store::simulator::clock::later(market.now(), ADDRESS_LIFE));
    let url = format!("https://packages.example/{}.{}?ends={ends}", package.full_name, format.to_ascii_lowercase());
    let mut fields = object([
        ("packageId", json!(package.package_id)),
        ("contentId", json!(package.content_id)),
        ("location", json!({"url": url})),
        ("packageFullName", json!(package.full_name)),
        ("packageIdentityName", json!(package.identity_name)),
        ("architectures", json!(package.architectures)),
        ("packageFormat", json!(format)),
        ("platforms", json!([platform()])),
        ("fileSize", json!(package.file_bytes)),
    ]);
    if let Some(rank) = package.rank {
        fields.insert("packageRank".into(), json!(rank));
    }
    if has_frameworks {
        let list = package.frameworks.iter().map(|framework| written(market, framework, false)).collect();
        fields.insert("frameworkDependencyPackages".into(), Value::Array(list));
    }
    Value::Object(fields)
}

fn is_language(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let first = text.split('-').next().unwrap_or_default();
    (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic()) && text.split('-').all(part)
}
