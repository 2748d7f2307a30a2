//! The way of a read through HTTP: what is shown, at which position, and how a list is paged. Not here: what a thing looks
//! like.

mod page;
mod place;

use super::Service;
use super::auth::Caller;
use super::inputs::{Asked, Places};
use super::problem::Problem;
use super::sorted;
use crate::audit::as_of::At;
use crate::audit::hindsight::Moment;
use crate::audit::part::Wanted;
use crate::domain::time::Time;
use crate::projection::View;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use page::{Making, On};
pub(super) use place::Place;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// A read waits so long for `?at_least=`.
const REACH_MAX: Duration = Duration::from_secs(5);
/// No ledger grows by so much within that time.
const REACHABLE_MAX: u64 = 100_000_000;
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;
/// A page of more is made at length.
const SHORT_MAX: usize = 100;

/// At which position a read looks.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadQuery {
    /// Wait until this position can be read, at most 5 s
    pub(super) at_least: Option<u64>,
    /// A position, or a time: the state as it was
    #[param(max_length = 64)]
    pub(super) as_of: Option<String>,
    /// A position, or a time: what was known up to there of `as_of`, or of that very point. Facts about seats and installs count
    /// from when they occurred, also those that were recorded behind `as_of`; all others from when they were recorded
    #[param(max_length = 64)]
    pub(super) as_known_at: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Items at most
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<usize>,
    /// `next_cursor` of the page before
    #[param(max_length = 1024)]
    pub(super) cursor: Option<String>,
}

/// A page of a list
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    /// For the next page; null at the end
    #[schema(required)]
    pub(super) next_cursor: Option<String>,
    pub(super) position: u64,
}

/// Items of a page, and after which key the next one goes on.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

impl<T> Page<T> {
    /// The first `limit` of `all`, which begins behind the cursor's key.
    pub(super) fn of<I>(
        all: impl Iterator<Item = I>,
        limit: usize,
        key: impl Fn(&I) -> String,
        show: impl Fn(I) -> T,
    ) -> Self {
        let mut items = Vec::new();
        let (mut last, mut next) = (None, None);
        for one in all {
            if items.len() == limit {
                next = last;
                break;
            }
            last = Some(key(&one));
            items.push(show(one));
        }
        Self { items, next }
    }
}

/// A caller who reads.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) caller: Caller,
    query: ReadQuery,
    path: String,
    query_text: Option<String>,
    /// What of the past it looks at.
    wanted: Wanted,
    /// It walks much of the log, also where it looks at now.
    is_long: bool,
}

impl FromRequestParts<Arc<Service>> for Reading {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, service).await?;
        let Asked(query) = Asked::<ReadQuery>::from_request_parts(parts, service).await?;
        if let Some(position) = query.at_least {
            caller.reach(position).await?;
        }
        let (path, query_text) = (parts.uri.path().to_owned(), parts.uri.query().map(str::to_owned));
        Ok(Self { caller, query, path, query_text, wanted: Wanted::default(), is_long: false })
    }
}

/// A caller who reads a list of what belongs to one thing, which the path names: `/pools/{pool}/seats`.
pub(super) struct Belonging {
    pub(super) reading: Reading,
    pub(super) to: String,
    pub(super) page: PageQuery,
}

impl FromRequestParts<Arc<Service>> for Belonging {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let reading = Reading::from_request_parts(parts, service).await?;
        let Places((_, to)) = Places::<(String, String)>::from_request_parts(parts, service).await?;
        let Asked(page) = Asked::<PageQuery>::from_request_parts(parts, service).await?;
        Ok(Self { reading, to, page })
    }
}

impl Caller {
    /// # Errors
    /// When the position is not reached in time.
    pub(super) async fn reach(&self, position: u64) -> Result<(), Problem> {
        // what can't be reached in time is not waited for
        let head = self.service.ledger.head(self.tenant)?;
        let wait = if position.saturating_sub(head) > REACHABLE_MAX { Duration::ZERO } else { REACH_MAX };
        if self.service.ledger.reach(self.tenant, position, wait).await? {
            return Ok(());
        }
        let head = self.service.ledger.head(self.tenant)?;
        Err(Problem::new(
            "position-timeout",
            format!("position {position} was not reached within 5 s; the head is {head}"),
        )
        .at(head))
    }

