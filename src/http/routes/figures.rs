//! Why a pool's numbers are what they are, and what they were.

use crate::audit::as_of::At;
use crate::audit::explain::{self, Figure};
use crate::audit::timeline;
use crate::domain::ids::PoolId;
use crate::domain::time::Day;
use crate::http::bodies::history::{ExplanationBody, StepBody, TimelinePoint};
use crate::http::contract::ReadProblems;
use crate::http::history::filter_of;
use crate::http::inputs::{Asked, Places};
use crate::http::problem::{Problem, owned_json};
use crate::http::reading::{Listed, Page, PageQuery, ReadQuery, Reading};
use crate::http::refs;
use axum::extract::RawQuery;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ExplainQuery {
    /// The count that is to be explained
    #[param(value_type = FigureWord, inline)]
    figure: String,
}

#[derive(serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "for the contract; audit::explain reads the word")]
enum FigureWord {
    Owned,
    Held,
    Reserved,
    InUse,
    Releasing,
    Foreign,
    Free,
    OverBy,
    Queued,
    Installed,
    Unlicensed,
    Refused,
}

/// The events behind a number, in order: who did it, through which door, under which command, and why.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools/{pool}/explain", tag = "history",
    params(("tenant" = String, Path), ("pool" = String, Path), ExplainQuery, ReadQuery, PageQuery),
    responses((status = 200, body = ExplanationBody), ReadProblems))]
pub(in crate::http) async fn explain(
    reading: Reading,
    places: Places<(String, String)>,
    Asked(query): Asked<ExplainQuery>,
    Asked(page): Asked<PageQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let figure: Figure =
        query.figure.parse().map_err(|error| Problem::new("invalid-query", format!("figure: {error}")))?;
    let pool = pool_of(&reading, places)?;
    reading
        .walking()
        .list_of_log(page, filter_of(raw.as_deref()), move |reading, place| {
            let (ledger, tenant) = (&reading.caller.service.ledger, reading.caller.tenant);
            let found = explain::explain(ledger, tenant, pool, figure, place.moment, place.after()?, place.limit)?;
            let items = found.steps.into_iter().map(StepBody::from).collect();
            let beside = Map::from_iter([
                ("pool".to_owned(), Value::from(pool.to_string())),
                ("figure".to_owned(), Value::from(figure.name())),
                ("value".to_owned(), owned_json(found.value)),
            ]);
            Ok((Page { items, next: found.next_after.map(|after| after.to_string()) }, beside))
        })
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct TimelineQuery {
    /// One point a day, in UTC; without it one point an event
    #[param(value_type = Option<BucketWord>, inline)]
    bucket: Option<Bucket>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Bucket {
    Day,
}

#[derive(serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "for the contract")]
enum BucketWord {
    Day,
}

/// Owned, held and free over time.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/pools/{pool}/timeline", tag = "history",
    params(("tenant" = String, Path), ("pool" = String, Path), TimelineQuery, ReadQuery, PageQuery),
    responses((status = 200, body = Listed<TimelinePoint>), ReadProblems))]
pub(in crate::http) async fn timeline(
    reading: Reading,
    places: Places<(String, String)>,
    Asked(query): Asked<TimelineQuery>,
    Asked(page): Asked<PageQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let pool = pool_of(&reading, places)?;
    reading
        .walking()
        .list_of_log(page, filter_of(raw.as_deref()), move |reading, place| {
            let (ledger, tenant) = (&reading.caller.service.ledger, reading.caller.tenant);
            let (to, limit) = (place.position, place.limit);
            let moment = place.moment;
            let page = match query.bucket {
                None if moment.known.is_some() => {
                    let found = timeline::placed_points(ledger, tenant, pool, moment, place.after()?, limit)?;
                    let items: Vec<TimelinePoint> = found.points.into_iter().map(Into::into).collect();
                    Page { items, next: found.next_after.map(|after| after.to_string()) }
                }
                None => {
                    let found = timeline::points(ledger, tenant, pool, to, place.after()?, limit)?;
                    let items: Vec<TimelinePoint> = found.points.into_iter().map(Into::into).collect();
                    Page { items, next: found.next_after.map(|after| after.to_string()) }
                }
                Some(Bucket::Day) => {
                    let (after, last) = match place.after::<DayPlace>()? {
                        Some(DayPlace { after, last }) => (Some(after), last),
                        None => (None, last_day(reading, to)?),
                    };
                    let found = match moment.known {
                        Some(_) => timeline::placed_days(ledger, tenant, pool, moment, last, after, limit)?,
                        None => timeline::days(ledger, tenant, pool, to, last, after, limit)?,
                    };
                    let items = found.points.into_iter().map(Into::into).collect();
                    Page { items, next: found.next_after.map(|after| DayPlace { after, last }.to_string()) }
                }
            };
            Ok((page, Map::new()))
        })
        .await
}

/// Where a timeline by days goes on. It ends on the day on which it was to end when it began.
struct DayPlace {
    after: Day,
    last: Day,
}

impl fmt::Display for DayPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.after, self.last)
    }
}

impl FromStr for DayPlace {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (after, last) = text.split_once('@').unwrap_or((text, ""));
        Ok(Self { after: after.parse()?, last: last.parse()? })
    }
}

/// The day of the point that is asked for, of the earlier one where it was to be known of another point; today for now.
fn last_day(reading: &Reading, position: u64) -> Result<Day, Problem> {
    let (ledger, tenant) = (&reading.caller.service.ledger, reading.caller.tenant);
    let then = match reading.asked_time()? {
        Some(then) => then,
        None => ledger.clock().now().max(At::Position(position).time(ledger, tenant)?),
    };
    Ok(then.day())
}

fn pool_of(reading: &Reading, Places((_, pool)): Places<(String, String)>) -> Result<PoolId, Problem> {
    let pool = refs::pool(&pool)?;
    let caller = &reading.caller;
    caller.service.ledger.read(caller.tenant, |view| refs::pool_in(&view.state, &pool))?
}
