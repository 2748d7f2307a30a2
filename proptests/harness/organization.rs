//! The words in which tests say what an organization has and does. Names are short: the pool `office` is
//! `declared:office`, the user `ada` is `ada@example.org`, the device `laptop` has the serial number `laptop`.

use super::client::{Answer, Client, encode};
use super::service::Service;
use serde_json::{Value, json};
use std::ops::Deref;
use std::sync::Arc;

/// One tenant; its calls are root's unless said otherwise.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    client: Client,
    /// The shared service lives as long as somebody holds it.
    service: Option<Arc<Service>>,
}

impl Deref for Tenant {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Tenant {
    pub(crate) fn new(root: &Client, name: &str) -> Self {
        Self { name: name.to_owned(), client: root.below(&format!("/v1/tenants/{name}")), service: None }
    }

    /// A new tenant on the shared service.
    pub(crate) fn shared() -> Self {
        let service = Service::shared();
        Self { service: Some(Arc::clone(&service)), ..service.tenant() }
    }

    /// Another tenant of the same shared service.
    pub(crate) fn neighbour(&self) -> Self {
        let service = Arc::clone(self.service());
        Self { service: Some(Arc::clone(&service)), ..service.tenant() }
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        self.service.as_ref().expect("a tenant of the shared service")
    }

    /// This tenant, asked by a new token of this role.
    pub(crate) fn as_role(&self, role: &str) -> Self {
        let made = self.client.post("/tokens", json!({"name": format!("the {role}"), "role": role})).created();
        Self { client: self.client.with_token(made["token"].as_str().expect("a token")), ..self.clone() }
    }

    /// The position of the newest event.
    pub(crate) fn head(&self) -> u64 {
        self.get("/settings").ok()["position"].as_u64().expect("a position")
    }

    // what it owns

    /// An inventory with these items; fields that an item does not name are those of an ordinary paid online app.
    pub(crate) fn inventory(&self, complete: bool, items: &[Value]) -> Answer {
        let items: Vec<Value> = items.iter().map(item).collect();
        self.post("/inventory", json!({"complete": complete, "items": items}))
    }

    /// Owns so many seats of an app.
    pub(crate) fn owns(&self, sku: &str, owned: impl Into<Value>) {
        self.inventory(false, &[json!({"sku": sku, "owned": owned.into()})]).ok();
    }

    pub(crate) fn pool(&self, sku: &str) -> Value {
        self.get(&format!("/pools/{}", pool(sku))).ok()
    }

    /// A pool's figures in a line, as `owned 5: reserved 1, in_use 1, free 3`; what is 0 is left out, but for free.
    pub(crate) fn figures(&self, sku: &str) -> String {
        figures(&self.pool(sku))
    }

    // whom it has

    pub(crate) fn user(&self, name: &str) -> String {
        let body = json!({"user_name": user(name), "display_name": name});
        id(&self.put(&format!("/users/{}", encode(&user(name))), body).ok(), "user")
    }

    /// An eligible Windows device.
    pub(crate) fn device(&self, serial: &str) -> String {
        self.device_with(serial, json!({}))
    }

    /// A device with other facts than the usual ones.
    pub(crate) fn device_with(&self, serial: &str, facts: Value) -> String {
        let mut body =
            json!({"platform": "windows", "join": "entra", "enrolled": true, "os_build": 19_045, "serial": serial});
        merge(&mut body, &facts);
        id(&self.put(&format!("/devices/{}", encode(serial)), body).ok(), "device")
    }

    /// A group as it is from now on. Members of a mixed group are written `user:<name>` and `device:<serial>`.
    pub(crate) fn group(&self, name: &str, kind: &str, members: &[&str]) -> Value {
        let members: Vec<String> = members
            .iter()
            .map(|member| match (kind, member.strip_prefix("user:")) {
                ("users", None) => user(member),
                (_, Some(name)) => format!("user:{}", user(name)),
                (_, None) => (*member).to_owned(),
            })
            .collect();
        self.put(&format!("/groups/{}", encode(name)), json!({"kind": kind, "members": members})).ok()
    }

    pub(crate) fn departs(&self, name: &str, body: Value) -> Answer {
        self.post(&format!("/users/{}/departure", encode(&user(name))), body)
    }

    // what it does

    /// Assigns; `more` are the fields besides pool, target and intent.
    pub(crate) fn assign(&self, sku: &str, target: Value, intent: &str, more: Value) -> Answer {
        let mut body = json!({"pool": pool(sku), "target": target, "intent": intent});
        merge(&mut body, &more);
        self.post("/assignments", body)
    }

    pub(crate) fn assign_to_user(&self, sku: &str, name: &str, intent: &str) -> Answer {
        self.assign(sku, json!({"user": user(name)}), intent, json!({}))
    }

    pub(crate) fn assign_to_group(&self, sku: &str, group: &str, intent: &str) -> Answer {
        self.assign(sku, json!({"group": group}), intent, json!({}))
    }

    pub(crate) fn install(&self, sku: &str, device: &str, name: &str) -> Answer {
        self.post("/installs", json!({"pool": pool(sku), "device": device, "user": user(name)}))
    }

    pub(crate) fn install_for_all(&self, sku: &str, device: &str) -> Answer {
        self.post("/installs", json!({"pool": pool(sku), "device": device, "all_users": true}))
    }

    pub(crate) fn uninstall(&self, sku: &str, device: &str, name: &str) -> Answer {
        self.post("/uninstalls", json!({"pool": pool(sku), "device": device, "user": user(name)}))
    }

    pub(crate) fn refund(&self, sku: &str, body: Value) -> Answer {
        let mut order = json!({"order": "order-1", "quantity": 1, "ordered_on": self.today(),
            "amount": {"currency": "EUR", "minor_units": 1000}});
        merge(&mut order, &body);
        self.post(&format!("/pools/{}/refunds", pool(sku)), order)
    }

    /// The service's day.
    pub(crate) fn today(&self) -> String {
        let settings = self.get("").ok();
        settings["created_at"].as_str().and_then(|time| time.split('T').next()).expect("a time").to_owned()
    }
}

pub(crate) fn pool(sku: &str) -> String {
    if sku.contains(':') { sku.to_owned() } else { format!("declared:{sku}") }
}

pub(crate) fn user(name: &str) -> String {
    if name.contains('@') || name.starts_with("user_") { name.to_owned() } else { format!("{name}@example.org") }
}

fn figures(pool: &Value) -> String {
    let mut text = format!("owned {}: ", pool["owned"]).replace('"', "");
    for field in ["reserved", "in_use", "releasing", "foreign"] {
        if pool[field] != 0 {
            text += &format!("{field} {}, ", pool[field]);
        }
    }
    text += &format!("free {}", pool["free"]).replace('"', "");
    for field in ["over_by", "queued", "unlicensed"] {
        if pool[field] != 0 {
            text += &format!(", {field} {}", pool[field]);
        }
    }
    text
}

fn item(given: &Value) -> Value {
    let sku = given["sku"].as_str().expect("an item has a sku");
    let mut item = json!({"sku": sku, "license_type": "online", "name": sku, "publisher": "Contoso", "owned": 10,
        "distribution_policy": "restricted", "price": {"currency": "EUR", "minor_units": 1000}, "encrypted": false,
        "related_set": null});
    merge(&mut item, given);
    item
}

fn merge(into: &mut Value, more: &Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else { panic!("objects are merged") };
    into.extend(more.clone());
}

fn id(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_else(|| panic!("{field} in {body}")).to_owned()
}
