//! Making a bundle: first everything that may be refused is found out, then the file is written as its reader takes it.

use super::{
    ABOUT, About, BUNDLE_EVENTS_MAX, CHECKPOINT, EVENTS, EVENTS_BYTES_MAX, FORMAT, KEYS, README, SCHEMAS, SUMS,
    VERSION, header, proof_name, readme,
};
use crate::audit::events::EventView;
use crate::audit::export::ndjson_line;
use crate::domain::ids::TenantId;
use crate::ledger::evidence::SignedHead;
use crate::ledger::{EventQuery, Ledger, PAGE_EVENTS_MAX, ReadError};
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use std::sync::Arc;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("a bundle has at most {BUNDLE_EVENTS_MAX} events, and more are asked for")]
    TooMany,
    #[error("the events that are asked for are more than {EVENTS_BYTES_MAX} bytes in words")]
    TooLong,
}

/// The events of a bundle that is not written yet.
pub struct Gathered {
    tenant: TenantId,
    head: Arc<SignedHead>,
    positions: Vec<u64>,
    lines: Vec<u8>,
    about: About,
}

/// Finds the events that meet a query, oldest first, and a signed head over them. Blocking.
///
/// # Errors
/// When there are too many, or the log can't be read.
pub fn gather(ledger: &Ledger, tenant: TenantId, query: EventQuery) -> Result<Gathered, GatherError> {
    let slug = ledger.read(tenant, |view| view.state.slug.clone())?;
    let mut query = EventQuery { limit: PAGE_EVENTS_MAX, newest_first: false, ..query };
    let (mut positions, mut lines) = (Vec::new(), Vec::new());
    loop {
        let page = ledger.query(tenant, &query)?;
        for recorded in &page.events {
            if positions.len() == BUNDLE_EVENTS_MAX {
                return Err(GatherError::TooMany);
            }
            positions.push(recorded.position);
            let written = ndjson_line(&mut lines, &slug, recorded, &EventView::of(ledger, recorded));
            written.map_err(|error| ReadError::Log(error.to_string()))?;
            if lines.len() > EVENTS_BYTES_MAX {
                return Err(GatherError::TooLong);
            }
        }
        let Some(next) = page.next else { break };
        query.from = next;
    }
    let size = positions.last().map_or(1, |last| last + 1);
    let head = match ledger.cosigned_head(tenant).filter(|cosigned| cosigned.size >= size) {
        Some(cosigned) => cosigned,
        None => ledger.signed_over(tenant, size)?,
    };
    let about = About {
        format: FORMAT,
        version: VERSION.to_owned(),
        log: ledger.verifier_key(tenant)?.name().to_owned(),
        size: head.size,
        events: positions.len() as u64,
    };
    Ok(Gathered { tenant, head, positions, lines, about })
}

impl Gathered {
    /// How many records its head covers.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.about.size
    }

    #[must_use]
    pub fn events(&self) -> usize {
        self.positions.len()
    }

    /// Writes the bundle. Blocking; what was written is whole only if this answers `Ok`.
    ///
    /// # Errors
    /// When the log can't be read, or the output takes no more.
    pub fn write(&self, ledger: &Ledger, out: &mut dyn Write) -> io::Result<()> {
        let mut archive = Archive { out, sums: String::new() };
        let about = serde_json::to_vec_pretty(&self.about)?;
        archive.add(ABOUT, &about)?;
        archive.add(README, readme(&self.about).as_bytes())?;
        archive.add(CHECKPOINT, self.head.note.as_bytes())?;
        let log = ledger.verifier_key(self.tenant).map_err(io::Error::other)?;
        let keys: String = [log].into_iter().chain(ledger.witness_keys()).map(|key| format!("{key}\n")).collect();
        archive.add(KEYS, keys.as_bytes())?;
        archive.add(EVENTS, &self.lines)?;
        for position in &self.positions {
            let (proof, _) = ledger.proof_in(self.tenant, *position, &self.head).map_err(io::Error::other)?;
            archive.add(&proof_name(*position), proof.to_string().as_bytes())?;
        }
        for (name, text) in SCHEMAS {
            archive.add(name, text.as_bytes())?;
        }
        let sums = std::mem::take(&mut archive.sums);
        archive.add(SUMS, sums.as_bytes())?;
        // two empty blocks end a tar
        archive.out.write_all(&[0; 1024])?;
        archive.out.flush()
    }
}

struct Archive<'a> {
    out: &'a mut dyn Write,
    sums: String,
}

impl Archive<'_> {
    fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let header = header(name, bytes.len() as u64).ok_or_else(|| io::Error::other(format!("no tar has {name}")))?;
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(512) - bytes.len();
        self.out.write_all(&vec![0; padding])?;
        self.sums += &format!("{}  {name}\n", hex::encode(Sha256::digest(bytes)));
        Ok(())
    }
}
