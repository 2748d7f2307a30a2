//! Pools: their policy, their seats one by one, refunds, deficits.

use crate::audit::part::Wanted;
use crate::domain::plan::PlanRank;
use crate::http::auth::Caller;
use crate::http::bodies::pools::PoolBody;
use crate::http::contract::ReadProblems;
use crate::http::contract::{CommandAnswer, CommandHeaders, CommandProblems, IfMatchHeader, IfMatchProblems};
use crate::http::door::Door;
use crate::http::inputs::{Asked, Body, Places};
use crate::http::problem::Problem;
use crate::http::reading::{Listed, Page, PageQuery, ReadQuery, Reading, seen};
use crate::http::refs;
use crate::http::reply::Reply;
use crate::http::wire::bodies::{OfflineLicenseBody, PolicyBody, RefundBody};
use crate::http::wire::kind::Kind;
use crate::projection::View;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

/// So few seats are ranked as they are looked at.
const FEW_SEATS: usize = if cfg!(test) { 1 } else { 500 };

/// Changes a pool's policy; what is not named stays, null sets back.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/pools/{pool}/policy", tag = "pools",
    params(("tenant" = String, Path), ("pool" = String, Path), CommandHeaders, IfMatchHeader),
    request_body = PolicyBody,
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn set_policy(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, pool)) = places;
    door.command(Kind::SetPolicy, [("pool", pool)], body).await
}

/// Gives seats back to the store.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/pools/{pool}/refunds", tag = "pools",
    params(("tenant" = String, Path), ("pool" = String, Path), CommandHeaders),
    request_body = RefundBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn refund(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, pool)) = places;
    door.command(Kind::Refund, [("pool", pool)], body).await
}

/// Records that an offline license was carried off.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/pools/{pool}/offline-licenses", tag = "pools",
    params(("tenant" = String, Path), ("pool" = String, Path), CommandHeaders),
    request_body = OfflineLicenseBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn issue_offline_license(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, pool)) = places;
    door.command(Kind::IssueOfflineLicense, [("pool", pool)], body).await
}

/// Carries the deficit plan out.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/pools/{pool}/deficit/resolve", tag = "pools",
    params(("tenant" = String, Path), ("pool" = String, Path), CommandHeaders),
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn resolve_deficit(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, pool)) = places;
    door.command(Kind::ResolveDeficit, [("pool", pool)], body).await
}

/// Takes a seat back from its holder.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/pools/{pool}/seats/{holder}/reclaim", tag = "seats",
    params(("tenant" = String, Path), ("pool" = String, Path), ("holder" = String, Path), CommandHeaders),
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn reclaim(
    door: Door,
    places: Places<(String, String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, pool, holder)) = places;
    door.command(Kind::Reclaim, [("pool", pool), ("holder", holder)], body).await
}

/// Makes a foreign seat ours.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/pools/{pool}/seats/{holder}/adopt", tag = "seats",
    params(("tenant" = String, Path), ("pool" = String, Path), ("holder" = String, Path), CommandHeaders),
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn adopt(
    door: Door,
    places: Places<(String, String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, pool, holder)) = places;
    door.command(Kind::Adopt, [("pool", pool), ("holder", holder)], body).await
}

/// Gives an offered or lapsed seat.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/pools/{pool}/seats/{holder}/grant", tag = "seats",
    params(("tenant" = String, Path), ("pool" = String, Path), ("holder" = String, Path), CommandHeaders),
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn grant(
    door: Door,
    places: Places<(String, String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, pool, holder)) = places;
    door.command(Kind::Grant, [("pool", pool), ("holder", holder)], body).await
}

/// The ordered plan for getting back under the cap; carries nothing out.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/pools/{pool}/deficit/plan", tag = "pools",
    params(("tenant" = String, Path), ("pool" = String, Path), ReadQuery),
    responses((status = 200, body = DeficitPlanBody), ReadProblems))]
pub(in crate::http) async fn deficit_plan(
    reading: Reading,
    places: Places<(String, String)>,
) -> Result<Response, Problem> {
    let Places((_, pool)) = places;
    let pool = refs::pool(&pool)?;
    let is_short = |view: &View| {
        let found = refs::pool_in(&view.state, &pool).map(|id| view.state.pool(id));
        found.map_or(true, |pool| pool.over_by() <= pool.releasing || pool.seats.len() <= FEW_SEATS)
    };
    let is_short = !reading.is_past() && reading.caller.service.ledger.read(reading.caller.tenant, is_short)?;
    let reading = reading.wanting(Wanted::DeficitPlan(pool.clone()));
    let plan = move |view: &View| {
        let id = refs::pool_in(&view.state, &pool)?;
        let plan = view.state.deficit_plan(id);
        let seats =
            plan.seats.into_iter().map(|(holder, rank)| PlannedSeat { holder: holder.to_string(), rank }).collect();
        let over_by = view.state.pool(id).over_by();
        let (pool, uncovered_by) = (id.to_string(), plan.uncovered_by);
        Ok((DeficitPlanBody { pool, over_by, seats, uncovered_by, position: 0 }, None))
    };
    if is_short { reading.one(plan).await } else { reading.one_at_length(plan).await }
}

/// Seats to take, in order, and what that can't reach
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct DeficitPlanBody {
    pool: String,
    over_by: u64,
    seats: Vec<PlannedSeat>,
    uncovered_by: u64,
    position: u64,
}

#[derive(Serialize, ToSchema)]
struct PlannedSeat {
    holder: String,
    #[schema(value_type = String)]
    rank: PlanRank,
}

/// The pools, in the order in which they were listed.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools", tag = "pools",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<PoolBody>), ReadProblems))]
pub(in crate::http) async fn pools(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    reading
        .wanting(Wanted::Pools)
        .list(page, "", |view, after, limit| {
            let from = after.and_then(|after| after.parse::<usize>().ok()).map_or(0, |after| after.saturating_add(1));
            let rest = view.state.pools.iter().skip(from);
            Ok(Page::of(rest, limit, |pool| pool.id.index().to_string(), |pool| PoolBody::of(view, pool)))
        })
        .await
}

/// One pool, with its figures.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools/{pool}", tag = "pools",
    params(("tenant" = String, Path), ("pool" = String, Path), ReadQuery),
    responses((status = 200, body = PoolBody), ReadProblems))]
pub(in crate::http) async fn pool(reading: Reading, places: Places<(String, String)>) -> Result<Response, Problem> {
    let Places((_, pool)) = places;
    let pool = refs::pool(&pool)?;
    reading
        .wanting(Wanted::Pool(pool.clone()))
        .one(move |view| {
            let pool = view.state.pool(refs::pool_in(&view.state, &pool)?);
            Ok((PoolBody::of(view, pool), Some(pool.etag)))
        })
        .await
}

/// The same of what is so now, written straight into the body.
pub(in crate::http) fn pool_now(caller: &Caller, pool: &str) -> Result<Reply, Problem> {
    let pool = refs::pool(pool)?;
    let look = |view: &View| {
        let pool = view.state.pool(refs::pool_in(&view.state, &pool)?);
        Ok((PoolBody::of(view, pool), pool.etag))
    };
    let ((body, etag), position) = caller.service.ledger.read(caller.tenant, |view| seen(view, look))??;
    Ok(Reply { etag: Some(etag), ..Reply::at(StatusCode::OK, position, body.written(position)) })
}
