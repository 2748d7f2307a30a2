//! Commands as a list of many writes them, sent as the single calls that they stand for; and what is said of a command, in
//! the one form in which both ways can be compared.

use super::client::{Answer, Call, Client, encode};
use reqwest::Method;
use serde_json::Value;

/// The single call for a command of `POST /commands`, under its id as the key.
pub(crate) fn call_of(client: &Client, command: &Value) -> Call {
    let Value::Object(mut fields) = command.clone() else { panic!("a command is an object: {command}") };
    let mut taken = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => text,
        other => panic!("{name} is {other:?} in {command}"),
    };
    let (kind, id) = (taken("type"), taken("id"));
    let mut part = |name: &str| encode(&taken(name));
    let (method, path) = match kind.as_str() {
        "assign" => (Method::POST, "/assignments".to_owned()),
        "unassign" => (Method::DELETE, format!("/assignments/{}", part("assignment"))),
        "install" => (Method::POST, "/installs".to_owned()),
        "uninstall" => (Method::POST, "/uninstalls".to_owned()),
        "depart" => (Method::POST, format!("/users/{}/departure", part("user"))),
        "return" => (Method::POST, format!("/users/{}/return", part("user"))),
        "refund" => (Method::POST, format!("/pools/{}/refunds", part("pool"))),
        "reclaim" | "adopt" | "grant" => {
            (Method::POST, format!("/pools/{}/seats/{}/{kind}", part("pool"), part("holder")))
        }
        "erase" => match part("holder").split_once("%3A") {
            Some(("user", user)) => (Method::POST, format!("/users/{user}/erasure")),
            Some(("device", device)) => (Method::POST, format!("/devices/{device}/erasure")),
            other => panic!("the holder is {other:?}"),
        },
        "set_policy" => (Method::PATCH, format!("/pools/{}/policy", part("pool"))),
        "resolve_deficit" => (Method::POST, format!("/pools/{}/deficit/resolve", part("pool"))),
        "put_user" => (Method::PUT, format!("/users/{}", part("user"))),
        "put_group" => (Method::PUT, format!("/groups/{}", part("group"))),
        "delete_group" => (Method::DELETE, format!("/groups/{}", part("group"))),
        "put_device" => (Method::PUT, format!("/devices/{}", part("device"))),
        "retire_device" => (Method::POST, format!("/devices/{}/retirement", part("device"))),
        "inventory" => (Method::POST, "/inventory".to_owned()),
        "change_settings" => (Method::PATCH, "/settings".to_owned()),
        "confirm_held" => (Method::POST, format!("/directory/held/{}/confirm", part("held"))),
        other => panic!("no call is known for {other}"),
    };
    client.call(method, &path).json(&Value::Object(fields)).key(&id)
}

/// What was said of one judged command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    /// `done`, `unchanged` or `refused`.
    pub(crate) status: String,
    pub(crate) position: u64,
    /// Everything else, but the id of the request.
    pub(crate) body: Value,
}

impl Said {
    /// `None`: the command was not judged, and may be sent again.
    ///
    /// # Panics
    /// When the command could not be read or was not allowed: the tests send none of that kind here.
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        match answer.status {
            503 => None,
            400 | 401 | 403 | 413 | 500 => panic!("{} {}", answer.status, answer.text),
            status if status < 300 => Some(Self::new(answer.body.clone())),
            _ => Some(Self::refused(answer.body.clone())),
        }
    }

    /// One result of many; `None` as above.
    pub(crate) fn of_result(result: &Value) -> Option<Self> {
        match result["problem"]["status"].as_u64() {
            None => Some(Self::new(result.clone())),
            Some(503) => None,
            Some(status) => {
                assert!(![400, 401, 403, 413, 500].contains(&status), "{result}");
                Some(Self::refused(result["problem"].clone()))
            }
        }
    }

    fn new(mut body: Value) -> Self {
        let fields = body.as_object_mut().expect("an answer is an object");
        let position = fields.remove("position").and_then(|position| position.as_u64());
        let status = fields.remove("status").and_then(|status| status.as_str().map(str::to_owned));
        for aside in ["id", "problem", "request_id", "repeated"] {
            fields.remove(aside);
        }
        let (Some(position), Some(status)) = (position, status) else { panic!("no position or status: {body}") };
        Self { status, position, body }
    }

    fn refused(mut problem: Value) -> Self {
        problem["code"] = problem["status"].take();
        problem["status"] = "refused".into();
        Self::new(problem)
    }
}
