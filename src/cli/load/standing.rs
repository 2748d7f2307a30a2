//! What stands in the ledger of the people and devices that the lists name. Not here: what the lists say of them (`plan`).

use super::plan::{Plan, is_nothing, plain};
use crate::cli::client::{CallError, Client, put};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn word<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field).and_then(Value::as_str)
}

/// The name that a reference of ours forces.
pub(super) fn name_in(reference: Option<&Value>) -> Option<&str> {
    reference.and_then(Value::as_str).and_then(|reference| reference.strip_prefix("name:"))
}

#[derive(Debug, Default)]
pub(super) struct Standing {
    people: BTreeMap<String, Value>,
    /// User names by address.
    addresses: BTreeMap<String, Vec<String>>,
    devices: Vec<Value>,
    /// Ids of devices whose primary user was deleted: nothing can name that one any more.
    ownerless: BTreeSet<String>,
    serials: BTreeMap<String, usize>,
    tags: BTreeMap<String, usize>,
}

impl Standing {
    /// `tenant` is the path of the tenant.
    pub(super) async fn read(client: &Client, tenant: &str, plan: &Plan) -> Result<Self, CallError> {
        let mut standing = Self::default();
        let names: BTreeSet<String> = plan.names().cloned().collect();
        if !names.is_empty() || !plan.devices.is_empty() {
            client.each(&format!("{tenant}/users"), |user| standing.take_person(user, &names)).await?;
        }
        let fields = ["serial", "device_id"];
        let said = plan.devices.iter().flat_map(|wish| fields.iter().filter_map(|field| word(&wish.command, field)));
        let names: BTreeSet<String> = said.map(str::to_owned).collect();
        if !names.is_empty() {
            client.each(&format!("{tenant}/devices"), |device| standing.take_device(device, &names)).await?;
        }
        Ok(standing)
    }

    /// Kept is only whom the lists name.
    fn take_person(&mut self, user: Value, names: &BTreeSet<String>) {
        // who was deleted has no name any more: it may be another person's by now
        let is_deleted = user.pointer("/departed/cause").is_some_and(|cause| cause == "deleted");
        if is_deleted {
            let devices = user.get("devices").and_then(Value::as_array).into_iter().flatten();
            self.ownerless.extend(devices.filter_map(Value::as_str).map(str::to_owned));
            return;
        }
        let Some(name) = word(&user, "user_name").map(str::to_owned) else { return };
        let addresses = user.get("emails").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let known: BTreeSet<String> = addresses.map(plain).filter(|address| names.contains(address)).collect();
        let is_named = names.contains(&plain(&name)) || !known.is_empty();
        for address in known {
            self.addresses.entry(address).or_default().push(name.clone());
        }
        if is_named {
            self.people.insert(plain(&name), user);
        }
    }

    fn take_device(&mut self, mut device: Value, names: &BTreeSet<String>) {
        let [serial, tag] = ["serial", "device_id"].map(|field| word(&device, field).map(str::to_owned));
        if [&serial, &tag].into_iter().flatten().all(|name| !names.contains(name)) {
            return;
        }
        if word(&device, "id").is_some_and(|id| self.ownerless.contains(id)) {
            put(&mut device, "primary_user", Value::Null);
        }
        let at = self.devices.len();
        self.serials.extend(serial.map(|serial| (serial, at)));
        self.tags.extend(tag.map(|tag| (tag, at)));
        self.devices.push(device);
    }

    pub(super) fn person(&self, name: &str) -> Option<&Value> {
        self.people.get(&plain(name))
    }

    /// The user names of those whose address it is.
    pub(super) fn at_address(&self, address: &str) -> &[String] {
        self.addresses.get(&plain(address)).map_or(&[], Vec::as_slice)
    }

    /// The one that a command means, as the ledger finds it: by serial number, by what it is called, by its tag.
    fn device(&self, command: &Value) -> Option<&Value> {
        let by_serial = |name: &str| self.serials.get(name);
        let by_tag = |name: &str| self.tags.get(name);
        let called = name_in(command.get("device"));
        let at = word(command, "serial")
            .and_then(by_serial)
            .or_else(|| called.and_then(by_serial))
            .or_else(|| called.and_then(by_tag))
            .or_else(|| word(command, "device_id").and_then(by_tag));
        at.and_then(|at| self.devices.get(*at))
    }

    /// What a command is about, as it is in the ledger.
    pub(super) fn subject(&self, command: &Value) -> Option<&Value> {
        match word(command, "type") {
            Some("put_device") => self.device(command),
            _ => name_in(command.get("user")).and_then(|name| self.person(name)),
        }
    }

    pub(super) fn has_left(&self, command: &Value) -> bool {
        self.subject(command).and_then(|user| user.get("departed")).is_some_and(|departed| !departed.is_null())
    }

    /// Whether a command would say what stands already. Of seats that is not asked: one that was lost is given again under
    /// another `--run` alone.
    pub(super) fn has(&self, command: &Value) -> bool {
        let is_same = |fields: &[&str]| {
            let of = |value: Option<&Value>| value.filter(|value| !is_nothing(value)).cloned();
            let subject = self.subject(command);
            subject.is_some_and(|subject| fields.iter().all(|field| of(subject.get(*field)) == of(command.get(*field))))
        };
        match word(command, "type") {
            Some("put_user") => is_same(&["display_name", "external_id", "emails"]),
            Some("put_device") => {
                let user = command.get("primary_user");
                let user = name_in(user).map_or(user, |name| self.person(name).and_then(|person| person.get("id")));
                let primary_user = |device: &Value| device.get("primary_user").filter(|user| !user.is_null()).cloned();
                let is_in_use = |device: &Value| device.get("retired").is_some_and(|retired| retired == false);
                is_same(&["serial", "device_id", "platform", "join", "enrolled", "os_build"])
                    && self
                        .device(command)
                        .is_some_and(|there| is_in_use(there) && primary_user(there).as_ref() == user)
            }
            Some("depart") => self.has_left(command),
            Some("return") => !self.has_left(command),
            _ => true,
        }
    }

    /// Whether a person holds a seat of the pool, and whether they wait for one.
    pub(super) fn seat_of(&self, name: &str, pool: &str) -> (bool, bool) {
        let is_in = |field: &str| {
            let pools = self.person(name).and_then(|person| person.get(field)).and_then(Value::as_array);
            pools.is_some_and(|pools| pools.iter().any(|known| known == pool))
        };
        (is_in("seats"), is_in("queued"))
    }
}
