//! Reads of what is bought and where: apps, syncs, what is held back, drift, accounts, tools.

use crate::audit::part::Wanted;
use crate::domain::ids::{AppId, DriftId, HeldId, SyncId};
use crate::domain::key::Provider;
use crate::domain::state::Drift;
use crate::domain::time::Time;
use crate::http::answers;
use crate::http::bodies::apps::AppBody;
use crate::http::bodies::syncs::{DriftBody, HeldBody, ProgressView, StoreAccountBody, SyncBody, SyncDetail, ToolBody};
use crate::http::contract::ReadProblems;
use crate::http::inputs::{Asked, Places};
use crate::http::problem::Problem;
use crate::http::reading::{Listed, Page, PageQuery, ReadQuery, Reading, tagged};
use crate::projection::View;
use crate::store::desk::Seen;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::ops::Bound;

/// So few pools are grouped as they are looked at.
const FEW_POOLS: usize = 100;
/// Pools may change while they are grouped; so often that is done anew beside the state, and then in it.
const GROUPINGS_MAX: usize = 3;

/// Has the pools grouped as they are now, where nobody has yet: many of them take long.
async fn group(reading: &Reading) -> Result<(), Problem> {
    let (caller, ledger) = (&reading.caller, &reading.caller.service.ledger);
    let is_quick = |view: &View| view.is_grouped() || view.state.pools.len() <= FEW_POOLS;
    for _ in 0..GROUPINGS_MAX {
        if reading.is_past() || ledger.read(caller.tenant, is_quick)? {
            break;
        }
        let (ledger, tenant) = (ledger.clone(), caller.tenant);
        let group = move || {
            if let Some(ungrouped) = ledger.read(tenant, View::ungrouped)? {
                ungrouped.group();
            }
            Ok(())
        };
        caller.at_length(group).await?;
    }
    Ok(())
}

/// The apps, oldest first: what belongs together is one entry.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/apps", tag = "apps",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<AppBody>), ReadProblems))]
pub(in crate::http) async fn apps(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    group(&reading).await?;
    reading
        .wanting(Wanted::Apps { from: AppId(0), count: 0 })
        .list(page, "", |view, after, limit| {
            let apps = view.apps();
            let after = after.and_then(|after| after.parse::<AppId>().ok());
            let from = after.map_or(AppId(0), |after| AppId(after.0.saturating_add(1)));
            Ok(Page::of(
                apps.iter_from(from),
                limit,
                |(app, _)| app.to_string(),
                |(app, pools)| AppBody::of(view, app, pools),
            ))
        })
        .await
}

/// One app with its pools. The id of an entry that merged into an older one leads there.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/apps/{app}", tag = "apps",
    params(("tenant" = String, Path), ("app" = String, Path), ReadQuery),
    responses((status = 200, body = AppBody), (status = 308, description = "The entry's older id, in Location"), ReadProblems))]
pub(in crate::http) async fn app(reading: Reading, places: Places<(String, String)>) -> Result<Response, Problem> {
    let Places((_, app)) = places;
    let asked: Option<AppId> = app.parse().ok();
    group(&reading).await?;
    let reading = reading.wanting(asked.map_or(Wanted::Pools, Wanted::App));
    let look = reading.look(move |view| {
        let apps = view.apps();
        let found = asked.and_then(|app| apps.entry(app));
        let entry = found.ok_or_else(|| Problem::new("app-not-found", "no app has this id"))?;
        if asked != Some(entry) {
            return Ok(Err(entry));
        }
        let pools = apps.pools(entry);
        let etag = pools.iter().map(|pool| view.state.pool(*pool).etag).max();
        Ok(Ok((AppBody::of(view, entry, pools), etag)))
    });
    match look.await? {
        (Ok((body, etag)), position) => tagged(&body, etag, position),
        (Err(older), position) => {
            let headers =
                [("seatledger-position", position.to_string()), (header::LOCATION.as_str(), reading.beside(&older))];
            Ok((StatusCode::PERMANENT_REDIRECT, headers).into_response())
        }
    }
}

/// The syncs, oldest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/syncs", tag = "syncs",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<SyncBody>), ReadProblems))]
pub(in crate::http) async fn syncs(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    reading
        .wanting(Wanted::Syncs)
        .list(page, "", |view, after, limit| {
            let from = after.and_then(|after| after.parse::<SyncId>().ok()).map_or(0, |after| after.index() + 1);
            Ok(Page::of(view.state.syncs.iter_from(from), limit, |sync| sync.id.to_string(), SyncBody::of))
        })
        .await
}

/// One sync: its result, what it skipped and why, and what the brake holds back of it.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/syncs/{sync}", tag = "syncs",
    params(("tenant" = String, Path), ("sync" = String, Path), ReadQuery),
    responses((status = 200, body = SyncDetail), ReadProblems))]
