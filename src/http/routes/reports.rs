//! The auditor's reports: which there are, and each as a list or as a file. Here: what is asked, looked up and refused. Not
//! here: what a report says (`audit::reports`).

use crate::audit::as_of::{AsOfError, At};
use crate::audit::columns::{self, ARE_BUILT_IN, MEDIA_TYPE, NOT_BUILT_IN};
use crate::audit::hindsight::{Moment, late};
use crate::audit::part::Wanted;
use crate::audit::reports::{Asked, Asking, CsvRows, Hindsight, Key, Output, Report, Source, csv_header};
use crate::domain::ids::PoolId;
use crate::domain::report::{ReportAsked, ReportName};
use crate::domain::time::{HOUR_MICROS, Time};
use crate::http::auth::Caller;
use crate::http::bodies::reports::{ReportAboutBody, ReportBody};
use crate::http::contract::{Binary, ReadProblems};
use crate::http::files::{self, Sink};
use crate::http::history::{filter_of, reversed};
use crate::http::inputs::{self, Places};
use crate::http::problem::Problem;
use crate::http::reading::{Listed, PageQuery, Place, ReadQuery, Reading, point, shown};
use crate::http::{accept, refs, traces};
use crate::projection::View;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::cell::Cell;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::Arc;
use utoipa::IntoParams;

/// More days than a century has.
const DAYS_MAX: u32 = 36_500;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ReportQuery {
    /// The first position that counts, or the time from which on
    #[param(max_length = 64)]
    pub(super) from: Option<String>,
    /// The last position that counts, or the time until which
    #[param(max_length = 64)]
    pub(super) to: Option<String>,
    #[param(max_length = 512)]
    pub(super) pool: Option<String>,
    #[param(max_length = 512)]
    pub(super) user: Option<String>,
    #[param(minimum = 0, maximum = 36_500)]
    pub(super) days: Option<u32>,
    /// `json`, `csv` or `parquet` (a program that is built with it); goes before Accept
    #[param(pattern = "^(json|csv|parquet)$")]
    pub(super) format: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Parquet,
}

/// The reports that there are, with what each is asked with and what its columns mean.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/reports", tag = "reports",
    params(("tenant" = String, Path), ReadQuery),
    responses((status = 200, body = Listed<ReportAboutBody>), ReadProblems))]
pub(in crate::http) async fn reports(reading: Reading) -> Result<Response, Problem> {
    let ((), position) = reading.wanting(Wanted::Tenant).look(|_| Ok(())).await?;
    let items = crate::audit::reports::REPORTS.iter().copied().map(ReportAboutBody::from).collect();
    shown(position, &Listed { items, next_cursor: None, position })
}

/// One report: as a list, or as a file of all of its rows, CSV or Parquet. Which parameters it takes says `GET /reports`; others are refused.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/reports/{report}", tag = "reports",
    params(("tenant" = String, Path), ("report" = String, Path), ReportQuery, ReadQuery, PageQuery),
    responses((status = 200, content((ReportBody = "application/json"), (String = "text/csv"), (Binary = "application/vnd.apache.parquet"))),
        (status = 406, description = "No such form of the answer", body = crate::http::problem::ProblemBody, content_type = "application/problem+json"),
        ReadProblems))]
