//! What leaves a trace though it changes nothing: who read which report. Not here: the report.

use super::auth::Caller;
use super::problem::Problem;
use crate::domain::command::{Door, Intake, Observation};
use crate::domain::report::{ReportAsked, ReportName};
use crate::domain::state::ReadKey;
use crate::ledger::{Ask, Submission, SubmitError};

/// Records that the caller reads a report, unless the same was recorded within the hour. When this answers, the trace is on
/// stable storage; on a disk that is nearly full the read goes on without one, and is counted.
///
/// # Errors
/// When the writer can't take it now, or is gone.
pub(super) async fn report_read(
    caller: &Caller,
    report: ReportName,
    asked: ReportAsked,
    position: u64,
) -> Result<(), Problem> {
    let (ledger, tenant, actor) = (&caller.service.ledger, caller.tenant, caller.actor);
    let (key, now) = (ReadKey { actor, report, asked }, ledger.clock().now());
    if ledger.read(tenant, |view| view.state.reads.is_fresh(&key, now))? {
        return Ok(());
    }
    let submission = Submission {
        actor,
        door: Door::Http,
        command_id: None,
        content_hash: 0,
        occurred_at: None,
        reason: None,
        if_match: None,
        ask: Ask::Intake(Intake::Observation(Observation::ReadReport { report, asked, position })),
    };
    match ledger.submit(tenant, submission).await {
        Ok(_) => Ok(()),
        Err(SubmitError::DiskLow) => {
            metrics::counter!("seatledger_reads_untraced_total").increment(1);
            tracing::warn!(report = report.name(), "a report is read without a trace: the disk is nearly full");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
