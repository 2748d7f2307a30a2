//! Tenants, their settings and credentials, and the clock.

use crate::audit::hindsight::Moment;
use crate::audit::part::Wanted;
use crate::domain::command::{Actor, Command, Door as Through, Intake};
use crate::domain::facts::Role;
use crate::domain::ids::TokenId;
use crate::domain::time::Time;
use crate::http::answers::{self, fields_of};
use crate::http::auth::{self, Caller, Root};
use crate::http::contract::{CommandAnswer, CommandHeaders, CommandProblems, ReadProblems};
use crate::http::door::{Door, answered, without_condition, without_key};
use crate::http::inputs::{Asked, Body, Places, shaped};
use crate::http::problem::Problem;
use crate::http::reading::{Listed, Page, PageQuery, Place, ReadQuery, Reading};
use crate::http::wire::bodies::{ClockBody, SettingsBody, TenantBody, TokenBody};
use crate::http::wire::kind::Kind;
use crate::http::wire::words;
use crate::ledger::{Ask, Submission};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;

/// Of what is not judged in a tenant's history.
const NO_RECEIPT: &str = "nothing keeps its answer";
const SLUG_CHARS_MAX: usize = 63;
/// A clock that was advanced behind this, the year 9000, is advanced no further.
const LATEST_MICROS: i64 = 221_845_392_000_000_000;

/// One organization
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(in crate::http) struct TenantView {
    tenant: String,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    position: u64,
}

/// A page of the tenants. It is of no tenant's history, and so of no position
#[derive(Serialize, ToSchema)]
#[schema(as = Tenants)]
pub(in crate::http) struct TenantsBody {
    items: Vec<TenantView>,
    /// For the next page; null at the end
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Small letters, digits and hyphens: it stands in every path.
fn is_slug(text: &str) -> bool {
    (1..=SLUG_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Creates a tenant, or renames it.
#[utoipa::path(put, path = "/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "Small letters, digits, hyphens", pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")),
    request_body = TenantBody,
    responses((status = 200, body = TenantView), (status = 201, body = TenantView), CommandProblems))]
pub(in crate::http) async fn put_tenant(
    Root { service }: Root,
    Places(slug): Places<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    without_condition(&headers)?;
    without_key(&headers, NO_RECEIPT)?;
    let TenantBody { name } = shaped(body.fields()?)?;
    if !is_slug(&slug) {
        return Err(Problem::meaningless(
            "a tenant's name is 1 to 63 small letters, digits and hyphens, with no hyphen at an end",
        ));
    }
    let (tenant, outcome) = service.ledger.create_tenant(Actor::Root, Through::Http, &slug, &name.0).await?;
    let status = if outcome.answer.is_created { StatusCode::CREATED } else { StatusCode::OK };
    let (created_at, name) = service.ledger.read(tenant, |view| (view.state.created_at, view.state.name.clone()))?;
    let body = fields_of(json!({"tenant": slug, "name": name, "created_at": created_at}));
    Ok(answered(status, outcome.position, body).into_response())
}

/// The tenants, in the order in which they were created.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", params(PageQuery),
    responses((status = 200, body = TenantsBody), ReadProblems))]
pub(in crate::http) async fn tenants(
    Root { service }: Root,
    Asked(page): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let place = Place::at("/v1/tenants", page, "")?;
    let after = place.cursor().and_then(|(_, after)| after.parse::<u32>().ok());
    let all = service.ledger.tenants();
    let rest = all.iter().filter(|(tenant, _)| after.is_none_or(|after| tenant.0 > after));
    let page = Page::of(
        rest,
        place.limit(),
        |(tenant, _)| tenant.0.to_string(),
        |(tenant, slug)| {
            service.ledger.read(*tenant, |view| TenantView {
                tenant: slug.clone(),
                name: view.state.name.clone(),
                created_at: view.state.created_at,
                position: view.state.next_position.saturating_sub(1),
            })
        },
    );
    let items = page.items.into_iter().collect::<Result<Vec<_>, _>>()?;
    // they are in one order for good, so that a cursor is of no moment
    let (next_cursor, headers) = place.onward(page.next, Moment::at(0));
    Ok((headers, axum::Json(TenantsBody { items, next_cursor })).into_response())
}

/// One tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path), ReadQuery),
    responses((status = 200, body = TenantView), ReadProblems))]
pub(in crate::http) async fn tenant(reading: Reading) -> Result<Response, Problem> {
    reading
        .wanting(Wanted::Tenant)
        .one(|view| {
            let state = &view.state;
            let (tenant, name, created_at) = (state.slug.clone(), state.name.clone(), state.created_at);
            Ok((TenantView { tenant, name, created_at, position: 0 }, None))
        })
        .await
}

/// A tenant's settings
#[derive(Serialize, ToSchema)]
#[schema(as = Settings)]
pub(in crate::http) struct SettingsView {
    language: String,
    sync_enabled: bool,
    departure_grace_days: u32,
    return_window_days: u32,
    brake: BrakeView,
    position: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Brake)]
struct BrakeView {
    share: u32,
    at_least: u64,
}

/// The tenant's settings.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/settings", tag = "tenants", params(("tenant" = String, Path), ReadQuery),
    responses((status = 200, body = SettingsView), ReadProblems))]
pub(in crate::http) async fn settings(reading: Reading) -> Result<Response, Problem> {
    reading
        .wanting(Wanted::Tenant)
        .one(|view| {
            let settings = &view.state.settings;
            let body = SettingsView {
                language: settings.language.clone(),
                sync_enabled: settings.sync_enabled,
                departure_grace_days: settings.departure_grace_days,
                return_window_days: settings.return_window_days,
                brake: BrakeView { share: settings.brake.share_percent, at_least: settings.brake.at_least },
                position: 0,
            };
            Ok((body, None))
        })
        .await
}

