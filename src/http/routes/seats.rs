//! Reads of who holds, who waits and what is installed.

use crate::audit::part::Wanted;
use crate::domain::command::HolderRef;
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::state::{Install, InstallKey, Seat};
use crate::http::bodies::seats::{InstallBody, QueuedBody, SeatBody};
use crate::http::contract::ReadProblems;
use crate::http::inputs::Places;
use crate::http::problem::Problem;
use crate::http::reading::{Belonging, Listed, Page, PageQuery, ReadQuery, Reading, tagged};
use crate::http::refs;
use crate::projection::View;
use axum::response::Response;
use std::ops::Bound;

/// What follows a key of the page before.
fn behind<T>(key: Option<T>) -> (Bound<T>, Bound<T>) {
    (key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

fn seats_of(view: &View, holder: Holder, after: Option<&str>, limit: usize) -> Page<SeatBody> {
    let state = &view.state;
    let pools = state.links(holder).seats.range(behind(after.and_then(|after| after.parse::<PoolId>().ok())));
    let seats = pools.filter_map(|pool| {
        let pool = state.pool(*pool);
        pool.seats.get(&holder).map(|seat| (pool, seat))
    });
    Page::of(seats, limit, |(pool, _)| pool.id.to_string(), |(pool, seat)| SeatBody::of(view, pool, holder, seat))
}

/// The seats of a pool: users by their ids, then devices.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools/{pool}/seats", tag = "seats",
    params(("tenant" = String, Path), ("pool" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<SeatBody>), ReadProblems))]
pub(in crate::http) async fn of_pool(Belonging { reading, to, page }: Belonging) -> Result<Response, Problem> {
    let pool = refs::pool(&to)?;
    reading
        .wanting(Wanted::Seats { pool: pool.clone(), after: None, limit: 0 })
        .list_shown(
            page,
            "",
            move |view, after, limit| {
                let pool = view.state.pool(refs::pool_in(&view.state, &pool)?);
                let seats = pool.seats.range(behind(after.and_then(|after| after.parse::<Holder>().ok())));
                let show = |(holder, seat): (&Holder, &Seat)| SeatBody::of(view, pool, *holder, seat);
                Ok(Page::of(seats, limit, |(holder, _)| holder.to_string(), show))
            },
            |caller, seat| seat.placed(caller),
        )
        .await
}

/// One seat, by its holder: `user:<ref>` or `device:<ref>`.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools/{pool}/seats/{holder}", tag = "seats",
    params(("tenant" = String, Path), ("pool" = String, Path), ("holder" = String, Path), ReadQuery),
    responses((status = 200, body = SeatBody), ReadProblems))]
pub(in crate::http) async fn seat(
    reading: Reading,
    places: Places<(String, String, String)>,
) -> Result<Response, Problem> {
    let Places((_, pool, holder)) = places;
    let (pool, holder) = (refs::pool(&pool)?, reading.caller.holder(&holder)?);
    let reading = reading.wanting(Wanted::Seat(pool.clone(), holder));
    let look = reading.look(move |view| {
        let pool = view.state.pool(refs::pool_in(&view.state, &pool)?);
        let holder = refs::holder_told_of(view, holder)?;
        let found = pool.seats.get(&holder);
        let seat = found.ok_or_else(|| Problem::new("seat-not-found", "the holder has no seat of this pool"))?;
        Ok((SeatBody::of(view, pool, holder, seat), seat.since_position))
    });
    let ((body, etag), position) = look.await?;
    let caller = reading.caller.clone();
    let placed = tokio::task::spawn_blocking(move || body.placed(&caller));
    let body = placed.await.map_err(|error| Problem::internal(&error))??;
    tagged(&body, Some(etag), position)
}

/// The seats that a user holds.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users/{user}/seats", tag = "seats",
    params(("tenant" = String, Path), ("user" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<SeatBody>), ReadProblems))]
pub(in crate::http) async fn of_user(Belonging { reading, to, page }: Belonging) -> Result<Response, Problem> {
    let user = reading.caller.user(&to)?;
    reading
        .wanting(Wanted::Holder(HolderRef::User(user)))
        .list_shown(
            page,
            "",
            move |view, after, limit| Ok(seats_of(view, refs::user_told_of(view, user)?.into(), after, limit)),
            |caller, seat| seat.placed(caller),
        )
        .await
}

/// The seats that a device itself holds.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/devices/{device}/seats", tag = "seats",
    params(("tenant" = String, Path), ("device" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<SeatBody>), ReadProblems))]
pub(in crate::http) async fn of_device(Belonging { reading, to, page }: Belonging) -> Result<Response, Problem> {
    let device = reading.caller.device(&to)?;
    reading
        .wanting(Wanted::Holder(HolderRef::Device(device)))
        .list_shown(
            page,
            "",
            move |view, after, limit| Ok(seats_of(view, refs::device_told_of(view, device)?.into(), after, limit)),
            |caller, seat| seat.placed(caller),
        )
        .await
}

