//! Seats: listed, read, assigned and reclaimed, one by one and up to 25 at once, of a pool and of a user.

use super::super::Inside;
use super::super::market::{EntryKey, ProductKey, SeatRefusal, SeatShown, is_upn};
use super::super::paging::{Drift, List};
use super::super::query;
use super::super::refusal::{Refusal, USER};
use super::{inventory, product_key, with, without_body, written_key, written_time};
use crate::domain::key::LicenseType;
use crate::store::simulator::faults::Fault;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Of one bulk call.
const USERS_MAX: usize = 25;

type Inner = State<Arc<Inside>>;
type Seat = Path<(String, String, String)>;

pub(super) async fn list(
    State(inside): Inner,
    Path((product, sku)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let call = |_tool: &str| {
        let asked = query::seats(&uri)?;
        let key = product_key(product, sku)?;
        let what = format!("seats {key}");
        let list = List { seed: inside.seed, what: &what };
        let last = list.last(asked.token.as_deref())?;
        let drift = Drift::draw(&inside.switches.faults, "seats", last.is_none());
        let market = inside.market.lock();
        let refused = |refusal| Refusal::of_seat(refusal, &key.to_string(), "");
        let behind = market.seats_after(&key, last.as_deref()).map_err(refused)?;
        let before = last.clone().and_then(|last| market.seat(&key, &last).ok().map(|seat| (last, written(&seat))));
        let behind = behind.map(|(name, seat)| (name.to_owned(), written(&seat)));
        let page = list.page(inside.page_size(asked.size), behind, before, drift);
        Ok(with(json!({"seats": page.things}), "continuationToken", page.token))
    };
    inside.answer("seats", &headers, call).await
}

pub(super) async fn of_user(State(inside): Inner, Path(user): Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    let call = |_tool: &str| {
        let asked = query::seats(&uri)?;
        checked(&user)?;
        let what = format!("seats of {}", user.to_lowercase());
        let list = List { seed: inside.seed, what: &what };
        let last = list.last(asked.token.as_deref())?.and_then(|text| inventory::key(&text));
        let drift = Drift::draw(&inside.switches.faults, "user-seats", last.is_none());
        let market = inside.market.lock();
        let line = |(key, seat): (&EntryKey, SeatShown)| (key.to_string(), written(&seat));
        let behind = market.seats_of(&user, last.as_ref());
        let behind = behind.ok_or_else(|| Refusal::NotFound { item: USER, value: user.clone() })?.map(line);
        let before = last.as_ref().and_then(|last| {
            let seat = market.seat(&last.product, &user).ok()?;
            Some(line((last, seat)))
        });
        let page = list.page(inside.page_size(asked.size), behind, before, drift);
        Ok(with(json!({"seats": page.things}), "continuationToken", page.token))
    };
    inside.answer("user-seats", &headers, call).await
}

pub(super) async fn one(State(inside): Inner, path: Seat, headers: HeaderMap, uri: Uri) -> Response {
    let call = |_tool: &str| {
        query::none(&uri)?;
        let (key, user) = of_path(path)?;
        let found = inside.market.lock().seat(&key, &user);
        found.map(|seat| written(&seat)).map_err(|refusal| Refusal::of_seat(refusal, &key.to_string(), &user))
    };
    inside.answer("seat", &headers, call).await
}

pub(super) async fn assign(State(inside): Inner, path: Seat, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    let call = |tool: &str| {
        query::none(&uri)?;
        without_body(&body)?;
        let (key, user) = of_path(path)?;
        let done = inside.market.lock().assign(tool, &key, &user);
        done.map(|seat| written(&seat)).map_err(|refusal| Refusal::of_seat(refusal, &key.to_string(), &user))
    };
    inside.answer("assign", &headers, call).await
}

pub(super) async fn reclaim(State(inside): Inner, path: Seat, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    let call = |tool: &str| {
        query::none(&uri)?;
        without_body(&body)?;
        let (key, user) = of_path(path)?;
        let done = inside.market.lock().reclaim(tool, &key, &user);
        let refused = |refusal| Refusal::of_seat(refusal, &key.to_string(), &user);
        done.map(|seat| with(written(&seat), "state", Some("Revoked".into()))).map_err(refused)
    };
    inside.answer("reclaim", &headers, call).await
}

/// Each user by itself, in the order given, and none stops the others.
pub(super) async fn bulk(
    State(inside): Inner,
    Path((product, sku)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    let call = |tool: &str| {
        query::none(&uri)?;
        let key = product_key(product, sku)?;
        let (users, is_assign) = bulk_body(&headers, &body)?;
        let mut market = inside.market.lock();
        let is_known = [LicenseType::Online, LicenseType::Offline].into_iter().any(|kind| market.owns(&key, kind));
        if !is_known {
            return Err(Refusal::of_seat(SeatRefusal::NoInventory, &key.to_string(), ""));
        }
        let (mut done, mut failed) = (vec![], vec![]);
        for user in users {
            let fails = inside.switches.faults.strikes("bulk", Fault::HolderFails);
            let outcome = match (fails, is_assign) {
                (true, _) => Err(SeatRefusal::Failed),
                (false, true) => market.assign(tool, &key, &user),
                (false, false) => market.reclaim(tool, &key, &user),
            };
            match outcome {
                Ok(seat) if is_assign => done.push(written(&seat)),
                Ok(seat) => done.push(with(written(&seat), "state", Some("Revoked".into()))),
                Err(refusal) => failed.push(json!({
                    "failureReason": refusal.to_string(), "productKey": written_key(&key), "userName": user,
                })),
            }
        }
        Ok(json!({"seatDetails": done, "failedSeatOperations": failed}))
    };
    inside.answer("bulk", &headers, call).await
}

/// `usernames` and `seatAction`, in any case, and nothing else.
fn bulk_body(headers: &HeaderMap, body: &[u8]) -> Result<(Vec<String>, bool), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Refusal::Body("the body is application/json"));
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(body) else {
        return Err(Refusal::invalid("body", "a JSON object"));
    };
    let (mut users, mut action) = (None, None);
    for (name, value) in fields {
        if name.eq_ignore_ascii_case("usernames") {
            users = Some(value);
        } else if name.eq_ignore_ascii_case("seatAction") {
            action = Some(value);
        } else {
            return Err(Refusal::invalid("body", format!("there is no field {name:?}")));
        }
    }
    let users: Vec<String> = serde_json::from_value(users.ok_or(Refusal::Missing("usernames"))?)
        .map_err(|error| Refusal::invalid("usernames", error.to_string()))?;
    if users.is_empty() || users.len() > USERS_MAX {
        return Err(Refusal::invalid("usernames", format!("1 to {USERS_MAX} in one call")));
    }
    if let Some(wrong) = users.iter().find(|user| !is_upn(user)) {
        return Err(Refusal::invalid("usernames", format!("{wrong:?} is not name@domain")));
    }
    let action = action.ok_or(Refusal::Missing("seatAction"))?;
    let action = action.as_str().unwrap_or_default();
    if action.eq_ignore_ascii_case("assign") {
        Ok((users, true))
    } else if action.eq_ignore_ascii_case("reclaim") {
        Ok((users, false))
    } else {
        Err(Refusal::invalid("seatAction", "assign or reclaim"))
    }
}

fn of_path(Path((product, sku, user)): Seat) -> Result<(ProductKey, String), Refusal> {
    checked(&user)?;
    Ok((product_key(product, sku)?, user))
}

fn checked(user: &str) -> Result<(), Refusal> {
    if is_upn(user) { Ok(()) } else { Err(Refusal::invalid("userName", "name@domain")) }
}

fn written(seat: &SeatShown) -> Value {
    json!({
        "assignedTo": seat.upn,
        "dateAssigned": written_time(seat.since),
        "state": "Active",
        "productKey": written_key(&seat.product),
    })
}
