//! What proves to a store who we are. It is wiped when it goes, and never shown. Not here: where it is kept.

use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A client secret, an access token or a content token.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct StoreSecret(Zeroizing<String>);

impl PartialEq for StoreSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for StoreSecret {}

impl StoreSecret {
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text itself, to be sent and to go nowhere else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for StoreSecret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for StoreSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", StoreSecret::from("hunter2".to_owned())), "StoreSecret(..)");
    }
}
