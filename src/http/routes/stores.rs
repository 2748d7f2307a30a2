//! Where seats are bought: accounts, tools, inventories, syncs.

use crate::http::contract::{CommandAnswer, CommandHeaders, CommandProblems};
use crate::http::door::Door;
use crate::http::inputs::{Body, Places};
use crate::http::problem::Problem;
use crate::http::wire::bodies::{InventoryBody, StoreAccountBody, SyncBody, ToolBody};
use crate::http::wire::kind::Kind;
use axum::response::Response;
/// A declared inventory, whole or in part; answers with the sync's result.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/inventory", tag = "inventory",
    params(("tenant" = String, Path), CommandHeaders),
    request_body = InventoryBody,
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn put_inventory(door: Door, body: Body) -> Result<Response, Problem> {
    door.command(Kind::PutInventory, [], body).await
}

/// Links a store account, for good, or changes its connection settings.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/store-accounts/{provider}", tag = "stores",
    params(("tenant" = String, Path), ("provider" = String, Path), CommandHeaders),
    request_body = StoreAccountBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn link_store_account(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, provider)) = places;
    door.command(Kind::LinkStoreAccount, [("provider", provider)], body).await
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

/// Asks a provider's connector for a sync.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/syncs", tag = "syncs",
    params(("tenant" = String, Path), CommandHeaders),
    request_body = SyncBody,
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn start_sync(door: Door, body: Body) -> Result<Response, Problem> {
    door.command(Kind::StartSync, [], body).await
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
