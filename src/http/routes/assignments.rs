//! Assignments, and what happens on devices because of them.

use crate::http::contract::{CommandAnswer, CommandHeaders, CommandProblems, IfMatchHeader, IfMatchProblems};
use crate::http::door::Door;
use crate::http::inputs::{Body, Places};
use crate::http::problem::Problem;
use crate::http::wire::bodies::{AssignBody, InstallBody};
use crate::http::wire::kind::Kind;
use axum::response::Response;
/// States that a target should have an app, or should not.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/assignments", tag = "assignments",
    params(("tenant" = String, Path), CommandHeaders),
    request_body = AssignBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn assign(door: Door, body: Body) -> Result<Response, Problem> {
    door.command(Kind::Assign, [], body).await
}

/// Ends an assignment; who is covered by nothing else loses the seat as the pool's policy says.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/assignments/{assignment}", tag = "assignments",
    params(("tenant" = String, Path), ("assignment" = String, Path), CommandHeaders, IfMatchHeader),
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn unassign(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, assignment)) = places;
    door.command(Kind::Unassign, [("assignment", assignment)], body).await
}

/// An install that is to happen, or (report) was found on the device.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/installs", tag = "installs",
    params(("tenant" = String, Path), CommandHeaders),
    request_body = InstallBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn install(door: Door, body: Body) -> Result<Response, Problem> {
    door.command(Kind::Install, [], body).await
}

/// An install that is gone.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/uninstalls", tag = "installs",
    params(("tenant" = String, Path), CommandHeaders),
    request_body = InstallBody,
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn uninstall(door: Door, body: Body) -> Result<Response, Problem> {
    door.command(Kind::Uninstall, [], body).await
}
