//! Apple's error numbers, the HTTP status of each, and the body that says it. Not here: what is refused when.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// Number, HTTP status (0: in events only), words.
const TABLE: &[(u16, u16, &str)] = &[
    (9601, 401, "Login required"),
    (9602, 400, "Invalid argument"),
    (9603, 500, "Internal error"),
    (9609, 400, "Unable to find the registered user."),
    (9621, 401, "The token has expired."),
    (9623, 400, "Invalid push token"),
    (9625, 401, "The server has revoked the token."),
    (9634, 410, "The service has been removed."),
    (9635, 0, "The Apple Account can't be associated."),
    (9637, 403, "Not available for facilitator accounts."),
    (9641, 0, "The Apple Account is already associated with another user."),
    (9644, 0, "The service is under maintenance."),
    (9646, 429, "Too many requests. Try again later."),
    (9647, 403, "Not available for legacy tokens."),
    (9650, 400, "Invalid page index"),
    (9700, 400, "Too many assets"),
    (9701, 400, "Too many client user IDs"),
    (9702, 400, "Too many serial numbers"),
    (9703, 400, "Duplicate assets in one request"),
    (9704, 400, "Duplicate client user IDs in one request"),
    (9705, 400, "Duplicate serial numbers in one request"),
    (9706, 400, "The asset is not revocable."),
    (9707, 400, "The asset is not device-assignable."),
    (9708, 400, "Unknown event ID"),
    (9709, 0, "Not enough licenses are available."),
    (9710, 400, "Notification URL or auth token missing"),
    (9711, 400, "Notification URL or auth token too long"),
    (9712, 400, "The notification URL is not HTTPS."),
    (9713, 400, "The mdmInfo metadata is too long."),
    (9714, 400, "Too many users"),
    (9715, 400, "Duplicate users in one request"),
    (9716, 0, "The client user ID is already registered."),
    (9717, 400, "Invalid email address"),
    (9718, 400, "No asset given"),
    (9719, 400, "No client user ID or serial number given"),
    (9720, 400, "No user given"),
    (9721, 400, "Invalid version ID"),
    (9722, 401, "The authorization header is malformed."),
    (9723, 400, "The mdmInfo is incomplete."),
    (9724, 400, "The mdmInfo ID is too long."),
    (9725, 400, "The mdmInfo name is too long."),
    (9726, 405, "The method is not supported here."),
    (9727, 415, "The content type is not supported."),
    (9728, 400, "The notification URL is unreachable."),
    (9729, 503, "The service is temporarily unavailable."),
    (9811, 400, "Invalid subscription association"),
    (9812, 400, "Invalid cursor"),
    (9813, 400, "Invalid subscription adam ID"),
    (9814, 400, "The user is not associated with an Apple Account."),
    (9815, 400, "The subscription is not assigned to the user."),
    (9816, 400, "The subscription is over its limit."),
    (9817, 400, "The user already has the subscription by a group."),
    (9818, 400, "The subscription can't be disabled."),
];

/// A call that is turned back whole. Nothing was queued.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) number: u16,
    pub(super) info: Option<Value>,
}

/// What `errorCodes` of the service config lists, and what a failure in an event says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorCode {
    pub(super) error_number: u16,
    pub(super) error_message: &'static str,
}

impl ErrorCode {
    pub(super) fn of(error_number: u16) -> Self {
        let found = TABLE.iter().find(|(number, _, _)| *number == error_number);
        Self { error_number, error_message: found.map_or("Unknown error", |(_, _, words)| words) }
    }

    pub(super) fn all() -> Vec<Self> {
        TABLE.iter().map(|(number, _, _)| Self::of(*number)).collect()
    }
}

impl Refusal {
    pub(super) fn new(number: u16) -> Self {
        Self { number, info: None }
    }

    pub(super) fn about(number: u16, info: Value) -> Self {
        Self { number, info: Some(info) }
    }

    /// 9602, with the reason in words.
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::about(9602, json!({ "reason": reason.into() }))
    }

    fn status(&self) -> StatusCode {
        let found = TABLE.iter().find(|(number, status, _)| *number == self.number && *status != 0);
        found.and_then(|(_, status, _)| StatusCode::from_u16(*status).ok()).unwrap_or(StatusCode::BAD_REQUEST)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = ErrorCode::of(self.number);
        let mut body = json!({ "errorNumber": code.error_number, "errorMessage": code.error_message });
        if let (Some(body), Some(info)) = (body.as_object_mut(), self.info.clone()) {
            body.insert("errorInfo".into(), info);
        }
        (self.status(), Json(body)).into_response()
    }
}

/// How Apple words what a fault does to a call.
pub(super) fn of_fault(status: StatusCode) -> Response {
    let number = match status {
        StatusCode::TOO_MANY_REQUESTS => 9646,
        StatusCode::SERVICE_UNAVAILABLE => 9729,
        _ => 9603,
    };
    let mut response = Refusal::new(number).into_response();
    // Apple's 5xx carry it, 500 too
    response.headers_mut().insert("retry-after", 1.into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_says_each_number_once() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
