//! Heads with the timestamp of an authority outside (RFC 3161). Not here: asking for one (`cli::timestamp`).

use super::log::blocking;
use crate::http::auth::Caller;
use crate::http::contract::ReadProblems;
use crate::http::inputs::Asked;
use crate::http::problem::Problem;
use crate::http::reading::shown;
use crate::ledger::evidence::Stamp;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct TimestampsQuery {
    /// The last day (UTC) to answer; 100 days at once, so that the day before the oldest one asks for more
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Date>,
}

/// A head that was set aside on a day, and its timestamp
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TimestampBody {
    /// The day (UTC) on which the head was set aside
    #[schema(value_type = String, format = Date)]
    date: String,
    /// How many records it covers
    size: u64,
    /// The signed head: exactly these bytes are stamped
    checkpoint: String,
    /// The authority's TimeStampResp, base64 of DER: `openssl ts -verify` takes it. Null while it is waited for
    response: Option<String>,
    /// The time in it
    #[schema(value_type = Option<String>, format = DateTime)]
    stamped_at: Option<String>,
}

/// The tenant's heads with their timestamps
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TimestampsBody {
    /// Newest first
    timestamps: Vec<TimestampBody>,
    position: u64,
}

/// One head for each day on which the history grew, with the answer of the authority that the service asks for timestamps
/// (RFC 3161). Empty without one.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/timestamps", tag = "log",
    params(("tenant" = String, Path), TimestampsQuery),
    responses((status = 200, body = TimestampsBody), ReadProblems))]
pub(in crate::http) async fn log_timestamps(
    caller: Caller,
    Asked(query): Asked<TimestampsQuery>,
) -> Result<Response, Problem> {
    blocking(move || {
        let ledger = &caller.service.ledger;
        let position = ledger.head(caller.tenant)?;
        let timestamps = ledger.timestamps(caller.tenant, query.to)?.into_iter().map(body).collect();
        shown(position, &TimestampsBody { timestamps, position })
    })
    .await
}

fn body(stamp: Stamp) -> TimestampBody {
    let (response, stamped_at) = stamp.response.map(|(bytes, time)| (STANDARD.encode(bytes), time.to_string())).unzip();
    TimestampBody { date: stamp.date.to_string(), size: stamp.size, checkpoint: stamp.note, response, stamped_at }
}
