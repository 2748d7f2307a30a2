//! The way into the protocol: which endpoint, faults, method, token, content type, query, body. Not here: what an endpoint
//! answers.

use super::refusal::{self, Refusal};
use super::subscriptions::calls as subscriptions;
use super::token::{self, Granted};
use super::world::World;
use super::{Shared, config, lists, writes};
use crate::domain::time::DAY_MICROS;
use crate::store::simulator::BODY_BYTES_MAX;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::str::FromStr;
use std::sync::Arc;

/// Pages that one token may read at one time.
const PARALLEL_PAGES_MAX: usize = 5;
/// Before the end of a token, from where every answer warns of it.
const WARNING_DAYS: i64 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    ServiceConfig,
    ClientConfig,
    Assets,
    Assignments,
    Users,
    Associate,
    Disassociate,
    Revoke,
    CreateUsers,
    UpdateUsers,
    RetireUsers,
    Status,
    Subscriptions,
    SubscriptionAssignments,
    SubscriptionAdmins,
    EnableSubscriptions,
    DisableSubscriptions,
    AssociateSubscriptions,
    DisassociateSubscriptions,
}

impl Endpoint {
    /// With its path and the name that faults know it by.
    const ALL: [(Self, &'static str, &'static str); 19] = [
        (Self::ServiceConfig, "/service/config", "service-config"),
        (Self::ClientConfig, "/client/config", "client-config"),
        (Self::Assets, "/assets", "assets"),
        (Self::Assignments, "/assignments", "assignments"),
        (Self::Users, "/users", "users"),
        (Self::Associate, "/assets/associate", "associate"),
        (Self::Disassociate, "/assets/disassociate", "disassociate"),
        (Self::Revoke, "/assets/revoke", "revoke"),
        (Self::CreateUsers, "/users/create", "users-create"),
        (Self::UpdateUsers, "/users/update", "users-update"),
        (Self::RetireUsers, "/users/retire", "users-retire"),
        (Self::Status, "/status", "status"),
        (Self::Subscriptions, "/subscriptions", "subscriptions"),
        (Self::SubscriptionAssignments, "/subscriptions/assignments", "subscription-assignments"),
        (Self::SubscriptionAdmins, "/subscriptions/admins", "subscription-admins"),
        (Self::EnableSubscriptions, "/subscriptions/enable", "subscriptions-enable"),
        (Self::DisableSubscriptions, "/subscriptions/disable", "subscriptions-disable"),
        (Self::AssociateSubscriptions, "/subscriptions/associate", "subscriptions-associate"),
        (Self::DisassociateSubscriptions, "/subscriptions/disassociate", "subscriptions-disassociate"),
    ];

    /// Pages that one token may read at one time: of what is paged by cursor one after the other.
    fn pages_at_once(self) -> Option<usize> {
        match self {
            Self::Assets | Self::Assignments | Self::Users => Some(PARALLEL_PAGES_MAX),
            Self::Subscriptions | Self::SubscriptionAssignments | Self::SubscriptionAdmins => Some(1),
            Self::ServiceConfig
            | Self::ClientConfig
            | Self::Associate
            | Self::Disassociate
            | Self::Revoke
            | Self::CreateUsers
            | Self::UpdateUsers
            | Self::RetireUsers
            | Self::Status
            | Self::EnableSubscriptions
            | Self::DisableSubscriptions
            | Self::AssociateSubscriptions
            | Self::DisassociateSubscriptions => None,
        }
    }

    fn has_body(self) -> bool {
        self != Self::EnableSubscriptions && self != Self::DisableSubscriptions
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Self::ClientConfig => method == Method::GET || method == Method::POST,
            Self::ServiceConfig
            | Self::Assets
            | Self::Assignments
            | Self::Users
            | Self::Status
            | Self::Subscriptions
            | Self::SubscriptionAssignments
            | Self::SubscriptionAdmins => method == Method::GET,
            Self::Associate
            | Self::Disassociate
            | Self::Revoke
            | Self::CreateUsers
            | Self::UpdateUsers
            | Self::RetireUsers
            | Self::EnableSubscriptions
            | Self::DisableSubscriptions
            | Self::AssociateSubscriptions
            | Self::DisassociateSubscriptions => method == Method::POST,
        }
    }
}

/// One call, as far as it is the same for every endpoint.
pub(super) struct Call {
    pub(super) granted: Granted,
    pub(super) asked: Asked,
    body: Vec<u8>,
}

impl Call {
    /// Two calls take none.
    pub(super) fn without_body(&self) -> Result<(), Refusal> {
        if self.body.is_empty() { Ok(()) } else { Err(Refusal::invalid("this call takes no body")) }
    }

    /// The body, of exactly this shape.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        let read =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| Refusal::invalid(error.to_string()))?;
        reader.end().map_err(|error| Refusal::invalid(error.to_string()))?;
        Ok(read)
    }
}

/// The query, of which everything has to be asked for.
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    fn read(parts: &Parts) -> Result<Self, Refusal> {
        let read = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = read.map_err(|error| Refusal::invalid(error.body_text()))?;
        Ok(Self(pairs))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let found: Vec<_> = self.0.extract_if(.., |(it, _)| it == name).map(|(_, value)| value).collect();
        match <[String; 1]>::try_from(found) {
            Ok([one]) => Ok(Some(one)),
            Err(none) if none.is_empty() => Ok(None),
            Err(_) => Err(Refusal::invalid(format!("{name} is given more than once"))),
        }
    }

    pub(super) fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let read = |text: String| text.parse().map_err(|_| Refusal::invalid(format!("{name} can't be {text:?}")));
        self.text(name)?.map(read).transpose()
    }

    pub(super) fn one_of(&mut self, name: &str, of: &[&str]) -> Result<Option<String>, Refusal> {
        let text = self.text(name)?;
        match text {
            Some(text) if !of.contains(&text.as_str()) => Err(Refusal::invalid(format!("{name} can't be {text:?}"))),
            text => Ok(text),
        }
    }

    /// Zero where none is asked for; 9650 where it is no number.
    pub(super) fn page_index(&mut self) -> Result<usize, Refusal> {
        let read = |text: String| text.parse().map_err(|_| Refusal::new(9650));
        Ok(self.text("pageIndex")?.map(read).transpose()?.unwrap_or(0))
    }

    /// What is left has no meaning here.
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        match self.0.first() {
            Some((name, _)) => Err(Refusal::invalid(format!("{name} is not known here"))),
            None => Ok(()),
        }
    }
}

