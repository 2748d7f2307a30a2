//! The log for strangers: signed heads, tiles, proofs, in the open formats of C2SP and RFC 9162. Not here: making them
//! (`ledger::evidence`).

use crate::http::auth::Caller;
use crate::http::contract::{Binary, ReadProblems};
use crate::http::inputs::{Asked, Places};
use crate::http::problem::Problem;
use crate::http::reading::shown;
use crate::ledger::evidence::{Hash, KeyRange, SignedHead, TileAddress, TileError};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

const TEXT: &str = "text/plain; charset=utf-8";
const POSITION: HeaderName = HeaderName::from_static("seatledger-position");
/// What was once in a tile stays as it is; but it is a tenant's, and nothing for a cache that others share.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct HeadQuery {
    /// A head that covers this position: waits until it can be read, at most 5 s, and signs one if the last covers less
    at_least: Option<u64>,
    /// `true` asks for the last head that has the quorum of the service's witnesses, and for no other one
    cosigned: Option<bool>,
}

/// The last signed head of the tenant's history: a C2SP tlog-checkpoint, a note signed with Ed25519.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/checkpoint", tag = "log",
    params(("tenant" = String, Path), HeadQuery),
    responses((status = 200, body = String, content_type = "text/plain"), ReadProblems))]
pub(in crate::http) async fn log_checkpoint(
    caller: Caller,
    Asked(query): Asked<HeadQuery>,
) -> Result<Response, Problem> {
    if let Some(position) = query.at_least {
        caller.reach(position).await?;
    }
    blocking(move || {
        let ledger = &caller.service.ledger;
        let head = match query.at_least {
            at_least if query.cosigned == Some(true) => cosigned(&caller, at_least.unwrap_or(0))?,
            Some(position) => ledger.signed_over(caller.tenant, position.saturating_add(1))?,
            None => ledger.signed_head(caller.tenant)?,
        };
        Ok(text(head.size - 1, head.note.clone()))
    })
    .await
}

/// The last head with a quorum, if it covers the position.
fn cosigned(caller: &Caller, position: u64) -> Result<Arc<SignedHead>, Problem> {
    let ledger = &caller.service.ledger;
    let head = ledger.head(caller.tenant)?;
    let cosigned = ledger.cosigned_head(caller.tenant).filter(|cosigned| cosigned.size > position);
    cosigned.ok_or_else(|| {
        let what = format!("no head that covers position {position} has been cosigned by enough witnesses yet");
        Problem::new("head-not-cosigned", what).at(head)
    })
}

/// The key that checks the tenant's heads of today, as C2SP signed-note writes it. Keep it apart from what it checks.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/key", tag = "log",
    params(("tenant" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), ReadProblems))]
pub(in crate::http) async fn log_key(caller: Caller) -> Result<Response, Problem> {
    let ledger = &caller.service.ledger;
    let position = ledger.head(caller.tenant)?;
    let key = ledger.verifier_key(caller.tenant)?;
    Ok(text(position, format!("{key}\n")))
}

/// A key and the heads that it signs
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct LogKeyBody {
    /// As C2SP signed-note writes verifier keys
    key: String,
    /// It signs heads over at least so many records
    from_size: u64,
    /// And at most so many; null for the key of today
    to_size: Option<u64>,
    /// The head over `to_size` records, signed by this key and by the next, which names both behind its root, so that who
    /// trusts one can trust the other. Null for the key of today, and for one that was lost
    handover: Option<String>,
}

/// The keys of the tenant's heads, oldest first
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct LogKeysBody {
    keys: Vec<LogKeyBody>,
    position: u64,
}

/// Every key that signed the tenant's heads, with the sizes that it signs and what hands over to the next. Begin with the key
/// that you have: what this list says is only as good as the signatures in it.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/keys", tag = "log",
    params(("tenant" = String, Path)),
    responses((status = 200, body = LogKeysBody), ReadProblems))]
pub(in crate::http) async fn log_keys(caller: Caller) -> Result<Response, Problem> {
    blocking(move || {
        let ledger = &caller.service.ledger;
        let position = ledger.head(caller.tenant)?;
        let of = |range: &KeyRange| LogKeyBody {
            key: range.key.to_string(),
            from_size: range.from_size,
            to_size: range.to_size,
            handover: range.handover.clone(),
        };
        let keys = ledger.log_keys(caller.tenant)?.ranges().iter().map(of).collect();
        shown(position, &LogKeysBody { keys, position })
    })
    .await
}

/// A tile of the tenant's tree as C2SP tlog-tiles has it: up to 256 hashes of 32 bytes. A full one has an index as in
/// `x001/234`, a partial one its width behind it, as in `x001/234.p/17`.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/tile/{level}/{*index}", tag = "log",
    params(("tenant" = String, Path), ("level" = String, Path), ("index" = String, Path)),
    responses((status = 200, body = Binary, content_type = "application/octet-stream"), ReadProblems))]
