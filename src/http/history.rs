//! What is asked of the log rather than of a state: how a part of it is named in a query, and how lists made from it are
//! paged. Not here: what an event looks like (`audit::events`).

use super::auth::Caller;
use super::door::checked_key;
use super::problem::Problem;
use super::reading::{Page, PageQuery, Place, Reading, point};
use super::refs;
use crate::audit::as_of::{AsOfError, At};
use crate::audit::hindsight::Moment;
use crate::domain::command::Actor;
use crate::domain::event_type::EventType;
use crate::domain::ids::ReviewId;
use crate::domain::time::Time;
use crate::ledger::EventQuery;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::IntoParams;

/// Which events.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// The first position, or the time from which on
    #[param(max_length = 64)]
    from: Option<String>,
    /// The last position, or the time until which
    #[param(max_length = 64)]
    to: Option<String>,
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
    /// `oldest` first, or `newest` first
    #[param(value_type = Option<OrderWord>, inline)]
    order: Option<Order>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Oldest,
    Newest,
}

/// Which end of the history comes first
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "for the contract")]
enum OrderWord {
    Oldest,
    Newest,
}

impl EventsQuery {
    /// Whether the query says where to begin.
    pub(super) fn has_start(&self) -> bool {
        self.from.is_some()
    }

    /// The time at which the query ends, if it says one.
    pub(super) fn until(&self) -> Result<Option<Time>, Problem> {
        match self.to.as_deref().map(|text| point("to", text)).transpose()? {
            Some(At::Time(until)) => Ok(Some(until)),
            Some(At::Position(_)) | None => Ok(None),
        }
    }

    /// The query with what it names looked up, names as they were at a position or are now; `position` is the last one that is
    /// read. Blocking.
    pub(super) fn found(&self, caller: &Caller, then: Option<u64>, position: u64) -> Result<EventQuery, Problem> {
        let ledger = &caller.service.ledger;
        let wrong = |what: String| Problem::new("invalid-query", what);
        let types = self.r#type.as_deref().unwrap_or_default().split(',').filter(|word| !word.is_empty());
        let types = types
            .map(|word| word.parse::<EventType>().map_err(|_| wrong(format!("type: no event is of the type {word}"))));
        let pool = self.pool.as_deref().map(refs::pool).transpose()?;
        let user = self.user.as_deref().map(|user| caller.user_at(then, user)).transpose()?;
        let device = self.device.as_deref().map(|device| caller.device_at(then, device)).transpose()?;
        let review = self.review.as_deref().map(|review| review.parse::<ReviewId>().unwrap_or(ReviewId(u32::MAX)));
        let pool = ledger.read(caller.tenant, |view| {
            let pool = pool.map(|pool| refs::pool_in(&view.state, &pool)).transpose()?;
            if review.is_some_and(|review| review.index() >= view.state.reviews.len()) {
                return Err(Problem::new("review-not-found", "no review has this id"));
            }
            Ok::<_, Problem>(pool)
        })??;
        let actor = match self.actor.as_deref() {
            None => None,
            Some("root") => Some(Actor::Root),
            Some("ledger") => Some(Actor::Ledger),
            Some(token) => {
                let token = token.parse().map_err(|_| wrong("actor: root, ledger or a token's id".into()))?;
                Some(Actor::Token(token))
            }
        };
        let (from, to) = range(caller, self.from.as_deref(), self.to.as_deref(), position)?;
        Ok(EventQuery {
            from,
            to: Some(to.saturating_add(1)),
            types: types.collect::<Result<_, _>>()?,
            pool,
            user,
            device,
            group: None,
            review,
            actor,
            command_id: self.command.as_deref().map(checked_key).transpose()?,
            limit: 0,
            newest_first: self.order == Some(Order::Newest),
        })
    }
}

