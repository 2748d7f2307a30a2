//! A client of the public HTTP contract, as any other program would write it. Retries what may be retried, under the same
//! idempotency key, and turns problems into sentences. Not here: anything that knows the ledger from inside.

use super::exit::Failure;
use super::{output, outside};
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often one call is sent before its error is believed.
const ATTEMPTS_MAX: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(15);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Whoever waits is told so often.
const WAIT_SAID_EVERY: Duration = Duration::from_secs(15);
/// Commands in one request of [`Client::commands`].
pub(crate) const BATCH_COMMANDS_MAX: usize = 500;

/// Where the service is and who asks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Access {
    /// The service, as in `https://ledger.example`. Beyond this machine only https:// keeps the token secret
    #[arg(long, env = "SEATLEDGER_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) url: String,
    /// Certificates (PEM) by which a service with https:// is trusted [default: those of the machine]
    #[arg(long, env = "SEATLEDGER_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// A file that holds the token; without one SEATLEDGER_TOKEN is used
    #[arg(long, env = "SEATLEDGER_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The token itself, by the environment only: a command line can be read by everybody on the machine
    #[arg(long, env = "SEATLEDGER_TOKEN", hide = true, hide_env_values = true)]
    pub(crate) token: Option<String>,
}

impl Access {
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let token = match (&self.token_file, &self.token) {
            (Some(file), _) => read_token(file)?,
            (None, Some(token)) => token_in(token, "SEATLEDGER_TOKEN")?,
            (None, None) => {
                return Err(Failure::Usage(
                    "a token is needed: --token-file FILE, or SEATLEDGER_TOKEN in the environment. The root token is what the \
                     service was given as SEATLEDGER_ROOT_TOKEN, or in root.token in its data folder"
                        .into(),
                ));
            }
        };
        Client::trusting(self.ca.as_deref(), &self.url, &token)
    }
}

pub(crate) fn read_token(file: &Path) -> Result<String, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|error| super::exit::file(file, "the token can't be read", error))?;
    token_in(&text, &file.display().to_string())
}

/// What can't stand in a request's head is no token.
fn token_in(text: &str, place: &str) -> Result<String, Failure> {
    let token = text.trim();
    if token.is_empty() || HeaderValue::from_str(token).is_err() {
        return Err(Failure::NotAllowed(format!("{place}: this is no token: a token is one line of plain characters")));
    }
    Ok(token.to_owned())
}

/// Sets a field of a JSON object.
///
/// # Panics
/// If it is none: what is built up so begins as an object.
pub(crate) fn put(object: &mut Value, field: &str, value: impl Into<Value>) {
    object.as_object_mut().expect("begun as an object").insert(field.to_owned(), value.into());
}

/// An answer of the service that is no answer: RFC 9457.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    /// The last part of its `type`, as in `no-seat-available`.
    pub(crate) name: String,
    pub(crate) detail: String,
}

impl Problem {
    fn of(status: StatusCode, text: &str) -> Self {
        let body: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        Self::from_body(status.as_u16(), body, text)
    }

    fn from_body(status: u16, body: Value, text: &str) -> Self {
        let word = |field: &str| body.get(field).and_then(Value::as_str);
        let name = word("type").and_then(|uri| uri.rsplit('/').next()).unwrap_or("").to_owned();
        let detail =
            word("detail").or_else(|| word("title")).unwrap_or_else(|| text.lines().next().unwrap_or("")).to_owned();
        Self { status, name, detail }
    }

    /// The problem of one line of a batch, if it has one.
    pub(crate) fn of_line(line: &Value) -> Option<Self> {
        let body = line.get("problem").filter(|problem| problem.is_object())?.clone();
        let status =
            body.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        Some(Self::from_body(status, body, ""))
    }

    fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 503)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.detail.as_str()) {
            ("", "") => write!(f, "the service answered {}", self.status),
            ("", detail) => write!(f, "{detail} ({})", self.status),
            (name, "") => write!(f, "{name}"),
            (name, detail) => write!(f, "{name}: {detail}"),
        }
    }
}

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CallError {
    #[error("{0}")]
    Problem(Problem),
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Unreadable(String),
}

impl CallError {
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::Unreachable(_) | Self::Unreadable(_) => None,
        }
    }
}

/// One service, one credential. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    call_max: Duration,
    /// The ETag at which what is asked for must still be.
    if_match: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    /// So long an answer may be silent, before it begins or within it. A service may be given minutes for a request.
    silence_max: Duration,
    /// A call whose answer is read whole; what is written as it comes may take any time.
    call_max: Duration,
}

const LIMITS: Limits = Limits { silence_max: Duration::from_secs(300), call_max: Duration::from_secs(300) };

enum Body {
    None,
    Json(Value),
    Lines(String),
    Csv(Vec<u8>),
}

impl Client {
    /// One that trusts the machine's certificates.
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, Failure> {
        Self::trusting(None, url, token)
    }

    pub(crate) fn trusting(ca: Option<&Path>, url: &str, token: &str) -> Result<Self, Failure> {
        Self::limited(LIMITS, ca, url, token)
    }

