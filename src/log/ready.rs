//! The file `READY`: it comes last when a data folder is made, so a folder without it was never served from. It carries
//! the log's id. Not here: making the rest.

use std::io;

use super::error::OpenError;
use super::medium::{FileMedium, Medium, TOP, read_file, write_whole};

pub(crate) const READY: &str = "READY";
const WORDS: &str = "seatledger-log";
/// Of the bytes of the whole folder: a program that writes others counts on.
const VERSION: &str = "1";

/// The log's id; `None` where the file is not there.
pub(crate) fn log_id(medium: &dyn Medium) -> Result<Option<[u8; 16]>, OpenError> {
    let Some(bytes) = read_file(medium, READY).map_err(OpenError::io("reading READY"))? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).ok();
    match text.and_then(version_and_rest) {
        Some((VERSION, rest)) => {
            let mut log_id = [0; 16];
            let is_read = hex::decode_to_slice(rest, &mut log_id).is_ok() && text == Some(&line(&log_id));
            if is_read { Ok(Some(log_id)) } else { Err(not_as_written(medium)) }
        }
        Some((version, _)) => Err(OpenError::OtherVersion {
            file: medium.describe(READY),
            version: version.to_owned(),
            reads: VERSION.to_owned(),
        }),
        None => Err(not_as_written(medium)),
    }
}

fn not_as_written(medium: &dyn Medium) -> OpenError {
    OpenError::corrupt(medium.describe(READY), "it is not the line that was written into it")
}

/// The version in a line that is whole by its CRC, and what stands between the two.
fn version_and_rest(text: &str) -> Option<(&str, &str)> {
    let (words, crc) = text.strip_suffix('\n')?.rsplit_once(' ')?;
    if crc != format!("{:08x}", crc32fast::hash(words.as_bytes())) {
        return None;
    }
    words.strip_prefix(WORDS)?.strip_prefix(' ')?.split_once(' ')
}

/// The id of a folder's log; `None` where none was served from it.
///
/// # Errors
/// When it can't be told, or the folder is another version's.
pub fn log_id_in(dir: &std::path::Path) -> Result<Option<[u8; 16]>, OpenError> {
    log_id(&FileMedium::new(dir))
}

/// That no other version of this program wrote a folder. Whether it is whole is another question.
///
/// # Errors
/// When another one did.
pub fn check_version(dir: &std::path::Path) -> Result<(), OpenError> {
    let error = log_id_in(dir).err();
    error.filter(|error| matches!(error, OpenError::OtherVersion { .. })).map_or(Ok(()), Err)
}

/// Writes the file, over an old one if there is one (a restore begins a new origin that way).
pub(crate) fn write(medium: &dyn Medium, log_id: &[u8; 16]) -> io::Result<()> {
    write_whole(medium, TOP, READY, line(log_id).as_bytes())
}

/// One line for people: words, version, log id, CRC32 of what stands before it.
fn line(log_id: &[u8; 16]) -> String {
    let text = format!("{WORDS} {VERSION} {}", hex::encode(log_id));
    format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes()))
}

pub(crate) fn draw_log_id() -> io::Result<[u8; 16]> {
    let mut log_id = [0; 16];
    getrandom::fill(&mut log_id).map_err(io::Error::other)?;
    Ok(log_id)
}

/// Gives the log of this stopped data folder a new id and answers it: a restored backup is a new log to its witnesses,
/// not a fork of the old one.
pub fn start_new_origin(dir: &std::path::Path) -> io::Result<[u8; 16]> {
    let medium = FileMedium::new(dir);
    let log_id = draw_log_id()?;
    write(&medium, &log_id)?;
    Ok(log_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_told_from_damage() {
        let dir = tempfile::tempdir().expect("a folder");
        let with_crc = |words: &str| format!("{words} {:08x}\n", crc32fast::hash(words.as_bytes()));
        let read = |text: &str| {
            std::fs::write(dir.path().join(READY), text).expect("written");
            (log_id_in(dir.path()), check_version(dir.path()))
        };
        let id = hex::encode([7; 16]);
        assert!(matches!(read(&line(&[7; 16])), (Ok(Some(log_id)), Ok(())) if log_id == [7; 16]));
        let (log_id, checked) = read(&with_crc(&format!("seatledger-log 2 {id}")));
        let error = checked.expect_err("it is another version's");
        assert!(matches!(log_id, Err(OpenError::OtherVersion { .. })));
        assert!(error.to_string().contains("another version of seatledger (2; this one reads 1)"), "{error}");
        assert!(matches!(
            read(&with_crc(&format!("seatledger-log 3 {id} and more"))).1,
            Err(OpenError::OtherVersion { .. })
        ));
        for damaged in [
            format!("seatledger-log 2 {id} 00000000\n"),
            line(&[7; 16]).replacen('1', "2", 1),
            with_crc(&format!("seatledger-log 1 {id} more")),
            with_crc(&format!("other-log 2 {id}")),
            String::new(),
        ] {
            assert!(matches!(read(&damaged), (Err(OpenError::Corrupt(_)), Ok(()))), "{damaged}");
        }
    }
}
