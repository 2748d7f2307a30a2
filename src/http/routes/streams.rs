//! What goes on longer than an answer: events as they happen, and whole histories as files. Each is bounded: so many at
//! once, a page or a few blocks in memory, and an end when its reader takes nothing or the service stops.

use crate::audit::as_of::{AsOfError, At};
use crate::audit::bundle::{GatherError, gather};
use crate::audit::columns::{ARE_BUILT_IN, MEDIA_TYPE, NOT_BUILT_IN};
use crate::audit::events::EventView;
use crate::audit::export::{self, Format};
use crate::domain::time::Time;
use crate::http::auth::{Caller, Root};
use crate::http::contract::{Binary, ReadProblems};
use crate::http::files::{self, Sink};
use crate::http::history::{EventsQuery, range};
use crate::http::inputs::Asked;
use crate::http::places::OnePlace;
use crate::http::problem::Problem;
use crate::http::reading::{ReadQuery, Reading};
use crate::http::{Service, accept};
use crate::ledger::{EventQuery, NoProgress};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use utoipa::IntoParams;

/// So often a stream that has nothing to say says so. That a client is gone is noticed by the second time.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A stream holds so many events at once; its reader's pace decides when the next ones are read.
const STREAM_PAGE_EVENTS: usize = 128;
/// One that has read all there is waits so long before it reads again: many streams beside many small groups would read each
/// group by itself, also where nothing in it is theirs.
const GATHER: Duration = Duration::from_millis(20);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the contract")]
struct ResumeHeader {
    /// Go on behind this position
    #[param(rename = "Last-Event-ID", value_type = Option<u64>)]
    last_event_id: Option<String>,
}

/// For the contract: where a stream begins and ends; events come as they happen.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the contract; EventsQuery reads them")]
struct StreamQuery {
    /// The first position, or the time from which on
    #[param(max_length = 64)]
    from: Option<String>,
    /// The last position, or the time until which
    #[param(max_length = 64)]
    to: Option<String>,
}

/// Events as they become durable: `id` is the position, `event` the type, `data` the event. Without a place to begin it
/// begins now.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/events/stream", tag = "history",
    params(("tenant" = String, Path), StreamQuery, ChosenQuery, ResumeHeader),
    responses((status = 200, body = String, content_type = "text/event-stream"), ReadProblems))]
