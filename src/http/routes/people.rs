//! Reads of people, devices, groups and assignments.

use crate::audit::part::Wanted;
use crate::domain::command::HolderRef;
use crate::domain::ids::{AssignmentId, Holder};
use crate::domain::state::Assignment;
use crate::http::bodies::people::{AssignmentBody, DeviceBody, GroupBody, MemberBody, UserBody};
use crate::http::contract::ReadProblems;
use crate::http::inputs::{Asked, Places};
use crate::http::problem::Problem;
use crate::http::reading::{Belonging, Listed, Page, PageQuery, ReadQuery, Reading, tagged};
use crate::http::refs;
use crate::projection::View;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use utoipa::IntoParams;

/// The place in a list of dense ids at which a page begins.
fn place_after(after: Option<&str>) -> usize {
    after.and_then(|after| after.parse::<usize>().ok()).map_or(0, |after| after.saturating_add(1))
}

/// The users, also those who left, in the order in which they were first known.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users", tag = "users",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<UserBody>), ReadProblems))]
pub(in crate::http) async fn users(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    let users = |view: &View, after: Option<&str>, limit| {
        let state = &view.state;
        let from = place_after(after);
        let rest = state.users.iter_from(from).take(view.users_known().saturating_sub(from));
        Page::of(rest, limit, |user| user.id.index().to_string(), |user| UserBody::of(state, user))
    };
    reading
        .wanting(Wanted::Users { from: 0, limit: 0 })
        .list_shown(
            page,
            "",
            move |view, after, limit| Ok(users(view, after, limit)),
            |caller, user| Ok(user.open(&caller.service.ledger)),
        )
        .await
}

/// One user. One who was deleted is found by id alone.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users/{user}", tag = "users",
    params(("tenant" = String, Path), ("user" = String, Path), ReadQuery),
    responses((status = 200, body = UserBody), ReadProblems))]
pub(in crate::http) async fn user(reading: Reading, places: Places<(String, String)>) -> Result<Response, Problem> {
    let Places((_, user)) = places;
    let user = reading.caller.user(&user)?;
    let reading = reading.wanting(Wanted::Holder(HolderRef::User(user)));
    let look = reading.look(move |view| {
        let id = refs::user_in(&view.state, user)?;
        if id.index() >= view.users_known() {
            return Err(Problem::new("user-not-found", "no user had this id then"));
        }
        let user = view.state.user(id);
        Ok((UserBody::of(&view.state, user), user.etag))
    });
    let ((user, etag), position) = look.await?;
    tagged(&user.open(&reading.caller.service.ledger), Some(etag), position)
}

/// The devices, also retired ones, in the order in which they were first known.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/devices", tag = "devices",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<DeviceBody>), ReadProblems))]
pub(in crate::http) async fn devices(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    let devices = |view: &View, after: Option<&str>, limit| {
        let state = &view.state;
        let from = place_after(after);
        let rest = state.devices.iter_from(from).take(view.devices_known().saturating_sub(from));
        Page::of(rest, limit, |device| device.id.index().to_string(), |device| DeviceBody::of(state, device))
    };
    reading
        .wanting(Wanted::Devices { from: 0, limit: 0 })
        .list_shown(
            page,
            "",
            move |view, after, limit| Ok(devices(view, after, limit)),
            |caller, device| Ok(device.open(&caller.service.ledger)),
        )
        .await
}

/// One device.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/devices/{device}", tag = "devices",
    params(("tenant" = String, Path), ("device" = String, Path), ReadQuery),
    responses((status = 200, body = DeviceBody), ReadProblems))]
pub(in crate::http) async fn device(reading: Reading, places: Places<(String, String)>) -> Result<Response, Problem> {
    let Places((_, device)) = places;
    let device = reading.caller.device(&device)?;
    let reading = reading.wanting(Wanted::Holder(HolderRef::Device(device)));
    let look = reading.look(move |view| {
        let id = refs::device_in(&view.state, device)?;
        if id.index() >= view.devices_known() {
            return Err(Problem::new("device-not-found", "no device had this id then"));
        }
        let device = view.state.device(id);
        Ok((DeviceBody::of(&view.state, device), device.etag))
    });
    let ((device, etag), position) = look.await?;
    tagged(&device.open(&reading.caller.service.ledger), Some(etag), position)
}

