//! HTTP to a store: with deadlines, answers of bounded length, a bound on what is asked at one time, and retries that wait
//! longer each time and as long as the store says. Not here: what is asked, and what an answer means to a store's client.
//!
//! **Invariant:** no trouble said here holds a URL, a header, or a piece of a body: a holder's name or a secret may be in it.

use super::terms::Trouble;
use crate::clock::monotonic;
use httpdate::parse_http_date;
use parking_lot::Mutex;
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use std::error::Error as _;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A shorter wait is that of the call that was told, and the others find out by themselves.
const REST_OF_ALL_SECONDS_MIN: u64 = 5;
/// A store that asks for more than this is asked again all the same.
const REST_MAX: Duration = Duration::from_secs(3600);

/// Bounds of every call.
#[derive(Debug, Clone, Copy)]
pub struct TransportLimits {
    /// For one call with all its retries.
    pub call_max: Duration,
    /// For one attempt, from the connection to the last byte.
    pub attempt_max: Duration,
    pub body_bytes_max: usize,
    /// Attempts under way at one time.
    pub parallel_max: usize,
    pub attempts_max: u32,
    /// Before the second attempt at most; doubled before each further one.
    pub back_off_first: Duration,
    pub back_off_max: Duration,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            call_max: Duration::from_secs(90),
            attempt_max: Duration::from_secs(30),
            body_bytes_max: 16 << 20,
            parallel_max: 8,
            attempts_max: 5,
            back_off_first: Duration::from_millis(250),
            back_off_max: Duration::from_secs(15),
        }
    }
}

/// Whether a call may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Once or twice comes to the same.
    Always,
    /// Only where the store has surely not acted on it.
    IfNotDone,
}

/// What a store said, unless it was 429 or 5xx.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// # Errors
    /// `Malformed`, with the place and without what stands there.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let (path, inner) = (error.path().to_string(), error.inner());
            let kind = match inner.classify() {
                serde_json::error::Category::Io | serde_json::error::Category::Eof => "it ends too early".into(),
                serde_json::error::Category::Syntax => "it is no JSON".into(),
                // then the names on the way there are ours
                serde_json::error::Category::Data => format!("it is not of the shape expected at {path}"),
            };
            Trouble::Malformed(format!("{kind}, in line {} column {}", inner.line(), inner.column()))
        })?;
        reader.end().map_err(|_| Trouble::Malformed("more stands behind the JSON".into()))?;
        Ok(read)
    }

    /// For a status that the caller has no meaning for. The words are those of the status.
    #[must_use]
    pub fn refused(&self) -> Trouble {
        refused(self.status)
    }
}

fn refused(status: StatusCode) -> Trouble {
    let words = status.canonical_reason().unwrap_or("an unusual status").to_owned();
    Trouble::Refused { status: status.as_u16(), words }
}

/// A call without a good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub trouble: Trouble,
    /// The store may have acted on it, at the last attempt or at an earlier one.
    pub may_have_happened: bool,
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        failed.trouble
    }
}

/// One for a store account.
#[derive(Debug)]
pub struct Transport {
    http: Client,
    limits: TransportLimits,
    places: Semaphore,
    /// The store asked not to be called before; whoever does it meanwhile hears so from us.
    not_before: Mutex<Option<Instant>>,
}

impl Transport {
    #[must_use]
    pub fn new(http: Client, limits: TransportLimits) -> Self {
        Self { http, limits, places: Semaphore::new(limits.parallel_max.max(1)), not_before: Mutex::new(None) }
    }

    #[must_use]
    pub fn limits(&self) -> &TransportLimits {
        &self.limits
    }

