//! Who cosigns the tenant's heads, how many of them must, and how they are. Not here: asking them (`cli::cosign`).

use super::log::{blocking, text};
use crate::http::auth::Caller;
use crate::http::contract::ReadProblems;
use crate::http::problem::Problem;
use crate::http::reading::shown;
use crate::ledger::evidence::WitnessTrouble;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

/// A witness and the tenant's heads
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WitnessBody {
    name: String,
    /// As C2SP signed-note writes verifier keys
    key: String,
    /// The last size that it cosigned since the service started
    cosigned_size: Option<u64>,
    /// `well`, `silent` or `refuses`, as of the last time that it was asked; `not-asked` before
    state: &'static str,
    /// What it said, or what became of asking
    why: Option<String>,
}

/// The witnesses of the tenant's heads
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WitnessesBody {
    witnesses: Vec<WitnessBody>,
    /// How many records the last head covers that has its quorum; null without one
    cosigned_size: Option<u64>,
    position: u64,
}

/// Who is asked to cosign the tenant's heads, and what became of it. A witness that refuses has been shown another history.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/witnesses", tag = "log",
    params(("tenant" = String, Path)),
    responses((status = 200, body = WitnessesBody), ReadProblems))]
pub(in crate::http) async fn log_witnesses(caller: Caller) -> Result<Response, Problem> {
    let ledger = &caller.service.ledger;
    let position = ledger.head(caller.tenant)?;
    let witnesses = ledger.witness_states(caller.tenant).into_iter().map(|state| {
        let (is, why) = match state.trouble {
            None if state.cosigned_size.is_none() => ("not-asked", None),
            None => ("well", None),
            Some(WitnessTrouble::Silent(why)) => ("silent", Some(why)),
            Some(WitnessTrouble::Refuses(why)) => ("refuses", Some(why)),
        };
        let (name, key) = (state.key.name().to_owned(), state.key.to_string());
        WitnessBody { name, key, cosigned_size: state.cosigned_size, state: is, why }
    });
    let cosigned_size = ledger.cosigned_head(caller.tenant).map(|head| head.size);
    shown(position, &WitnessesBody { witnesses: witnesses.collect(), cosigned_size, position })
}

/// What the service asks of its own heads, as C2SP tlog-policy writes it: every key of the log, the witnesses, and how many of
/// them must have cosigned. For `seatledger check` and other tools; keys that matter come from who has them, and not from here.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/policy", tag = "log",
    params(("tenant" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), ReadProblems))]
pub(in crate::http) async fn log_policy(caller: Caller) -> Result<Response, Problem> {
    blocking(move || {
        let ledger = &caller.service.ledger;
        let position = ledger.head(caller.tenant)?;
        Ok(text(position, ledger.witness_policy(caller.tenant)?))
    })
    .await
}
