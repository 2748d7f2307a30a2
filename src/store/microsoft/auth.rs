//! OAuth 2 client credentials: one access token, asked for when there is none, before it ends, and once after the store has
//! turned it away. Not here: what it is used for.

use super::MicrosoftSettings;
use super::client::safe;
use super::wire::lowered;
use crate::clock::monotonic;
use crate::store::secret::StoreSecret;
use crate::store::terms::Trouble;
use crate::store::transport::{Answer, Repeat, Transport};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// What the token is for; an identifier and no place.
const RESOURCE: &str = "https://onestore.microsoft.com";
/// Before its end a token is as good as ended; at most half of its life.
const MARGIN: Duration = Duration::from_secs(300);
/// Of a token that does not say how long it is good.
const LIFE: Duration = Duration::from_secs(600);
/// However long it says.
const LIFE_MAX: Duration = Duration::from_secs(86_400);
const ERROR_CODE_MAX: usize = 64;

/// A token, and which one it is.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) text: StoreSecret,
    number: u64,
    good_until: Instant,
}

pub(super) struct Auth {
    url: String,
    client_id: String,
    secret: StoreSecret,
    /// Held while one is asked for, so that all who wait share it.
    current: Mutex<(u64, Option<Token>)>,
}

impl Auth {
    pub(super) fn new(settings: &MicrosoftSettings, secret: StoreSecret) -> Self {
        let url = format!("{}/{}/oauth2/token", settings.authority_url.trim_end_matches('/'), safe(&settings.tenant));
        Self { url, client_id: settings.client_id.clone(), secret, current: Mutex::new((0, None)) }
    }

    pub(super) async fn token(&self, transport: &Transport) -> Result<Token, Trouble> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.1.as_ref().filter(|token| monotonic() < token.good_until) {
            return Ok(token.clone());
        }
        let (text, life) = self.ask(transport).await?;
        current.0 += 1;
        let good_until = monotonic() + life.saturating_sub(MARGIN.min(life / 2));
        let token = Token { text, number: current.0, good_until };
        current.1 = Some(token.clone());
        Ok(token)
    }

    /// The store does not take this one; another one that came meanwhile stays.
    pub(super) async fn turned_away(&self, token: &Token) {
        let mut current = self.current.lock().await;
        if current.1.as_ref().is_some_and(|known| known.number == token.number) {
            current.1 = None;
        }
    }

    async fn ask(&self, transport: &Transport) -> Result<(StoreSecret, Duration), Trouble> {
        let make = |http: &reqwest::Client| {
            let form = Zeroizing::new(form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &self.client_id),
                ("client_secret", self.secret.reveal()),
                ("resource", RESOURCE),
            ]));
            http.post(&self.url)
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.as_bytes().to_vec())
        };
        Ok(transport.call(Repeat::Always, make, read).await?)
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", safe(value))).collect();
    pairs.join("&")
}

fn read(answer: &Answer) -> Result<(StoreSecret, Duration), Trouble> {
    let is_refusal =
        matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if is_refusal {
        return Err(Trouble::Credentials(error_code(answer)));
    }
    if answer.status != StatusCode::OK {
        return Err(answer.refused());
    }
    let said = lowered(answer.json()?);
    let text = said.get("access_token").and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Trouble::Malformed("the directory gave no access token".into()))?;
    // the older endpoint says the seconds as a text
    let life = said.get("expires_in").and_then(|life| life.as_u64().or_else(|| life.as_str()?.trim().parse().ok()));
    Ok((StoreSecret::from(text.to_owned()), life.map_or(LIFE, Duration::from_secs).min(LIFE_MAX)))
}

/// As `invalid_client`. Its description may hold anything and is left out.
fn error_code(answer: &Answer) -> String {
    let said = answer.json().map(lowered).unwrap_or(Value::Null);
    let code = said.get("error").and_then(Value::as_str);
    let is_code =
        |code: &&str| code.len() <= ERROR_CODE_MAX && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    code.filter(is_code).map_or_else(|| format!("status {}", answer.status.as_u16()), str::to_owned)
}