/// Counts a page being read for as long as it is.
struct Reading<'s> {
    shared: &'s Shared,
    token: String,
}

impl<'s> Reading<'s> {
    fn begin(shared: &'s Shared, headers: &HeaderMap, max: usize) -> Result<Self, Refusal> {
        // what has another bound is counted by itself
        let token = format!("{max} {}", text_of(headers, &header::AUTHORIZATION).unwrap_or_default());
        let mut reading = shared.reading.lock();
        let count = reading.entry(token.clone()).or_default();
        if *count >= max {
            return Err(Refusal::new(9646));
        }
        *count += 1;
        Ok(Self { shared, token })
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut reading = self.shared.reading.lock();
        let left = reading.get_mut(&self.token).map_or(0, |count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == 0 {
            reading.remove(&self.token);
        }
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("\u{0}"))
}

pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/mdm/v2").unwrap_or_default().to_owned();
    let Some((endpoint, _, name)) = Endpoint::ALL.into_iter().find(|(_, it, _)| *it == path) else {
        return (StatusCode::NOT_FOUND, Json(json!({ "errorMessage": "Not found" }))).into_response();
    };
    let reading = match endpoint.pages_at_once().map(|max| Reading::begin(&shared, &parts.headers, max)).transpose() {
        Ok(reading) => reading,
        Err(refusal) => {
            let mut response = refusal.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, 1.into());
            return response;
        }
    };
    let call = async {
        match serve(&shared, endpoint, parts, body).await {
            Ok(said) => Json(said).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    };
    let response = shared.faults.around(name, refusal::of_fault, call).await;
    drop(reading);
    response
}

async fn serve(shared: &Shared, endpoint: Endpoint, parts: Parts, body: Body) -> Result<Map<String, Value>, Refusal> {
    if !endpoint.takes(&parts.method) {
        return Err(Refusal::new(9726));
    }
    if endpoint == Endpoint::ServiceConfig {
        Asked::read(&parts)?.finish()?;
        return Ok(config::service(shared, text_of(&parts.headers, &header::HOST).unwrap_or("localhost")));
    }
    let header = text_of(&parts.headers, &header::AUTHORIZATION);
    let granted = token::check(&shared.locked(), header, shared.clock.now())?;
    if granted.is_read_only && endpoint.pages_at_once().is_none() {
        return Err(Refusal::new(9601));
    }
    if parts.method == Method::POST && endpoint.has_body() && !is_json(&parts.headers) {
        return Err(Refusal::new(9727));
    }
    let asked = Asked::read(&parts)?;
    let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Refusal::invalid("the body is too long or was cut"))?;
    let mut call = Call { granted, asked, body: body.into() };
    let mut said = match endpoint {
        Endpoint::Assets => lists::assets(shared, &mut call),
        Endpoint::Assignments => lists::assignments(shared, &mut call),
        Endpoint::Users => lists::users(shared, &mut call),
        Endpoint::Associate => writes::associate(shared, &call),
        Endpoint::Disassociate => writes::disassociate(shared, &call),
        Endpoint::Revoke => writes::revoke(shared, &call),
        Endpoint::CreateUsers => writes::create_users(shared, &call),
        Endpoint::UpdateUsers => writes::update_users(shared, &call),
        Endpoint::RetireUsers => writes::retire_users(shared, &call),
        Endpoint::Status => writes::status(shared, &mut call),
        Endpoint::Subscriptions => subscriptions::list(shared, &mut call),
        Endpoint::SubscriptionAssignments => subscriptions::assignments(shared, &mut call),
        Endpoint::SubscriptionAdmins => subscriptions::admins(shared, &mut call),
        Endpoint::EnableSubscriptions => subscriptions::enable(shared, &call),
        Endpoint::DisableSubscriptions => subscriptions::disable(shared, &call),
        Endpoint::AssociateSubscriptions => subscriptions::associate(shared, &call),
        Endpoint::DisassociateSubscriptions => subscriptions::disassociate(shared, &call),
        Endpoint::ClientConfig if parts.method == Method::GET => config::client(shared, &call),
        Endpoint::ClientConfig => config::set_client(shared, &call).await,
        Endpoint::ServiceConfig => Err(Refusal::new(9603)),
    }?;
    close(shared, &call.granted, &shared.locked(), &mut said);
    Ok(said)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = text_of(headers, &header::CONTENT_TYPE).and_then(|text| text.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// What every answer to a token says.
fn close(shared: &Shared, granted: &Granted, world: &World, said: &mut Map<String, Value>) {
    said.insert("uId".into(), json!(granted.uid));
    if let Some(info) = world.units.get(&granted.uid).and_then(|unit| unit.config.mdm_info.as_ref()) {
        said.insert("mdmInfo".into(), json!(info));
    }
    if granted.expires_at.0.saturating_sub(shared.clock.now().0) <= WARNING_DAYS * DAY_MICROS {
        said.insert("tokenExpirationDate".into(), json!(token::date(granted.expires_at)));
    }
}
