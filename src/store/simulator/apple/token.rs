//! Content tokens: base64 of `{"token", "expDate", "orgName"}`, one or more for a unit. Not here: what each call asks of its
//! token.

use super::refusal::Refusal;
use super::world::{Token, World};
use crate::domain::time::Time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

const LENGTH_MAX: usize = 4096;

#[derive(Deserialize)]
struct Content {
    token: String,
}

/// The unit that a call is for, and what its token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) uid: String,
    pub(super) expires_at: Time,
    pub(super) is_read_only: bool,
}

/// An ISO 8601 time whose offset has no colon.
pub(super) fn date(time: Time) -> String {
    let text = time.to_string();
    format!("{}+0000", text.split('.').next().unwrap_or(&text))
}

/// What an organization downloads and hands to its tool.
pub(super) fn content(token: &Token, org_name: &str) -> String {
    STANDARD
        .encode(json!({ "expDate": date(token.expires_at), "token": token.secret, "orgName": org_name }).to_string())
}

/// No header: 9601. One that is none of a content token: 9722. A token that nobody made: 9601; that is revoked: 9625; that
/// is expired: 9621.
pub(super) fn check(world: &World, header: Option<&str>, now: Time) -> Result<Granted, Refusal> {
    let header = header.ok_or(Refusal::new(9601))?;
    let malformed = || Refusal::new(9722);
    let text = header.strip_prefix("Bearer ").filter(|text| text.len() <= LENGTH_MAX).ok_or_else(malformed)?;
    let bytes = STANDARD.decode(text).map_err(|_| malformed())?;
    let content: Content = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    for unit in world.units.values() {
        let Some(token) = unit.tokens.iter().find(|token| token.secret == content.token) else { continue };
        if token.is_revoked {
            return Err(Refusal::new(9625));
        }
        if token.expires_at <= now {
            return Err(Refusal::new(9621));
        }
        let uid = unit.uid.clone();
        return Ok(Granted { uid, expires_at: token.expires_at, is_read_only: token.is_read_only });
    }
    Err(Refusal::new(9601))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_an_offset_without_a_colon() {
        assert_eq!(date(Time(1_700_000_000_123_456)), "2023-11-14T22:13:20+0000");
    }
}
