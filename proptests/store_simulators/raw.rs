//! Requests by hand, and what came back.

use crate::harness::block_on;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method};
use serde_json::Value;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Raw {
    http: reqwest::Client,
    url: String,
    headers: HeaderMap,
}

#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Raw {
    pub(crate) fn new(url: &str) -> Self {
        // an error means that another test was here before
        let _there = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(20));
        Self { http: http.build().expect("an HTTP client"), url: url.to_owned(), headers: HeaderMap::new() }
    }

    pub(crate) fn with(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        let value = HeaderValue::from_str(value).expect("a header's value");
        other.headers.insert(HeaderName::from_static(name), value);
        other
    }

    /// `None` when the connection ended without a whole answer.
    pub(crate) fn try_send(&self, method: Method, path: &str, body: impl Into<Body>) -> Option<Came> {
        let url = format!("{}{path}", self.url);
        let request = self.http.request(method, url).headers(self.headers.clone()).body(body);
        block_on(async {
            let answer = request.send().await.ok()?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let text = answer.text().await.ok()?;
            let json = serde_json::from_str(&text).unwrap_or(Value::Null);
            Some(Came { status, headers, text, json })
        })
    }

    pub(crate) fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Came {
        let what = format!("{method} {path}");
        self.try_send(method, path, body).unwrap_or_else(|| panic!("{what}: no answer"))
    }

    pub(crate) fn get(&self, path: &str) -> Came {
        self.send(Method::GET, path, "")
    }

    pub(crate) fn post(&self, path: &str) -> Came {
        self.send(Method::POST, path, "")
    }

    pub(crate) fn delete(&self, path: &str) -> Came {
        self.send(Method::DELETE, path, "")
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Came {
        self.with("content-type", "application/json").send(Method::POST, path, body.to_string())
    }

    pub(crate) fn post_form(&self, path: &str, body: &str) -> Came {
        self.with("content-type", "application/x-www-form-urlencoded").send(Method::POST, path, body.to_owned())
    }
}

impl Came {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}
