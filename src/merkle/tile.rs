//! Tiles as C2SP tlog-tiles names them and writes them: where a tile is, the hashes in it, and bundles of records. Not
//! here: where they are kept.

use super::hash::Hash;
use std::fmt;
use std::str::FromStr;

/// A tile is a subtree so high, with its lowest row in the file.
pub const TILE_HEIGHT: u32 = 8;
/// How many hashes or records a full tile has.
pub const TILE_WIDTH: u16 = 256;
/// A tile's level is at most this in the format; no tree of fewer than 2^64 leaves has more than 8 of them.
const LEVEL_MAX: u8 = 63;
/// Longer paths have no index below 2^64 in them.
const PATH_BYTES_MAX: usize = 64;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Roots of full subtrees of `256^level` leaves.
    Hashes { level: u8 },
    /// The records themselves.
    Entries,
}

/// One tile, with as many of its entries as are meant: 256, or fewer of the last one of its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileAddress {
    pub kind: TileKind,
    pub index: u64,
    /// 1 to 256.
    pub width: u16,
}

/// Why a text names no tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    #[error("a tile's path is tile/<level>/<index> or tile/entries/<index>, perhaps with .p/<width> behind it")]
    Form,
    #[error("a level is a number from 0 to 63 without leading zeros, or the word entries")]
    Level,
    #[error(
        "an index is written in groups of three digits, all but the last with an x before them, as in x001/x234/067"
    )]
    Index,
    #[error("the width of a partial tile is a number from 1 to 255 without leading zeros")]
    Width,
    #[error("a tile of {width} hashes has {} bytes, and there are {found}", usize::from(*.width) * 32)]
    Length { width: u16, found: usize },
}

impl TileAddress {
    #[must_use]
    pub fn hashes(level: u8, index: u64, width: u16) -> Self {
        Self { kind: TileKind::Hashes { level }, index, width }
    }

    #[must_use]
    pub fn entries(index: u64, width: u16) -> Self {
        Self { kind: TileKind::Entries, index, width }
    }

    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// How many leaves a tree needs before it has this tile; `None` if no tree can have so many.
    #[must_use]
    pub fn leaves_needed(&self) -> Option<u64> {
        let level = match self.kind {
            TileKind::Entries => 0,
            TileKind::Hashes { level } => u32::from(level),
        };
        let entries = self.index.checked_mul(u64::from(TILE_WIDTH))?.checked_add(u64::from(self.width))?;
        entries.checked_mul(1_u64.checked_shl(level * TILE_HEIGHT)?)
    }

    /// Level and index as a path has them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(level: &str, index: &str) -> Result<Self, TileError> {
        if level.len() + index.len() > PATH_BYTES_MAX {
            return Err(TileError::Form);
        }
        let kind = match level {
            "entries" => TileKind::Entries,
            level => match plain_number(level).and_then(|level| u8::try_from(level).ok()) {
                Some(level) if level <= LEVEL_MAX => TileKind::Hashes { level },
                Some(_) | None => return Err(TileError::Level),
            },
        };
        let (index, width) = match index.split_once(".p/") {
            None => (index, TILE_WIDTH),
            Some((index, width)) => {
                let width = plain_number(width).and_then(|width| u16::try_from(width).ok());
                (index, width.filter(|width| (1..TILE_WIDTH).contains(width)).ok_or(TileError::Width)?)
            }
        };
        let number = index_number(index).filter(|number| index_path(*number) == index).ok_or(TileError::Index)?;
        Ok(Self { kind, index: number, width })
    }
}

/// A number without sign or leading zeros.
fn plain_number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn index_number(path: &str) -> Option<u64> {
    let mut number: u64 = 0;
    for part in path.split('/') {
        let digits = part.strip_prefix('x').unwrap_or(part);
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(number)
}

fn index_path(index: u64) -> String {
    let (mut path, mut rest) = (format!("{:03}", index % 1000), index / 1000);
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

impl fmt::Display for TileAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
        }
        f.write_str(&index_path(self.index))?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for TileAddress {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::Form)?;
        let (level, index) = rest.split_once('/').ok_or(TileError::Form)?;
        Self::parse(level, index)
    }
}

/// A hash tile's bytes.
#[must_use]
pub fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// The hashes in a tile of this width.
///
/// # Errors
/// When the bytes are not so many.
pub fn tile_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() != usize::from(width) {
        return Err(TileError::Length { width, found: bytes.len() });
    }
    Ok(hashes.to_vec())
}

/// Why bytes are no bundle of records, or a record fits into none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("a record of {0} bytes is too long for a bundle")]
    TooLong(usize),
    #[error("the bundle ends within record {0}")]
    CutOff(usize),
    #[error("the bundle has {found} records and not {width}")]
    Count { width: u16, found: usize },
}

/// Adds a record to a bundle.
///
/// # Errors
/// When it has more than 65,535 bytes; the log's records have at most 5,900.
pub fn put_into_bundle(bundle: &mut Vec<u8>, record: &[u8]) -> Result<(), BundleError> {
    let len = u16::try_from(record.len()).map_err(|_| BundleError::TooLong(record.len()))?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(record);
    Ok(())
}

/// The records of a bundle of this width.
///
/// # Errors
/// When there are more or fewer, or the last one is cut off.
pub fn entries_in_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let (mut records, mut rest) = (vec![], bundle);
    while !rest.is_empty() && records.len() < usize::from(width) {
        let cut_off = BundleError::CutOff(records.len());
        let (len, behind) = rest.split_first_chunk::<2>().ok_or(cut_off)?;
        let (record, behind) = behind.split_at_checked(u16::from_be_bytes(*len).into()).ok_or(cut_off)?;
        records.push(record);
        rest = behind;
    }
    if !rest.is_empty() || records.len() != usize::from(width) {
        return Err(BundleError::Count { width, found: records.len() + usize::from(!rest.is_empty()) });
    }
    Ok(records)
}
