//! What a log signs beside its heads: a certificate. A note of its own kind, which nobody can take for a head: its first line
//! has blanks in it, as no log's name has, and its key has a name of its own. Not here: what a certificate says.

use super::key::{KeyError, KeyKind, Signer, VerifierKey};
use super::note::{Note, NoteError};

/// The first line of every certificate.
pub const CERTIFICATE_TITLE: &str = "seatledger certificate v1";
/// A longer one is neither signed nor read.
pub const CERTIFICATE_BYTES_MAX: usize = 8 << 20;
/// Behind the log's name in the name of the key.
const KEY_SUFFIX: &str = "certificate";

/// Why bytes are no certificate of a log that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("a certificate of more than {CERTIFICATE_BYTES_MAX} bytes is neither signed nor read")]
    TooLong,
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("a certificate begins with the line {CERTIFICATE_TITLE:?}")]
    Title,
}

/// The key that checks certificates of the log that this key checks heads of: the same key, under another name.
///
/// # Errors
/// When it is a witness's key.
pub fn certificate_key(log: &VerifierKey) -> Result<VerifierKey, KeyError> {
    match log.kind() {
        KeyKind::Plain => log.named(&format!("{}/{KEY_SUFFIX}", log.name())),
        KeyKind::Cosigner => Err(KeyError::Kind),
    }
}

/// Signs what stands behind the title, lines that each end with a line feed, with the key of the log.
///
/// # Errors
/// When it is too long, or no text that a note can have.
pub fn sign_certificate(log: &Signer, lines: &str) -> Result<Note, StatementError> {
    let text = format!("{CERTIFICATE_TITLE}\n{lines}");
    let is_text = text.ends_with('\n') && !text.chars().any(|c| c < ' ' && c != '\n');
    let signer = log.named(&format!("{}/{KEY_SUFFIX}", log.name()));
    let signer = signer.ok().filter(|_| is_text).ok_or(NoteError::NotText)?;
    let signatures = vec![signer.sign(&text)];
    let note = Note { text, signatures };
    if note.to_string().len() > CERTIFICATE_BYTES_MAX { Err(StatementError::TooLong) } else { Ok(note) }
}

/// What stands behind the title of a certificate that one of these logs has signed, and that log's key.
///
/// # Errors
/// When it is too long, no note, not signed by any of them, or no certificate.
pub fn open_certificate<'k>(
    bytes: &[u8],
    logs: &'k [VerifierKey],
) -> Result<(String, &'k VerifierKey), StatementError> {
    if bytes.len() > CERTIFICATE_BYTES_MAX {
        return Err(StatementError::TooLong);
    }
    let note = Note::parse_bounded(bytes)?;
    let keys: Vec<_> = logs.iter().filter_map(|log| Some((certificate_key(log).ok()?, log))).collect();
    for (key, log) in &keys {
        match note.open(std::slice::from_ref(key)) {
            Ok(_) => {
                let lines = note.text.strip_prefix(CERTIFICATE_TITLE).and_then(|rest| rest.strip_prefix('\n'));
                return Ok((lines.ok_or(StatementError::Title)?.to_owned(), log));
            }
            Err(NoteError::NoKnownKey) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(NoteError::NoKnownKey.into())
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::{Checkpoint, CheckpointError};
    use super::*;

    fn signer() -> Signer {
        Signer::new("ledger.example/00ff/contoso", &[7; 32]).unwrap()
    }

    #[test]
    fn a_certificate_opens_with_its_log_s_key_and_no_other() {
        let (signer, key) = (signer(), signer().verifier_key(KeyKind::Plain));
        let note = sign_certificate(&signer, "{\"pool\":\"pool_0\"}\n").unwrap().to_string();
        let other = signer.named("ledger.example/00ff/fabrikam").unwrap().verifier_key(KeyKind::Plain);
        let witness = signer.verifier_key(KeyKind::Cosigner);
        let known = [other.clone(), witness, key.clone()];
        assert_eq!(open_certificate(note.as_bytes(), &known), Ok(("{\"pool\":\"pool_0\"}\n".into(), &key)));
        let unknown = [other];
        assert_eq!(open_certificate(note.as_bytes(), &unknown), Err(NoteError::NoKnownKey.into()));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(open_certificate(&bytes, &known).is_err(), "byte {at}");
        }
    }

    #[test]
    fn neither_a_head_nor_a_certificate_passes_for_the_other() {
        let (signer, key) = (signer(), signer().verifier_key(KeyKind::Plain));
        let keys = [key.clone()];
        // lines that would make a head of it, also under the head's own key
        let lines = format!("{}\n3\n{}\n", signer.name(), "A".repeat(43) + "=");
        let certificate = sign_certificate(&signer, &lines).unwrap();
        assert!(Checkpoint::open(certificate.to_string().as_bytes(), &key).is_err());
        let renamed = Note { signatures: vec![signer.sign(&certificate.text)], ..certificate };
        assert!(matches!(Checkpoint::open(renamed.to_string().as_bytes(), &key), Err(CheckpointError::Size)));
        assert_eq!(open_certificate(renamed.to_string().as_bytes(), &keys), Err(NoteError::NoKnownKey.into()));
        // a head that is signed by the certificates' key is no certificate either
        let name = certificate_key(&key).unwrap().name().to_owned();
        let head = Checkpoint::new(signer.name(), 3, [1; 32]);
        let head = head.signed(&signer.named(&name).unwrap()).to_string();
        assert_eq!(open_certificate(head.as_bytes(), &keys), Err(StatementError::Title));
        assert!(Signer::new(CERTIFICATE_TITLE, &[7; 32]).is_err(), "no log is called like a title");
    }

    #[test]
    fn what_no_note_can_say_is_not_signed() {
        for lines in ["no line feed", "a tab\t\n", ""] {
            let signed = sign_certificate(&signer(), lines);
            assert_eq!(signed.is_ok(), lines.is_empty(), "{lines:?}");
        }
        let long = "x".repeat(CERTIFICATE_BYTES_MAX) + "\n";
        assert_eq!(sign_certificate(&signer(), &long), Err(StatementError::TooLong));
    }
}