pub(in crate::http) async fn sync(reading: Reading, places: Places<(String, String)>) -> Result<Response, Problem> {
    let Places((_, sync)) = places;
    let id: Option<SyncId> = sync.parse().ok();
    let reading = reading.wanting(Wanted::Held);
    let look = reading.look(move |view| {
        let state = &view.state;
        let found = id.and_then(|id| state.syncs.get(id.index()));
        let sync = found.ok_or_else(|| Problem::new("sync-not-found", "no sync has this id"))?;
        let held = state.held.values().filter(|held| held.sync == Some(sync.id) && state.still_waits(held));
        let held: Vec<_> = held.map(|held| HeldBody::of(state, held)).collect();
        Ok((sync.clone(), held))
    });
    let ((sync, held), position) = look.await?;
    let etag = sync.ended_position.unwrap_or(sync.started_position);
    let (caller, is_past) = (reading.caller.clone(), reading.is_past());
    let read = move || {
        let skipped = answers::skipped_by(&caller, &sync)?;
        let progress = caller.service.stores.seen(caller.tenant, sync.provider).filter(|_| !is_past);
        let progress = progress.and_then(|seen| ProgressView::of(&seen, sync.id));
        Ok::<_, Problem>(SyncDetail { sync: SyncBody::of(&sync), progress, skipped, held, position: None })
    };
    let body = tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))??;
    tagged(&body, Some(etag), position)
}

/// What the store and the ledger differ on, also what was resolved, oldest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/drift", tag = "syncs",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<DriftBody>), ReadProblems))]
pub(in crate::http) async fn drift(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    // in the past it was as old as it was then
    let then = {
        let reading = reading.clone();
        tokio::task::spawn_blocking(move || reading.asked_time()).await.map_err(|error| Problem::internal(&error))??
    };
    let now = then.unwrap_or_else(|| reading.caller.service.ledger.clock().now());
    reading
        .wanting(Wanted::Syncs)
        .list(page, "", move |view, after, limit| {
            // on a later page as old as on the first
            let place = after.and_then(|after| {
                let (drift, now) = after.split_once('@')?;
                Some((drift.parse::<DriftId>().ok()?.index() + 1, Time(now.parse().ok()?)))
            });
            let (from, now) = place.unwrap_or((0, now));
            let rest = view.state.drifts.iter_from(from);
            let key = |drift: &&Drift| format!("{}@{}", drift.id, now.0);
            Ok(Page::of(rest, limit, key, |drift| DriftBody::of(&view.state, drift, now)))
        })
        .await
}

/// What the brake holds back of the directory's changes until a person confirms it.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/directory/held", tag = "directory",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<HeldBody>), ReadProblems))]
pub(in crate::http) async fn held(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    reading
        .wanting(Wanted::Held)
        .list(page, "", |view, after, limit| {
            let after = after.and_then(|after| after.parse::<HeldId>().ok());
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let state = &view.state;
            let rest = state.held.range((from, Bound::Unbounded)).map(|(_, held)| held);
            let rest = rest.filter(|held| held.is_of_the_directory() && state.still_waits(held));
            Ok(Page::of(rest, limit, |held| held.id.to_string(), |held| HeldBody::of(state, held)))
        })
        .await
}

/// How the connectors stand; they have no past.
fn connectors(reading: &Reading) -> BTreeMap<Provider, Seen> {
    if reading.is_past() {
        return BTreeMap::new();
    }
    let (stores, tenant) = (&reading.caller.service.stores, reading.caller.tenant);
    Provider::ALL.into_iter().filter_map(|provider| Some((provider, stores.seen(tenant, provider)?))).collect()
}

/// The linked store accounts.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/store-accounts", tag = "stores",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<StoreAccountBody>), ReadProblems))]
pub(in crate::http) async fn store_accounts(
    reading: Reading,
    Asked(page): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let connectors = connectors(&reading);
    reading
        .wanting(Wanted::Tenant)
        .list(page, "", move |view, after, limit| {
            let after = after.and_then(|after| after.parse::<Provider>().ok());
            let rest = Provider::ALL.into_iter().filter(|provider| after.is_none_or(|after| *provider > after));
            let linked = rest.filter_map(|provider| Some((provider, StoreAccountBody::of(&view.state, provider)?)));
            let shown =
                |(provider, (body, _)): (Provider, (StoreAccountBody, u64))| body.with(connectors.get(&provider));
            Ok(Page::of(linked, limit, |(provider, _)| provider.name().to_owned(), shown))
        })
        .await
}

/// The account that the tenant is linked to at a provider.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/store-accounts/{provider}", tag = "stores",
    params(("tenant" = String, Path), ("provider" = String, Path), ReadQuery),
    responses((status = 200, body = StoreAccountBody), ReadProblems))]
pub(in crate::http) async fn store_account(
    reading: Reading,
    places: Places<(String, String)>,
) -> Result<Response, Problem> {
    let Places((_, provider)) = places;
    let connectors = connectors(&reading);
    reading
        .wanting(Wanted::Tenant)
        .one(move |view| {
            let found = provider.parse().ok().and_then(|provider| {
                let (body, etag) = StoreAccountBody::of(&view.state, provider)?;
                Some((body.with(connectors.get(&provider)), etag))
            });
            let linked = found.map(|(body, etag)| (body, Some(etag)));
            linked.ok_or_else(|| Problem::new("store-account-not-found", "no account of this provider is linked"))
        })
        .await
}

/// The management tools, also those that were deactivated.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/tools", tag = "stores",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<ToolBody>), ReadProblems))]
pub(in crate::http) async fn tools(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    reading
        .wanting(Wanted::Tenant)
        .list(page, "", |view, after, limit| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rest = view.state.tools.range::<str, _>((from, Bound::Unbounded));
            Ok(Page::of(rest, limit, |(tool, _)| (*tool).clone(), |(tool, entry)| ToolBody::of(tool, entry)))
        })
        .await
}