pub(in crate::http) async fn log_tile(
    caller: Caller,
    places: Places<(String, String, String)>,
) -> Result<Response, Problem> {
    let Places((_, level, index)) = places;
    tile(caller, TileAddress::parse(&level, &index)).await
}

/// The records under a tile of level 0, each with its length before it as two bytes, the higher first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/tile/entries/{*index}", tag = "log",
    params(("tenant" = String, Path), ("index" = String, Path)),
    responses((status = 200, body = Binary, content_type = "application/octet-stream"), ReadProblems))]
pub(in crate::http) async fn log_entries(
    caller: Caller,
    places: Places<(String, String)>,
) -> Result<Response, Problem> {
    let Places((_, index)) = places;
    tile(caller, TileAddress::parse("entries", &index)).await
}

async fn tile(caller: Caller, address: Result<TileAddress, TileError>) -> Result<Response, Problem> {
    let address = address.map_err(|error| Problem::unreadable(error.to_string()))?;
    blocking(move || {
        let ledger = &caller.service.ledger;
        let head = ledger.head(caller.tenant)?;
        let bytes = ledger.tile(caller.tenant, &address)?.ok_or_else(|| {
            Problem::new("tile-not-found", format!("{address} is not there; the head is {head}")).at(head)
        })?;
        let last = address.leaves_needed().map_or(head, |leaves| leaves - 1);
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CACHE_CONTROL, FOR_EVER.to_owned()),
            (POSITION, last.to_string()),
        ];
        Ok((headers, bytes).into_response())
    })
    .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ProofQuery {
    /// `true` asks for a proof in the last head that has the quorum of the service's witnesses
    cosigned: Option<bool>,
}

/// The record at a position and the proof that it is in a signed head: a C2SP tlog-proof with the record's bytes as its
/// extra data. Whoever has this file and the log's key needs nothing else, and not us.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/proofs/{position}", tag = "log",
    params(("tenant" = String, Path), ("position" = u64, Path), ProofQuery),
    responses((status = 200, body = String, content_type = "text/plain"), ReadProblems))]
pub(in crate::http) async fn log_proof(
    caller: Caller,
    places: Places<(String, u64)>,
    Asked(query): Asked<ProofQuery>,
) -> Result<Response, Problem> {
    let Places((slug, position)) = places;
    blocking(move || {
        let ledger = &caller.service.ledger;
        let (proof, size) = if query.cosigned == Some(true) {
            ledger.proof_in(caller.tenant, position, &*cosigned(&caller, position)?)?
        } else {
            ledger.proof(caller.tenant, position)?
        };
        let headers = [
            (header::CONTENT_TYPE, TEXT.to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{slug}-{position}.tlog-proof\"")),
            (POSITION, (size - 1).to_string()),
        ];
        Ok((headers, proof.to_string()).into_response())
    })
    .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ConsistencyQuery {
    /// How many records the older head covers
    from: u64,
    /// How many the newer one does; without it, the last signed head
    to: Option<u64>,
}

/// That a history goes on from what it was
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ConsistencyBody {
    from: u64,
    to: u64,
    /// Base64, as in a checkpoint
    from_root: String,
    to_root: String,
    /// The proof of RFC 9162 section 2.1.4, base64; empty from 0 records, or where both are the same
    hashes: Vec<String>,
    position: u64,
}

/// The proof that nothing was changed or taken away between two heads (RFC 9162): the newer one begins with the older.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/consistency", tag = "log",
    params(("tenant" = String, Path), ConsistencyQuery),
    responses((status = 200, body = ConsistencyBody), ReadProblems))]
pub(in crate::http) async fn log_consistency(
    caller: Caller,
    Asked(query): Asked<ConsistencyQuery>,
) -> Result<Response, Problem> {
    let ConsistencyQuery { from, to } = query;
    if to.is_some_and(|to| from > to) {
        return Err(Problem::meaningless("from is above to: the older head comes first"));
    }
    blocking(move || {
        let proof = caller.service.ledger.consistency(caller.tenant, from, to)?;
        let encoded = |hash: &Hash| STANDARD.encode(hash);
        let position = proof.to.saturating_sub(1);
        let body = ConsistencyBody {
            from: proof.from,
            to: proof.to,
            from_root: encoded(&proof.from_root),
            to_root: encoded(&proof.to_root),
            hashes: proof.path.iter().map(encoded).collect(),
            position,
        };
        shown(position, &body)
    })
    .await
}

/// A text that speaks of a position.
pub(super) fn text(position: u64, text: String) -> Response {
    ([(header::CONTENT_TYPE, TEXT.to_owned()), (POSITION, position.to_string())], text).into_response()
}

pub(super) async fn blocking(
    answer: impl FnOnce() -> Result<Response, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    tokio::task::spawn_blocking(answer).await.map_err(|error| Problem::internal(&error))?
}
