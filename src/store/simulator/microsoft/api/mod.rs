//! The management-tool API over HTTP: its paths, who is let in, and how an answer is written. Not here: what the store knows
//! (`market`), and the back door (`desk`).

mod inventory;
mod products;
mod seats;

use super::Inside;
use super::market::ProductKey;
use super::refusal::Refusal;
use crate::domain::time::Time;
use axum::Router;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The twelve operations, and the public look-up beside them that needs no token.
pub(super) fn router(inside: Arc<Inside>) -> Router {
    let key = "/V1/Products/{product}/{sku}";
    let at = |tail: &str| format!("{key}{tail}");
    Router::new()
        .route("/V1/Inventory", get(inventory::list))
        .route(key, get(products::details))
        .route(&at("/LocalizedDetails/{language}"), get(products::localized))
        .route(&at("/OfflineLicense/{content}"), post(products::offline_license))
        .route(&at("/Packages"), get(products::packages))
        .route(&at("/Packages/{package}"), get(products::package))
        .route("/V1/Inventory/{product}/{sku}/Seats", get(seats::list).post(seats::bulk))
        .route("/V1/Inventory/{product}/{sku}/Seats/{user}", get(seats::one).post(seats::assign).delete(seats::reclaim))
        .route("/V1/Users/{user}/Seats", get(seats::of_user))
        .route("/v1/public/catalog/Retail/Products/{product}/applockerdata", get(products::applocker))
        .with_state(inside)
}

/// How the service writes names and words. The documents contradict each other, so a client must bear both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Casing {
    /// `assignedTo`, `Active`.
    Camel,
    /// `AssignedTo`, `active`.
    Pascal,
}

impl Inside {
    /// Lets a call in, answers it, and spoils the answer where a fault strikes.
    async fn answer(
        &self,
        operation: &'static str,
        headers: &HeaderMap,
        call: impl FnOnce(&str) -> Result<Value, Refusal>,
    ) -> Response {
        let answered = async {
            let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            let admitted = self.gate.lock().admit(self.switches.clock.now(), authorization);
            match admitted.map_err(Refusal::Away).and_then(|tool| call(&tool)) {
                Ok(value) => axum::Json(self.written(value)).into_response(),
                Err(refusal) => refusal.into_response(),
            }
        };
        self.switches.faults.around(operation, |status| Refusal::Failed(status).into_response(), answered).await
    }

    fn written(&self, value: Value) -> Value {
        match *self.casing.lock() {
            Casing::Camel => value,
            Casing::Pascal => pascal(value),
        }
    }
}

const WORDS: [&str; 4] = ["licenseType", "distributionPolicy", "status", "state"];

fn pascal(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let word = value.as_str().filter(|_| WORDS.contains(&name.as_str())).map(str::to_lowercase);
                let value = word.map_or_else(|| pascal(value), Value::String);
                let mut letters = name.chars();
                let name = letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect();
                (name, value)
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(pascal).collect()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

/// Both parts of a key out of a path.
fn product_key(product_id: String, sku_id: String) -> Result<ProductKey, Refusal> {
    if !super::market::is_product_id(&product_id) {
        return Err(Refusal::invalid("productId", "1 to 20 letters and digits"));
    }
    if !super::market::is_sku_id(&sku_id) {
        return Err(Refusal::invalid("skuId", "1 to 10 letters and digits"));
    }
    Ok(ProductKey { product_id, sku_id })
}

/// Operations without a body take none.
fn without_body(body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() { Ok(()) } else { Err(Refusal::invalid("body", "this operation takes none")) }
}

fn written_key(key: &ProductKey) -> Value {
    json!({"productId": key.product_id, "skuId": key.sku_id})
}

/// Seven digits behind the second, as .NET writes a time.
fn written_time(time: Time) -> String {
    let text = time.to_string();
    text.strip_suffix('Z').map_or(text.clone(), |digits| format!("{digits}0Z"))
}

/// A field that is absent where there is nothing to say.
fn with(mut value: Value, name: &str, field: Option<String>) -> Value {
    if let (Some(fields), Some(field)) = (value.as_object_mut(), field) {
        fields.insert(name.to_owned(), Value::String(field));
    }
    value
}

fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