pub(in crate::http) async fn stream_events(
    caller: Caller,
    headers: HeaderMap,
    Asked(query): Asked<EventsQuery>,
) -> Result<Response, Problem> {
    let resumed = headers.get(LAST_EVENT_ID).map(|value| {
        let position = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
        position.ok_or_else(|| Problem::new("invalid-query", "Last-Event-ID is a position"))
    });
    let resumed = resumed.transpose()?;
    let place = caller.service.streams.take(Some(caller.tenant))?;
    let head = caller.service.ledger.follow(caller.tenant)?;
    let (asked, until) = {
        let caller = caller.clone();
        let find = move || {
            let now = caller.service.ledger.head(caller.tenant)?;
            let mut found = query.found(&caller, None, u64::MAX)?;
            // where a time that has passed lies is known
            let until = query.until()?.filter(|_| found.to == Some(u64::MAX));
            found.newest_first = false;
            found.limit = STREAM_PAGE_EVENTS;
            match resumed {
                Some(seen) => found.from = seen.saturating_add(1),
                None if !query.has_start() => found.from = now + 1,
                None => {}
            }
            // a position that is not there yet is one of another log, or of this one before it was restored
            if found.from > now + 1 {
                let detail = format!("the stream is to begin at {}; the head is {now}", found.from);
                return Err(Problem::new("position-not-reached", detail).at(now));
            }
            Ok::<_, Problem>((found, until))
        };
        tokio::task::spawn_blocking(find).await.map_err(|error| Problem::internal(&error))??
    };
    let follower = Follower { caller, head, query: asked, until, has_read_all: false, _place: place };
    let pages = stream::unfold(follower, |mut follower| async move {
        let page = follower.next_page().await?;
        Some((stream::iter(page.into_iter().map(Ok::<_, Infallible>)), follower))
    });
    Ok(Sse::new(pages.flatten()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Where a stream is.
struct Follower {
    caller: Caller,
    head: watch::Receiver<u64>,
    /// `from` is what comes next, `to` where the stream ends, if it does.
    query: EventQuery,
    /// The time at which the stream ends, until an event behind it says where that is.
    until: Option<Time>,
    has_read_all: bool,
    _place: OnePlace,
}

impl Follower {
    /// The next events; `None` at the end.
    async fn next_page(&mut self) -> Option<Vec<Event>> {
        loop {
            let last = self.query.to.map_or(u64::MAX, |to| to.saturating_sub(1));
            if self.query.from > last {
                return None;
            }
            if std::mem::take(&mut self.has_read_all) {
                tokio::time::sleep(GATHER).await;
            }
            let next = self.query.from;
            let has_more = tokio::select! {
                reached = self.head.wait_for(|head| *head >= next) => {
                    reached.ok()?;
                    true
                }
                // nothing happens when a token expires
                () = tokio::time::sleep(KEEP_ALIVE) => false,
                () = self.caller.service.stopping.cancelled() => return None,
            };
            // what was good at the beginning may have been revoked since
            if !self.caller.is_good() {
                return None;
            }
            if !has_more {
                continue;
            }
            let head = *self.head.borrow();
            if let Some(until) = self.until {
                match self.last_before(until, head).await {
                    Ok(None) => {}
                    Ok(Some(found)) => {
                        (self.query.to, self.until) = (Some(found.saturating_add(1)), None);
                        continue;
                    }
                    Err(_) => return broken_off(next),
                }
            }
            let end = head.min(last).saturating_add(1);
            let query = EventQuery { to: Some(end), ..self.query.clone() };
            let caller = self.caller.clone();
            let read = move || {
                let page = caller.service.ledger.query(caller.tenant, &query)?;
                let shown = page.events.iter().map(|recorded| told(&EventView::of(&caller.service.ledger, recorded)));
                Ok::<_, Problem>((shown.collect::<Result<Vec<_>, Problem>>()?, page.next))
            };
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok((events, following))) => {
                    self.has_read_all = following.is_none();
                    self.query.from = following.unwrap_or(end);
                    if !events.is_empty() {
                        return Some(events);
                    }
                }
                Ok(Err(_)) | Err(_) => return broken_off(next),
            }
        }
    }

    /// The last position that counts until a time, once there is an event behind that: none can come before it then.
    async fn last_before(&self, until: Time, head: u64) -> Result<Option<u64>, Problem> {
        let caller = self.caller.clone();
        let find = move || match At::Time(until).position(&caller.service.ledger, caller.tenant) {
            Ok(last) => Ok((last < head).then_some(last)),
            Err(AsOfError::InFuture { .. }) => Ok(None),
            Err(error @ (AsOfError::BeforeFirst { .. } | AsOfError::Read(_))) => Err(error.into()),
        };
        tokio::task::spawn_blocking(find).await.map_err(|error| Problem::internal(&error))?
    }
}

fn broken_off(position: u64) -> Option<Vec<Event>> {
    tracing::error!(position, "a stream of events ended because the log could not be read");
    None
}

fn told(event: &EventView) -> Result<Event, Problem> {
    let told = Event::default().id(event.position.to_string()).event(&event.kind);
    told.json_data(event).map_err(|error| Problem::internal(&error))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ExportQuery {
    /// `ndjson`, `csv` or `parquet` (a program that is built with it); goes before Accept
    #[param(pattern = "^(ndjson|csv|parquet)$")]
    format: Option<String>,
    /// The first position, or the time from which on. A CSV from a position above 0 has no header: it goes on with another
    #[param(max_length = 64)]
    from: Option<String>,
    /// The last position, or the time until which
    #[param(max_length = 64)]
    to: Option<String>,
    /// `true`: NDJSON has one more line at its end, without which it was cut. It is none of the history: its type is
    /// `seatledger.export.ended`, and its `data` has `from`, `next_position` and `sha256` of the lines before it, each with its
    /// line feed. `seatledger import` takes no file without it
    end: Option<bool>,
    /// `true`: an evidence bundle, a tar of the events and all that proves them
    proof: Option<bool>,
}

/// The history as a file: CloudEvents 1.0, one a line, CSV, or Parquet. A transfer of lines that broke off goes on with `from`; a
/// Parquet file without its end can't be read, and with `end=true` lines have an end as well. With `proof=true` an evidence
/// bundle of at most 10,000 events, which `type`, `pool`, `user` and the like may choose: a tar of the events in words, the
/// record and the inclusion proof of each, the signed head, keys, the format's documents and a reader. It is checked with
/// `seatledger verify-bundle`, or without us.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/export/events", tag = "history",
    params(("tenant" = String, Path), ExportQuery, ChosenQuery, ReadQuery),
    responses((status = 200, content((String = "application/x-ndjson"), (String = "text/csv"), (Binary = "application/x-tar"), (Binary = "application/vnd.apache.parquet"))),
        (status = 406, description = "No such form of the answer", body = crate::http::problem::ProblemBody, content_type = "application/problem+json"),
        ReadProblems))]
