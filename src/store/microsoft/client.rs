//! Every operation of the management-tool API (`domain.md` 2.2), one function each. Not here: pages put together, retries
//! (`transport`), and what an answer means to the ledger.

use super::MicrosoftSettings;
use super::auth::Auth;
use super::wire::{
    self, Bulk, BulkResult, InventoryPage, Localized, OfflineLicense, Package, PackageSet, Product, ProductKey, Seat,
    SeatAction, SeatsPage, lowered, round_trip,
};
use crate::domain::time::Time;
use crate::store::secret::StoreSecret;
use crate::store::terms::Trouble;
use crate::store::transport::{Answer, Failed, Repeat, Transport};
use base64::Engine as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// User names in one bulk call.
pub(super) const BULK_MAX: usize = 25;
/// The most that a page of seats may have.
const SEATS_OF_A_PAGE: usize = 100;
const ENTRIES_OF_A_PAGE: usize = 25;
/// What may stand in a path or a query as it is.
const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What an answer 404 says is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Inventory,
    User,
    Seat,
    /// It does not say.
    Something,
}

/// An answer that the documents foresee.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered<T> {
    Good(T),
    NotFound(Missing),
    /// 409, with the store's word for why, where it gives one.
    Conflict(Option<String>),
    /// 400: not to be asked again like this.
    Bad,
}

impl<T> Answered<T> {
    /// # Errors
    /// For every other answer than a good one.
    pub fn good(self) -> Result<T, Trouble> {
        let (status, words) = match self {
            Self::Good(said) => return Ok(said),
            Self::NotFound(missing) => (404, format!("not found: {missing:?}")),
            Self::Conflict(_) => (409, "conflict".into()),
            Self::Bad => (400, "bad request".into()),
        };
        Err(Trouble::Refused { status, words })
    }
}

/// What to list of the inventory. Online and offline are both listed.
#[derive(Debug, Clone, Default)]
pub struct InventoryAsked {
    pub modified_since: Option<Time>,
    pub continuation_token: Option<String>,
}

pub struct MicrosoftClient {
    transport: Transport,
    auth: Auth,
    base_url: String,
}

/// As a part of a path, of a query or of a form.
pub(super) fn safe(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, SAFE).to_string()
}

impl MicrosoftClient {
    #[must_use]
    pub fn new(settings: &MicrosoftSettings, secret: StoreSecret, transport: Transport) -> Self {
        let base_url = settings.base_url.trim_end_matches('/').to_owned();
        Self { transport, auth: Auth::new(settings, secret), base_url }
    }

    /// # Errors
    /// As every call's.
    pub async fn inventory(&self, asked: &InventoryAsked) -> Result<Answered<InventoryPage>, Failed> {
        let mut query = format!(
            "licenseTypes=Online&licenseTypes=Offline&includeRemoved=true&includeSubscription=true&maxResults={ENTRIES_OF_A_PAGE}"
        );
        if let Some(since) = asked.modified_since {
            query = format!("{query}&modifiedSince={}", safe(&round_trip(since)));
        }
        self.ask(Method::GET, &format!("Inventory?{}", continued(query, asked.continuation_token.as_deref())), None)
            .await
    }

    /// # Errors
    /// As every call's.
    pub async fn product(&self, key: &ProductKey) -> Result<Answered<Product>, Failed> {
        self.ask(Method::GET, &product(key, ""), None).await
    }

    /// # Errors
    /// As every call's.
    pub async fn localized(&self, key: &ProductKey, language: &str) -> Result<Answered<Localized>, Failed> {
        let part = format!("/LocalizedDetails/{}", safe(&language.to_ascii_lowercase()));
        self.ask(Method::GET, &product(key, &part), None).await
    }

    /// # Errors
    /// As every call's.
    pub async fn offline_license(
        &self,
        key: &ProductKey,
        content_id: &str,
    ) -> Result<Answered<OfflineLicense>, Failed> {
        self.ask(Method::POST, &product(key, &format!("/OfflineLicense/{}", safe(content_id))), None).await
    }

