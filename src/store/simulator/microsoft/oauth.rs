//! The directory's token endpoints: OAuth 2 client credentials, by `resource` and by `scope`, form-encoded. Errors are
//! those of a directory and not of the store. Not here: what a token opens (`gate`).

use super::Inside;
use super::gate::{AUDIENCE, NoToken};
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const FIELDS_MAX: usize = 32;

type Fields = Result<Form<Vec<(String, String)>>, FormRejection>;
type Handed = Result<(String, Duration), (StatusCode, &'static str, String)>;

pub(super) fn router(inside: Arc<Inside>) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/token", post(by_resource))
        .route("/{tenant}/oauth2/v2.0/token", post(by_scope))
        .with_state(inside)
}

async fn by_resource(State(inside): State<Arc<Inside>>, Path(tenant): Path<String>, fields: Fields) -> Response {
    let answered = async {
        // figures as text, as this endpoint writes them
        let now = inside.switches.clock.now().0.div_euclid(1_000_000);
        match hand_out(&inside, &tenant, fields, "resource") {
            Ok((token, life)) => axum::Json(json!({
                "token_type": "Bearer",
                "expires_in": life.as_secs().to_string(),
                "ext_expires_in": life.as_secs().to_string(),
                "expires_on": now.saturating_add_unsigned(life.as_secs()).to_string(),
                "not_before": now.to_string(),
                "resource": AUDIENCE,
                "access_token": token,
            }))
            .into_response(),
            Err(refused) => error(refused),
        }
    };
    inside.switches.faults.around("token", unwell, answered).await
}

async fn by_scope(State(inside): State<Arc<Inside>>, Path(tenant): Path<String>, fields: Fields) -> Response {
    let answered = async {
        match hand_out(&inside, &tenant, fields, "scope") {
            Ok((token, life)) => axum::Json(json!({
                "token_type": "Bearer",
                "expires_in": life.as_secs(),
                "ext_expires_in": life.as_secs(),
                "access_token": token,
            }))
            .into_response(),
            Err(refused) => error(refused),
        }
    };
    inside.switches.faults.around("token", unwell, answered).await
}

fn hand_out(inside: &Inside, tenant: &str, fields: Fields, what: &'static str) -> Handed {
    let bad = |error: &'static str, words: String| (StatusCode::BAD_REQUEST, error, words);
    let Form(fields) = fields.map_err(|rejection| bad("invalid_request", rejection.body_text()))?;
    if fields.len() > FIELDS_MAX {
        return Err(bad("invalid_request", format!("AADSTS90014: at most {FIELDS_MAX} fields")));
    }
    let field = |name: &str| {
        let mut values = fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let missing = || bad("invalid_request", format!("AADSTS900144: the body must contain '{name}'"));
        let value = values.next().filter(|value| !value.is_empty()).ok_or_else(missing)?;
        match values.next() {
            Some(_) => Err(bad("invalid_request", format!("AADSTS900143: '{name}' is given more than once"))),
            None => Ok(value),
        }
    };
    let grant = field("grant_type")?;
    if grant != "client_credentials" {
        return Err(bad("unsupported_grant_type", format!("AADSTS70003: {grant:?} is not supported here")));
    }
    let (client, secret) = (field("client_id")?, field("client_secret")?);
    let asked = field(what)?;
    let audience = if what == "scope" { asked.strip_suffix("/.default").unwrap_or_default() } else { asked };
    let now = inside.switches.clock.now();
    inside.gate.lock().hand_out(now, tenant, (client, secret), audience).map_err(|refused| match refused {
        NoToken::OtherTenant => bad("invalid_request", format!("AADSTS90002: tenant '{tenant}' not found")),
        NoToken::UnknownClient => bad("unauthorized_client", "AADSTS700016: the application was not found".into()),
        NoToken::WrongSecret => {
            let words = "AADSTS7000215: invalid client secret provided".to_owned();
            (StatusCode::UNAUTHORIZED, "invalid_client", words)
        }
        NoToken::OtherAudience if what == "scope" => bad("invalid_scope", "AADSTS70011: the scope is not valid".into()),
        NoToken::OtherAudience => bad("invalid_resource", "AADSTS500011: the resource principal was not found".into()),
    })
}

fn error((status, error, words): (StatusCode, &'static str, String)) -> Response {
    let body = json!({"error": error, "error_description": words, "error_codes": [], "correlation_id": "simulated"});
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

fn unwell(status: StatusCode) -> Response {
    error((status, "temporarily_unavailable", "AADSTS90033: a transient error has occurred".into()))
}
