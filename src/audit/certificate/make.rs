//! Filling a certificate from what reports read: the marks of the pools' courses, and the events where those matter. Not here:
//! counting it again.

use super::{Certificate, Head, Over, PoolFigures, Scope, encoded};
use crate::audit::events::data_of;
use crate::audit::reports::courses::{Condition, at};
use crate::audit::reports::intervals::{Interval, intervals};
use crate::audit::reports::peak_use::peak;
use crate::audit::reports::{Asked, Label, ReportError, Source};
use crate::domain::event::Event;
use crate::domain::facts::Owned;
use crate::domain::time::Time;
use crate::ledger::ReadError;
use crate::merkle::{CERTIFICATE_BYTES_MAX, Note};
use std::ops::ControlFlow;

/// A time above the cap is at least so long in a certificate: so many of them fit, and more are not gathered.
const OVER_BYTES_MIN: usize = 150;
/// Room for the first line and the signature.
const FRAME_BYTES: usize = 64 << 10;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("it would have more than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLong,
}

/// The signed certificate of the source's tenant, from the period's first position to the source's. Blocking.
///
/// # Errors
/// When the log can't be read, nothing can be signed, or there is too much to say.
pub fn certificate(source: &Source<'_>, asked: &Asked) -> Result<Note, CertificateError> {
    let (ledger, tenant) = (source.ledger, source.tenant);
    let size = source.position + 1;
    // a period that begins behind the last event
    let first = asked.first.min(size);
    let (_, checkpoint) = ledger.checkpoint_at(tenant, size)?;
    let heads = ledger.consistency(tenant, first, Some(size))?;
    let head = |size: u64, root| Ok::<_, ReadError>(Head { size, root, recorded_at: recorded_at(source, size)? });
    let mut pools = Vec::new();
    let mut room = CERTIFICATE_BYTES_MAX - FRAME_BYTES;
    for label in source.pools(asked, 0) {
        let Some(pool) = figures(source, &label?, asked, room / OVER_BYTES_MIN)? else { continue };
        let lines = super::json_line(&pool).len() + pool.over.iter().map(|o| super::json_line(o).len()).sum::<usize>();
        room = room.checked_sub(lines).ok_or(CertificateError::TooLong)?;
        pools.push(pool);
    }
    let scope = Scope {
        log: ledger.verifier_key(tenant)?.name().to_owned(),
        from: head(first, encoded(&heads.from_root))?,
        to: head(size, encoded(&heads.to_root))?,
        consistency: heads.path.iter().map(encoded).collect(),
        checkpoint,
        pool: asked.pool,
        pools: pools.len() as u64,
        times_over: pools.iter().map(|pool| pool.times_over).sum(),
    };
    Ok(ledger.certify(tenant, &Certificate { scope, pools }.to_lines())?)
}

/// When the last of so many records was made.
fn recorded_at(source: &Source<'_>, size: u64) -> Result<Option<Time>, ReadError> {
    let Some(last) = size.checked_sub(1) else { return Ok(None) };
    let event = source.ledger.events(source.tenant, last, 1)?.pop().ok_or(ReadError::NotReached(last))?;
    Ok(Some(event.envelope.recorded_at))
}

/// Nothing for a pool that was listed behind the period.
fn figures(
    source: &Source<'_>,
    label: &Label,
    asked: &Asked,
    over_max: usize,
) -> Result<Option<PoolFigures>, CertificateError> {
    let Some((start, extremes)) = peak(source, label, asked)? else { return Ok(None) };
    let Some(end) = at(source, label, source.position)? else { return Ok(None) };
    let (mut over, mut is_too_much) = (Vec::new(), false);
    let positions = asked.first..source.position + 1;
    intervals(source, label, Condition::Over, positions, &mut |interval| {
        over.push(told(label, &interval));
        is_too_much = over.len() > over_max;
        if is_too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if is_too_much {
        return Err(CertificateError::TooLong);
    }
    Ok(Some(PoolFigures {
        pool: label.pool,
        key: label.key.to_string(),
        held_max: extremes.peak.held,
        held_max_position: extremes.peak.position,
        owned_min: match extremes.owned_min {
            Owned::Count(count) => Some(count),
            Owned::Unlimited => None,
        },
        grants: end.granted - start.map_or(0, |course| course.granted),
        grants_above_cap: end.granted_above_cap - start.map_or(0, |course| course.granted_above_cap),
        refusals: end.refused - start.map_or(0, |course| course.refused),
        times_over: over.len() as u64,
        over,
    }))
}

fn told(label: &Label, interval: &Interval) -> Over {
    let (ended_position, ended_at) = interval.ended.unzip();
    Over {
        pool: label.pool,
        over_by_max: interval.worst.over_by(),
        began_position: interval.began_position,
        began_at: interval.began_at,
        began_by: interval.began_by.type_name().to_owned(),
        cause: cause_of(&interval.began_by),
        ended_position,
        ended_at,
    }
}

fn cause_of(event: &Event) -> Option<String> {
    data_of(event).get("cause").and_then(serde_json::Value::as_str).map(str::to_owned)
}
