//! Making a data folder, in the order in which a cut at any step leaves something that the next start makes anew.
//! Not here: opening one.

use std::io;

use super::super::LogOptions;
use super::super::anchor::{ANCHOR, Anchor, Slot};
use super::super::error::OpenError;
use super::super::journal::segment_bytes;
use super::super::manifest::{Manifest, remove_others};
use super::super::medium::{Medium, TOP};
use super::super::read_log::ReadLogPlace;
use super::super::ready::{READY, draw_log_id, write};
use super::super::scan::holds_a_frame;
use super::super::segment::{JOURNAL, Prepared, SegmentHeader};

/// A folder without `READY` may be made anew only if nothing was ever recorded in it.
pub(crate) fn refuse_if_lived_in(medium: &dyn Medium) -> Result<(), OpenError> {
    let anchor = Anchor::read(medium).map_err(OpenError::io("reading the anchor"))?;
    let is_anchored = anchor.is_some_and(|anchor| anchor.newest_first().iter().any(|slot| slot.group > 0));
    if is_anchored || holds_a_frame(medium)? {
        let what = "it is missing, but the journal holds records: this folder was served from before";
        return Err(OpenError::corrupt(medium.describe(READY), what));
    }
    Ok(())
}

pub(crate) fn create(medium: &dyn Medium, place: &dyn ReadLogPlace, options: &LogOptions) -> io::Result<()> {
    medium.create_folder(TOP)?;
    medium.create_folder(JOURNAL)?;
    clear(medium, place)?;
    medium.sync_folder(TOP)?;
    place.open()?;
    let log_id = draw_log_id()?;
    let manifest = Manifest { number: 1, log_id, ..Manifest::default() };
    let manifest_hash = manifest.write(medium)?;
    Anchor::create(medium, Slot { counter: 1, group: 0, manifest: 1, manifest_hash, log_id })?;
    let header = SegmentHeader::new(1, 1, log_id)?;
    Prepared::make(medium, "first", segment_bytes(0, options.segment_bytes))?.commission(medium, &header)?;
    write(medium, &log_id)
}

/// Takes away what a first start that was cut has left.
fn clear(medium: &dyn Medium, place: &dyn ReadLogPlace) -> io::Result<()> {
    if place.exists()? {
        place.set_aside()?;
        place.remove_aside()?;
    }
    for file in medium.list(JOURNAL)? {
        medium.remove(&format!("{JOURNAL}/{file}"))?;
    }
    if medium.list(TOP)?.iter().any(|file| file == ANCHOR) {
        medium.remove(ANCHOR)?;
    }
    remove_others(medium, &[])
}