/// Changes the tenant's settings; what is not named stays.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/settings", tag = "tenants",
    params(("tenant" = String, Path), CommandHeaders), request_body = SettingsBody,
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn change_settings(door: Door, body: Body) -> Result<Response, Problem> {
    door.command(Kind::ChangeSettings, [], body).await
}

/// A new token; it is shown this once
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct NewToken {
    token_id: String,
    token: String,
    position: u64,
}

/// Makes a token. It is shown in this answer and never again, so the call takes no idempotency key.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/tokens", tag = "tokens", params(("tenant" = String, Path)),
    request_body = TokenBody, responses((status = 201, body = NewToken), CommandProblems))]
pub(in crate::http) async fn issue_token(caller: Caller, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let fields = body.fields()?;
    caller.must_be(&[])?;
    without_condition(&headers)?;
    without_key(&headers, "a token is shown once")?;
    let TokenBody { name, role, expires_at } = shaped(fields)?;
    // the number in the token is a guess at its id: whoever else makes one in this moment is told to try again
    let _turn = caller.service.tokens.lock().await;
    caller.must_be_good()?;
    let next = caller.service.ledger.read(caller.tenant, |view| view.state.tokens.len())?;
    let token = auth::new_token(caller.tenant, TokenId::at(next))?;
    let ask = Command::IssueToken { name: name.0, role, hash: auth::hash_of(&token), expires_at };
    let submission = Submission {
        actor: caller.actor,
        door: Through::Http,
        command_id: None,
        content_hash: 0,
        occurred_at: None,
        reason: None,
        if_match: None,
        ask: Ask::Intake(Intake::Command(ask)),
    };
    let outcome = caller.service.ledger.submit(caller.tenant, submission).await?;
    if let Some(rejection) = &outcome.answer.rejection {
        return Err(answers::refused(rejection, outcome.position, &[]));
    }
    if outcome.answer.token != Some(TokenId::at(next)) {
        return Err(Problem::internal(&"two tokens were made at once"));
    }
    let body = fields_of(json!({"token_id": outcome.answer.token, "token": token}));
    Ok(answered(StatusCode::CREATED, outcome.position, body).into_response())
}

/// A token, without its secret
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(in crate::http) struct TokenView {
    token_id: String,
    name: String,
    #[schema(value_type = words::Role)]
    role: Role,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
    revoked: bool,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
}

/// The tokens of the tenant, without their secrets.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/tokens", tag = "tokens",
    params(("tenant" = String, Path), ReadQuery, PageQuery), responses((status = 200, body = Listed<TokenView>), ReadProblems))]
pub(in crate::http) async fn tokens(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    reading.caller.must_be(&[Role::Auditor])?;
    reading
        .wanting(Wanted::Tenant)
        .list(page, "", |view, after, limit| {
            let from = after.and_then(|after| after.parse::<usize>().ok()).map_or(0, |after| after.saturating_add(1));
            let show = |token: &crate::domain::state::Token| TokenView {
                token_id: token.id.to_string(),
                name: token.name.clone(),
                role: token.role,
                expires_at: token.expires_at,
                revoked: token.is_revoked,
                since: token.since,
            };
            Ok(Page::of(view.state.tokens.iter().skip(from), limit, |token| token.id.index().to_string(), show))
        })
        .await
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/tokens/{token}", tag = "tokens",
    params(("tenant" = String, Path), ("token" = String, Path), CommandHeaders),
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn revoke_token(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, token)) = places;
    door.command(Kind::RevokeToken, [("token", token)], body).await
}

/// The clock as the service sees it
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ClockView {
    #[schema(value_type = String, format = DateTime)]
    now: Time,
    manual: bool,
    confirmed: Option<bool>,
}

/// Advances a manual clock, and runs what is due then.
#[utoipa::path(post, path = "/v1/clock", tag = "clock", request_body = ClockBody,
    responses((status = 200, body = ClockView), CommandProblems))]
pub(in crate::http) async fn advance_clock(
    Root { service }: Root,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    without_condition(&headers)?;
    without_key(&headers, NO_RECEIPT)?;
    let ClockBody { advance_seconds } = shaped(body.fields()?)?;
    if advance_seconds > 315_360_000 {
        return Err(Problem::meaningless("a clock is advanced by at most ten years at once"));
    }
    let clock = service.ledger.clock();
    // a time that can't be written any more would stop every timer for good
    if clock.now().0 > LATEST_MICROS {
        return Err(Problem::meaningless("the clock is at the end of the times that can be written"));
    }
    let Some(now) = clock.advance(Duration::from_secs(advance_seconds)) else {
        return Err(Problem::new("clock-not-manual", "the service runs on the system's clock"));
    };
    service.ledger.tick().await;
    Ok(axum::Json(ClockView { now, manual: true, confirmed: None }).into_response())
}

/// Confirms that the wall clock is right after a jump; timers run again.
#[utoipa::path(post, path = "/v1/clock/confirm", tag = "clock", responses((status = 200, body = ClockView), CommandProblems))]
pub(in crate::http) async fn confirm_clock(Root { service }: Root, headers: HeaderMap) -> Result<Response, Problem> {
    without_condition(&headers)?;
    without_key(&headers, NO_RECEIPT)?;
    let clock = service.ledger.clock();
    let confirmed = clock.confirm();
    tracing::warn!(confirmed, "the clock was confirmed");
    Ok(axum::Json(ClockView { now: clock.now(), manual: clock.is_manual(), confirmed: Some(confirmed) })
        .into_response())
}
