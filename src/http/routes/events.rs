//! The history: events and refusals as lists, one event, and the digest of what they come to.

use crate::audit::events::EventView;
use crate::audit::part::Wanted;
use crate::domain::event_type::EventType;
use crate::http::bodies::history::{DigestBody, RefusalBody};
use crate::http::contract::ReadProblems;
use crate::http::history::{EventsQuery, LogPlace, filter_of};
use crate::http::inputs::{Asked, Places};
use crate::http::problem::Problem;
use crate::http::reading::{Listed, Page, PageQuery, ReadQuery, Reading, shown};
use crate::http::sorted;
use crate::ledger::EventQuery;
use axum::extract::RawQuery;
use axum::response::Response;
use serde_json::Map;
use serde_json::value::RawValue;

/// A page of refusals looks at the log so often; it may be short, and the next one goes on.
const LOOKS_MAX: usize = 16;
/// A page of events has so much text, but for the last one: what is short in a record may be long to read.
const PAGE_BYTES_MAX: usize = 2 << 20;

/// The events, narrowed by what they are about, who did it, and when.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/events", tag = "history",
    params(("tenant" = String, Path), EventsQuery, ReadQuery, PageQuery),
    responses((status = 200, body = Listed<EventView>), ReadProblems))]
pub(in crate::http) async fn events(
    reading: Reading,
    Asked(query): Asked<EventsQuery>,
    Asked(page): Asked<PageQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    reading
        .list_of_log(page, filter_of(raw.as_deref()), move |reading, place| {
            let query = narrowed(query.found(&reading.caller, place.then, place.position)?, &place)?;
            let ledger = &reading.caller.service.ledger;
            let page = ledger.query(reading.caller.tenant, &query)?;
            let views = page.events.iter().map(|recorded| EventView::of(ledger, recorded));
            let (items, next) = told(views, query.newest_first, PAGE_BYTES_MAX)?;
            Ok((Page { items, next: next.or(page.next).map(|next| next.to_string()) }, Map::new()))
        })
        .await
}

/// As many as there is room for, and where the rest begins.
fn told(
    views: impl Iterator<Item = EventView>,
    newest_first: bool,
    bytes_max: usize,
) -> Result<(Vec<Box<RawValue>>, Option<u64>), Problem> {
    let (mut items, mut bytes) = (Vec::new(), 0);
    for view in views {
        if bytes > bytes_max {
            return Ok((items, Some(if newest_first { view.position + 1 } else { view.position })));
        }
        let text = sorted::written(&view, None).map_err(|error| Problem::internal(&error))?;
        bytes += text.len();
        let text = String::from_utf8(text).map_err(|error| Problem::internal(&error))?;
        items.push(RawValue::from_string(text).map_err(|error| Problem::internal(&error))?);
    }
    Ok((items, None))
}

/// From where the page before ended.
fn narrowed(mut query: EventQuery, place: &LogPlace) -> Result<EventQuery, Problem> {
    query.limit = place.limit;
    if let Some(next) = place.after()? {
        if query.newest_first { query.to = Some(next) } else { query.from = next }
    }
    Ok(query)
}

/// One event.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/events/{position}", tag = "history",
    params(("tenant" = String, Path), ("position" = u64, Path), ReadQuery),
    responses((status = 200, body = EventView), ReadProblems))]
pub(in crate::http) async fn event(reading: Reading, places: Places<(String, u64)>) -> Result<Response, Problem> {
    let Places((_, asked)) = places;
    let find = move || {
        let (ledger, tenant) = (&reading.caller.service.ledger, reading.caller.tenant);
        let head = reading.moment()?.position;
        let found = if asked <= head { ledger.events(tenant, asked, 1)?.pop() } else { None };
        let recorded = found.ok_or_else(|| {
            Problem::new("position-not-reached", format!("there is no event at {asked}; the head is {head}")).at(head)
        })?;
        shown(asked, &EventView::of(ledger, &recorded))
    };
    tokio::task::spawn_blocking(find).await.map_err(|error| Problem::internal(&error))?
}

