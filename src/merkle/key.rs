//! Keys of signed notes: Ed25519 as C2SP signed-note has it, and as tlog-cosignature has it for witnesses. Not here:
//! where a key is kept.

use super::note::Signature;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

const VERIFIER_KEY_BYTES_MAX: usize = 1024;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The text as it is: what a log does.
    Plain,
    /// The text with a time before it: what a witness does.
    Cosigner,
}

impl KeyKind {
    fn byte(self) -> u8 {
        match self {
            Self::Plain => 0x01,
            Self::Cosigner => 0x04,
        }
    }
}

/// Why a text is no verifier key, or a signature not one of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a verifier key is a name, a key id of 8 hexadecimal digits and base64 of a key, with + between them")]
    Form,
    #[error("the name of a key is not empty and has no spaces and no +")]
    Name,
    #[error("the key id is not that of this name and key")]
    KeyId,
    #[error("only Ed25519 keys (type 1) and their cosigners (type 4) are known here")]
    Kind,
    #[error("the bytes are no Ed25519 public key")]
    NotOnCurve,
    #[error("the signature is not one of this key over this text")]
    WrongSignature,
}

/// Whether a key may have this name.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, kind: KeyKind, key: &[u8; 32]) -> u32 {
    let hash = Sha256::new().chain_update(name).chain_update(b"\n").chain_update([kind.byte()]).chain_update(key);
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().map_or(0, |first| u32::from_be_bytes(*first))
}

/// What a witness signs.
fn cosigned(text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

/// Who checks a signature needs this and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl VerifierKey {
    /// # Errors
    /// When the name can't be one, or the bytes are no key.
    pub fn new(name: &str, kind: KeyKind, key: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name);
        }
        let key = VerifyingKey::from_bytes(key).map_err(|_| KeyError::NotOnCurve)?;
        Ok(Self { name: name.to_owned(), kind, key })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same key under another name.
    ///
    /// # Errors
    /// When a key can't have this name.
    pub fn named(&self, name: &str) -> Result<Self, KeyError> {
        if is_key_name(name) { Ok(Self { name: name.to_owned(), ..self.clone() }) } else { Err(KeyError::Name) }
    }

    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    #[must_use]
    pub fn key_id(&self) -> u32 {
        key_id(&self.name, self.kind, self.key.as_bytes())
    }

    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether the signature says that it is of this key.
    #[must_use]
    pub fn is_named_by(&self, signature: &Signature) -> bool {
        signature.name == self.name && signature.key_id == self.key_id()
    }

    /// Whether a signature is of this name and another key, as far as that can be told without it.
    #[must_use]
    pub fn is_anothers(&self, signature: &Signature) -> bool {
        let is_of_length = signature.bytes.len() == ed25519_dalek::SIGNATURE_LENGTH;
        signature.name == self.name && signature.key_id != self.key_id() && is_of_length
    }

    /// Checks a signature over a text, and answers the time that a cosigner names, in seconds since 1970.
    ///
    /// # Errors
    /// When it is not one of this key over this text.
    pub fn check(&self, text: &str, signature: &Signature) -> Result<Option<u64>, KeyError> {
        let bytes = signature.bytes.as_slice();
        let (message, time, bytes) = match self.kind {
            KeyKind::Plain => (text.to_owned(), None, bytes),
            KeyKind::Cosigner => {
                let (time, bytes) = bytes.split_first_chunk::<8>().ok_or(KeyError::WrongSignature)?;
                let time = u64::from_be_bytes(*time);
                if i64::try_from(time).is_err() {
                    return Err(KeyError::WrongSignature);
                }
                (cosigned(text, time), Some(time), bytes)
            }
        };
        let signature = ed25519_dalek::Signature::from_slice(bytes).map_err(|_| KeyError::WrongSignature)?;
        let checked = self.key.verify_strict(message.as_bytes(), &signature);
        checked.map(|()| time).map_err(|_| KeyError::WrongSignature)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = [&[self.kind.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.key_id(), STANDARD.encode(encoded))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() > VERIFIER_KEY_BYTES_MAX {
            return Err(KeyError::Form);
        }
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form);
        };
        let decoded = STANDARD.decode(encoded).map_err(|_| KeyError::Form)?;
        let (kind, key) = decoded.split_first().ok_or(KeyError::Form)?;
        let kind = match kind {
            0x01 => KeyKind::Plain,
            0x04 => KeyKind::Cosigner,
            _ => return Err(KeyError::Kind),
        };
        let key = Self::new(name, kind, key.try_into().map_err(|_| KeyError::Form)?)?;
        if id != format!("{:08x}", key.key_id()) {
            return Err(KeyError::KeyId);
        }
        Ok(key)
    }
}

/// Who signs. The secret is wiped when this goes, and never shown.
#[derive(Clone)]
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.name)
    }
}

impl Signer {
    /// From the 32 bytes of an Ed25519 secret (RFC 8032).
    ///
    /// # Errors
    /// When a key can't have this name.
    pub fn new(name: &str, secret: &[u8; 32]) -> Result<Self, KeyError> {
        let signer = Self { name: name.to_owned(), key: SigningKey::from_bytes(secret) };
        if is_key_name(name) { Ok(signer) } else { Err(KeyError::Name) }
    }

    /// The same key under another name.
    ///
    /// # Errors
    /// When a key can't have this name.
    pub fn named(&self, name: &str) -> Result<Self, KeyError> {
        Self::new(name, self.key.as_bytes())
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn verifier_key(&self, kind: KeyKind) -> VerifierKey {
        VerifierKey { name: self.name.clone(), kind, key: self.key.verifying_key() }
    }

    /// Signs a text as a log does.
    #[must_use]
    pub fn sign(&self, text: &str) -> Signature {
        self.signature(KeyKind::Plain, self.key.sign(text.as_bytes()).to_bytes().to_vec())
    }

    /// Signs the text of a checkpoint as a witness does, at a time in seconds since 1970.
    #[must_use]
    pub fn cosign(&self, text: &str, time_s: u64) -> Signature {
        let signature = self.key.sign(cosigned(text, time_s).as_bytes()).to_bytes();
        self.signature(KeyKind::Cosigner, [time_s.to_be_bytes().as_slice(), signature.as_slice()].concat())
    }

    fn signature(&self, kind: KeyKind, bytes: Vec<u8>) -> Signature {
        let key_id = key_id(&self.name, kind, self.key.verifying_key().as_bytes());
        Signature { name: self.name.clone(), key_id, bytes }
    }
}