    /// # Errors
    /// As every call's.
    pub async fn packages(&self, key: &ProductKey) -> Result<Answered<PackageSet>, Failed> {
        self.ask(Method::GET, &product(key, "/Packages"), None).await
    }

    /// # Errors
    /// As every call's.
    pub async fn package(&self, key: &ProductKey, package_id: &str) -> Result<Answered<Package>, Failed> {
        self.ask(Method::GET, &product(key, &format!("/Packages/{}", safe(package_id))), None).await
    }

    /// # Errors
    /// As every call's.
    pub async fn seats(&self, key: &ProductKey, continuation: Option<&str>) -> Result<Answered<SeatsPage>, Failed> {
        let query = continued(format!("maxResults={SEATS_OF_A_PAGE}"), continuation);
        self.ask(Method::GET, &format!("{}?{query}", seats(key)), None).await
    }

    /// # Errors
    /// As every call's.
    pub async fn seat(&self, key: &ProductKey, upn: &str) -> Result<Answered<Seat>, Failed> {
        self.ask(Method::GET, &format!("{}/{}", seats(key), safe(upn)), None).await
    }

    /// # Errors
    /// As every call's.
    pub async fn assign(&self, key: &ProductKey, upn: &str) -> Result<Answered<Seat>, Failed> {
        self.ask(Method::POST, &format!("{}/{}", seats(key), safe(upn)), None).await
    }

    /// # Errors
    /// As every call's.
    pub async fn reclaim(&self, key: &ProductKey, upn: &str) -> Result<Answered<Seat>, Failed> {
        self.ask(Method::DELETE, &format!("{}/{}", seats(key), safe(upn)), None).await
    }

    /// At most 25 names.
    ///
    /// # Errors
    /// As every call's.
    pub async fn bulk(
        &self,
        key: &ProductKey,
        usernames: &[String],
        seat_action: SeatAction,
    ) -> Result<Answered<BulkResult>, Failed> {
        let body = serde_json::json!(Bulk { usernames, seat_action });
        self.ask(Method::POST, &seats(key), Some(&body)).await
    }

    /// # Errors
    /// As every call's.
    pub async fn seats_of_user(&self, upn: &str, continuation: Option<&str>) -> Result<Answered<SeatsPage>, Failed> {
        let query = continued(format!("maxResults={SEATS_OF_A_PAGE}"), continuation);
        self.ask(Method::GET, &format!("Users/{}/Seats?{query}", safe(upn)), None).await
    }

    /// One call, with a token that is got before, and with another one where the store does not take that. Every operation
    /// may be said again: reading is harmless, and so is assigning to one who has a seat, or reclaiming from one who has none.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answered<T>, Failed> {
        let url = format!("{}/V1/{path}", self.base_url);
        let mut may_have_happened = false;
        let mut is_second = false;
        loop {
            let no_token = |trouble| Failed { trouble, may_have_happened };
            let token = self.auth.token(&self.transport).await.map_err(no_token)?;
            let make = |http: &Client| {
                let request =
                    http.request(method.clone(), &url).bearer_auth(token.text.reveal()).header("MS-CV", vector());
                match body {
                    Some(body) => request.json(body),
                    None => request,
                }
            };
            let read = |answer: &Answer| {
                if answer.status == StatusCode::UNAUTHORIZED { Ok(None) } else { read(answer).map(Some) }
            };
            match self.transport.call(Repeat::Always, make, read).await {
                Ok(Some(said)) => return Ok(said),
                Ok(None) if is_second => {
                    let trouble = Trouble::Credentials("the store takes no token of this client".into());
                    return Err(Failed { trouble, may_have_happened });
                }
                Ok(None) => {
                    self.auth.turned_away(&token).await;
                    is_second = true;
                }
                Err(failed) => {
                    may_have_happened |= failed.may_have_happened;
                    return Err(Failed { trouble: failed.trouble, may_have_happened });
                }
            }
        }
    }
}

