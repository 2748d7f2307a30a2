//! File descriptors: as many as the process may have, and enough of them kept back that strangers who connect and say nothing
//! can't take those that the log opens. Not here: taking connections (`http::listener`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is not for connections: the journal's segments, sled and what a checkpoint opens, indexes, the threads that answer,
/// calls to stores and witnesses.
const KEPT_BACK: u64 = 256;

/// Raises the process's own limit as far as it needs and may, and says how many of the wanted connections it leaves room for.
pub(super) fn connections(wanted: usize) -> usize {
    // a request may read a file of the log beside its connection
    let needed = KEPT_BACK.saturating_add(u64::try_from(wanted).unwrap_or(u64::MAX).saturating_mul(2));
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = maximum.map_or(needed, |most| most.min(needed));
    let mut limit = current;
    if limit.is_some_and(|limit| limit < raised) {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
            Ok(()) => limit = Some(raised),
            Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
        }
    }
    let most = within(limit, wanted);
    if most < wanted {
        tracing::warn!(
            open_files_max = limit,
            connections_max = wanted,
            "the limit of open files leaves room for {most} connections at once"
        );
    }
    most
}

fn within(limit: Option<u64>, wanted: usize) -> usize {
    let Some(limit) = limit else { return wanted };
    let places = limit - KEPT_BACK.min(limit / 2);
    usize::try_from(places).unwrap_or(usize::MAX).clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_log() {
        for (limit, wanted, most) in [
            (None, 4096, 4096),
            (Some(1 << 20), 4096, 4096),
            (Some(1024), 4096, 768),
            (Some(1024), 7, 7),
            (Some(64), 4096, 32),
            (Some(0), 4096, 1),
        ] {
            assert_eq!(within(limit, wanted), most, "{limit:?}, {wanted}");
        }
    }
}