pub(in crate::http) async fn export_events(
    reading: Reading,
    headers: HeaderMap,
    Asked(query): Asked<ExportQuery>,
    Asked(chosen): Asked<EventsQuery>,
    Asked(given): Asked<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    if query.proof == Some(true) {
        return bundle(reading, chosen, &given).await;
    }
    if let Some((name, _)) = given.iter().find(|(name, _)| CHOICES.contains(&name.as_str())) {
        let why = format!("{name}: events are chosen for a bundle alone (proof=true); GET /events narrows a list");
        return Err(Problem::new("invalid-query", why).with("parameter", name.as_str()));
    }
    let format = format(query.format.as_deref(), &headers)?;
    let place = reading.caller.service.exports.take(Some(reading.caller.tenant))?;
    let goes_on = query.from.as_deref().is_some_and(|from| matches!(from.parse(), Ok(At::Position(1..))));
    let is_framed = match format {
        Format::Ndjson => query.end == Some(true),
        Format::Csv | Format::Parquet => !goes_on,
    };
    let (reading, from, to) = {
        let find = move || {
            let last = reading.moment()?.position;
            let (from, to) = range(&reading.caller, query.from.as_deref(), query.to.as_deref(), last)?;
            if from > last + 1 {
                let detail = format!("the export is to begin at {from}; the last position is {last}");
                return Err(Problem::new("position-not-reached", detail).at(last));
            }
            Ok((reading, from, to))
        };
        tokio::task::spawn_blocking(find).await.map_err(|error| Problem::internal(&error))??
    };
    let caller = reading.caller.clone();
    let slug = caller.service.ledger.read(caller.tenant, |view| view.state.slug.clone())?;
    let name = format!("{slug}-events-{from}-{to}.{}", format.name());
    let body = files::written(&caller.service, Some(caller.clone()), place, move |sink: &mut Sink| {
        export::export(&reading.caller.service.ledger, reading.caller.tenant, from, to, format, is_framed, sink)
            .map(|_next| ())
            .map_err(|error| error.to_string())
    });
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (HeaderName::from_static("seatledger-position"), to.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::VARY, "accept".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// What chooses the events of a bundle.
const CHOICES: [&str; 7] = ["type", "pool", "user", "device", "review", "actor", "command"];

/// For the contract: which events a stream or a bundle is to hold; of an export with `proof=true` alone.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the contract; EventsQuery reads them")]
struct ChosenQuery {
    /// Types with commas between them, as in `seat_granted,seat_released`
    #[param(max_length = 2048)]
    r#type: Option<String>,
    /// What the event is about
    #[param(max_length = 512)]
    pool: Option<String>,
    /// Its id, or the user name that was borne at `as_of`; without `as_of`, now
    #[param(max_length = 512)]
    user: Option<String>,
    /// Its id, or the serial number or device id that was borne at `as_of`; without `as_of`, now
    #[param(max_length = 512)]
    device: Option<String>,
    #[param(max_length = 64)]
    review: Option<String>,
    /// Who did it: `root`, `ledger`, or a token's id
    #[param(max_length = 64)]
    actor: Option<String>,
    /// The id of the command that it came of
    #[param(min_length = 1, max_length = 64)]
    command: Option<String>,
}

async fn bundle(reading: Reading, chosen: EventsQuery, given: &[(String, String)]) -> Result<Response, Problem> {
    if let Some((name, _)) = given.iter().find(|(name, _)| ["format", "order"].contains(&name.as_str())) {
        let why = format!("{name}: a bundle has one form, the oldest events first");
        return Err(Problem::new("invalid-query", why).with("parameter", name.as_str()));
    }
    let place = reading.caller.service.exports.take(Some(reading.caller.tenant))?;
    let asking = reading.caller.clone();
    let find = move || {
        let then = reading.asked_moment()?.map(|moment| moment.position);
        let last = then.map_or_else(|| reading.caller.service.ledger.head(reading.caller.tenant), Ok)?;
        let query = chosen.found(&reading.caller, then, last)?;
        if query.from > last + 1 {
            let detail = format!("the bundle is to begin at {}; the last position is {last}", query.from);
            return Err(Problem::new("position-not-reached", detail).at(last));
        }
        let caller = reading.caller;
        let slug = caller.service.ledger.read(caller.tenant, |view| view.state.slug.clone())?;
        let gathered = gather(&caller.service.ledger, caller.tenant, query)?;
        Ok::<_, Problem>((caller, slug, gathered))
    };
    let (caller, slug, gathered) = asking.look_back(find).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (HeaderName::from_static("seatledger-position"), (gathered.size() - 1).to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{slug}-evidence-{}.tar\"", gathered.size())),
        (header::VARY, "accept".to_owned()),
    ];
    let service = Arc::clone(&caller.service);
    let body = files::written(&service, Some(caller.clone()), place, move |sink: &mut Sink| {
        gathered.write(&caller.service.ledger, sink).map_err(|error| error.to_string())
    });
    Ok((headers, body).into_response())
}

