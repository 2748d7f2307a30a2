//! Devices.

use crate::http::contract::{CommandAnswer, CommandHeaders, CommandProblems, IfMatchHeader, IfMatchProblems};
use crate::http::door::Door;
use crate::http::inputs::{Body, Places};
use crate::http::problem::Problem;
use crate::http::wire::bodies::DeviceBody;
use crate::http::wire::kind::Kind;
use axum::response::Response;
/// Makes a device known, or tells what is true of it now.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/devices/{device}", tag = "devices",
    params(("tenant" = String, Path), ("device" = String, Path), CommandHeaders, IfMatchHeader),
    request_body = DeviceBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn put_device(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, device)) = places;
    door.command(Kind::PutDevice, [("device", device)], body).await
}

/// Retires a device: its installs end, the seats it holds come back.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/devices/{device}/retirement", tag = "devices",
    params(("tenant" = String, Path), ("device" = String, Path), CommandHeaders, IfMatchHeader),
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn retire_device(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, device)) = places;
    door.command(Kind::RetireDevice, [("device", device)], body).await
}

/// Erases what a retired device was called, for good, as of a user.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/devices/{device}/erasure", tag = "devices",
    params(("tenant" = String, Path), ("device" = String, Path), CommandHeaders, IfMatchHeader),
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn erase_device(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, device)) = places;
    door.command(Kind::Erase, [("holder", format!("device:{device}"))], body).await
}
