//! Where seats are bought: accounts, tools, inventories, syncs.

use crate::domain::key::Provider;
use crate::http::Service;
use crate::http::auth::{Caller, Stranger};
use crate::http::contract::{
    CommandAnswer, CommandHeaders, CommandProblems, IfMatchHeader, IfMatchProblems, ReadProblems,
};
use crate::http::door::Door;
use crate::http::inputs::{self, Body, Places};
use crate::http::problem::Problem;
use crate::http::wire::bodies::{InventoryBody, StoreAccountBody, SyncBody, ToolBody};
use crate::http::wire::kind::Kind;
use crate::store::apple::NOTIFICATION_BYTES_MAX;
use crate::store::connector::NotTold;
use crate::store::credentials::{Credentials, GivenBy};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A declared inventory, whole or in part; answers with the sync's result.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/inventory", tag = "inventory",
    params(("tenant" = String, Path), CommandHeaders),
    request_body = InventoryBody,
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn put_inventory(door: Door, request: Request) -> Result<Response, Problem> {
    door.large_command(Kind::PutInventory, [], request).await
}

/// Links a store account, for good, or changes its connection settings or its credentials.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/store-accounts/{provider}", tag = "stores",
    params(("tenant" = String, Path), ("provider" = String, Path), CommandHeaders, IfMatchHeader),
    request_body = StoreAccountBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn link_store_account(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, name)) = places;
    door.caller.must_be(Kind::LinkStoreAccount.roles())?;
    let mut fields = body.fields()?;
    let provider: Option<Provider> = name.parse().ok();
    let (stores, tenant) = (door.caller.service.stores.clone(), door.caller.tenant);
    let credentials = match (fields.remove("credentials"), provider) {
        (Some(given), Some(provider)) => {
            let json = Zeroizing::new(given.to_string());
            let read = Credentials::parse(provider, json.as_bytes());
            let read = read.map_err(|error| Problem::meaningless(error).with("field", "credentials"))?;
            // in their place, so that under the same key other ones are other content
            let fingerprint = hex::encode(door.caller.service.ledger.fingerprint(tenant, json.as_bytes()));
            fields.insert("credentials".to_owned(), fingerprint.into());
            Some(read)
        }
        (Some(_) | None, None) | (None, Some(_)) => None,
    };
    let body = Value::Object(fields).to_string();
    let reply = door.judged(Kind::LinkStoreAccount, [("provider", name)], body.as_bytes()).await?;
    if let Some(provider) = provider.filter(|_| reply.status.is_success()) {
        match credentials.zip(reply.position) {
            Some((credentials, position)) => {
                let by = GivenBy { position, is_repeat: reply.is_repeat };
                stores.keep(tenant, provider, credentials, by).await.map_err(|e| Problem::internal(&e))?;
            }
            None => stores.look_at(tenant, provider).await,
        }
    }
    Ok(reply.into_response())
}

/// What a store tells by itself, with the secret that it was given for that: it has the store read again. Repeated, it is
/// answered and does nothing more.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/store-accounts/{provider}/notifications", tag = "stores",
    params(("tenant" = String, Path), ("provider" = String, Path)),
    request_body = inline(Object),
    security(()),
    responses((status = 204, description = "Heard"), ReadProblems))]
pub(in crate::http) async fn hear(
    _stranger: Stranger,
    State(service): State<Arc<Service>>,
    places: Places<(String, String)>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let Places((tenant, provider)) = places;
    let told = |parts: &HeaderMap| parts.get(header::AUTHORIZATION)?.to_str().ok().map(str::to_owned);
    let authorization = told(request.headers());
    let body = inputs::read(request, NOTIFICATION_BYTES_MAX).await?;
    let account = service.ledger.tenant(&tenant).zip(provider.parse().ok());
    let heard = account.map_or(Err(NotTold::Unauthorized), |(tenant, provider)| {
        service.stores.hear(tenant, provider, authorization.as_deref(), &body)
    });
    match heard {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(NotTold::Unauthorized) => {
            Err(Problem::new("unauthorized", "this is not the secret that the store was given"))
        }
        Err(NotTold::Malformed) => Err(Problem::unreadable("this is no notification of the account's store")),
    }
}

/// Activates a management tool.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/tools/{tool}", tag = "stores",
    params(("tenant" = String, Path), ("tool" = String, Path), CommandHeaders),
    request_body = ToolBody,
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn put_tool(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, tool)) = places;
    door.command(Kind::PutTool, [("tool", tool)], body).await
}

/// Deactivates a management tool.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/tools/{tool}", tag = "stores",
    params(("tenant" = String, Path), ("tool" = String, Path), CommandHeaders),
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn delete_tool(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, tool)) = places;
    door.command(Kind::DeleteTool, [("tool", tool)], body).await
}

/// Begins a sync of a store, whole or of what changed; it goes on behind the answer, and `GET /syncs/{sync}` shows how far
/// it is. A sync that runs already and does as much is the answer.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/syncs", tag = "syncs",
    params(("tenant" = String, Path), CommandHeaders),
    request_body = SyncBody,
    responses((status = 202, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn start_sync(door: Door, body: Body) -> Result<Response, Problem> {
    let caller = door.caller.clone();
    let mut reply = door.judged(Kind::StartSync, [], &body.0).await?;
    if reply.status.is_success() {
        reply.status = StatusCode::ACCEPTED;
    } else if !reply.is_repeat
        && let Some(said) = why_not_running(&caller, &body, &reply.body)
    {
        reply.body = said;
    }
    Ok(reply.into_response())
}

/// The same refusal with what keeps the account's connector from running now. A repeat says what the log says.
fn why_not_running(caller: &Caller, asked: &Body, refused: &[u8]) -> Option<Vec<u8>> {
    let mut problem: Value = serde_json::from_slice(refused).ok()?;
    if problem.get("type")? != "/problems/connector-not-running" {
        return None;
    }
    let asked: Value = serde_json::from_slice(&asked.0).ok()?;
    let provider = asked.get("provider")?.as_str()?.parse().ok()?;
    let why = caller.service.stores.seen(caller.tenant, provider)?.problem?;
    *problem.get_mut("detail")? = format!("the account's connector does not run: {why}").into();
    Some(problem.to_string().into_bytes())
}

/// Confirms what the brake held back of a sync.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/syncs/{sync}/confirm", tag = "syncs",
    params(("tenant" = String, Path), ("sync" = String, Path), CommandHeaders),
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn confirm_sync(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, sync)) = places;
    door.command(Kind::ConfirmSync, [("sync", sync)], body).await
}