    fn limited(limits: Limits, ca: Option<&Path>, url: &str, token: &str) -> Result<Self, Failure> {
        if !outside::is_url(url) {
            return Err(Failure::Usage(format!("{url:?}: a service is asked at a URL, as in http://127.0.0.1:8080")));
        }
        let Limits { silence_max, call_max } = limits;
        // no proxy between us and our own service: it would get the token
        let http = outside::begun(std::iter::once(url), ca)?.no_proxy();
        let http = outside::built(http.connect_timeout(CONNECT_MAX).read_timeout(silence_max))?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), token: token.to_owned(), call_max, if_match: None })
    }

    /// The same, whose calls do nothing where what they are about is at another ETag by then.
    pub(crate) fn if_match(&self, etag: &str) -> Self {
        Self { if_match: Some(etag.to_owned()), ..self.clone() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.call(Method::GET, path, &Body::None, None).await
    }

    /// A single resource and its ETag; `None` where there is none.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<(Value, Option<String>)>, CallError> {
        let (headers, text) = match self.answered(Method::GET, path, &Body::None, None).await {
            Err(CallError::Problem(Problem { status: 404, .. })) => return Ok(None),
            found => found?,
        };
        let etag = headers.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        Ok(Some((read(&Method::GET, path, &text)?, etag)))
    }

    /// Writes an answer of any length as it comes. What was written stays when the connection breaks.
    pub(crate) async fn download(&self, path: &str, out: &mut (dyn std::io::Write + Send)) -> Result<(), Failure> {
        let broke_off =
            |error: reqwest::Error| CallError::Unreachable(format!("the answer broke off: {}", causes(&error)));
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let mut response = self.patiently(request.send()).await.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            let status = response.status();
            let text = response.text().await.map_err(broke_off)?;
            return Err(CallError::Problem(Problem::of(status, &text)).into());
        }
        while let Some(part) = self.patiently(response.chunk()).await.map_err(broke_off)? {
            out.write_all(&part).map_err(|error| super::output::gone(&error))?;
        }
        out.flush().map_err(|error| super::output::gone(&error))
    }

    /// Everything of a list, page by page.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>, CallError> {
        let mut items = Vec::new();
        self.each(path, |item| items.push(item)).await?;
        Ok(items)
    }

    /// The same for a list of which little is kept.
    pub(crate) async fn each(&self, path: &str, mut take: impl FnMut(Value)) -> Result<(), CallError> {
        let mut cursor: Option<String> = None;
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                Some(cursor) => format!("{path}{joint}limit=1000&cursor={}", encode(cursor)),
                None => format!("{path}{joint}limit=1000"),
            };
            let mut body = self.get(&page).await?;
            let Some(Value::Array(found)) = body.get_mut("items").map(Value::take) else {
                return Err(CallError::Unreadable(format!("GET {path} answered no list")));
            };
            found.into_iter().for_each(&mut take);
            cursor = body.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    pub(crate) async fn post(&self, path: &str, body: Value, key: Option<&str>) -> Result<Value, CallError> {
        self.call(Method::POST, path, &Body::Json(body), key).await
    }

    /// Sends a spreadsheet.
    pub(crate) async fn post_csv(&self, path: &str, sheet: Vec<u8>, key: Option<&str>) -> Result<Value, CallError> {
        self.call(Method::POST, path, &Body::Csv(sheet), key).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value, key: Option<&str>) -> Result<Value, CallError> {
        self.call(Method::PUT, path, &Body::Json(body), key).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, CallError> {
        self.call(Method::DELETE, path, &Body::None, None).await
    }

    /// Sends commands in one stream and gives their results in order. Lines that were turned away only for now are sent
    /// again under their ids.
    pub(crate) async fn commands(&self, tenant: &str, commands: &[Value]) -> Result<Vec<Value>, CallError> {
        let mut results = Vec::with_capacity(commands.len());
        for batch in commands.chunks(BATCH_COMMANDS_MAX) {
            results.extend(self.batch(tenant, batch).await?);
        }
        Ok(results)
    }

    async fn batch(&self, tenant: &str, batch: &[Value]) -> Result<Vec<Value>, CallError> {
        let path = format!("/v1/tenants/{}/commands", encode(tenant));
        let mut results: Vec<Value> = vec![Value::Null; batch.len()];
        let mut open: Vec<usize> = (0..batch.len()).collect();
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let lines: String =
                open.iter().filter_map(|at| batch.get(*at)).map(|command| format!("{command}\n")).collect();
            let (_, answer) = self.answered(Method::POST, &path, &Body::Lines(lines), None).await?;
            let read: Vec<Value> = answer
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(serde_json::from_str)
                .collect::<Result<_, _>>()
                .map_err(|error| CallError::Unreadable(format!("the results of a batch can't be read: {error}")))?;
            if read.len() != open.len() {
                return Err(CallError::Unreadable(format!(
                    "{} commands were sent and {} results came back",
                    open.len(),
                    read.len()
                )));
            }
            let (mut again, mut why) = (Vec::new(), None);
            for (at, result) in open.iter().copied().zip(read) {
                let passing = Problem::of_line(&result).filter(Problem::is_passing);
                if passing.is_some()
                    && attempt < ATTEMPTS_MAX
                    && batch.get(at).is_some_and(|command| command.get("id").is_some())
                {
                    again.push(at);
                    why = why.or(passing);
                } else if let Some(slot) = results.get_mut(at) {
                    *slot = result;
                }
            }
            let Some(why) = why else { break };
            self.say_again(&format!("{} commands: {why}", again.len()), pause, attempt);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            open = again;
        }
        Ok(results)
    }

    async fn call(&self, method: Method, path: &str, body: &Body, key: Option<&str>) -> Result<Value, CallError> {
        let (_, text) = self.answered(method.clone(), path, body, key).await?;
        if text.is_empty() { Ok(Value::Null) } else { read(&method, path, &text) }
    }

    /// The head and the text of an answer that went well. Sent again while the service says "later", or when the connection
    /// broke and the call can be repeated without doing its work twice.
    async fn answered(
        &self,
        method: Method,
        path: &str,
        body: &Body,
        key: Option<&str>,
    ) -> Result<(HeaderMap, String), CallError> {
        let is_repeatable = method != Method::POST || key.is_some() || matches!(body, Body::Lines(_));
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let outcome = self.once(method.clone(), path, body, key).await;
            let wait = match &outcome {
                Ok((status, headers, _)) if matches!(status.as_u16(), 429 | 503) => {
                    retry_after(headers).unwrap_or(pause)
                }
                Err(_) if is_repeatable && attempt < 3 => pause,
                Ok((status, headers, text)) if status.is_success() => return Ok((headers.clone(), text.clone())),
                Ok((status, _, text)) => return Err(CallError::Problem(Problem::of(*status, text))),
                Err(error) => return Err(error.clone()),
            };
            if attempt >= ATTEMPTS_MAX {
                return match outcome {
                    Ok((status, _, text)) => Err(CallError::Problem(Problem::of(status, &text))),
                    Err(error) => Err(error),
                };
            }
            let wait = wait.min(PAUSE_MAX);
            let why = match outcome {
                Ok((status, _, text)) => Problem::of(status, &text).to_string(),
                Err(error) => error.to_string(),
            };
            self.say_again(&why, wait, attempt);
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
            attempt += 1;
        }
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        body: &Body,
        key: Option<&str>,
    ) -> Result<(StatusCode, HeaderMap, String), CallError> {
        let mut request =
            self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token).timeout(self.call_max);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(etag) = &self.if_match {
            request = request.header(IF_MATCH, etag);
        }
        request = match body {
            Body::None => request,
            Body::Json(value) => request.json(value),
            Body::Lines(lines) => request
                .header(CONTENT_TYPE, "application/x-ndjson")
                .header("Accept", "application/x-ndjson")
                .body(lines.clone()),
            Body::Csv(sheet) => request.header(CONTENT_TYPE, "text/csv").body(sheet.clone()),
        };
        let response = self.patiently(request.send()).await.map_err(|error| self.unreachable(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = self
            .patiently(response.text())
            .await
            .map_err(|error| CallError::Unreachable(format!("the answer broke off: {}", causes(&error))))?;
        Ok((status, headers, text))
    }

    /// The body of a long answer, as it comes. Whoever reads it notices by itself when nothing comes any more.
    pub(crate) async fn stream(&self, path: &str, accept: &str) -> Result<reqwest::Response, CallError> {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token).header("Accept", accept);
        let response = self.patiently(request.send()).await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        Err(CallError::Problem(Problem::of(status, &text)))
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        CallError::Unreachable(format!("{} can't be reached: {}", self.base, causes(error)))
    }

    fn say_again(&self, why: &str, pause: Duration, attempt: u32) {
        output::note(&format!(
            "{why}; {} is asked again in {:.1} s (attempt {attempt} is over)",
            self.base,
            pause.as_secs_f32()
        ));
    }

    /// Waits, and says so: nobody can see whether a service that is silent works or hangs.
    async fn patiently<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut waited = Duration::ZERO;
        loop {
            if let Ok(done) = tokio::time::timeout(WAIT_SAID_EVERY, &mut work).await {
                return done;
            }
            waited += WAIT_SAID_EVERY;
            output::note(&format!("{} has not answered in full for {} s", self.base, waited.as_secs()));
        }
    }
}

fn read(method: &Method, path: &str, text: &str) -> Result<Value, CallError> {
    serde_json::from_str(text)
        .map_err(|error| CallError::Unreadable(format!("{method} {path} answered something else than JSON: {error}")))
}

/// A key for one call, so that it does its work once however often it is sent.
pub(crate) fn drawn_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::File(format!("no random bytes can be had: {error}")))?;
    Ok(hex::encode(bytes))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// An error with the errors behind it; reqwest names the reason only in the last of them.
fn causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "it took too long".to_owned() } else { String::new() };
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        cause = error.source();
        if cause.is_none() && text.is_empty() {
            text = error.to_string();
        }
    }
    text
}

/// A name as one part of a path, or as the value of a query.
pub(crate) fn encode(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b':')
        .remove(b'@');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests;