fn product(key: &ProductKey, part: &str) -> String {
    format!("Products/{}/{}{part}", safe(&key.product_id), safe(&key.sku_id))
}

fn seats(key: &ProductKey) -> String {
    format!("Inventory/{}/{}/Seats", safe(&key.product_id), safe(&key.sku_id))
}

fn continued(query: String, continuation: Option<&str>) -> String {
    match continuation {
        Some(token) => format!("{query}&continuationToken={}", safe(token)),
        None => query,
    }
}

/// A correlation vector, by which the store's people find a call again.
fn vector() -> String {
    let mut bytes = [0; 12];
    // without chance all calls have the same one, which harms nobody
    let _drawn = getrandom::fill(&mut bytes);
    format!("{}.0", base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<Answered<T>, Trouble> {
    match answer.status {
        status if status.is_success() => Ok(Answered::Good(wire::read(answer.json()?)?)),
        StatusCode::BAD_REQUEST => Ok(Answered::Bad),
        StatusCode::NOT_FOUND => Ok(Answered::NotFound(missing(&words(&answer.json()?)))),
        StatusCode::CONFLICT => Ok(Answered::Conflict(reason(answer.json()?))),
        StatusCode::FORBIDDEN => {
            Err(Trouble::Credentials("the store has not activated this client as a management tool".into()))
        }
        _ => Err(answer.refused()),
    }
}

/// Every text in an error's body, in lower case. Where in it the item's type stands is not documented.
fn words(said: &Value) -> Vec<String> {
    fn gather(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::String(text) => into.push(text.to_ascii_lowercase()),
            Value::Array(list) => list.iter().for_each(|it| gather(it, into)),
            Value::Object(map) => map.values().for_each(|it| gather(it, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut words = vec![];
    gather(said, &mut words);
    words
}

fn missing(words: &[String]) -> Missing {
    let names = [("seat", Missing::Seat), ("user", Missing::User), ("inventory", Missing::Inventory)];
    let said = names.into_iter().find(|(name, _)| words.iter().any(|word| word == name));
    said.map_or(Missing::Something, |(_, missing)| missing)
}

/// The text under `reason`, wherever it stands.
fn reason(said: Value) -> Option<String> {
    fn find(value: &Value) -> Option<&str> {
        match value {
            Value::Object(map) => {
                let here = map.get("reason").and_then(Value::as_str);
                here.or_else(|| map.values().find_map(find))
            }
            Value::Array(list) => list.iter().find_map(find),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }
    find(&lowered(said)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_found_wherever_it_stands() {
        let words = |text: &str| vec!["Not found".to_lowercase(), text.to_lowercase()];
        assert_eq!(missing(&words("User")), Missing::User);
        assert_eq!(missing(&words("SEAT")), Missing::Seat);
        assert_eq!(missing(&words("Inventory")), Missing::Inventory);
        assert_eq!(missing(&words("the user of this seat")), Missing::Something);
    }

    #[test]
    fn a_reason_is_found_in_any_case_wherever_it_stands() {
        let said = serde_json::json!({ "code": "Conflict", "Data": [{ "Reason": "Not online", "details": "x" }] });
        assert_eq!(reason(said).as_deref(), Some("Not online"));
        assert_eq!(reason(serde_json::json!({ "data": { "details": "x" } })), None);
    }

    #[test]
    fn a_name_in_a_path_is_percent_encoded() {
        let key = ProductKey { product_id: "9W".into(), sku_id: "0016".into() };
        assert_eq!(
            format!("{}/{}", seats(&key), safe("ada+x@a.example/.")),
            "Inventory/9W/0016/Seats/ada%2Bx%40a.example%2F."
        );
        assert_eq!(continued("a=1".into(), Some("x&y=")), "a=1&continuationToken=x%26y%3D");
    }
}