/// The living groups, in the order in which they were first known, without their members.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/groups", tag = "groups",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<GroupBody>), ReadProblems))]
pub(in crate::http) async fn groups(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    reading
        .wanting(Wanted::Groups { from: 0, count: 0 })
        .list(page, "", |view, after, limit| {
            let rest = view.state.groups.iter_from(place_after(after)).filter(|group| !group.is_deleted);
            Ok(Page::of(rest, limit, |group| group.id.index().to_string(), |group| GroupBody::of(view, group)))
        })
        .await
}

/// One group, with its members as far as 1000 go.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/groups/{group}", tag = "groups",
    params(("tenant" = String, Path), ("group" = String, Path), ReadQuery),
    responses((status = 200, body = GroupBody), ReadProblems))]
pub(in crate::http) async fn group(reading: Reading, places: Places<(String, String)>) -> Result<Response, Problem> {
    let Places((_, group)) = places;
    let group = refs::group(&group)?;
    reading
        .wanting(Wanted::Group(group.clone()))
        .one(move |view| {
            let group = refs::living_group_in(&view.state, &group)?;
            Ok((GroupBody::with_members(view, group), Some(group.etag)))
        })
        .await
}

/// The members of a group, in the order in which they joined.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/groups/{group}/members", tag = "groups",
    params(("tenant" = String, Path), ("group" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<MemberBody>), ReadProblems))]
pub(in crate::http) async fn members(Belonging { reading, to, page }: Belonging) -> Result<Response, Problem> {
    let group = refs::group(&to)?;
    reading
        .wanting(Wanted::Group(group.clone()))
        .list(page, "", move |view, after, limit| {
            let group = refs::living_group_in(&view.state, &group)?;
            let from = place_after(after) as u64;
            let member = |(_, holder): (u64, Holder)| MemberBody { holder };
            Ok(Page::of(group.members.iter_from(from), limit, |(place, _)| place.to_string(), member))
        })
        .await
}

/// Which assignments.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct AssignmentsQuery {
    /// Of this pool alone
    #[param(min_length = 1, max_length = 1024)]
    pool: Option<String>,
    /// Also those that have ended
    #[serde(default)]
    #[param(default = false)]
    ended: bool,
}

/// The assignments, oldest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/assignments", tag = "assignments",
    params(("tenant" = String, Path), ReadQuery, PageQuery, AssignmentsQuery),
    responses((status = 200, body = Listed<AssignmentBody>), ReadProblems))]
pub(in crate::http) async fn assignments(
    reading: Reading,
    Asked(page): Asked<PageQuery>,
    Asked(query): Asked<AssignmentsQuery>,
) -> Result<Response, Problem> {
    let AssignmentsQuery { pool, ended } = query;
    let pool_ref = pool.as_deref().map(refs::pool).transpose()?;
    let mut filter = format!("ended={ended}");
    if let Some(pool) = pool {
        filter = format!("{filter}&pool={}", utf8_percent_encode(&pool, NON_ALPHANUMERIC));
    }
    reading
        .wanting(Wanted::Assignments)
        .list(page, &filter, move |view, after, limit| {
            let state = &view.state;
            let pool = pool_ref.map(|pool| refs::pool_in(state, &pool)).transpose()?;
            let from = place_after(after);
            let key = |one: &&Assignment| one.id.index().to_string();
            let show = |one: &Assignment| AssignmentBody::of(state, one);
            // a pool knows its living ones
            if let (Some(pool), false) = (pool, ended) {
                let rest = state.pool(pool).assignments.range(AssignmentId::at(from)..);
                return Ok(Page::of(rest.map(|id| state.assignment(*id)), limit, key, show));
            }
            let rest = state.assignments.iter_from(from);
            let rest = rest.filter(|one| (ended || !one.is_ended) && pool.is_none_or(|pool| one.pool == pool));
            Ok(Page::of(rest, limit, key, show))
        })
        .await
}

/// One assignment, also one that has ended.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/assignments/{assignment}", tag = "assignments",
    params(("tenant" = String, Path), ("assignment" = String, Path), ReadQuery),
    responses((status = 200, body = AssignmentBody), ReadProblems))]
pub(in crate::http) async fn assignment(
    reading: Reading,
    places: Places<(String, String)>,
) -> Result<Response, Problem> {
    let Places((_, assignment)) = places;
    let id = refs::assignment(&assignment);
    reading
        .wanting(Wanted::Assignment(id))
        .one(move |view| {
            let found = view.state.assignments.get(id.index());
            let one = found.ok_or_else(|| Problem::new("assignment-not-found", "no assignment has this id"))?;
            Ok((AssignmentBody::of(&view.state, one), Some(one.etag)))
        })
        .await
}
