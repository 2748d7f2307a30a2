//! Sled at a start: is it what the journal says, how far, and does it know of more than the journal does? It is given
//! what it lacks, or set aside and made anew. Not here: the journal's own checks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::super::Progress;
use super::super::bytes::wide;
use super::super::doubt;
use super::super::error::OpenError;
use super::super::feeder::entries;
use super::super::frame::{Body, Head};
use super::super::group::EncodedGroup;
use super::super::manifest::Manifest;
use super::super::medium::Medium;
use super::super::read_log::{Key, ReadLog, ReadLogError, ReadLogPlace, key, split_key, tenants};
use super::super::scan::{Extent, JournalEnd, Segment, read_groups};
use super::{OpenReport, end, lost_tail, note_doubt};

const BATCH_BYTES_MAX: usize = 1 << 20;

/// What is to be done with sled.
pub(crate) enum Plan {
    Keep { read_log: Arc<dyn ReadLog>, puts: Vec<(Key, Vec<u8>)>, removes: Vec<Key> },
    Rebuild { why: String, is_there: bool },
}

pub(crate) fn as_open_error(error: ReadLogError) -> OpenError {
    match error {
        ReadLogError::Io(error) => OpenError::Io { doing: "working with sled".into(), error },
        ReadLogError::NotDurable(what) => OpenError::SelfTest { what },
        ReadLogError::Broken(what) => {
            OpenError::Io { doing: "working with sled".into(), error: std::io::Error::other(what) }
        }
    }
}

/// Opens sled and compares it with the journal. Changes nothing in it.
pub(crate) fn look(
    medium: &dyn Medium,
    place: &dyn ReadLogPlace,
    manifest: &Manifest,
    tail: &[Arc<EncodedGroup>],
    end: &JournalEnd,
) -> Result<Plan, OpenError> {
    let is_there = place.exists().map_err(OpenError::io("looking for sled"))?;
    if !is_there {
        return Ok(Plan::Rebuild { why: "its folder is missing".into(), is_there });
    }
    let noted = doubt::noted(medium).map_err(OpenError::io("reading the note about sled"))?;
    let compared = place.open().and_then(|read_log| {
        let found = compare(read_log.as_ref(), manifest, tail)?;
        Ok((read_log, found))
    });
    match compared {
        Ok((_, Found { ahead: Some(ahead), .. })) => Err(lost_tail(medium, ahead, end.last_group)),
        Ok((read_log, Found { doubt, puts, removes, .. })) => Ok(match noted.or(doubt) {
            Some(why) => Plan::Rebuild { why, is_there },
            None => Plan::Keep { read_log, puts, removes },
        }),
        Err(ReadLogError::Broken(why)) => Ok(Plan::Rebuild { why, is_there }),
        Err(error) => Err(as_open_error(error)),
    }
}

#[derive(Default)]
struct Found {
    /// What sled knows and the journal does not, in words. It was fed after the sync, so it was acknowledged.
    ahead: Option<String>,
    /// Why sled can't be believed.
    doubt: Option<String>,
    puts: Vec<(Key, Vec<u8>)>,
    removes: Vec<Key>,
}

fn compare(read_log: &dyn ReadLog, manifest: &Manifest, tail: &[Arc<EncodedGroup>]) -> Result<Found, ReadLogError> {
    let mut found = Found::default();
    let mut lacking: BTreeMap<Key, &[u8]> = tail.iter().flat_map(|group| entries(group)).collect();
    let mut all: BTreeSet<u32> = manifest.tenants.keys().copied().collect();
    all.extend(tenants(read_log)?);
    let mut ahead: Vec<(u64, u32, u64)> = vec![];
    for tenant in all {
        let covered = manifest.tenants.get(&tenant).map(|mark| mark.head).unwrap_or_default();
        let end = tenant.checked_add(1).map_or([0xff; 12], |next| key(next, 0));
        read_log.scan(&key(tenant, covered.next_position), &end, &mut |entry, value| {
            let Ok(entry) = Key::try_from(entry) else { return ControlFlow::Continue(()) };
            match lacking.get(&entry) {
                Some(body) if *body == value => {
                    lacking.remove(&entry);
                }
                _ => match Body::verified(value)
                    .filter(|body| split_key(&entry) == Some((body.tenant, body.first_position)))
                {
                    Some(body) => ahead.push((body.group, tenant, body.end_position())),
                    None => found.removes.push(entry),
                },
            }
            ControlFlow::Continue(())
        })?;
        if covered != Head::default() && found.doubt.is_none() && !ends_at(read_log, tenant, &covered)? {
            found.doubt = Some(format!(
                "it lacks what the checkpoint at group {} covers: tenant {tenant} up to position {}",
                manifest.group, covered.next_position
            ));
        }
    }
    found.puts = lacking.into_iter().map(|(key, body)| (key, body.to_vec())).collect();
    found.ahead = words_for(&ahead);
    Ok(found)
}