pub(in crate::http) async fn report(
    reading: Reading,
    places: Places<(String, String)>,
    headers: HeaderMap,
    inputs::Asked(query): inputs::Asked<ReportQuery>,
    inputs::Asked(page): inputs::Asked<PageQuery>,
    inputs::Asked(given): inputs::Asked<Vec<(String, String)>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let Places((_, name)) = places;
    let found = ReportName::from_str(&name).ok().and_then(Report::find);
    let report = found.ok_or_else(|| Problem::new("report-not-found", "no report has this name"))?;
    answer(reading, report, query, &given, &headers, page, raw.as_deref()).await
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DiffQuery {
    /// A position, or a time: everything as it was then is compared
    #[param(required = true, max_length = 64, example = "1")]
    from: Option<String>,
    /// A position, or a time: with everything as it was then
    #[param(required = true, max_length = 64, example = "9")]
    to: Option<String>,
    /// A row for each `pool` whose figures changed, or for each `person` whose seats did
    #[param(pattern = "^(pool|person)$")]
    by: Option<String>,
    #[param(max_length = 512)]
    pool: Option<String>,
    /// With `by=person` alone
    #[param(max_length = 512)]
    user: Option<String>,
    /// `json`, `csv` or `parquet` (a program that is built with it); goes before Accept
    #[param(pattern = "^(json|csv|parquet)$")]
    format: Option<String>,
}

/// What changed between two points: figures by pool, seats that came, went or are in another state, with what caused it.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/diff", tag = "reports",
    params(("tenant" = String, Path), DiffQuery, ReadQuery, PageQuery),
    responses((status = 200, content((ReportBody = "application/json"), (String = "text/csv"), (Binary = "application/vnd.apache.parquet"))),
        (status = 406, description = "No such form of the answer", body = crate::http::problem::ProblemBody, content_type = "application/problem+json"),
        ReadProblems))]
pub(in crate::http) async fn diff(
    reading: Reading,
    headers: HeaderMap,
    inputs::Asked(query): inputs::Asked<DiffQuery>,
    inputs::Asked(page): inputs::Asked<PageQuery>,
    inputs::Asked(mut given): inputs::Asked<Vec<(String, String)>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let DiffQuery { from, to, by, pool, user, format } = query;
    let name = match by.as_deref() {
        None | Some("pool") => ReportName::Diff,
        Some("person") => ReportName::DiffByPerson,
        Some(_) => return Err(Problem::new("invalid-query", "by: pool or person").with("parameter", "by")),
    };
    let report = Report::find(name).ok_or_else(|| Problem::internal(&"a report is not in the table"))?;
    given.retain(|(name, _)| name != "by");
    let query = ReportQuery { from, to, pool, user, days: None, format };
    answer(reading, report, query, &given, &headers, page, raw.as_deref()).await
}

async fn answer(
    reading: Reading,
    report: &'static Report,
    query: ReportQuery,
    given: &[(String, String)],
    headers: &HeaderMap,
    page: PageQuery,
    raw: Option<&str>,
) -> Result<Response, Problem> {
    let format = format(query.format.as_deref(), headers)?;
    check_names(report, given, format)?;
    let place = Place::of(&reading, page, &filter_of(raw)).await?;
    let caller = reading.caller.clone();
    let look_up = move || {
        let looked_up = LookedUp::of(&reading, report, &query, place.cursor())?;
        Ok::<_, Problem>((reading, place, looked_up))
    };
    let (reading, place, looked_up) = caller.look_back(look_up).await?;
    traces::report_read(&caller, report.name, looked_up.traced, looked_up.position).await?;
    let settle = move || looked_up.settled(&reading.caller, report);
    let looked_up = caller.look_back(settle).await?;
    match format {
        Format::Json => listed(caller, report, place, looked_up).await,
        Format::Csv | Format::Parquet => written(&caller, report, looked_up, format),
    }
}

async fn listed(
    caller: Caller,
    report: &'static Report,
    place: Place,
    looked_up: LookedUp,
) -> Result<Response, Problem> {
    let reader = caller.clone();
    let read = move || {
        let LookedUp { asked, moment, after, .. } = looked_up;
        let mut items: Vec<Value> = Vec::new();
        let mut sink = |row: crate::audit::reports::Row| {
            items.push(Value::Object(row.to_json(report.columns)));
            Ok(())
        };
        let mut out = Output::page(after, place.limit(), &mut sink);
        let until = looked_up.until;
        report.read(&looked_up.source(&reader), &asked, &mut out)?;
        let next = out.next_after().map(|key| format!("{key}@{}", until.0));
        let beside = [("report", Value::from(report.name.name())), ("until", Value::from(until.to_string()))];
        let beside = beside.into_iter().map(|(name, value)| (name.to_owned(), value));
        place.listed_beside(items, next, moment, Map::from_iter(beside))
    };
    caller.look_back(read).await
}

