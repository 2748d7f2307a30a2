//! Which snapshots of the past stay as places to begin a fold from: few, spread evenly over the history, and together no
//! larger than the journal. Not here: writing and checking one (`snapshot.rs`).

use super::snapshot;
use std::io;
use std::path::{Path, PathBuf};

/// The newest snapshots stay whatever they weigh: a start needs one, and another if that is damaged.
const NEWEST: usize = 2;
/// Older ones, at most.
const OLDER_MAX: usize = 24;

/// What is to be known of a snapshot to judge by.
struct Kept {
    path: PathBuf,
    schema: u32,
    bytes: u64,
    /// Events before it, over all tenants.
    events: u64,
}

/// Removes what stands too near to its neighbours, until the rest is few and small enough; and what no program of this
/// schema reads. Called with a new snapshot in place.
pub(super) fn thin(dir: &Path, schema: u32) -> io::Result<()> {
    let mut kept = snapshot::list(dir)?.into_iter().filter_map(|path| look_at(path).ok()).collect::<Vec<_>>();
    let Some(first_newest) = kept.len().checked_sub(NEWEST) else { return Ok(()) };
    let newest = kept.split_off(first_newest);
    for unread in kept.extract_if(.., |kept| kept.schema != schema) {
        std::fs::remove_file(unread.path)?;
    }
    let after = newest.first().map_or(u64::MAX, |snapshot| snapshot.events);
    let bytes_max = journal_bytes(dir)?;
    while kept.len() > OLDER_MAX || kept.iter().map(|snapshot| snapshot.bytes).sum::<u64>() > bytes_max {
        let Some(nearest) = nearest(&kept, after) else { break };
        std::fs::remove_file(kept.remove(nearest).path)?;
    }
    Ok(())
}

/// The one without which the longest way to go on folding grows the least.
fn nearest(kept: &[Kept], after: u64) -> Option<usize> {
    let events = |at: usize| kept.get(at).map_or(after, |snapshot| snapshot.events);
    let before = |at: usize| at.checked_sub(1).map_or(0, events);
    (0..kept.len()).min_by_key(|at| events(at + 1).saturating_sub(before(*at)))
}

fn look_at(path: PathBuf) -> io::Result<Kept> {
    let bytes = std::fs::metadata(&path)?.len();
    let meta = snapshot::head(&path)?;
    let events = meta.heads.values().map(|head| head.next_position).sum();
    Ok(Kept { path, schema: meta.schema, bytes, events })
}

fn journal_bytes(dir: &Path) -> io::Result<u64> {
    match std::fs::read_dir(dir.join(super::segment::JOURNAL)) {
        Ok(entries) => entries.map(|entry| Ok(entry?.metadata()?.len())).sum(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Head;
    use crate::log::snapshot::SnapshotMeta;
    use std::collections::BTreeMap;

    fn write(dir: &Path, schema: u32, events: u64, bytes: usize) {
        let heads = BTreeMap::from([(0, Head { next_position: events, chain: [3; 32] })]);
        let meta = SnapshotMeta { schema, group: events, heads };
        snapshot::write(dir, &meta, &mut |out| out.write_all(&vec![7; bytes])).unwrap();
    }

    fn events(dir: &Path) -> Vec<u64> {
        let events = |path: PathBuf| look_at(path).unwrap().events;
        snapshot::list(dir).unwrap().into_iter().map(events).collect()
    }

    fn journal_of(dir: &Path, bytes: usize) {
        std::fs::create_dir_all(dir.join("journal")).unwrap();
        std::fs::write(dir.join("journal/1"), vec![0; bytes]).unwrap();
    }

    #[test]
    fn the_history_is_covered_evenly_however_long_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        journal_of(dir.path(), 1 << 20);
        for n in 1..=400 {
            write(dir.path(), 1, n * 1000, 10);
            let kept = events(dir.path());
            assert!(kept.len() <= OLDER_MAX + NEWEST);
            assert!(kept.ends_with(&[(n - 1) * 1000, n * 1000][usize::from(n == 1)..]), "{kept:?}");
            let ways = std::iter::once(0).chain(kept.iter().copied()).zip(kept.iter().copied());
            let longest = ways.map(|(from, to)| to - from).max().unwrap();
            assert!(longest <= 2 * (n * 1000 / OLDER_MAX as u64) + 1000, "{longest} of {n} thousand: {kept:?}");
        }
    }

    #[test]
    fn they_stay_small_beside_the_journal_and_what_nobody_reads_goes() {
        let dir = tempfile::tempdir().unwrap();
        for n in 1..=5 {
            write(dir.path(), 1, n, 10);
        }
        assert_eq!(events(dir.path()), [4, 5]);
        journal_of(dir.path(), 10_000);
        for n in 6..=20 {
            write(dir.path(), 1, n, 1000);
        }
        let older = events(dir.path()).len() - NEWEST;
        assert_eq!(older, 9, "of about 1,100 bytes each, beside 10,000");
        write(dir.path(), 2, 21, 10);
        write(dir.path(), 2, 22, 10);
        assert_eq!(events(dir.path()), [21, 22]);
    }
}
