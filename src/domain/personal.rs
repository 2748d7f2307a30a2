//! Personal text in the only two shapes the domain may see: sealed bytes, and keyed hashes to find a subject by.
//! No plain name is ever part of an event, of `State` or of a rejection.

use super::ids::SubjectId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A keyed hash of an outside name. It lives in memory and snapshots, never in the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blind(pub [u8; 16]);

impl fmt::Debug for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blind(..)")
    }
}

/// Which outside name a hash stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AliasKind {
    UserName,
    Serial,
    DeviceId,
}

/// One outside name of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Alias {
    pub kind: AliasKind,
    pub blind: Blind,
}

/// What a person or a device is called, sealed under the subject's own key. Only `subject` and `sealed` reach the log;
/// `aliases` are found again by opening the seal, and are empty once the subject is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    pub subject: SubjectId,
    #[serde(with = "sealed_bytes")]
    pub sealed: Vec<u8>,
    #[serde(skip)]
    pub aliases: Vec<Alias>,
}

/// A person's names in plain text, on the way into a seal or out of it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserProfile {
    pub user_name: String,
    pub external_id: Option<String>,
    pub display_name: Option<String>,
    pub emails: Vec<String>,
}

/// A device's names in plain text, on the way into a seal or out of it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceNames {
    pub serial: Option<String>,
    pub device_id: Option<String>,
}

impl fmt::Debug for UserProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserProfile(..)")
    }
}

impl fmt::Debug for DeviceNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceNames(..)")
    }
}

/// User names are told apart without regard to case (RFC 7643 §4.1.1) and to blanks around them.
#[must_use]
pub fn normalized_user_name(name: &str) -> String {
    name.trim().to_lowercase()
}

mod sealed_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        if !s.is_human_readable() {
            return s.serialize_bytes(bytes);
        }
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            text.push_str(&format!("{byte:02x}"));
        }
        s.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        if !d.is_human_readable() {
            return Vec::<u8>::deserialize(d);
        }
        let text = String::deserialize(d)?;
        if text.len() % 2 != 0 || !text.is_ascii() {
            return Err(D::Error::custom("sealed bytes are not hexadecimal"));
        }
        (0..text.len())
            .step_by(2)
            .map(|at| {
                u8::from_str_radix(&text[at..at + 2], 16)
                    .map_err(|_| D::Error::custom("sealed bytes are not hexadecimal"))
            })
            .collect()
    }
}
