//! Reading records: memory for the newest, sled for the rest, the journal where sled has doubts. Only what is durable is
//! ever seen, and every frame is checked before it is handed out. Not here: what a record says.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Progress;
use super::backup::{BackupPlan, backup_of};
use super::error::Room;
use super::error::{Damage, OpenError, ReadError};
use super::frame::{Body, Head};
use super::read_log::{ReadLogError, key, split_key};
use super::scan::{Extent, read_groups, segments};
use super::scrub::Scrubbed;
use super::shared::Shared;
use super::trees::Tree;
use super::walk::{EachGroup, WalkReport, baseline, walk_on};
use super::window::Known;

/// A cheap handle for reading, for any number of threads.
#[derive(Clone)]
pub struct LogReader {
    pub(crate) shared: Arc<Shared>,
}

/// Collects records until there are enough bytes of them, checking that each frame continues the one before.
struct Collected {
    records: Vec<(u64, Vec<u8>)>,
    from: u64,
    bytes: usize,
    bytes_max: usize,
    tenant: u32,
    /// Where the next frame must begin and what chain it must continue, once one was seen.
    next: Option<Head>,
}

impl Collected {
    fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max && !self.records.is_empty()
    }

    /// The first position that is still wanted.
    fn wanted(&self) -> u64 {
        self.next.map_or(self.from, |head| head.next_position)
    }

    /// The same of a frame that nobody has checked.
    fn take_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        let body = Body::verified(bytes).ok_or("a frame's chain hash is not that of its records")?;
        self.take(&body).map_err(str::to_owned)
    }

    fn take(&mut self, body: &Body<'_>) -> Result<(), &'static str> {
        match &self.next {
            Some(head) if !body.follows(head) => return Err("a frame does not continue the one before it"),
            None if body.first_position > self.from || body.end_position() <= self.from => {
                return Err("the frame that should hold it is missing");
            }
            _ => {}
        }
        if body.tenant != self.tenant {
            return Err("a frame of another tenant stands in its place");
        }
        for (position, record) in (body.first_position..).zip(body.records()) {
            if position >= self.from && !self.is_full() {
                self.bytes += record.len();
                self.records.push((position, record.to_vec()));
            }
        }
        self.next = Some(body.head());
        Ok(())
    }
}

