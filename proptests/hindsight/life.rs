//! Random histories of an organization of which much is heard late: commands one by one and many at once, reports of devices
//! that were offline for days, with and without the time at which it happened.

use super::naive::{micros, text};
use crate::harness::{Service, Tenant, call_of, user};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

const PEOPLE: [&str; 7] = ["ada", "bob", "carl", "dora", "eve", "finn", "gina"];
const DEVICES: [&str; 5] = ["D1", "D2", "D3", "D4", "D5"];
const APPS: [&str; 4] = ["office", "paint", "draw", "late"];
const GROUPS: [&str; 2] = ["sales", "plant"];
const DAY_MICROS: i64 = 86_400_000_000;

/// The service's time, so many seconds later.
fn advanced(service: &Service, seconds: u64) -> i64 {
    micros(&service.root().post("/v1/clock", json!({"advance_seconds": seconds})).body["now"])
}

struct Life {
    random: SmallRng,
    commands: u64,
    /// So many of each are known so far.
    people: usize,
    devices: usize,
    apps: usize,
    groups: Vec<&'static str>,
}

/// A tenant with a history of about so many commands.
pub(super) fn lived(service: &Service, seed: u64, steps: usize) -> Tenant {
    let t = service.tenant();
    let random = SmallRng::seed_from_u64(seed);
    let mut life = Life { random, commands: 0, people: 4, devices: 3, apps: 2, groups: Vec::new() };
    life.live(service, &t, steps);
    t
}

impl Life {
    fn live(&mut self, service: &Service, t: &Tenant, steps: usize) {
        self.begin(t);
        let mut step = 0;
        while step < steps {
            let now = advanced(service, [0, 1, 40, 3600, 50_000][self.random.random_range(0..5)]);
            match self.random.random_range(0..12) {
                0 => self.grow(t),
                1..4 => {
                    let many: Vec<Value> = (0..self.random.random_range(2..7)).map(|_| self.command(now)).collect();
                    step += many.len();
                    let atomic = self.random.random_bool(0.3);
                    t.post(&format!("/commands?atomic={atomic}"), json!(many)).ok();
                }
                _ => {
                    let command = self.command(now);
                    let status = call_of(t, &command).send().status;
                    assert!([200, 201, 404, 409, 422].contains(&status), "{status}: {command}");
                }
            }
            step += 1;
        }
    }

    fn begin(&mut self, t: &Tenant) {
        let items: Vec<Value> = APPS[..self.apps].iter().map(|sku| json!({"sku": sku, "owned": 3})).collect();
        t.inventory(true, &items).ok();
        PEOPLE[..self.people].iter().for_each(|name| drop(t.user(name)));
        DEVICES[..self.devices].iter().for_each(|serial| drop(t.device(serial)));
    }

    /// Somebody or something new, of whom late reports may tell that they were there before.
    fn grow(&mut self, t: &Tenant) {
        match self.random.random_range(0..7) {
            0 if self.people < PEOPLE.len() => {
                t.user(PEOPLE[self.people]);
                self.people += 1;
            }
            1 if self.devices < DEVICES.len() => {
                t.device(DEVICES[self.devices]);
                self.devices += 1;
            }
            2 if self.apps < APPS.len() => {
                t.owns(APPS[self.apps], if self.apps == 2 { json!(2) } else { json!("unlimited") });
                self.apps += 1;
            }
            3 => {
                let name = format!("tool-{}", self.random.random_range(0..2));
                t.put(&format!("/tools/{name}"), json!({"name": name})).ok();
                if self.random.random_bool(0.3) {
                    t.delete(&format!("/tools/{name}")).ok();
                }
            }
            5 => t.owns("office", self.random.random_range(1..6)),
            4 => drop(t.post("/tokens", json!({"name": "one", "role": "auditor"})).created()),
            _ => {
                let review =
                    t.post("/reviews", json!({"name": "who", "pools": ["declared:office"], "undecided": "keep"}));
                if self.random.random_bool(0.5) {
                    let id = review.created()["review"].as_str().expect("an id").to_owned();
                    t.post(&format!("/reviews/{id}/cancel"), json!({})).ok();
                }
            }
        }
    }

    fn person(&mut self) -> String {
        user(PEOPLE[self.random.random_range(0..self.people)])
    }

    fn device(&mut self) -> &'static str {
        DEVICES[self.random.random_range(0..self.devices)]
    }

    fn command(&mut self, now: i64) -> Value {
        self.commands += 1;
        let app = format!("declared:{}", APPS[self.random.random_range(0..self.apps)]);
        let mut command = match self.random.random_range(0..21) {
            0..4 => self.assignment(&app),
            4 => json!({"type": "unassign", "assignment": format!("assignment_{}", self.random.random_range(0..12))}),
            5..11 => self.presence("install", &app),
            11..14 => self.presence("uninstall", &app),
            14 => json!({"type": "depart", "user": self.person(), "cause": "deactivated",
                "retire_devices": self.random.random_bool(0.3)}),
            15 => json!({"type": "return", "user": self.person()}),
            16 => {
                let kind = ["reclaim", "grant"][self.random.random_range(0..2)];
                json!({"type": kind, "pool": app, "holder": format!("user:{}", self.person())})
            }
            17 => self.membership(),
            18 => {
                let keep = ["keep", "release"][self.random.random_range(0..2)];
                json!({"type": "set_policy", "pool": app, "on_uninstall": keep, "untargeted": keep})
            }
            19 => json!({"type": "retire_device", "device": self.device()}),
            _ => json!({"type": "put_device", "device": self.device(), "platform": "windows", "join": "entra",
                "enrolled": true, "os_build": 19_045, "primary_user": self.person()}),
        };
        if command["type"] == "put_device" {
            command["serial"] = command["device"].clone();
        }
        command["id"] = format!("c{}", self.commands).into();
        if self.random.random_bool(0.6) {
            let late = match self.random.random_range(0..5) {
                0 => self.random.random_range(0..90_000_000),
                1 | 2 => self.random.random_range(0..DAY_MICROS),
                3 => self.random.random_range(0..10 * DAY_MICROS),
                // the outside's clock is ahead
                _ => -self.random.random_range(0..DAY_MICROS),
            };
            command["occurred_at"] = text(now - late).into();
        }
        command
    }

    fn assignment(&mut self, app: &str) -> Value {
        let target = match self.random.random_range(0..4) {
            0 if !self.groups.is_empty() => {
                json!({"group": self.groups[self.random.random_range(0..self.groups.len())]})
            }
            1 => json!({"device": self.device()}),
            _ => json!({"user": self.person()}),
        };
        match self.random.random_range(0..5) {
            0 => json!({"type": "assign", "pool": app, "target": target, "intent": "available"}),
            1 => json!({"type": "assign", "pool": app, "target": target, "intent": "required"}),
            _ => json!({"type": "assign", "pool": app, "target": target, "intent": "required", "mode": "fill"}),
        }
    }

    fn presence(&mut self, kind: &str, app: &str) -> Value {
        let mut command = json!({"type": kind, "pool": app, "device": self.device()});
        if self.random.random_bool(0.2) {
            command["all_users"] = true.into();
        } else {
            command["user"] = self.person().into();
        }
        if kind == "install" && self.random.random_bool(0.8) {
            command["report"] = true.into();
        }
        command
    }

    fn membership(&mut self) -> Value {
        let group = GROUPS[self.random.random_range(0..GROUPS.len())];
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
        let members: std::collections::BTreeSet<String> =
            (0..self.random.random_range(0..4)).map(|_| self.person()).collect();
        json!({"type": "put_group", "group": group, "kind": "users", "members": members})
    }
}