    /// Sends what `make` makes, afresh for each attempt, until `read` takes an answer or nothing more is to be hoped. `read`
    /// sees every status but 429 and 5xx; what it finds malformed is asked for again where that is harmless.
    ///
    /// # Errors
    /// The last trouble.
    pub async fn call<T>(
        &self,
        repeat: Repeat,
        make: impl Fn(&Client) -> RequestBuilder,
        read: impl Fn(&Answer) -> Result<T, Trouble>,
    ) -> Result<T, Failed> {
        let end = monotonic() + self.limits.call_max;
        let mut may_have_happened = false;
        let mut attempt = 1;
        loop {
            let (trouble, may_have) = match self.attempt(make(&self.http)).await {
                Ok(answer) => match read(&answer) {
                    Ok(said) => return Ok(said),
                    // a good status whose text can't be read: it was done
                    Err(trouble @ Trouble::Malformed(_)) => (trouble, answer.status.is_success()),
                    Err(trouble) => return Err(Failed { trouble, may_have_happened }),
                },
                Err(failed) => (failed.trouble, failed.may_have_happened),
            };
            may_have_happened |= may_have;
            let is_harmless = repeat == Repeat::Always || !may_have;
            let wait = self.wait(attempt, &trouble);
            let is_too_late = wait >= end.saturating_duration_since(monotonic());
            if !is_harmless || !trouble.passes() || attempt >= self.limits.attempts_max || is_too_late {
                return Err(Failed { trouble, may_have_happened });
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// As long as the store says; else anything up to a bound that doubles.
    fn wait(&self, attempt: u32, trouble: &Trouble) -> Duration {
        let doubled = self.limits.back_off_first.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let drawn = jittered(doubled.min(self.limits.back_off_max));
        match trouble {
            Trouble::Throttled { retry_after_seconds: Some(seconds) } => {
                // all who were told the same do not come back at the same moment
                Duration::from_secs(*seconds).saturating_add(jittered(self.limits.back_off_first))
            }
            Trouble::Throttled { retry_after_seconds: None }
            | Trouble::Credentials(_)
            | Trouble::TakenOver(_)
            | Trouble::Unreachable(_)
            | Trouble::Malformed(_)
            | Trouble::Refused { .. } => drawn.max(self.asked_to_wait().unwrap_or_default()),
        }
    }

    async fn attempt(&self, request: RequestBuilder) -> Result<Answer, Failed> {
        let closed = |_| Failed { trouble: Trouble::Unreachable("stopped".into()), may_have_happened: false };
        let _place = self.places.acquire().await.map_err(closed)?;
        if let Some(left) = self.asked_to_wait() {
            let trouble = Trouble::Throttled { retry_after_seconds: Some(left.as_secs() + 1) };
            return Err(Failed { trouble, may_have_happened: false });
        }
        let response = request.timeout(self.limits.attempt_max).send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let retry_after_seconds = retry_after(response.headers()).filter(|_| wants_rest(status));
        if let Some(seconds) = retry_after_seconds.filter(|seconds| *seconds >= REST_OF_ALL_SECONDS_MIN) {
            self.rest(Duration::from_secs(seconds));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failed { trouble: Trouble::Throttled { retry_after_seconds }, may_have_happened: false });
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // by its meaning nothing was done
            return Err(Failed { trouble: Trouble::Throttled { retry_after_seconds }, may_have_happened: false });
        }
        if status.is_server_error() {
            return Err(Failed { trouble: refused(status), may_have_happened: true });
        }
        let body = self.body(response).await?;
        Ok(Answer { status, body })
    }

    /// All who call are told, not only the one who asked first: the store counts an account's calls together.
    fn rest(&self, wait: Duration) {
        let until = monotonic() + wait.min(REST_MAX);
        let mut not_before = self.not_before.lock();
        *not_before = Some(not_before.map_or(until, |earlier| earlier.max(until)));
    }

    fn asked_to_wait(&self) -> Option<Duration> {
        let until = (*self.not_before.lock())?;
        Some(until.saturating_duration_since(monotonic())).filter(|left| !left.is_zero())
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failed> {
        let mut body = vec![];
        while let Some(piece) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + piece.len() > self.limits.body_bytes_max {
                let words = format!("the answer has more than {} bytes", self.limits.body_bytes_max);
                return Err(Failed { trouble: Trouble::Malformed(words), may_have_happened: true });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

fn jittered(up_to: Duration) -> Duration {
    // without chance the whole wait is as good
    let share = getrandom::u32().map_or(1.0, |drawn| f64::from(drawn) / f64::from(u32::MAX));
    up_to.mul_f64(share)
}

/// Which answers may say when to come back.
fn wants_rest(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// In seconds, or until a date (RFC 9110, 10.2.3), which is one of the store's clock.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let said = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let after = said(header::RETRY_AFTER)?;
    after.parse().ok().or_else(|| {
        let (date, now) = (parse_http_date(after).ok()?, parse_http_date(said(header::DATE)?).ok()?);
        Some(date.duration_since(now).map_or(0, |left| left.as_secs()))
    })
}

fn unreachable(error: &reqwest::Error) -> Failed {
    let (words, may_have_happened) = if error.is_connect() || error.is_builder() {
        ("no connection", false)
    } else if error.is_timeout() {
        ("no answer in time", true)
    } else {
        ("the connection broke", true)
    };
    // the error itself names the URL; what is behind it does not
    let mut words = words.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause.filter(|_| words.len() < 300) {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    Failed { trouble: Trouble::Unreachable(words), may_have_happened }
}

#[cfg(test)]
mod tests;