impl LogReader {
    /// The tenant's durable records from position `from` on: as many as fit into `max_bytes`, at least one if there is
    /// one, none at or behind the head.
    pub fn read(&self, tenant: u32, from: u64, max_bytes: usize) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let known = self.shared.window.lock().known(tenant, from, max_bytes);
        if from >= known.head.next_position {
            return Ok(vec![]);
        }
        let start = Collected { records: vec![], from, bytes: 0, bytes_max: max_bytes, tenant, next: None };
        let mut collected = start;
        if from < known.from
            && let Err(why) = self.read_from_sled(&mut collected, known.from)?
        {
            tracing::error!(tenant, position = collected.wanted(), %why, "sled is damaged; reading the journal instead");
            self.shared.reads_from_journal.fetch_add(1, Ordering::Relaxed);
            self.shared.doubt_sled(&why);
            return self.read_from_journal(tenant, from, max_bytes, known.head.next_position);
        }
        self.read_from_memory(&mut collected, &known)
            .map_err(|why| damaged("memory", tenant, collected.wanted(), why))?;
        Ok(collected.records)
    }

    /// The tenant's durable records at these positions, which ascend, up to the first one that is at or behind the head. Each
    /// frame is read and checked once.
    pub fn read_at(&self, tenant: u32, positions: &[u64]) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let in_memory = self.shared.window.lock().known(tenant, u64::MAX, 0).from;
        let mut found = Vec::with_capacity(positions.len());
        let mut rest = positions;
        while let Some((first, behind)) = rest.split_first() {
            let before = found.len();
            if *first < in_memory {
                self.take_from_a_frame(tenant, rest, &mut found)?;
            }
            match found.len() - before {
                0 => {
                    let Some(record) = self.read(tenant, *first, 1)?.into_iter().next() else { break };
                    found.push(record);
                    rest = behind;
                }
                taken => rest = rest.get(taken..).unwrap_or_default(),
            }
        }
        Ok(found)
    }

    /// Those of the positions that are in the frame of the first one; none where sled can't be believed.
    fn take_from_a_frame(
        &self,
        tenant: u32,
        positions: &[u64],
        found: &mut Vec<(u64, Vec<u8>)>,
    ) -> Result<(), ReadError> {
        let read_log = self.shared.read_log().ok_or_else(|| ReadError::Io("the log is closed".into()))?;
        let Some(first) = positions.first() else { return Ok(()) };
        let Ok(Some((at, value))) = read_log.last_before(&key(tenant, first.saturating_add(1))) else { return Ok(()) };
        let is_its = |body: &Body<'_>| split_key(&at) == Some((tenant, body.first_position)) && body.tenant == tenant;
        let Some(body) = Body::verified(&value).filter(is_its) else { return Ok(()) };
        let mut wanted = positions.iter().copied().peekable();
        for (position, record) in (body.first_position..).zip(body.records()) {
            if wanted.next_if_eq(&position).is_some() {
                found.push((position, record.to_vec()));
            }
            if wanted.peek().is_none_or(|next| *next >= body.end_position()) {
                break;
            }
        }
        Ok(())
    }

    fn read_from_memory(&self, collected: &mut Collected, known: &Known) -> Result<(), &'static str> {
        for (group, frame) in &known.frames {
            if collected.is_full() {
                break;
            }
            if frame.head_after.next_position > collected.wanted() {
                collected.take(&group.body(frame))?;
            }
        }
        Ok(())
    }

    /// The inner error says why sled can't be believed.
    fn read_from_sled(&self, collected: &mut Collected, to: u64) -> Result<Result<(), String>, ReadError> {
        let read_log = self.shared.read_log().ok_or_else(|| ReadError::Io("the log is closed".into()))?;
        let (tenant, from) = (collected.tenant, collected.from);
        let outcome = (|| {
            // the frame that holds `from` begins at or before it
            let entry = read_log.last_before(&key(tenant, from.saturating_add(1)))?;
            let Some((_, first)) = entry.filter(|(found, _)| split_key(found).is_some_and(|(of, _)| of == tenant))
            else {
                return Ok(Err("the frame that should hold it is missing".to_owned()));
            };
            let mut verdict = collected.take_bytes(&first);
            if verdict.is_err() || collected.is_full() {
                return Ok(verdict);
            }
            read_log.scan(&key(tenant, collected.wanted()), &key(tenant, to), &mut |_, value| {
                verdict = collected.take_bytes(value);
                if verdict.is_err() || collected.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if verdict.is_ok() && !collected.is_full() && collected.wanted() < to {
                verdict = Err("frames are missing at its end".into());
            }
            Ok(verdict)
        })();
        match outcome {
            Ok(verdict) => Ok(verdict),
            Err(ReadLogError::Io(error)) => Err(ReadError::Io(error.to_string())),
            Err(ReadLogError::Broken(why) | ReadLogError::NotDurable(why)) => Ok(Err(why)),
        }
    }

    /// Where the tenant's stream stood when its next position was this one; `None` where no frame ends there.
    pub fn head_before(&self, tenant: u32, next_position: u64) -> Result<Option<Head>, ReadError> {
        let Some(last) = next_position.checked_sub(1) else { return Ok(Some(Head::default())) };
        let known = self.shared.window.lock().known(tenant, last, 1);
        let found = if last >= known.from {
            known.frames.first().map(|(_, frame)| frame.head_after)
        } else {
            let read_log = self.shared.read_log().ok_or_else(|| ReadError::Io("the log is closed".into()))?;
            let entry = read_log.last_before(&key(tenant, next_position));
            let entry = entry.map_err(|error| {
                if let ReadLogError::Broken(why) = &error {
                    self.shared.doubt_sled(why);
                }
                ReadError::Io(error.to_string())
            })?;
            let Some((found, value)) = entry else { return Ok(None) };
            let is_ours = split_key(&found).is_some_and(|(of, _)| of == tenant);
            let body = Body::verified(&value).filter(|_| is_ours);
            if is_ours && body.is_none() {
                self.shared.doubt_sled("a frame's chain hash is not that of its records");
            }
            body.map(|body| body.head())
        };
        Ok(found.filter(|head| head.next_position == next_position))
    }

    /// Slow and sure: goes through the whole journal.
    fn read_from_journal(
        &self,
        tenant: u32,
        from: u64,
        max_bytes: usize,
        end: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let mut collected = Collected { records: vec![], from, bytes: 0, bytes_max: max_bytes, tenant, next: None };
        let mut trouble = None;
        let medium = self.shared.medium.as_ref();
        let to = self.shared.window.lock().last_group();
        segments(medium)
            .and_then(|segments| {
                read_groups(medium, &segments, Extent { from: 1, to }, &mut |visit| {
                    for span in visit.found.frames.iter().filter(|span| span.tenant == tenant) {
                        let is_wanted = span.head_after.next_position > from && span.first_position < end;
                        if let Some(body) = Body::parse(span.body(visit.bytes)).filter(|_| is_wanted) {
                            trouble = trouble.or(collected.take(&body).err());
                        }
                    }
                    let is_done = collected.is_full() || collected.wanted() >= end || trouble.is_some();
                    Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                })
            })
            .map_err(read_error)?;
        match trouble {
            Some(why) => Err(damaged("the journal", tenant, collected.wanted(), why)),
            None => Ok(collected.records),
        }
    }

    /// What the walks of the whole log since the start found.
    pub fn scrubbed(&self) -> Scrubbed {
        *self.shared.scrubbed.lock()
    }

    pub(super) fn note_scrub(&self, damages: u64) {
        let mut scrubbed = self.shared.scrubbed.lock();
        *scrubbed = Scrubbed { walks: scrubbed.walks + 1, damages };
    }

    pub(super) fn doubt_sled(&self, why: &str) {
        self.shared.doubt_sled(why);
    }

    /// Walks everything that is durable while the service goes on, sled included: the background scrub.
    pub fn scrub(&self, progress: &dyn Progress, each: &mut EachGroup<'_>) -> WalkReport {
        let mut report = WalkReport::default();
        let read_log = self.shared.read_log();
        let to = self.last_group();
        let medium = self.shared.medium.as_ref();
        let baseline = {
            let _no_checkpoint_now = self.shared.checkpointing.lock();
            baseline(medium, &mut report)
        };
        if let Some(baseline) = baseline {
            walk_on(medium, baseline, read_log.as_deref(), to, progress, each, &mut report);
        }
        report
    }

    /// What a consistent backup of everything durable consists of.
    pub fn backup_files(&self) -> Result<BackupPlan, OpenError> {
        backup_of(&self.shared, &self.shared.dir)
    }

    /// The tenant's tree, to be asked.
    pub fn tree(&self, tenant: u32) -> Tree<'_> {
        Tree { reader: self, tenant }
    }

    /// How many leaves every tenant's tree has.
    pub fn tree_sizes(&self) -> Vec<(u32, u64)> {
        self.shared.trees.sizes()
    }

    /// Waits until the tenant's tree, which follows what is durable, has so many leaves; `false` if it had not in time.
    pub fn reach_tree(&self, tenant: u32, leaves: u64, wait: Duration) -> bool {
        self.shared.trees.reach(tenant, leaves, wait)
    }

    /// The tenant's durable head; that of an unknown tenant is position 0 with an empty chain.
    pub fn head(&self, tenant: u32) -> Head {
        self.shared.window.lock().head(tenant)
    }

    pub fn heads(&self) -> BTreeMap<u32, Head> {
        self.shared.heads()
    }

    /// The tenants that have at least one record, in order.
    pub fn tenants(&self) -> Vec<u32> {
        self.shared.window.lock().heads().keys().copied().collect()
    }

    /// The last durable group.
    pub fn last_group(&self) -> u64 {
        self.shared.window.lock().last_group()
    }

    /// How much may be written. A look at a figure that is at most a second old.
    pub fn room(&self) -> Room {
        self.shared.room()
    }

    /// As of the last look.
    pub fn free_bytes(&self) -> u64 {
        self.shared.free_bytes()
    }

    /// So much may be written before the disk is low, as of the last look.
    pub fn bytes_above_floor(&self) -> u64 {
        self.shared.bytes_above_floor()
    }

    pub fn is_disk_low(&self) -> bool {
        self.room() != Room::Ample
    }

    /// Why the log stopped, if it did.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure().map(str::to_owned)
    }

    /// Ends when the log stops, with the reason.
    pub async fn stopped(&self) -> String {
        self.shared.failure.told().cancelled().await;
        self.failure().unwrap_or_default()
    }

    /// How many reads sled could not answer since the start; after more than none the next start makes it anew.
    pub fn reads_from_journal(&self) -> u64 {
        self.shared.reads_from_journal.load(Ordering::Relaxed)
    }
}

fn damaged(file: &str, tenant: u32, position: u64, what: &str) -> ReadError {
    ReadError::Damaged(Damage {
        file: file.into(),
        tenant: Some(tenant),
        position: Some(position),
        what: what.into(),
        ..Damage::default()
    })
}

fn read_error(error: OpenError) -> ReadError {
    if let OpenError::Corrupt(damage) = error { ReadError::Damaged(damage) } else { ReadError::Io(error.to_string()) }
}