/// The first and the last position that two points in a history name; the last is `position` at most. Blocking.
pub(super) fn range(
    caller: &Caller,
    from: Option<&str>,
    to: Option<&str>,
    position: u64,
) -> Result<(u64, u64), Problem> {
    let ledger = &caller.service.ledger;
    let head = ledger.head(caller.tenant)?;
    let (from, to) = (from.map(|text| point("from", text)).transpose()?, to.map(|text| point("to", text)).transpose()?);
    let first = match from {
        None => 0,
        Some(At::Position(first)) => first,
        // the first one behind everything that was recorded before that time
        Some(At::Time(Time(micros))) => match At::Time(Time(micros - 1)).position(ledger, caller.tenant) {
            Ok(before) => before + 1,
            Err(AsOfError::BeforeFirst { .. }) => 0,
            Err(AsOfError::InFuture { .. }) => position.saturating_add(1),
            Err(error @ AsOfError::Read(_)) => return Err(error.into()),
        },
    };
    let last = match to {
        None => None,
        Some(At::Position(last)) => Some(last),
        Some(time @ At::Time(_)) => match time.position(ledger, caller.tenant) {
            Ok(last) => Some(last),
            Err(AsOfError::InFuture { .. }) => None,
            Err(error @ (AsOfError::BeforeFirst { .. } | AsOfError::Read(_))) => return Err(error.into()),
        },
    };
    let is_reversed = match (from, to) {
        (Some(At::Time(from)), Some(At::Time(to))) => from > to,
        (Some(At::Position(from)), Some(At::Position(to))) => from > to,
        // what is not there yet lies behind no time
        (Some(At::Position(from)), Some(At::Time(_))) => from <= head && last.is_some_and(|last| from > last),
        (Some(At::Time(_)), Some(At::Position(to))) => first > to.saturating_add(1),
        (None, _) | (_, None) => false,
    };
    if is_reversed {
        return Err(reversed(position.min(head)));
    }
    Ok((first, last.map_or(position, |last| last.min(position))))
}

pub(super) fn reversed(position: u64) -> Problem {
    Problem::new("range-reversed", "from lies behind to").at(position).with("parameter", "from")
}

/// The part of a query that says which list it is, as it was written.
pub(super) fn filter_of(query: Option<&str>) -> String {
    const NOT_OF_THE_LIST: [&str; 5] = ["limit", "cursor", "at_least", "as_of", "as_known_at"];
    let parts = query.unwrap_or_default().split('&').filter(|part| {
        let name = part.split('=').next().unwrap_or_default();
        !name.is_empty() && !NOT_OF_THE_LIST.contains(&name)
    });
    parts.collect::<Vec<_>>().join("&")
}

impl Reading {
    /// A page of a list that is made from the log up to a position. Done aside, because it blocks. What stands beside the
    /// items comes with the page.
    pub(super) async fn list_of_log<T: Serialize + Send + 'static>(
        self,
        page: PageQuery,
        filter: String,
        read: impl FnOnce(&Self, LogPlace) -> Result<(Page<T>, Map<String, Value>), Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let place = Place::of(&self, page, &filter).await?;
        let (caller, looks_back) = (self.caller.clone(), self.looks_back(&place));
        let blocking = move || {
            let (asked, after) = match place.cursor() {
                Some((moment, after)) => (Some(moment), Some(after.to_owned())),
                None => (self.asked_moment()?, None),
            };
            let moment = asked.map_or_else(|| self.moment(), Ok)?;
            let (position, then) = (moment.position, asked.map(|moment| moment.position));
            let place_in_log = LogPlace { position, then, moment, after, limit: place.limit() };
            let (page, beside) = read(&self, place_in_log)?;
            place.listed_beside(page.items, page.next, moment, beside)
        };
        if looks_back {
            return caller.look_back(blocking).await;
        }
        tokio::task::spawn_blocking(blocking).await.map_err(|error| Problem::internal(&error))?
    }
}

/// Where in the log a page begins.
pub(super) struct LogPlace {
    /// The last position that counts by itself.
    pub(super) position: u64,
    /// The same where it was asked for, or is of the page before; `None` for now.
    pub(super) then: Option<u64>,
    pub(super) moment: Moment,
    after: Option<String>,
    pub(super) limit: usize,
}

impl LogPlace {
    /// The key behind which the page begins, as [`Page::next`] said it.
    pub(super) fn after<K: std::str::FromStr>(&self) -> Result<Option<K>, Problem> {
        let wrong = |_| Problem::new("invalid-cursor", "the cursor is not one that this list gave");
        self.after.as_deref().map(|after| after.parse().map_err(wrong)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::filter_of;

    #[test]
    fn a_list_is_named_by_what_narrows_it() {
        assert_eq!(
            filter_of(Some("limit=3&type=seat_granted&cursor=x&pool=pool_1&at_least=4")),
            "type=seat_granted&pool=pool_1"
        );
        assert_eq!(filter_of(Some("limit=3")), "");
        assert_eq!(filter_of(None), "");
    }
}
