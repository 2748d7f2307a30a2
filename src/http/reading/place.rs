//! Where a list goes on: cursors, and the pages that they lead to. Not here: what stands on a page.

use super::{LIMIT_DEFAULT, LIMIT_MAX, Listed, PageQuery, Reading, point, shown};
use crate::audit::as_of::At;
use crate::audit::hindsight::{Known, Moment};
use crate::domain::time::Time;
use crate::http::problem::Problem;
use crate::ledger::ReadError;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// What is recorded shows a moment later: a time that has just passed may come to more on a later page.
const UNDER_WAY_MICROS: i64 = 1_000_000;

#[derive(Serialize)]
struct Beside<T> {
    #[serde(flatten)]
    list: Listed<T>,
    #[serde(flatten)]
    beside: Map<String, Value>,
}

/// Which page of which list is asked for.
pub(in crate::http) struct Place {
    path: String,
    filter: String,
    list: String,
    pub(super) limit: usize,
    pub(super) cursor: Option<Cursor>,
}

impl Place {
    /// Of a list that looks at a moment: the cursor's is there, and is the one that is asked for, if one is.
    pub(in crate::http) async fn of(reading: &Reading, page: PageQuery, filter: &str) -> Result<Self, Problem> {
        let place = Self::at(&reading.path, page, filter)?;
        let Some(Cursor { moment, .. }) = place.cursor else { return Ok(place) };
        let head = reading.caller.service.ledger.head(reading.caller.tenant)?;
        let last = moment.known.map_or(moment.position, |known| known.position);
        if last > head {
            return Err(Problem::from(ReadError::NotReached(last)).at(head));
        }
        if reading.is_past() {
            let reading = reading.clone();
            let caller = reading.caller.clone();
            caller.look_back(move || reading.must_be_at(moment)).await?;
        }
        Ok(place)
    }

    pub(in crate::http) fn at(path: &str, page: PageQuery, filter: &str) -> Result<Self, Problem> {
        let limit = page.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::new("invalid-query", format!("limit is from 1 to {LIMIT_MAX}")));
        }
        let list = format!("{path}\0{filter}");
        let cursor = page.cursor.as_deref().map(|text| Cursor::read(text, &list)).transpose()?;
        Ok(Self { path: path.to_owned(), filter: filter.to_owned(), list, limit, cursor })
    }

    pub(in crate::http) fn limit(&self) -> usize {
        self.limit
    }

    /// The moment of the first page, and the key behind which this one begins.
    pub(in crate::http) fn cursor(&self) -> Option<(Moment, &str)> {
        self.cursor.as_ref().map(|cursor| (cursor.moment, cursor.after.as_str()))
    }

    pub(in crate::http) fn listed<T: Serialize>(
        &self,
        items: Vec<T>,
        next: Option<String>,
        moment: Moment,
    ) -> Result<Response, Problem> {
        self.listed_beside(items, next, moment, Map::new())
    }

    /// The same with more fields in the body.
    pub(in crate::http) fn listed_beside<T: Serialize>(
        &self,
        items: Vec<T>,
        next: Option<String>,
        moment: Moment,
        beside: Map<String, Value>,
    ) -> Result<Response, Problem> {
        let (next_cursor, headers) = self.onward(next, moment);
        let position = moment.position;
        let mut response = shown(position, &Beside { list: Listed { items, next_cursor, position }, beside })?;
        response.headers_mut().extend(headers);
        Ok(response)
    }

    /// The cursor of the next page, where there is one, and the headers that tell of it.
    pub(in crate::http) fn onward(&self, next: Option<String>, moment: Moment) -> (Option<String>, HeaderMap) {
        let Self { path, filter, limit, .. } = self;
        let cursor = next.map(|after| Cursor { moment, after }.write(&self.list));
        let and = if filter.is_empty() { "" } else { "&" };
        let link = cursor.as_deref().and_then(|cursor| {
            format!("<{path}?{filter}{and}limit={limit}&cursor={cursor}>; rel=\"next\"").parse().ok()
        });
        (cursor, link.map(|link| (header::LINK, link)).into_iter().collect())
    }
}

impl Reading {
    /// Refuses to go on with a list at another moment than that of its first page. Blocking.
    fn must_be_at(&self, moment: Moment) -> Result<(), Problem> {
        let (as_of, known) = (self.query.as_of.as_deref(), moment.known.map(|known| known.position));
        if let Some(text) = as_of {
            let is_cut = known == Some(moment.position);
            self.must_come_to("as_of", text, Some(moment.position), is_cut)?;
        }
        match self.query.as_known_at.as_deref() {
            Some(text) => self.must_come_to("as_known_at", text, known, false),
            None => Ok(()),
        }
    }

    /// `may_be_behind`: what lies behind all that is known is the last of it.
    fn must_come_to(&self, name: &str, text: &str, wanted: Option<u64>, may_be_behind: bool) -> Result<(), Problem> {
        let (ledger, tenant) = (&self.caller.service.ledger, self.caller.tenant);
        let at = point(name, text)?;
        let found = at.position(ledger, tenant).map_err(|error| Problem::from(error).with("parameter", name))?;
        let is_same = match (wanted, at) {
            (None, _) => false,
            (Some(wanted), At::Time(time)) if found > wanted && !may_be_behind => {
                time.0 - At::Position(wanted + 1).time(ledger, tenant)?.0 < UNDER_WAY_MICROS
            }
            (Some(wanted), _) => found == wanted || (found > wanted && may_be_behind),
        };
        if is_same {
            return Ok(());
        }
        let why = format!("{name}: the cursor is of another moment; a page goes on at that of the first");
        Err(Problem::new("invalid-query", why).with("parameter", name))
    }
}

/// Where a list goes on. Opaque outside; inside: which list, at which moment, behind which key.
pub(super) struct Cursor {
    pub(super) moment: Moment,
    pub(super) after: String,
}

impl Cursor {
    fn write(&self, list: &str) -> String {
        let mut bytes = mark(list).to_vec();
        bytes.extend_from_slice(&self.moment.position.to_be_bytes());
        bytes.push(u8::from(self.moment.known.is_some()));
        if let Some(Known { position, before }) = self.moment.known {
            bytes.extend_from_slice(&position.to_be_bytes());
            bytes.extend_from_slice(&before.0.to_be_bytes());
        }
        bytes.extend_from_slice(self.after.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(text: &str, list: &str) -> Result<Self, Problem> {
        let wrong = || Problem::new("invalid-cursor", "the cursor is not one that this list gave");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let (found, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        if *found != mark(list) {
            return Err(wrong());
        }
        let (position, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
        let position = u64::from_be_bytes(*position);
        let (known, after) = match rest.split_first().ok_or_else(wrong)? {
            (0, after) => (None, after),
            (1, rest) => {
                let (known, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
                let (before, after) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
                let (known, before) = (u64::from_be_bytes(*known), Time(i64::from_be_bytes(*before)));
                if known < position {
                    return Err(wrong());
                }
                (Some(Known { position: known, before }), after)
            }
            _ => return Err(wrong()),
        };
        let after = String::from_utf8(after.to_vec()).map_err(|_| wrong())?;
        Ok(Self { moment: Moment { position, known }, after })
    }
}

fn mark(list: &str) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(list.as_bytes()).into();
    [a, b, c, d, e, f, g, h]
}