/// Who waits for a seat of a pool, in the order in which they will be served.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools/{pool}/queue", tag = "seats",
    params(("tenant" = String, Path), ("pool" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<QueuedBody>), ReadProblems))]
pub(in crate::http) async fn queue(Belonging { reading, to, page }: Belonging) -> Result<Response, Problem> {
    let pool = refs::pool(&to)?;
    reading
        .wanting(Wanted::Queue { pool: pool.clone(), after: None, limit: 0 })
        .list_shown(
            page,
            "",
            move |view, after, limit| {
                let pool = view.state.pool(refs::pool_in(&view.state, &pool)?);
                // the cursor knows how many stood before it
                let last = after.and_then(|after| after.split_once(':'));
                let last = last.and_then(|(at, place)| Some((at.parse::<u64>().ok()?, place.parse::<u64>().ok()?)));
                let waiting = pool.queue.range(behind(last.map(|(at, _)| at)));
                let placed = waiting.zip(last.map_or(0, |(_, place)| place) + 1..);
                Ok(Page::of(
                    placed,
                    limit,
                    |((at, _), place)| format!("{at}:{place}"),
                    |((at, holder), place)| QueuedBody::of(&view.state, pool, place, *at, *holder),
                ))
            },
            |caller, queued| {
                let events = caller.service.ledger.events(caller.tenant, queued.since_position, 1)?;
                let since = events.first().map(|recorded| recorded.envelope.recorded_at).unwrap_or_default();
                Ok(queued.queued_at(since))
            },
        )
        .await
}

/// Where a page of installs begins: behind a device and, of it, a user (`-` for all of its users).
fn install_key(after: &str) -> Option<InstallKey> {
    let (device, user) = after.split_once(' ')?;
    let user = if user == "-" { None } else { Some(user.parse::<UserId>().ok()?) };
    Some(InstallKey { device: device.parse::<DeviceId>().ok()?, user })
}

fn install_text(key: InstallKey) -> String {
    key.user.map_or_else(|| format!("{} -", key.device), |user| format!("{} {user}", key.device))
}

/// Where a pool's app is installed, by device.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools/{pool}/installs", tag = "installs",
    params(("tenant" = String, Path), ("pool" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<InstallBody>), ReadProblems))]
pub(in crate::http) async fn installs_of_pool(Belonging { reading, to, page }: Belonging) -> Result<Response, Problem> {
    let pool = refs::pool(&to)?;
    reading
        .wanting(Wanted::Installs { pool: pool.clone(), from: DeviceId(0), limit: 0 })
        .list_shown(
            page,
            "",
            move |view, after, limit| {
                let pool = view.state.pool(refs::pool_in(&view.state, &pool)?);
                let installs = pool.installs.range(behind(after.and_then(install_key)));
                let show = |(key, install): (&InstallKey, &Install)| InstallBody::of(view, pool, *key, install);
                Ok(Page::of(installs, limit, |(key, _)| install_text(**key), show))
            },
            |caller, install| install.placed(caller),
        )
        .await
}

/// What is installed on a device, by pool.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/devices/{device}/installs", tag = "installs",
    params(("tenant" = String, Path), ("device" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<InstallBody>), ReadProblems))]
pub(in crate::http) async fn installs_on_device(
    Belonging { reading, to, page }: Belonging,
) -> Result<Response, Problem> {
    let device = reading.caller.device(&to)?;
    reading
        .wanting(Wanted::Holder(HolderRef::Device(device)))
        .list_shown(
            page,
            "",
            move |view, after, limit| Ok(installs_on(view, refs::device_told_of(view, device)?, after, limit)),
            |caller, install| install.placed(caller),
        )
        .await
}

fn installs_on(view: &View, device: DeviceId, after: Option<&str>, limit: usize) -> Page<InstallBody> {
    let state = &view.state;
    let last = after.and_then(|after| {
        let (pool, key) = after.split_once(' ')?;
        Some((pool.parse::<PoolId>().ok()?, install_key(key)?))
    });
    let pools = last.map_or(PoolId(0), |(pool, _)| pool);
    let installs = state.device(device).links.installed.range(pools..).flat_map(|id| {
        let pool = state.pool(*id);
        pool.installs_on(device).into_iter().filter_map(move |key| Some((pool, key, pool.installs.get(&key)?)))
    });
    let rest = installs.filter(|(pool, key, _)| last.is_none_or(|last| (pool.id, *key) > last));
    Page::of(
        rest,
        limit,
        |(pool, key, _)| format!("{} {}", pool.id, install_text(*key)),
        |(pool, key, install)| InstallBody::of(view, pool, key, install),
    )
}
