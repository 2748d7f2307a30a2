//! Every way in which the management-tool API says no, with its status and its body: a `data` field that holds the
//! parameter's name, the reason and details of a 400, the kind and value of what is missing for a 404, the reason of a 409.
//!
//! The documents give no status for "no seats left": here it is 409 with the reason `NoSeatsAvailable` and the pool's
//! figures beside it.

use super::gate::Away;
use super::market::SeatRefusal;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Missing(&'static str),
    Invalid {
        parameter: &'static str,
        details: String,
    },
    NotFound {
        item: &'static str,
        value: String,
    },
    Conflict(&'static str),
    NoSeatsAvailable {
        capacity: i64,
    },
    Away(Away),
    /// A body where none is taken, or of another type than JSON.
    Body(&'static str),
    Failed(StatusCode),
}

/// What a 404 names.
pub(super) const INVENTORY: &str = "Inventory";
pub(super) const USER: &str = "User";
pub(super) const SEAT: &str = "Seat";
pub(super) const PRODUCT: &str = "Product/SKU";

impl Refusal {
    pub(super) fn invalid(parameter: &'static str, details: impl Into<String>) -> Self {
        Self::Invalid { parameter, details: details.into() }
    }

    /// A seat's refusal with the values that its 404 names.
    pub(super) fn of_seat(refusal: SeatRefusal, product: &str, upn: &str) -> Self {
        match refusal {
            SeatRefusal::NoInventory => Self::NotFound { item: INVENTORY, value: product.into() },
            SeatRefusal::NoUser => Self::NotFound { item: USER, value: upn.into() },
            SeatRefusal::NoSeat => Self::NotFound { item: SEAT, value: format!("{product}/{upn}") },
            SeatRefusal::NotOnline => Self::Conflict("Not online"),
            SeatRefusal::NoSeatsAvailable { capacity } => Self::NoSeatsAvailable { capacity },
            SeatRefusal::Failed => Self::Failed(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn parts(self) -> (StatusCode, &'static str, Value) {
        match self {
            Self::Missing(parameter) => {
                let details = format!("{parameter} is required");
                let data = json!({"parameterName": parameter, "reason": "Missing", "details": details});
                (StatusCode::BAD_REQUEST, "InvalidParameter", data)
            }
            Self::Invalid { parameter, details } => {
                let data = json!({"parameterName": parameter, "reason": "Invalid", "details": details});
                (StatusCode::BAD_REQUEST, "InvalidParameter", data)
            }
            Self::NotFound { item, value } => {
                (StatusCode::NOT_FOUND, "NotFound", json!({"itemType": item, "value": value}))
            }
            Self::Conflict(reason) => (StatusCode::CONFLICT, "Conflict", json!({"reason": reason})),
            Self::NoSeatsAvailable { capacity } => {
                let data = json!({"reason": "NoSeatsAvailable", "seatCapacity": capacity, "availableSeats": 0});
                (StatusCode::CONFLICT, "Conflict", data)
            }
            Self::Away(Away::NotActivated) => {
                (StatusCode::FORBIDDEN, "Forbidden", json!({"reason": "The tool is not activated in the store"}))
            }
            Self::Away(away @ (Away::NoToken | Away::BadToken | Away::Expired)) => {
                (StatusCode::UNAUTHORIZED, "Unauthorized", json!({"reason": format!("{away:?}")}))
            }
            Self::Body(reason) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", json!({"reason": reason}))
            }
            Self::Failed(status) => (status, "ServiceError", json!({"reason": "Try again later"})),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, data) = self.parts();
        let message = status.canonical_reason().unwrap_or("Error");
        let mut response = (status, Json(json!({"code": code, "message": message, "data": data}))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
