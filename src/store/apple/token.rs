//! The content token of one organizational unit: base64 of a JSON object that says until when it is good. Whole and
//! unchanged it is what proves who we are.

use super::super::secret::StoreSecret;
use crate::domain::time::Time;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Wiped when it goes, and never shown.
#[derive(Clone)]
pub struct ContentToken {
    text: StoreSecret,
    expires_at: Option<Time>,
    organization: String,
}

/// Why a text is no content token. It holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadContentToken {
    #[error("a content token has at most {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    #[error("a content token is base64")]
    NotBase64,
    #[error("what stands in the content token is no JSON object with `token`, `expDate` and `orgName`")]
    NotAToken,
    #[error("`expDate` of the content token is no time")]
    BadDate,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inside {
    /// It must be there, and is not copied out.
    #[serde(rename = "token")]
    _token: IgnoredAny,
    exp_date: Option<String>,
    #[serde(default)]
    org_name: String,
}

impl ContentToken {
    /// Takes the text as it is downloaded, blanks and line ends around it aside.
    ///
    /// # Errors
    /// Says what is wrong with it, and nothing of what stands in it.
    pub fn parse(text: &Zeroizing<String>) -> Result<Self, BadContentToken> {
        let text = text.trim();
        if text.len() > TOKEN_BYTES_MAX {
            return Err(BadContentToken::TooLong);
        }
        let inside = BASE64_STANDARD.decode(text).map(Zeroizing::new).map_err(|_| BadContentToken::NotBase64)?;
        let inside: Inside = serde_json::from_slice(&inside).map_err(|_| BadContentToken::NotAToken)?;
        let expires_at = match inside.exp_date.as_deref() {
            Some(date) => Some(date.parse().map_err(|_| BadContentToken::BadDate)?),
            None => None,
        };
        let text = StoreSecret::new(Zeroizing::new(text.to_owned()));
        Ok(Self { text, expires_at, organization: inside.org_name })
    }

    #[must_use]
    pub fn expires_at(&self) -> Option<Time> {
        self.expires_at
    }

    /// As Apple wrote it into the token.
    #[must_use]
    pub fn organization(&self) -> &str {
        &self.organization
    }

    pub(super) fn reveal(&self) -> &str {
        self.text.reveal()
    }
}

impl std::fmt::Debug for ContentToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inside: &str) -> Result<ContentToken, BadContentToken> {
        ContentToken::parse(&Zeroizing::new(format!(" {}\n", BASE64_STANDARD.encode(inside))))
    }

    #[test]
    fn a_token_says_until_when_it_is_good_and_is_not_shown() {
        let token =
            parse(r#"{"token":"hunter2","expDate":"2027-03-04T05:06:07+0000","orgName":"Contoso"}"#).expect("one");
        assert_eq!(token.expires_at().expect("a date").to_string(), "2027-03-04T05:06:07.000000Z");
        assert_eq!(format!("{token:?} {}", token.organization()), "ContentToken(..) Contoso");
        assert_eq!(BASE64_STANDARD.encode(BASE64_STANDARD.decode(token.reveal()).expect("whole")), token.reveal());
        let later = parse(r#"{"token":"x","expDate":"2027-03-04T07:06:07.1234567+02:00","more":1}"#).expect("one");
        assert_eq!(later.expires_at().expect("a date").to_string(), "2027-03-04T05:06:07.123456Z");
    }

    #[test]
    fn what_is_no_token_is_named_without_being_repeated() {
        assert_eq!(parse("hunter2").err(), Some(BadContentToken::NotAToken));
        assert_eq!(parse(r#"{"expDate":"2027-03-04T05:06:07+0000"}"#).err(), Some(BadContentToken::NotAToken));
        assert_eq!(parse(r#"{"token":"x","expDate":"soon"}"#).err(), Some(BadContentToken::BadDate));
        let whole = |text: &str| ContentToken::parse(&Zeroizing::new(text.to_owned())).err();
        assert_eq!(whole("{\"token\":\"x\"}"), Some(BadContentToken::NotBase64));
        assert_eq!(whole(&"A".repeat(20_000)), Some(BadContentToken::TooLong));
    }
}
