//! States of the past that were kept: the snapshots that the log retains, as places to go on folding from. Each is read anew,
//! and believed only if it is whole, of this program's schema and of this log's chain. Not here: which ones are kept.

use super::Ledger;
use crate::domain::ids::TenantId;
use crate::log::writer::SNAPSHOT_SCHEMA;
use crate::log::{Head, record, snapshot};
use crate::projection::View;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

impl Ledger {
    /// Of the kept states whose next position is one of these, the last one that can be used. Blocking, for as long as it
    /// takes to read.
    #[must_use]
    pub fn kept_view(&self, tenant: TenantId, next_positions: &RangeInclusive<u64>) -> Option<View> {
        let paths = snapshot::look(&self.0.dir)
            .inspect_err(
                |error| tracing::warn!(%error, "the snapshots can't be listed; the past is folded from farther back"),
            )
            .ok()?;
        let mut kept: Vec<(Head, PathBuf)> =
            paths.into_iter().filter_map(|path| Some((head_in(&path, tenant)?, path))).collect();
        kept.retain(|(head, _)| next_positions.contains(&head.next_position));
        kept.sort_unstable_by_key(|(head, _)| head.next_position);
        kept.into_iter().rev().find_map(|(head, path)| self.view_in(&path, tenant, head))
    }

    fn view_in(&self, path: &Path, tenant: TenantId, head: Head) -> Option<View> {
        let is_ours = self.0.writer.reader().head_before(tenant.0, head.next_position);
        if !is_ours.is_ok_and(|ours| ours == Some(head)) {
            tracing::warn!(path = %path.display(), "a snapshot is of another log; it is not used");
            return None;
        }
        match read(path, tenant) {
            Ok(view) => {
                let mut view = view.filter(|view| view.state.next_position == head.next_position)?;
                if self.0.vault.erasures() > 0 {
                    view.state.names.forget_if(|subject| self.0.vault.is_erased(subject));
                }
                Some(view)
            }
            // it made room for newer ones meanwhile
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) if !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
                tracing::warn!(%error, "a snapshot of the past can't be read now; the past is folded from farther back");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "a snapshot of the past can't be read and is removed; the past is folded from farther back");
                let _made_anew_by_nobody = std::fs::remove_file(path);
                None
            }
        }
    }
}

/// Where a tenant stood, as the snapshot says of itself; `None` where it is none that this program reads.
fn head_in(path: &Path, tenant: TenantId) -> Option<Head> {
    let meta = snapshot::head(path).ok()?;
    meta.heads.get(&tenant.0).copied().filter(|_| meta.schema == SNAPSHOT_SCHEMA)
}

fn read(path: &Path, tenant: TenantId) -> std::io::Result<Option<View>> {
    let (_, views) = snapshot::read(path, |_, payload| record::decode_cache::<Vec<View>>(payload))?;
    Ok(views.into_iter().nth(tenant.index()))
}
