//! Files of columns (Apache Parquet) of what else is written as lines: events, and rows of reports. Here: both, whether or not the
//! program is built with its feature `parquet`. Not here: the file's form (`parquet.rs`).

use super::export::ExportError;
use super::reports::{Asked, Report, ReportError, Source};
use crate::domain::ids::TenantId;
use crate::ledger::Ledger;
use std::io::Write;

pub const MEDIA_TYPE: &str = "application/vnd.apache.parquet";
/// Whether this program can write them.
pub const ARE_BUILT_IN: bool = cfg!(feature = "parquet");
/// Said where it can't.
pub const NOT_BUILT_IN: &str = "this program is built without its feature parquet (cargo build --features parquet)";

/// Writes all rows of a report. Blocking.
///
/// # Errors
/// When the log can't be read, the output takes no more, or the feature is missing.
#[cfg(feature = "parquet")]
pub fn report(
    report: &Report,
    source: &Source<'_>,
    asked: &Asked,
    out: &mut (dyn Write + Send),
) -> Result<(), ReportError> {
    let names: Vec<&str> = report.columns.iter().map(|column| column.name).collect();
    let mut sheet = super::parquet::Sheet::begin(&names, out)?;
    report.read(source, asked, &mut super::reports::Output::all(&mut sheet))?;
    Ok(sheet.end()?)
}

/// Says that the feature is missing.
///
/// # Errors
/// Always.
#[cfg(not(feature = "parquet"))]
pub fn report(
    _report: &Report,
    _source: &Source<'_>,
    _asked: &Asked,
    _out: &mut (dyn Write + Send),
) -> Result<(), ReportError> {
    Err(std::io::Error::other(NOT_BUILT_IN).into())
}

/// Writes the events of positions `from` to `to`, both included, and answers with the position behind the last one.
#[cfg(feature = "parquet")]
pub(super) fn events(
    ledger: &Ledger,
    tenant: TenantId,
    from: u64,
    to: u64,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    use super::events::EventView;
    use super::export::COLUMNS;
    use std::ops::ControlFlow;
    let mut sheet = super::parquet::Sheet::begin(&COLUMNS, out)?;
    let (mut next, mut failure) = (from, None);
    super::each_event(ledger, tenant, from, to, |recorded| {
        match sheet.row(&cells(&recorded, EventView::of(ledger, &recorded))) {
            Ok(()) => {
                next = recorded.position + 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    sheet.end()?;
    Ok(next)
}

#[cfg(feature = "parquet")]
fn cells(recorded: &crate::domain::event::Recorded, view: super::events::EventView) -> Vec<super::reports::Cell> {
    use super::reports::Cell;
    let text = |text: Option<String>| text.map_or(Cell::Nothing, Cell::Text);
    let part = |name: &str| text(view.data.get(name).and_then(serde_json::Value::as_str).map(str::to_owned));
    let parts = ["pool", "holder", "user", "device", "group", "assignment"].map(part);
    let mut cells = vec![
        Cell::Count(recorded.position),
        Cell::Time(recorded.envelope.recorded_at),
        recorded.envelope.occurred_at.map_or(Cell::Nothing, Cell::Time),
        Cell::Text(view.kind),
        Cell::Count(view.version.into()),
        Cell::Text(view.actor),
        Cell::Text(view.door),
        text(view.command_id),
        text(view.reason),
    ];
    cells.extend(parts);
    cells.push(Cell::Text(serde_json::Value::Object(view.data).to_string()));
    cells
}

#[cfg(not(feature = "parquet"))]
pub(super) fn events(
    _ledger: &Ledger,
    _tenant: TenantId,
    _from: u64,
    _to: u64,
    _out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    Err(std::io::Error::other(NOT_BUILT_IN).into())
}
