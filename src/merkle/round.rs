//! Many signed notes in one file: the heads of all tenants that were signed at once. Not here: when there is one.

use super::note::{NOTE_BYTES_MAX, Note, NoteError};
use std::fmt::Write as _;

/// The first line of every such file, with how many notes there are behind it.
const TITLE: &str = "seatledger heads ";
/// A longer file is neither written nor read.
pub const ROUND_BYTES_MAX: usize = 64 << 20;

/// Why bytes are no round of heads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoundError {
    #[error("a round of heads of more than {ROUND_BYTES_MAX} bytes is not read")]
    TooLong,
    #[error("a round of heads begins with the line {TITLE:?} and a count")]
    Title,
    #[error("note {0} of the round is not where the line before it says")]
    Place(usize),
    #[error("note {place} of the round: {error}")]
    Note { place: usize, error: NoteError },
    #[error("behind the last note of the round there is something")]
    End,
}

/// The file's text: each note behind its owner's number and its length in bytes.
#[must_use]
pub fn round_text<'n>(notes: impl ExactSizeIterator<Item = (u32, &'n str)>) -> String {
    let mut text = format!("{TITLE}{}\n", notes.len());
    for (owner, note) in notes {
        // writing to a string can't fail
        let _ = write!(text, "{owner} {}\n{note}", note.len());
    }
    text
}

/// The notes in a file, each with its owner's number.
///
/// # Errors
/// What is wrong with the bytes.
pub fn parse_round(bytes: &[u8]) -> Result<Vec<(u32, Note)>, RoundError> {
    if bytes.len() > ROUND_BYTES_MAX {
        return Err(RoundError::TooLong);
    }
    let (first, mut rest) = line(bytes).ok_or(RoundError::Title)?;
    let count = first.strip_prefix(TITLE).and_then(number::<usize>).ok_or(RoundError::Title)?;
    let mut notes: Vec<(u32, Note)> = vec![];
    for place in 0..count {
        let misplaced = || RoundError::Place(place);
        let (said, behind) = line(rest).ok_or_else(misplaced)?;
        let (owner, length) = said.split_once(' ').ok_or_else(misplaced)?;
        let owner = number::<u32>(owner).ok_or_else(misplaced)?;
        let length = number::<usize>(length).filter(|length| *length <= NOTE_BYTES_MAX).ok_or_else(misplaced)?;
        let (note, behind) = behind.split_at_checked(length).ok_or_else(misplaced)?;
        if notes.last().is_some_and(|(last, _)| *last >= owner) {
            return Err(misplaced());
        }
        let note = Note::parse(note).map_err(|error| RoundError::Note { place, error })?;
        notes.push((owner, note));
        rest = behind;
    }
    if rest.is_empty() { Ok(notes) } else { Err(RoundError::End) }
}

/// A short line, and what is behind it.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().take(64).position(|byte| *byte == b'\n')?;
    let (line, behind) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(line).ok()?, behind.get(1..)?))
}

/// A number in the only way to write it.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::super::{Checkpoint, Signer};
    use super::*;

    fn notes() -> Vec<(u32, String)> {
        let of = |tenant: u32| {
            let signer = Signer::new(&format!("ledger.example/00ff/t{tenant}"), &[7; 32]).unwrap();
            (tenant, Checkpoint::new(signer.name(), u64::from(tenant) + 9, [1; 32]).signed(&signer).to_string())
        };
        [0, 3, 17].map(of).into()
    }

    fn text(notes: &[(u32, String)]) -> String {
        round_text(notes.iter().map(|(tenant, note)| (*tenant, note.as_str())))
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let notes = notes();
        let whole = text(&notes);
        let read: Vec<(u32, String)> = parse_round(whole.as_bytes())
            .unwrap()
            .into_iter()
            .map(|(tenant, note)| (tenant, note.to_string()))
            .collect();
        assert_eq!(read, notes);
        assert_eq!(parse_round(text(&[]).as_bytes()), Ok(vec![]));
        for cut in 0..whole.len() {
            assert!(parse_round(&whole.as_bytes()[..cut]).is_err(), "cut to {cut}");
        }
        assert_eq!(parse_round((whole.clone() + "x").as_bytes()), Err(RoundError::End));
        assert_eq!(parse_round(b"seatledger heads 03\n"), Err(RoundError::Title));
        assert_eq!(parse_round(b""), Err(RoundError::Title));
        let swapped = text(&[notes[1].clone(), notes[0].clone()]);
        assert_eq!(parse_round(swapped.as_bytes()), Err(RoundError::Place(1)));
        let twice = text(&[notes[0].clone(), notes[0].clone()]);
        assert_eq!(parse_round(twice.as_bytes()), Err(RoundError::Place(1)));
        assert_eq!(parse_round(&vec![b'x'; ROUND_BYTES_MAX + 1]), Err(RoundError::TooLong));
        assert_eq!(parse_round(b"seatledger heads 18446744073709551615\n"), Err(RoundError::Place(0)));
    }

    #[test]
    fn a_flipped_bit_is_refused_or_in_a_note_or_names_another_owner() {
        let notes = notes();
        let whole = text(&notes).into_bytes();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(read) = parse_round(&bytes) else { continue };
            let read: Vec<(u32, String)> = read.into_iter().map(|(tenant, note)| (tenant, note.to_string())).collect();
            // who looks at a note looks at whose it is and who signed it
            assert!(read != notes && read.len() == 3, "bit {bit}");
        }
    }
}
