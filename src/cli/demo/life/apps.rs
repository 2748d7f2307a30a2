//! Apps that people install and remove: most of those that are meant for them, now and then another. Not here: who has them
//! reserved.

use super::Life;
use crate::cli::client::put;
use crate::cli::demo::company::Person;
use crate::cli::demo::stock::{For, Pool};
use serde_json::json;

impl Life {
    pub(super) fn install_something(&mut self) {
        let Some(at) = self.company.somebody() else { return };
        let Some(person) = self.company.people.get(at).cloned() else { return };
        let is_open = self.is_sell_out_open;
        let strays = self.company.random.is(1);
        let fits = |pool: &Pool| {
            let has_device = !pool.is_apple() || person.tablet.is_some();
            has_device && is_meant(pool.purpose, &person, is_open) != strays
        };
        let pools = self.company.pools.iter().enumerate();
        let meant: Vec<usize> = pools.filter(|(_, pool)| fits(pool)).map(|(at, _)| at).collect();
        let Some(place) = self.company.random.pick(&meant).copied() else { return };
        let device = self.company.random.pick(&person.devices).cloned();
        let Some(pool) = self.company.pools.get(place) else { return };
        let Some(device) = (if pool.is_apple() { person.tablet.clone() } else { device }) else { return };
        let mut command = json!({"type": "install", "pool": pool.key(), "device": format!("name:{device}"), "user": format!("name:{}", person.user_name)});
        if strays && self.company.random.is(30) {
            put(&mut command, "report", true);
        }
        self.teller.add(command);
        self.installs.push((place, at, device));
    }

    pub(super) fn uninstall_something(&mut self) {
        if self.installs.is_empty() {
            return;
        }
        let at = self.company.random.below(self.installs.len());
        let (pool, person, device) = self.installs.swap_remove(at);
        let Some(key) = self.company.pools.get(pool).map(Pool::key) else { return };
        let Some(user_name) = self.company.people.get(person).map(|person| person.user_name.clone()) else { return };
        self.teller.add(json!({"type": "uninstall", "pool": key, "device": format!("name:{device}"), "user": format!("name:{user_name}")}));
    }
}

fn is_meant(purpose: For, person: &Person, is_sell_out_open: bool) -> bool {
    match purpose {
        For::Everyone => true,
        For::Tablets => person.tablet.is_some(),
        For::Department(of) | For::Few(of) => of == person.department,
        For::Site(of) => of == person.site,
        For::SellOut(of) => is_sell_out_open && of == person.department,
    }
}
