//! People and groups, as the directory says they are.

use crate::http::contract::{CommandAnswer, CommandHeaders, CommandProblems, IfMatchHeader, IfMatchProblems};
use crate::http::door::Door;
use crate::http::inputs::{Body, Places};
use crate::http::problem::Problem;
use crate::http::wire::bodies::{DepartureBody, GroupBody, UserBody};
use crate::http::wire::kind::Kind;
use axum::extract::Request;
use axum::response::Response;
/// Makes a person known, or renames one.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/users/{user}", tag = "users",
    params(("tenant" = String, Path), ("user" = String, Path), CommandHeaders, IfMatchHeader),
    request_body = UserBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn put_user(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, user)) = places;
    door.command(Kind::PutUser, [("user", user)], body).await
}

/// A user has left: the seats the ledger granted come back.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/users/{user}/departure", tag = "users",
    params(("tenant" = String, Path), ("user" = String, Path), CommandHeaders, IfMatchHeader),
    request_body = DepartureBody,
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn depart(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, user)) = places;
    door.command(Kind::Depart, [("user", user)], body).await
}

/// A user is back.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/users/{user}/return", tag = "users",
    params(("tenant" = String, Path), ("user" = String, Path), CommandHeaders, IfMatchHeader),
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn return_user(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, user)) = places;
    door.command(Kind::Return, [("user", user)], body).await
}

/// Erases what a user who has left was called, for good: the key of the names is destroyed, and with it they are gone from the
/// history, from snapshots, and from every backup that is made from here on. What the user held, and when, stays. Not while a
/// seat is still to be given back: the store knows its holder by name. A backup from before holds the key until
/// `seatledger rotate-master-key`.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/users/{user}/erasure", tag = "users",
    params(("tenant" = String, Path), ("user" = String, Path), CommandHeaders, IfMatchHeader),
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn erase_user(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, user)) = places;
    door.command(Kind::Erase, [("holder", format!("user:{user}"))], body).await
}

/// States who is in a group; every assignment that targets it is judged anew.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/groups/{group}", tag = "groups",
    params(("tenant" = String, Path), ("group" = String, Path), CommandHeaders, IfMatchHeader),
    request_body = GroupBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn put_group(
    door: Door,
    places: Places<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let Places((_, group)) = places;
    door.large_command(Kind::PutGroup, [("group", group)], request).await
}

/// Empties a group and ends the assignments that target it.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/groups/{group}", tag = "groups",
    params(("tenant" = String, Path), ("group" = String, Path), CommandHeaders, IfMatchHeader),
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn delete_group(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, group)) = places;
    door.command(Kind::DeleteGroup, [("group", group)], body).await
}

/// Confirms what the brake held back.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/directory/held/{held}/confirm", tag = "directory",
    params(("tenant" = String, Path), ("held" = String, Path), CommandHeaders),
    responses((status = 200, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn confirm_held(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, held)) = places;
    door.command(Kind::ConfirmHeld, [("held", held)], body).await
}
