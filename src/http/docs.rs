//! The contract to be read: as JSON at `/openapi.json`, as a page at `/docs`. The page is written here, without scripts
//! from elsewhere, so that it can be read on a machine that reaches nothing.

use super::Service;
use super::problem_pages::{document, escaped, sent};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn router(contract: &utoipa::openapi::OpenApi) -> Router<Arc<Service>> {
    let json: Arc<str> = contract.to_pretty_json().unwrap_or_default().into();
    let page: Arc<str> = page(&serde_json::from_str(&json).unwrap_or(Value::Null)).into();
    Router::new()
        .route(
            "/openapi.json",
            get(move || {
                let json = json.to_string();
                async move { ([(header::CONTENT_TYPE, "application/json")], json) }
            }),
        )
        .route(
            "/docs",
            get(move || {
                let page = page.to_string();
                async move { sent(page) }
            }),
        )
}

fn page(contract: &Value) -> String {
    let mut body = String::from("<h1>seatledger</h1><p>");
    let text = |value: Option<&Value>| escaped(value.and_then(Value::as_str).unwrap_or(""));
    body.push_str(&text(contract.pointer("/info/description")));
    body.push_str("</p><p><a href=\"/openapi.json\">openapi.json</a>, <a href=\"/problems\">all problems</a></p>");
    for (path, methods) in contract.get("paths").and_then(Value::as_object).into_iter().flatten() {
        for (method, call) in methods.as_object().into_iter().flatten() {
            let name =
                |pointer: &str| call.pointer(pointer).and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
            let reads = name("/requestBody/content/application~1json/schema/$ref");
            let gives = ["200", "201"]
                .iter()
                .find_map(|status| name(&format!("/responses/{status}/content/application~1json/schema/$ref")));
            let params: Vec<String> = call
                .get("parameters")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter(|param| param.get("in").and_then(Value::as_str) != Some("path"))
                .map(|param| format!("<code>{}</code>", text(param.get("name"))))
                .collect();
            body.push_str(&format!(
                "<h3><code>{} {}</code></h3><p>{}</p>",
                method.to_uppercase(),
                escaped(path),
                text(call.get("summary"))
            ));
            let link = |name: &str| format!("<a href=\"#{name}\">{name}</a>");
            let facts = [
                reads.map(|name| format!("reads {}", link(name))),
                gives.map(|name| format!("answers {}", link(name))),
                (!params.is_empty()).then(|| format!("parameters {}", params.join(", "))),
            ];
            body.push_str(&format!("<p>{}</p>", facts.into_iter().flatten().collect::<Vec<_>>().join("; ")));
        }
    }
    body.push_str("<h2>Shapes</h2>");
    for (name, shape) in contract.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten() {
        body.push_str(&format!("<h3 id=\"{0}\">{0}</h3><pre>{1}</pre>", escaped(name), escaped(&format!("{shape:#}"))));
    }
    document("The contract", &body)
}
