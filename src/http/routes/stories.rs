//! Why a holder has a seat or has none, and why a command was refused.

use crate::audit::story::{self, Story};
use crate::audit::why_not;
use crate::domain::ids::Holder;
use crate::http::bodies::stories::{SeatStoryBody, StandingWord, ToldBody, WhyNotBody};
use crate::http::contract::ReadProblems;
use crate::http::history::filter_of;
use crate::http::inputs::{Asked, Places};
use crate::http::problem::Problem;
use crate::http::reading::{Page, PageQuery, ReadQuery, Reading, shown};
use crate::http::refs;
use axum::extract::RawQuery;
use axum::response::Response;
use serde_json::{Map, Value, json};

/// Why a holder has a seat of a pool, or has none: assignments, memberships, grants, installs, endings and refusals, in order.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools/{pool}/seats/{holder}/explain", tag = "history",
    params(("tenant" = String, Path), ("pool" = String, Path), ("holder" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = SeatStoryBody), ReadProblems))]
pub(in crate::http) async fn seat_story(
    reading: Reading,
    places: Places<(String, String, String)>,
    Asked(page): Asked<PageQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let Places((_, pool, holder)) = places;
    let (pool, holder) = (refs::pool(&pool)?, reading.caller.holder(&holder)?);
    let pool =
        reading.caller.service.ledger.read(reading.caller.tenant, |view| refs::pool_in(&view.state, &pool))??;
    reading
        .walking()
        .list_of_log(page, filter_of(raw.as_deref()), move |reading, place| {
            let (ledger, tenant) = (&reading.caller.service.ledger, reading.caller.tenant);
            let holder = reading.caller.holder_at(place.then, holder)?;
            let Story { events, next_after, standing, since, refused_at } =
                story::story(ledger, tenant, pool, holder, place.moment, place.after()?, place.limit)?;
            let items = events.iter().map(|recorded| ToldBody::of(ledger, recorded)).collect();
            let who = match holder {
                Holder::User(user) => user.to_string(),
                Holder::Device(device) => device.to_string(),
            };
            let (word, seat, sentence) = StandingWord::of(standing, &who, since);
            let beside = Map::from_iter([
                ("pool".to_owned(), Value::from(pool.to_string())),
                ("holder".to_owned(), Value::from(holder.to_string())),
                ("sentence".to_owned(), Value::from(sentence)),
                ("standing".to_owned(), json!(word)),
                ("seat".to_owned(), json!(seat)),
                ("since_position".to_owned(), json!(since)),
                ("refused_at".to_owned(), json!(refused_at)),
            ]);
            Ok((Page { items, next: next_after.map(|after| after.to_string()) }, beside))
        })
        .await
}

/// Why a command was refused: the rule, the pool's figures then, and the event that took the last seat.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/refusals/{position}/explain", tag = "history",
    params(("tenant" = String, Path), ("position" = u64, Path), ReadQuery),
    responses((status = 200, body = WhyNotBody), ReadProblems))]
pub(in crate::http) async fn why_not(reading: Reading, places: Places<(String, u64)>) -> Result<Response, Problem> {
    let Places((_, asked)) = places;
    let caller = reading.caller.clone();
    let find = move || {
        let (ledger, tenant) = (&reading.caller.service.ledger, reading.caller.tenant);
        let head = reading.moment()?.position;
        if asked > head {
            let detail = format!("there is no event at {asked}; the head is {head}");
            return Err(Problem::new("position-not-reached", detail).at(head));
        }
        let why = why_not::why_not(ledger, tenant, asked)?;
        let body = why.as_ref().and_then(|why| WhyNotBody::of(ledger, why));
        let none = || Problem::new("not-a-refusal", format!("the event at {asked} is no refusal")).at(head);
        shown(head, &body.ok_or_else(none)?)
    };
    caller.look_back(find).await
}