impl From<GatherError> for Problem {
    fn from(error: GatherError) -> Self {
        match error {
            GatherError::Read(error) => error.into(),
            GatherError::TooMany | GatherError::TooLong => Self::new("bundle-too-large", error.to_string()),
        }
    }
}

/// With the media types that ask for each.
const FORMS: &[(Format, &[&str])] = &[
    (Format::Ndjson, &["application/x-ndjson", "application/ndjson", "application/jsonl"]),
    (Format::Csv, &["text/csv"]),
    (Format::Parquet, &[MEDIA_TYPE]),
];

fn format(asked: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    let unknown = || {
        Problem::new(
            "not-acceptable",
            "an export is application/x-ndjson, text/csv or application/vnd.apache.parquet (format=ndjson, csv, parquet)",
        )
    };
    if let Some(word) = asked {
        return built(word.parse().map_err(|_| unknown())?);
    }
    // what this program can't write gives way to what else is accepted
    let mut known = accept::accepted(headers, FORMS).into_iter().map(built);
    let first = known.next().unwrap_or_else(|| Err(unknown()));
    first.or_else(|why| known.find_map(Result::ok).ok_or(why))
}

/// Not every program can write Parquet.
fn built(format: Format) -> Result<Format, Problem> {
    match format {
        Format::Parquet if !ARE_BUILT_IN => {
            let detail = format!("{NOT_BUILT_IN}: an export is application/x-ndjson or text/csv (format=ndjson, csv)");
            Err(Problem::new("not-acceptable", detail))
        }
        Format::Ndjson | Format::Csv | Format::Parquet => Ok(format),
    }
}

/// A backup of the whole service as a tar, taken while it goes on. It is whole only with SHA256SUMS at its end.
#[utoipa::path(get, path = "/v1/backup", tag = "service",
    responses((status = 200, body = Binary, content_type = "application/x-tar"), ReadProblems))]
pub(in crate::http) async fn backup(root: Root) -> Result<Response, Problem> {
    let service: Arc<Service> = root.service;
    let place = service.exports.take(None)?;
    let ledger = service.ledger.clone();
    let body = files::written(&service, None, place, move |sink: &mut Sink| {
        ledger.backup(sink, &NoProgress).map(|_about| ()).map_err(|error| error.to_string())
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"seatledger-backup.tar\""),
    ];
    Ok((headers, body).into_response())
}