fn written(caller: &Caller, report: &'static Report, looked_up: LookedUp, format: Format) -> Result<Response, Problem> {
    let LookedUp { asked, position, .. } = looked_up;
    let place = caller.service.exports.take(Some(caller.tenant))?;
    let slug = caller.service.ledger.read(caller.tenant, |view| view.state.slug.clone())?;
    let (ending, media_type) = match format {
        Format::Json | Format::Csv => ("csv", "text/csv; charset=utf-8"),
        Format::Parquet => ("parquet", MEDIA_TYPE),
    };
    let name = format!("{slug}-{}-{position}.{ending}", report.name);
    let reader = caller.clone();
    let body = files::written(&caller.service, Some(caller.clone()), place, move |sink: &mut Sink| {
        if format == Format::Parquet {
            return columns::report(report, &looked_up.source(&reader), &asked, sink)
                .map_err(|error| error.to_string());
        }
        // who waits sees that it has begun
        csv_header(report.columns, sink).and_then(|()| sink.flush()).map_err(|error| error.to_string())?;
        let mut lines = CsvRows(sink);
        let mut out = Output::all(&mut lines);
        report.read(&looked_up.source(&reader), &asked, &mut out).map_err(|error| error.to_string())
    });
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (HeaderName::from_static("seatledger-position"), position.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::VARY, "accept".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// Refuses what the report is not asked with, and misses what it must be, each by its name.
fn check_names(report: &Report, given: &[(String, String)], format: Format) -> Result<(), Problem> {
    let refused = |name: &str, why: String| Err(Problem::new("invalid-query", why).with("parameter", name));
    for (name, _) in given {
        let is_asked = report.parameters.iter().any(|parameter| parameter.asking.name() == name);
        let is_of_the_list = matches!(name.as_str(), "limit" | "cursor" | "at_least" | "format");
        if !is_asked && !is_of_the_list {
            let takes: Vec<_> = report.parameters.iter().map(|parameter| parameter.asking.name()).collect();
            let why = format!("{name}: the report {} is not asked with it; it takes {}", report.name, takes.join(", "));
            return refused(name, why);
        }
        if format != Format::Json && matches!(name.as_str(), "limit" | "cursor") {
            return refused(name, format!("{name}: a file has all rows"));
        }
    }
    let is_given = |asking: Asking| given.iter().any(|(name, _)| name == asking.name());
    match report.missing(is_given).next() {
        Some(missing) => {
            let (name, about) = (missing.name(), missing.about());
            refused(name, format!("{name} is missing: the report {} needs it. {about}", report.name))
        }
        None => Ok(()),
    }
}

/// Everything that was asked, as positions, instants and ids.
pub(super) struct LookedUp {
    pub(super) asked: Asked,
    /// The same as it is recorded.
    pub(super) traced: ReportAsked,
    pub(super) position: u64,
    moment: Moment,
    pub(super) until: Time,
    after: Option<Key>,
    /// Nothing says at which point to look.
    is_now: bool,
    pinned: Option<Arc<View>>,
    hindsight: Option<Hindsight>,
}

impl LookedUp {
    pub(super) fn source(self, caller: &Caller) -> Source<'_> {
        let service = &caller.service;
        Source {
            ledger: &service.ledger,
            as_of: &service.as_of,
            tenant: caller.tenant,
            position: self.position,
            until: self.until,
            pinned: self.pinned,
            hindsight: self.hindsight,
            work: Cell::new(0),
        }
    }

    /// Blocking.
    pub(super) fn of(
        reading: &Reading,
        report: &Report,
        query: &ReportQuery,
        after: Option<(Moment, &str)>,
    ) -> Result<Self, Problem> {
        let caller = &reading.caller;
        if query.days.is_some_and(|days| days > DAYS_MAX) {
            let why = format!("days: at most {DAYS_MAX} are asked for");
            return Err(Problem::new("invalid-query", why).with("parameter", "days"));
        }
        let to = match &query.to {
            Some(text) => Some(point("to", text)?),
            None => reading.asked_point()?,
        };
        let (moment, until, after) = match after {
            Some((moment, after)) => {
                let (until, after) = continued(caller, moment.position, after)?;
                (moment, until, Some(after))
            }
            None => {
                let (position, until) = end(caller, to)?;
                let known = reading.asked_moment()?.filter(|moment| moment.known.is_some());
                (known.unwrap_or(Moment::at(position)), until, None)
            }
        };
        let position = moment.position;
        let is_now = to.is_none() && after.is_none();
        let then = (!is_now).then_some(position);
        let from = query.from.as_deref().map(|text| point("from", text)).transpose()?;
        let is_between = report.takes(Asking::FromPoint);
        let (first, since) =
            if is_between { behind(caller, from, to, position)? } else { begin(caller, from, to, position)? };
        let asked = Asked {
            first,
            since,
            pool: query.pool.as_deref().map(|text| pool(caller, text, position)).transpose()?,
            user: query.user.as_deref().map(|text| caller.user_at(then, text)).transpose()?,
            days: query.days,
        };
        let Asked { first, pool, user, days, .. } = asked;
        // a later page of what was read as of now belongs to that read
        let is_fresh = to.is_none() && caller.service.ledger.clock().now().0 - until.0 < HOUR_MICROS;
        let end = (!is_fresh).then_some(position);
        let (as_of, to) = match moment.known {
            Some(known) => (Some(position), Some(known.position)),
            None if query.to.is_some() => (None, end),
            None => (end, None),
        };
        let traced = ReportAsked { as_of, from: from.map(|_| first - u64::from(is_between)), to, pool, user, days };
        Ok(Self { asked, traced, position, moment, until, after, is_now, pinned: None, hindsight: None })
    }

    /// Now is when the trace is there: the position, and with it the state for a report that reads one. Blocking.
    pub(super) fn settled(self, caller: &Caller, report: &Report) -> Result<Self, Problem> {
        if self.moment.known.is_some() {
            let moment = self.moment;
            let late = late(&caller.service.ledger, caller.tenant, moment, self.asked.pool)?.into();
            return Ok(Self { hindsight: Some(Hindsight { moment, late }), ..self });
        }
        if !self.is_now {
            return Ok(self);
        }
        let (ledger, tenant) = (&caller.service.ledger, caller.tenant);
        if !report.reads_state() {
            let (position, until) = end(caller, None)?;
            return Ok(Self { position, moment: Moment::at(position), until, ..self });
        }
        let view = caller.service.as_of.published(ledger, tenant)?;
        let position = view.state.next_position.saturating_sub(1);
        let until = ledger.clock().now().max(view.state.last_recorded_at);
        Ok(Self { position, moment: Moment::at(position), until, pinned: Some(view), ..self })
    }
}

/// What stands in a cursor; what no page of this log can have said is refused.
fn continued(caller: &Caller, position: u64, after: &str) -> Result<(Time, Key), Problem> {
    let wrong = || Problem::new("invalid-cursor", "the cursor is not one that this list gave");
    let parts = after.split_once('@').and_then(|(key, until)| Some((Time(until.parse().ok()?), key.parse().ok()?)));
    let (until, key) = parts.ok_or_else(wrong)?;
    At::Position(position).position(&caller.service.ledger, caller.tenant)?;
    let (_, latest) = end(caller, None)?;
    if (recorded_at(caller, position)?..=latest).contains(&until) { Ok((until, key)) } else { Err(wrong()) }
}

fn recorded_at(caller: &Caller, position: u64) -> Result<Time, Problem> {
    let event = caller.service.ledger.events(caller.tenant, position, 1)?.pop();
    let event =
        event.ok_or_else(|| Problem::new("position-not-reached", format!("there is no event at {position}")))?;
    Ok(event.envelope.recorded_at)
}

/// The last position that counts, and the instant up to which what goes on is measured.
fn end(caller: &Caller, to: Option<At>) -> Result<(u64, Time), Problem> {
    let ledger = &caller.service.ledger;
    match to {
        Some(at @ At::Position(position)) => {
            at.position(ledger, caller.tenant)?;
            Ok((position, recorded_at(caller, position)?))
        }
        Some(at @ At::Time(time)) => Ok((at.position(ledger, caller.tenant)?, time)),
        None => {
            let head = ledger.head(caller.tenant)?;
            Ok((head, ledger.clock().now().max(recorded_at(caller, head)?)))
        }
    }
}

/// The position behind the first of two points, and its instant.
fn behind(caller: &Caller, from: Option<At>, to: Option<At>, position: u64) -> Result<(u64, Time), Problem> {
    let (before, since) = end(caller, from)?;
    let is_reversed = match (from, to) {
        (Some(At::Time(from)), Some(At::Time(to))) => from > to,
        (_, _) => before > position,
    };
    if is_reversed { Err(reversed(position)) } else { Ok((before + 1, since)) }
}

/// The first position that counts, and the instant at which the period begins.
fn begin(caller: &Caller, from: Option<At>, to: Option<At>, position: u64) -> Result<(u64, Time), Problem> {
    let (ledger, tenant) = (&caller.service.ledger, caller.tenant);
    match from {
        None => Ok((0, recorded_at(caller, 0)?)),
        Some(at @ At::Position(first)) => {
            at.position(ledger, tenant)?;
            if first > position { Err(reversed(position)) } else { Ok((first, recorded_at(caller, first)?)) }
        }
        Some(At::Time(since)) => {
            if matches!(to, Some(At::Time(until)) if since > until) {
                return Err(reversed(position));
            }
            let first = match At::Time(Time(since.0 - 1)).position(ledger, tenant) {
                Ok(before) => before + 1,
                Err(AsOfError::BeforeFirst { .. }) => 0,
                Err(error @ (AsOfError::InFuture { .. } | AsOfError::Read(_))) => return Err(error.into()),
            };
            if first > position + 1 { Err(reversed(position)) } else { Ok((first, since)) }
        }
    }
}

/// A pool that was listed by then.
fn pool(caller: &Caller, text: &str, position: u64) -> Result<PoolId, Problem> {
    let asked = refs::pool(text)?;
    caller.service.ledger.read(caller.tenant, |view| {
        let pool = refs::pool_in(&view.state, &asked)?;
        let is_listed = view.courses.pool(pool).is_some_and(|course| course.listed_position() <= position);
        let unlisted = || Problem::new("pool-not-found", format!("{pool} was not listed yet")).at(position);
        if is_listed { Ok(pool) } else { Err(unlisted()) }
    })?
}

/// With the media type that asks for each.
const FORMS: &[(Format, &[&str])] =
    &[(Format::Json, &["application/json"]), (Format::Csv, &["text/csv"]), (Format::Parquet, &[MEDIA_TYPE])];

fn format(asked: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    let unknown = || {
        Problem::new(
            "not-acceptable",
            "a report is application/json, text/csv or application/vnd.apache.parquet (format=json, csv, parquet)",
        )
    };
    if let Some(word) = asked {
        return match word {
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            "parquet" => built(Format::Parquet),
            _ => Err(unknown()),
        };
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
            let detail = format!("{NOT_BUILT_IN}: a report is application/json or text/csv (format=json, csv)");
            Err(Problem::new("not-acceptable", detail))
        }
        Format::Json | Format::Csv | Format::Parquet => Ok(format),
    }
}
