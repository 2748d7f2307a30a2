//! A signed note (C2SP signed-note): a text and under it lines that sign it. Not here: keys (`key.rs`), or what the text
//! says.

use super::key::VerifierKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// A longer note is not read.
pub const NOTE_BYTES_MAX: usize = 64 << 10;
/// With more signatures it is not read either; the format wants at least 16 to be accepted.
pub const SIGNATURES_MAX: usize = 64;
const DASH: &str = "\u{2014} ";
/// Of a post-quantum one.
const SIGNATURE_BYTES_MAX: usize = 8 << 10;

/// One line that signs. Until a key has checked it, it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub key_id: u32,
    pub bytes: Vec<u8>,
}

/// A text that ends with a line feed, and what signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub text: String,
    pub signatures: Vec<Signature>,
}

/// Why bytes are no note, or one that nobody known has signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("a note of more than {NOTE_BYTES_MAX} bytes is not read")]
    TooLong,
    #[error("a note is text in UTF-8 without control characters other than line feeds")]
    NotText,
    #[error("a note ends with an empty line and lines that sign it")]
    NoSignatures,
    #[error("a note with more than {SIGNATURES_MAX} signatures is not read")]
    TooManySignatures,
    #[error("line {0} of the signatures is not a dash, a name and base64 of a key id and a signature")]
    SignatureLine(usize),
    #[error("the signature of {0} is not over this text")]
    WrongSignature(String),
    #[error("no key that is known has signed it")]
    NoKnownKey,
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        let decoded = STANDARD.decode(encoded).ok()?;
        let (key_id, bytes) = decoded.split_first_chunk::<4>()?;
        let is_sound = super::key::is_key_name(name) && (1..=SIGNATURE_BYTES_MAX).contains(&bytes.len());
        let key_id = u32::from_be_bytes(*key_id);
        is_sound.then(|| Self { name: name.to_owned(), key_id, bytes: bytes.to_vec() })
    }
}

impl FromStr for Signature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        Self::parse(line).ok_or(NoteError::SignatureLine(1))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.to_be_bytes(), self.bytes.as_slice()].concat();
        write!(f, "{DASH}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl Note {
    /// # Errors
    /// What is wrong with the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        Self::parse_bounded(bytes)
    }

    /// The same of a note whose length was looked at.
    pub(super) fn parse_bounded(bytes: &[u8]) -> Result<Self, NoteError> {
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if whole.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::NotText);
        }
        // the last empty line parts the text from its signatures
        let (text, lines) = whole.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let lines = lines.strip_suffix('\n').filter(|lines| !lines.is_empty()).ok_or(NoteError::NoSignatures)?;
        let mut signatures = vec![];
        for (number, line) in (1..).zip(lines.split('\n')) {
            if number > SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(Signature::parse(line).ok_or(NoteError::SignatureLine(number))?);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// Checks what known keys have signed, and answers those keys, each with the time that a cosigner names. Signatures
    /// of others are passed over.
    ///
    /// # Errors
    /// When a known key's signature is wrong, or there is none.
    pub fn open<'k>(&self, known: &'k [VerifierKey]) -> Result<Vec<(&'k VerifierKey, Option<u64>)>, NoteError> {
        let mut signed = vec![];
        for signature in &self.signatures {
            for key in known.iter().filter(|key| key.is_named_by(signature)) {
                let time = key.check(&self.text, signature);
                signed.push((key, time.map_err(|_| NoteError::WrongSignature(signature.name.clone()))?));
            }
        }
        if signed.is_empty() { Err(NoteError::NoKnownKey) } else { Ok(signed) }
    }

    /// Adds a key's signature, in the place of an older one of the same key. What comes of it can be read again.
    ///
    /// # Errors
    /// When it is not the key's over this text, or the note has no room for it. The note is then as it was.
    pub fn add(&mut self, key: &VerifierKey, signature: Signature) -> Result<(), NoteError> {
        key.check(&self.text, &signature).map_err(|_| NoteError::WrongSignature(signature.name.clone()))?;
        let mut signed = self.clone();
        signed.signatures.retain(|known| !key.is_named_by(known));
        signed.signatures.push(signature);
        *self = Self::parse(signed.to_string().as_bytes())?;
        Ok(())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}
