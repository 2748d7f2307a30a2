//! The file `READY`: it comes last when a data folder is made, so a folder without it was never served from. It carries
//! the log's id. Not here: making the rest.

use std::io;

use super::medium::{Medium, TOP, read_file, write_whole};

pub(crate) const READY: &str = "READY";
const WORDS: &str = "seatledger-log 1";

/// What was found in the place of the file.
pub(crate) enum Ready {
    Absent,
    Bad,
    LogId([u8; 16]),
}

pub(crate) fn read(medium: &dyn Medium) -> io::Result<Ready> {
    let Some(bytes) = read_file(medium, READY)? else { return Ok(Ready::Absent) };
    let log_id = std::str::from_utf8(&bytes).ok().and_then(|text| {
        let hex = text.strip_prefix(WORDS)?.strip_prefix(' ')?.split(' ').next()?;
        let mut log_id = [0; 16];
        hex::decode_to_slice(hex, &mut log_id).ok()?;
        (text == line(&log_id)).then_some(log_id)
    });
    Ok(log_id.map_or(Ready::Bad, Ready::LogId))
}

/// Writes the file, over an old one if there is one (a restore begins a new origin that way).
pub(crate) fn write(medium: &dyn Medium, log_id: &[u8; 16]) -> io::Result<()> {
    write_whole(medium, TOP, READY, line(log_id).as_bytes())
}

/// One line for people: words, version, log id, CRC32 of what stands before it.
fn line(log_id: &[u8; 16]) -> String {
    let text = format!("{WORDS} {}", hex::encode(log_id));
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
    let medium = super::medium::FileMedium::new(dir);
    let log_id = draw_log_id()?;
    write(&medium, &log_id)?;
    Ok(log_id)
}