/// Whether the last frame below the covered end is the one that the manifest names.
fn ends_at(read_log: &dyn ReadLog, tenant: u32, covered: &Head) -> Result<bool, ReadLogError> {
    let last = read_log.last_before(&key(tenant, covered.next_position))?;
    Ok(last.is_some_and(|(_, value)| {
        Body::verified(&value).is_some_and(|body| body.tenant == tenant && body.head() == *covered)
    }))
}

fn words_for(ahead: &[(u64, u32, u64)]) -> Option<String> {
    let first = ahead.iter().map(|(group, ..)| group).min()?;
    let last = ahead.iter().map(|(group, ..)| group).max()?;
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    for (_, tenant, end) in ahead {
        let known = ends.entry(*tenant).or_default();
        *known = (*known).max(*end);
    }
    let named: Vec<String> = ends.iter().take(5).map(|(t, end)| format!("tenant {t} up to position {end}")).collect();
    let more = if ends.len() > named.len() {
        format!(" and {} more tenants", ends.len() - named.len())
    } else {
        String::new()
    };
    Some(format!(
        "the read log (folder sled) holds groups {first} to {last} ({}{more}) that the journal does not hold, and it is \
         only ever given what the journal has made durable",
        named.join(", ")
    ))
}

#[expect(clippy::too_many_arguments, reason = "everything that a start has found so far")]
pub(crate) fn bring_up(
    medium: &dyn Medium,
    place: &dyn ReadLogPlace,
    plan: Plan,
    segments: &[Segment],
    manifest: &Manifest,
    journal: &JournalEnd,
    progress: &dyn Progress,
    report: &mut OpenReport,
) -> Result<Arc<dyn ReadLog>, OpenError> {
    let (why, is_there) = match plan {
        Plan::Keep { read_log, puts, removes } => match bring_level(read_log.as_ref(), &puts, &removes) {
            Ok(()) => {
                report.sled_frames_fed = wide(puts.len());
                report.sled_frames_removed = wide(removes.len());
                return Ok(read_log);
            }
            Err(ReadLogError::Broken(why)) => {
                note_doubt(medium, &why);
                (why, true)
            }
            Err(error) => return Err(as_open_error(error)),
        },
        Plan::Rebuild { why, is_there } => (why, is_there),
    };
    if !manifest.dropped.is_empty() {
        let dropped = manifest.dropped.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>().join(", ");
        return Err(OpenError::RebuildNeedsBackup { why, dropped });
    }
    if is_there {
        let aside = place.set_aside().map_err(OpenError::io("setting sled aside"))?;
        tracing::warn!(%why, %aside, "sled was set aside and is made anew from the journal");
    } else {
        tracing::warn!(%why, "sled is made anew from the journal");
    }
    let read_log = place.open().map_err(as_open_error)?;
    rebuild(medium, read_log.as_ref(), segments, journal.last_group, progress)?;
    read_log.self_test().map_err(as_open_error)?;
    report.sled_rebuilt = Some(why);
    Ok(read_log)
}

/// Gives sled what it lacks, takes out what is not whole, and has it show that it makes its writes durable.
fn bring_level(read_log: &dyn ReadLog, puts: &[(Key, Vec<u8>)], mut removes: &[Key]) -> Result<(), ReadLogError> {
    for puts in puts.chunks(256) {
        let puts: Vec<(Key, &[u8])> = puts.iter().map(|(key, body)| (*key, body.as_slice())).collect();
        read_log.change(&puts, std::mem::take(&mut removes))?;
    }
    if !removes.is_empty() {
        read_log.change(&[], removes)?;
    }
    read_log.self_test()
}

fn rebuild(
    medium: &dyn Medium,
    read_log: &dyn ReadLog,
    segments: &[Segment],
    last_group: u64,
    progress: &dyn Progress,
) -> Result<(), OpenError> {
    let mut batch: Vec<EncodedGroup> = vec![];
    let mut bytes = 0;
    let give = |batch: &mut Vec<EncodedGroup>| {
        let puts: Vec<(Key, &[u8])> = batch.iter().flat_map(entries).collect();
        let outcome = read_log.change(&puts, &[]).map_err(as_open_error);
        drop(puts);
        batch.clear();
        outcome
    };
    read_groups(medium, segments, Extent { from: 1, to: last_group }, &mut |visit| {
        let group = end::copy(&visit);
        bytes += group.bytes.len();
        batch.push(group);
        if bytes >= BATCH_BYTES_MAX {
            bytes = 0;
            give(&mut batch)?;
            progress.step("rebuilding the read log", visit.found.number, last_group);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    give(&mut batch)?;
    progress.step("rebuilding the read log", last_group, last_group);
    Ok(())
}