/// What rules refused, with how often the same was asked.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/refusals", tag = "history",
    params(("tenant" = String, Path), EventsQuery, ReadQuery, PageQuery),
    responses((status = 200, body = Listed<RefusalBody>), ReadProblems))]
pub(in crate::http) async fn refusals(
    reading: Reading,
    Asked(query): Asked<EventsQuery>,
    Asked(page): Asked<PageQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    reading
        .list_of_log(page, filter_of(raw.as_deref()), move |reading, place| {
            let (service, tenant) = (&reading.caller.service, reading.caller.tenant);
            let mut query = narrowed(query.found(&reading.caller, place.then, place.position)?, &place)?;
            let asked = std::mem::replace(&mut query.types, vec![EventType::CommandRefused, EventType::BatchRefused]);
            query.types.retain(|kind| asked.is_empty() || asked.contains(kind));
            if query.types.is_empty() {
                return Ok((Page { items: Vec::new(), next: None }, Map::new()));
            }
            let (mut items, mut next) = (Vec::new(), None);
            for _ in 0..LOOKS_MAX {
                query.limit = place.limit - items.len();
                let page = service.ledger.query(tenant, &query)?;
                items.extend(page.events.iter().filter_map(RefusalBody::of));
                next = page.next;
                match next {
                    Some(at) if items.len() < place.limit => {
                        if query.newest_first {
                            query.to = Some(at)
                        } else {
                            query.from = at
                        }
                    }
                    Some(_) | None => break,
                }
            }
            service.ledger.read(tenant, |view| {
                for item in &mut items {
                    item.times = 1 + view.refusal_repeats.of(item.position, place.position);
                }
            })?;
            Ok((Page { items, next: next.map(|next| next.to_string()) }, Map::new()))
        })
        .await
}

/// The state in 32 bytes, to compare with what a replay or another copy of the log comes to.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/digest", tag = "history",
    params(("tenant" = String, Path), ReadQuery),
    responses((status = 200, body = DigestBody), ReadProblems))]
pub(in crate::http) async fn digest(reading: Reading) -> Result<Response, Problem> {
    reading.knows_positions_alone("a digest is of the state at a position")?;
    let caller = reading.caller.clone();
    let find = move || {
        let (ledger, tenant) = (&reading.caller.service.ledger, reading.caller.tenant);
        let (position, digest) = match reading.asked_moment()? {
            None => ledger.digest(tenant)?,
            Some(moment) => ledger.digest_of(&reading.caller.view_of(moment, &Wanted::Everything)?.state),
        };
        shown(position, &DigestBody { digest: hex::encode(digest), position })
    };
    caller.look_back(find).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(positions: impl Iterator<Item = u64>) -> impl Iterator<Item = EventView> {
        positions.map(|position| EventView {
            position,
            kind: "seat_granted".into(),
            version: 1,
            recorded_at: String::new(),
            occurred_at: None,
            actor: "root".into(),
            door: "http".into(),
            command_id: None,
            reason: Some("because".repeat(50)),
            data: Map::new(),
        })
    }

    #[test]
    fn a_page_of_long_events_ends_early_and_the_next_one_begins_with_the_rest() {
        let (items, next) = told(views(3..10), false, 1200).unwrap();
        assert_eq!((items.len(), next), (3, Some(6)));
        let (items, next) = told(views((3..10).rev()), true, 1200).unwrap();
        assert_eq!((items.len(), next), (3, Some(7)));
        assert_eq!(told(views(3..10), false, 0).unwrap().0.len(), 1);
        let (items, next) = told(views(3..10), false, 1 << 20).unwrap();
        assert_eq!((items.len(), next), (7, None));
        let as_it_was = views(3..10).map(|view| serde_json::to_value(view).unwrap()).collect::<Vec<_>>();
        assert_eq!(serde_json::to_string(&items).unwrap(), serde_json::to_string(&as_it_was).unwrap());
    }
}