    /// The state of a moment, at least what is wanted of it. Blocking.
    pub(super) fn view_of(&self, moment: Moment, wanted: &Wanted) -> Result<Arc<View>, Problem> {
        Ok(self.service.as_of.moment(&self.service.ledger, self.tenant, moment, wanted)?)
    }
}

/// A position or a time, as a parameter names it.
pub(super) fn point(name: &str, text: &str) -> Result<At, Problem> {
    text.parse().map_err(|error| Problem::new("invalid-query", format!("{name}: {error}")).with("parameter", name))
}

impl Reading {
    /// The caller asks for something else than what is so now.
    pub(super) fn is_past(&self) -> bool {
        self.query.as_of.is_some() || self.query.as_known_at.is_some()
    }

    /// Says what of the past the question looks at, so that nothing else is made.
    pub(super) fn wanting(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    /// Says that much of the log is walked whatever point is asked for.
    pub(super) fn walking(self) -> Self {
        Self { is_long: true, ..self }
    }

    /// Whether a page of a list that is made from the log needs a place among those who look back.
    pub(super) fn looks_back(&self, place: &Place) -> bool {
        self.is_long || self.is_past() || place.cursor().is_some()
    }

    /// The position or time that the caller asks for: what is known up to a point is, by itself, asked for of that point.
    pub(super) fn asked_point(&self) -> Result<Option<At>, Problem> {
        self.asked_points().next().transpose()
    }

    /// The time of the point that is asked for, of the earlier one where both are given; `None` for now. Blocking.
    pub(super) fn asked_time(&self) -> Result<Option<Time>, Problem> {
        let times = self.asked_points().map(|at| Ok(at?.time(&self.caller.service.ledger, self.caller.tenant)?));
        Ok(times.collect::<Result<Vec<Time>, Problem>>()?.into_iter().min())
    }

    fn asked_points(&self) -> impl Iterator<Item = Result<At, Problem>> {
        let named = [("as_of", &self.query.as_of), ("as_known_at", &self.query.as_known_at)];
        named.into_iter().filter_map(|(name, text)| text.as_deref().map(|text| point(name, text)))
    }

    /// The moment that the caller asks for; `None` for now. Blocking.
    pub(super) fn asked_moment(&self) -> Result<Option<Moment>, Problem> {
        let ReadQuery { as_of, as_known_at, .. } = &self.query;
        if !self.is_past() {
            return Ok(None);
        }
        let (ledger, tenant) = (&self.caller.service.ledger, self.caller.tenant);
        let as_of = as_of.as_deref().map(|text| point("as_of", text)).transpose()?;
        let known = as_known_at.as_deref().map(|text| {
            let at = point("as_known_at", text)?.position(ledger, tenant);
            at.map_err(|error| Problem::from(error).with("parameter", "as_known_at"))
        });
        Ok(Some(Moment::of(ledger, tenant, as_of, known.transpose()?)?))
    }

    /// The same, with the head for now. Blocking.
    pub(super) fn moment(&self) -> Result<Moment, Problem> {
        match self.asked_moment()? {
            Some(moment) => Ok(moment),
            None => Ok(Moment::at(self.caller.service.ledger.head(self.caller.tenant)?)),
        }
    }

    /// Refuses what is asked about a point in time as it was known later, where there are only positions to ask about.
    pub(super) fn knows_positions_alone(&self, why: &str) -> Result<(), Problem> {
        match self.query.as_known_at {
            None => Ok(()),
            Some(_) => {
                let detail = format!("as_known_at: {why}; ask with as_of alone");
                Err(Problem::new("invalid-query", detail).with("parameter", "as_known_at"))
            }
        }
    }

    /// Looks, now or at the moment asked for; the position that was looked at comes with it.
    pub(super) async fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&View) -> Result<R, Problem> + Send + 'static,
    ) -> Result<(R, u64), Problem> {
        if !self.is_past() {
            return self.caller.service.ledger.read(self.caller.tenant, |view| seen(view, look))?;
        }
        let this = self.clone();
        let read = move || {
            let moment = this.moment()?;
            Ok((moment, this.caller.view_of(moment, &this.wanted)?))
        };
        let (moment, view) = self.caller.look_back(read).await?;
        seen(&view, look).map(|(found, _)| (found, moment.position))
    }

    /// Where another thing of this kind is, asked for in the same way.
    pub(super) fn beside(&self, id: &impl std::fmt::Display) -> String {
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let query = self.query_text.as_deref().map_or_else(String::new, |query| format!("?{query}"));
        format!("{folder}/{id}{query}")
    }

    /// One resource, with its ETag.
    pub(super) async fn one<T: Serialize + Send + 'static>(
        self,
        look: impl FnOnce(&View) -> Result<(T, Option<u64>), Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let ((body, etag), position) = self.look(look).await?;
        tagged(&body, etag, position)
    }

    /// The same where looking takes long: at a copy, so that neither a commit nor the caller's thread waits for it.
    pub(super) async fn one_at_length<T: Serialize + Send + 'static>(
        self,
        look: impl FnOnce(&View) -> Result<(T, Option<u64>), Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let (caller, is_past) = (self.caller.clone(), self.is_past());
        let made = move || {
            let service = &self.caller.service;
            let (view, position) = match self.asked_moment()? {
                Some(moment) => (self.caller.view_of(moment, &self.wanted)?, moment.position),
                None => {
                    let view = service.as_of.published(&service.ledger, self.caller.tenant)?;
                    let position = view.state.next_position.saturating_sub(1);
                    (view, position)
                }
            };
            let ((body, etag), _) = seen(&view, look)?;
            tagged(&body, etag, position)
        };
        if is_past { caller.look_back(made).await } else { caller.at_length(made).await }
    }

    /// A page of a list. `filter` is the part of the query that narrows it: a cursor is good for the same list alone. A
    /// list is stable while it is paged: every page after the first shows the position of the first.
    pub(super) async fn list<T: Serialize + Send + 'static>(
        self,
        page: PageQuery,
        filter: &str,
        look: impl FnOnce(&View, Option<&str>, usize) -> Result<Page<T>, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let place = Place::of(&self, page, filter).await?;
        let on = if place.limit <= SHORT_MAX { On::Here } else { On::APlace };
        Making { reading: self, place, look, show: |_: &Caller, item: T| Ok(item) }.made(on).await
    }

    /// The same where an item takes time to show, as one whose names are sealed: nobody waits for the state meanwhile.
    pub(super) async fn list_shown<I: Send + 'static, T: Serialize + Send + 'static>(
        self,
        page: PageQuery,
        filter: &str,
        look: impl FnOnce(&View, Option<&str>, usize) -> Result<Page<I>, Problem> + Send + 'static,
        show: impl Fn(&Caller, I) -> Result<T, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let place = Place::of(&self, page, filter).await?;
        let on = if place.limit <= SHORT_MAX { On::AnyThread } else { On::APlace };
        Making { reading: self, place, look, show }.made(on).await
    }
}

/// Looks at what is so now; what is wrong is said with the position.
pub(super) fn seen<R>(view: &View, look: impl FnOnce(&View) -> Result<R, Problem>) -> Result<(R, u64), Problem> {
    let position = view.state.next_position.saturating_sub(1);
    look(view).map(|found| (found, position)).map_err(|problem| problem.at(position))
}

/// One resource, with its ETag. That moves with what a caller decides on, and not with the figures beside it: it is for `If-Match`
/// alone. Who has the tag need not have the same content (RFC 9110, 8.8.1), so nobody hears that nothing changed.
pub(super) fn tagged(body: &impl Serialize, etag: Option<u64>, position: u64) -> Result<Response, Problem> {
    let mut response = shown(position, body)?;
    if let Some(etag) = etag.and_then(|etag| format!("\"{etag}\"").parse().ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

/// A body that names its position, with the header that does.
pub(super) fn shown(position: u64, body: &impl Serialize) -> Result<Response, Problem> {
    let text = sorted::written(body, Some(position)).map_err(|error| Problem::internal(&error))?;
    let headers = [("seatledger-position", position.to_string()), ("content-type", "application/json".to_owned())];
    Ok((headers, text).into_response())
}
