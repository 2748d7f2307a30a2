//! A town of people who want seats, and what they do all day: a random load for the suites that hold the service to its
//! word. Not here: what must come of it.

use crate::harness::{Said, Tenant};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// How many there are of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Town {
    pub(crate) people: u32,
    pub(crate) devices: u32,
    pub(crate) pools: u32,
    pub(crate) seats: u32,
}

impl Town {
    /// The first half of the people may install every app; each app has a group whose members get it as far as it goes.
    pub(crate) fn build(&self, t: &Tenant) {
        t.patch("/settings", json!({"brake": {"share": 100, "at_least": 1_000_000}})).ok();
        let items: Vec<Value> =
            (0..self.pools).map(|n| json!({"sku": format!("app-{n}"), "owned": self.seats})).collect();
        t.inventory(true, &items).ok();
        let mut commands: Vec<Value> = Vec::new();
        for n in 0..self.people {
            commands.push(json!({"type": "put_user", "user": person(n), "user_name": person(n)}));
        }
        for n in 0..self.devices {
            commands
                .push(json!({"type": "put_device", "device": device(n), "serial": device(n), "platform": "windows",
                "join": "entra", "enrolled": true, "os_build": 19_045}));
        }
        let half: Vec<String> = (0..self.people / 2).map(person).collect();
        commands.push(json!({"type": "put_group", "group": "half", "kind": "users", "members": half}));
        for n in 0..self.pools {
            let (pool, group) = (pool(n), format!("group-{n}"));
            commands.push(json!({"type": "put_group", "group": group, "kind": "users", "members": []}));
            commands.push(json!({"type": "assign", "pool": pool, "target": {"group": "half"}, "intent": "available"}));
            commands.push(json!({"type": "assign", "pool": pool, "target": {"group": group}, "intent": "required",
                "mode": "fill"}));
        }
        let results = t.post("/commands", commands.into()).ok();
        for result in results["results"].as_array().expect("results") {
            assert_eq!(result["status"], "done", "{result}");
        }
    }
}

fn person(n: u32) -> String {
    format!("person-{n}@example.org")
}

fn device(n: u32) -> String {
    format!("device-{n}")
}

fn pool(n: u32) -> String {
    format!("declared:app-{n}")
}

/// One of those who ask.
pub(crate) struct Crowd {
    town: Town,
    name: String,
    random: StdRng,
    asked: u64,
    assignments: Vec<String>,
    installs: Vec<Value>,
}

impl Crowd {
    pub(crate) fn new(town: Town, name: String, seed: u64) -> Self {
        Self { town, name, random: StdRng::seed_from_u64(seed), asked: 0, assignments: vec![], installs: vec![] }
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.random.random_range(0..bound)
    }

    fn pool(&mut self) -> String {
        pool(self.random.random_range(0..self.town.pools))
    }

    /// Of those who may install.
    fn installer(&mut self) -> String {
        person(self.random.random_range(0..self.town.people / 2))
    }

    /// Of the others.
    fn other(&mut self) -> String {
        person(self.random.random_range(self.town.people / 2..self.town.people))
    }

    fn named(&mut self, mut command: Value) -> Value {
        self.asked += 1;
        command["id"] = format!("{}-{}", self.name, self.asked).into();
        command
    }

    /// Something that can only take seats.
    pub(crate) fn grab(&mut self) -> Value {
        let command = match self.below(2) {
            0 => json!({"type": "assign", "pool": self.pool(), "target": {"user": self.other()}, "intent": "required"}),
            _ => {
                let device = device(self.random.random_range(0..self.town.devices));
                json!({"type": "install", "pool": self.pool(), "device": device, "user": self.installer()})
            }
        };
        self.named(command)
    }

    /// Anything.
    pub(crate) fn act(&mut self) -> Value {
        let command = match self.below(100) {
            0..55 => return self.grab(),
            55..68 if !self.assignments.is_empty() => {
                let at = self.random.random_range(0..self.assignments.len());
                json!({"type": "unassign", "assignment": self.assignments.swap_remove(at)})
            }
            68..80 if !self.installs.is_empty() => {
                let at = self.random.random_range(0..self.installs.len());
                let mut command = self.installs.swap_remove(at);
                command["type"] = "uninstall".into();
                command
            }
            80..86 => {
                let members: Vec<String> = (0..self.below(self.town.seats)).map(|_| self.other()).collect();
                let group = format!("group-{}", self.random.random_range(0..self.town.pools));
                json!({"type": "put_group", "group": group, "kind": "users", "members": members})
            }
            86..90 => json!({"type": "reclaim", "pool": self.pool(), "holder": format!("user:{}", self.other())}),
            90..92 => json!({"type": "depart", "user": self.other(), "cause": "deactivated"}),
            92..94 => json!({"type": "return", "user": self.other()}),
            _ => {
                let device = device(self.random.random_range(0..self.town.devices));
                json!({"type": "install", "pool": self.pool(), "device": device, "user": self.other(), "report": true})
            }
        };
        self.named(command)
    }

    /// Remembers what can be taken back.
    pub(crate) fn heard(&mut self, command: &Value, said: &Said) {
        if said.status != "done" {
            return;
        }
        match command["type"].as_str() {
            Some("assign") => {
                self.assignments.push(said.body["assignment"].as_str().expect("an assignment").to_owned());
            }
            Some("install") => self.installs.push(json!({"pool": command["pool"], "device": command["device"],
                "user": command["user"]})),
            _ => {}
        }
    }
}
