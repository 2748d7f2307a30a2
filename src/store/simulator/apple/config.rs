//! The service config, which needs no token, and the client config, by which a tool claims a unit and asks for notifications.
//! Not here: sending them.

use super::entry::Call;
use super::notice::{self, TYPES};
use super::refusal::{ErrorCode, Refusal};
use super::world::{MdmInfo, Unit};
use super::{Shared, limits::Limits, token};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const URLS: [(&str, &str); 18] = [
    ("associateAssets", "/assets/associate"),
    ("associateSubscriptions", "/subscriptions/associate"),
    ("clientConfig", "/client/config"),
    ("createUsers", "/users/create"),
    ("disableSubscriptions", "/subscriptions/disable"),
    ("disassociateAssets", "/assets/disassociate"),
    ("disassociateSubscriptions", "/subscriptions/disassociate"),
    ("enableSubscriptions", "/subscriptions/enable"),
    ("eventStatus", "/status"),
    ("getAssets", "/assets"),
    ("getAssignments", "/assignments"),
    ("getSubscriptionAdmins", "/subscriptions/admins"),
    ("getSubscriptionAssignments", "/subscriptions/assignments"),
    ("getSubscriptions", "/subscriptions"),
    ("getUsers", "/users"),
    ("retireUsers", "/users/retire"),
    ("revokeAssets", "/assets/revoke"),
    ("updateUsers", "/users/update"),
];

pub(super) fn service(shared: &Shared, host: &str) -> Map<String, Value> {
    let urls: Map<String, Value> =
        URLS.iter().map(|(name, path)| ((*name).to_owned(), json!(format!("http://{host}/mdm/v2{path}")))).collect();
    let mut said = Map::new();
    said.insert("urls".into(), Value::Object(urls));
    said.insert("limits".into(), json!(shared.locked().limits));
    said.insert("notificationTypes".into(), json!(TYPES));
    said.insert("errorCodes".into(), json!(ErrorCode::all()));
    said
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    mdm_info: Option<MdmWanted>,
    notification_url: Option<String>,
    notification_auth_token: Option<String>,
    notification_types: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MdmWanted {
    id: Option<String>,
    name: Option<String>,
    metadata: Option<String>,
}

pub(super) fn client(shared: &Shared, call: &Call) -> Result<Map<String, Value>, Refusal> {
    call.asked.finish()?;
    let world = shared.locked();
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    Ok(shown(unit, call))
}

fn shown(unit: &Unit, call: &Call) -> Map<String, Value> {
    let mut said = Map::new();
    said.insert("countryISO2ACode".into(), json!(unit.country));
    said.insert("defaultPlatform".into(), json!("enterprisestore"));
    said.insert("locationName".into(), json!(unit.name));
    said.insert("subscribedNotificationTypes".into(), json!(unit.config.notification_types));
    said.insert("websiteURL".into(), json!("https://business.apple.com"));
    said.insert("tokenExpirationDate".into(), json!(token::date(call.granted.expires_at)));
    if let Some(url) = &unit.config.notification_url {
        said.insert("notificationUrl".into(), json!(url));
    }
    said
}

pub(super) async fn set_client(shared: &Shared, call: &Call) -> Result<Map<String, Value>, Refusal> {
    call.asked.finish()?;
    let wanted: Wanted = call.read()?;
    let (limits, mut config) = {
        let world = shared.locked();
        let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
        (world.limits, unit.config.clone())
    };
    if let Some(info) = wanted.mdm_info {
        config.mdm_info = Some(mdm_info(info, &limits)?);
    }
    if let Some(types) = wanted.notification_types {
        if let Some(unknown) = types.iter().find(|name| !TYPES.contains(&name.as_str())) {
            return Err(Refusal::invalid(format!("{unknown} is no notification type")));
        }
        config.notification_types = types;
    }
    match (wanted.notification_url, wanted.notification_auth_token) {
        (None, None) => {}
        (Some(url), Some(auth_token)) => {
            reachable(shared, &limits, &url, &auth_token, &call.granted.uid).await?;
            (config.notification_url, config.notification_auth_token) = (Some(url), Some(auth_token));
        }
        (Some(_), None) | (None, Some(_)) => return Err(Refusal::new(9710)),
    }
    if !config.notification_types.is_empty() && config.notification_url.is_none() {
        return Err(Refusal::new(9710));
    }
    let mut world = shared.locked();
    let unit = world.units.get_mut(&call.granted.uid).ok_or(Refusal::new(9634))?;
    unit.config = config;
    Ok(shown(unit, call))
}

fn mdm_info(wanted: MdmWanted, limits: &Limits) -> Result<MdmInfo, Refusal> {
    let (Some(id), Some(name), Some(metadata)) = (wanted.id, wanted.name, wanted.metadata) else {
        return Err(Refusal::new(9723));
    };
    let lengths = [
        (metadata.chars().count(), limits.max_mdm_metadata_length, 9713),
        (id.chars().count(), limits.max_mdm_id_length, 9724),
        (name.chars().count(), limits.max_mdm_name_length, 9725),
    ];
    if let Some((_, _, number)) = lengths.into_iter().find(|(length, most, _)| length > most) {
        return Err(Refusal::new(number));
    }
    if id.is_empty() || name.is_empty() {
        return Err(Refusal::new(9723));
    }
    Ok(MdmInfo { id, name, metadata })
}

async fn reachable(shared: &Shared, limits: &Limits, url: &str, auth_token: &str, uid: &str) -> Result<(), Refusal> {
    if url.is_empty() || auth_token.is_empty() {
        return Err(Refusal::new(9710));
    }
    if url.len() > limits.max_notification_length || auth_token.len() > limits.max_notification_length {
        return Err(Refusal::new(9711));
    }
    let is_near = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|it| url.starts_with(it));
    if !url.starts_with("https://") && (shared.demands_https || !is_near) {
        return Err(Refusal::new(9712));
    }
    if !notice::test(shared, url, auth_token, uid).await {
        return Err(Refusal::new(9728));
    }
    Ok(())
}
