//! The invariant certificate: one signed file about a period, for who will count it again elsewhere. Here: what is asked and
//! recorded. Not here: what it says (`audit::certificate`).

use super::reports::{LookedUp, ReportQuery};
use crate::audit::certificate::{CertificateError, certificate as certified};
use crate::audit::reports::Report;
use crate::domain::report::ReportName;
use crate::http::contract::ReadProblems;
use crate::http::inputs::Asked;
use crate::http::problem::Problem;
use crate::http::reading::Reading;
use crate::http::traces;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct CertificateQuery {
    /// The first position that counts, or the time from which on
    #[param(max_length = 64)]
    from: Option<String>,
    /// The last position that counts, or the time until which
    #[param(max_length = 64)]
    to: Option<String>,
    /// Of one pool alone
    #[param(max_length = 512)]
    pool: Option<String>,
    /// Wait until this position can be read, at most 5 s
    #[param(value_type = Option<u64>)]
    #[expect(dead_code, reason = "for the contract; every read waits for it")]
    at_least: Option<String>,
}

/// Whether the cap held in a period, as a signed file that anybody can count again from the log's tiles, without us: a signed
/// note of the two heads, of each pool's extremes, grants and refusals, and of every time above the cap with its cause. Its
/// key is the log's under the name `<origin>/certificate`; `seatledger verify-certificate` checks everything that it says.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/reports/certificate", tag = "reports",
    params(("tenant" = String, Path), CertificateQuery),
    responses((status = 200, body = String, content_type = "text/plain"), ReadProblems))]
pub(in crate::http) async fn certificate(
    reading: Reading,
    Asked(query): Asked<CertificateQuery>,
) -> Result<Response, Problem> {
    let CertificateQuery { from, to, pool, .. } = query;
    let query = ReportQuery { from, to, pool, ..ReportQuery::default() };
    // it is asked as the list of the same figures is
    let asked_as = Report::find(ReportName::Cap).ok_or_else(|| Problem::internal(&"a report is not in the table"))?;
    let place = reading.caller.service.exports.take(Some(reading.caller.tenant))?;
    let caller = reading.caller.clone();
    let looked_up = caller.look_back(move || LookedUp::of(&reading, asked_as, &query, None)).await?;
    traces::report_read(&caller, ReportName::Certificate, looked_up.traced, looked_up.position).await?;
    let asking = caller.clone();
    let sign = move || {
        let _place = place;
        let looked_up = looked_up.settled(&caller, asked_as)?;
        let (asked, position) = (looked_up.asked, looked_up.position);
        let slug = caller.service.ledger.read(caller.tenant, |view| view.state.slug.clone())?;
        let note = certified(&looked_up.source(&caller), &asked)?;
        let name = format!("{slug}-certificate-{}-{position}.txt", asked.first);
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
            (HeaderName::from_static("seatledger-position"), position.to_string()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        ];
        Ok((headers, note.to_string()).into_response())
    };
    asking.look_back(sign).await
}

impl From<CertificateError> for Problem {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::Report(error) => error.into(),
            CertificateError::Read(error) => error.into(),
            CertificateError::TooLong => Self::new("certificate-too-large", error.to_string()),
        }
    }
}
