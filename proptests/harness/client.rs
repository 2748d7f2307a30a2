//! A client of the public contract for tests: calls block, answers keep everything, and what every answer must hold is
//! asserted of every answer. Not here: retries; a test wants to see what came.

use parking_lot::RwLock;
use reqwest::header::HeaderMap;
use reqwest::{Body, Method};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Runs a future to its end on the suite's own runtime; any number of threads may do so at once.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let make = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    RUNTIME.get_or_init(|| make().expect("a runtime for the tests")).block_on(future)
}

/// A name as one part of a path, or as the value of a query.
pub(crate) fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Where the service is (it moves when it is started again), below which path, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: Arc<RwLock<String>>,
    below: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(address: Arc<RwLock<String>>, token: &str) -> Self {
        // an error means that another test was here before
        let _there = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(60));
        let http = http.build().expect("an HTTP client");
        Self { http, address, below: String::new(), token: Some(token.to_owned()) }
    }

    /// The same caller, below a path.
    pub(crate) fn below(&self, path: &str) -> Self {
        Self { below: format!("{}{path}", self.below), ..self.clone() }
    }

    /// Another caller at the same place.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// This caller at another's place.
    pub(crate) fn asking(&self, there: &Self) -> Self {
        Self { token: self.token.clone(), ..there.clone() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.address.read(), self.below)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send()
    }

    pub(crate) fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path).json(&body).send()
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path).json(&body).send()
    }

    pub(crate) fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path).json(&body).send()
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path).send()
    }

    /// Everything of a list, page by page.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, joint) = (Vec::new(), if path.contains('?') { '&' } else { '?' });
        let mut page = format!("{path}{joint}limit=1000");
        loop {
            let body = self.get(&page).ok();
            items.extend(body["items"].as_array().expect("a list has items").clone());
            match body["next_cursor"].as_str() {
                Some(cursor) => page = format!("{path}{joint}limit=1000&cursor={}", encode(cursor)),
                None => return items,
            }
        }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        let what = format!("{method} {}{path}", self.below);
        let mut request = self.http.request(method, self.url(path));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Call { request, what }
    }
}

/// A call that is not sent yet.
pub(crate) struct Call {
    request: reqwest::RequestBuilder,
    what: String,
}

impl Call {
    pub(crate) fn json(self, body: &Value) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    /// A body of any kind, as it is.
    pub(crate) fn body(self, media_type: &str, body: impl Into<Body>) -> Self {
        Self { request: self.request.header("content-type", media_type).body(body), ..self }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// No answer is as good as a late one.
    pub(crate) fn within(self, time: Duration) -> Self {
        Self { request: self.request.timeout(time), ..self }
    }

    /// # Panics
    /// When no answer comes.
    pub(crate) fn send(self) -> Answer {
        let what = self.what.clone();
        self.try_send().unwrap_or_else(|error| panic!("{what}: no answer: {error:?}"))
    }

    /// For calls that may meet a service that is going away.
    pub(crate) fn try_send(self) -> reqwest::Result<Answer> {
        block_on(async {
            let response = self.request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let bytes = response.bytes().await?.to_vec();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let body = serde_json::from_str(&text).unwrap_or(Value::Null);
            Ok(Answer { what: self.what, status, headers, bytes, text, body })
        })
    }
}

/// What the service said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: String,
    /// Null when the text is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A good answer's body.
    ///
    /// # Panics
    /// When the answer is none, or its header names another position than its body.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {} {}", self.what, self.status, self.text);
        self.same_position();
        self.body
    }

    #[track_caller]
    pub(crate) fn created(self) -> Value {
        assert_eq!(self.status, 201, "{}: {}", self.what, self.text);
        self.ok()
    }

    /// A good answer that says that nothing changed.
    #[track_caller]
    pub(crate) fn unchanged(self) -> Value {
        let (what, body) = (self.what.clone(), self.ok());
        assert_eq!(body["status"], "unchanged", "{what}: {body}");
        body
    }

    /// The problem of this name, whole.
    #[track_caller]
    pub(crate) fn problem(self, name: &str) -> Value {
        assert_eq!(self.body["type"], format!("/problems/{name}"), "{}: {} {}", self.what, self.status, self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.what);
        assert_eq!(self.body["status"], self.status, "{}: {}", self.what, self.text);
        for field in ["title", "detail"] {
            assert!(self.body[field].as_str().is_some_and(|text| !text.is_empty()), "{}: {}", self.what, self.text);
        }
        self.same_position();
        self.body
    }

    #[track_caller]
    fn same_position(&self) {
        let said = self.header("seatledger-position").and_then(|text| text.parse::<u64>().ok());
        assert_eq!(said, self.body["position"].as_u64(), "{}: header and body: {}", self.what, self.text);
    }
}
