//! Who comes, goes and returns, with their devices and groups. Not here: what they install.

use super::{Life, department, site};
use crate::cli::exit::Failure;
use serde_json::json;

impl Life {
    /// Tells the directory and the ledger of somebody new.
    pub(super) fn introduce(&mut self, at: usize) -> Result<(), Failure> {
        let Some(person) = self.company.people.get(at).cloned() else { return Ok(()) };
        self.stores.hire(&person.user_name)?;
        self.teller.add(json!({
            "type": "put_user", "user": format!("name:{}", person.user_name), "user_name": person.user_name, "display_name": person.display_name,
            "emails": [person.user_name],
        }));
        for device in &person.devices {
            self.enroll(device, &person.user_name);
        }
        if let Some(tablet) = &person.tablet {
            self.teller.add(json!({
                "type": "put_device", "device": format!("name:{tablet}"), "platform": "ios", "join": "none", "enrolled": true,
                "serial": tablet, "device_id": format!("id-{tablet}"), "primary_user": format!("name:{}", person.user_name),
            }));
        }
        Ok(())
    }

    pub(super) fn enroll(&mut self, device: &str, user_name: &str) {
        self.teller.add(json!({
            "type": "put_device", "device": format!("name:{device}"), "platform": "windows", "join": "entra", "enrolled": true, "os_build": 22631,
            "serial": device, "device_id": format!("id-{device}"), "primary_user": format!("name:{user_name}"),
        }));
    }

    fn regroup(&mut self, group: &str, members: &[usize]) {
        let members: Vec<String> = members
            .iter()
            .filter_map(|at| self.company.people.get(*at))
            .map(|person| format!("user:name:{}", person.user_name))
            .collect();
        self.teller.add(json!({"type": "put_group", "group": group, "kind": "users", "members": members}));
    }

    pub(super) fn regroup_department(&mut self, at: usize) {
        let members = self.company.in_department(at);
        self.regroup(&department(at), &members);
    }

    pub(super) fn regroup_site(&mut self, at: usize) {
        let members = self.company.here(|person| person.site == at);
        self.regroup(&site(at), &members);
    }

    /// Everybody, and every tablet of somebody.
    pub(super) fn regroup_everyone(&mut self) {
        let members = self.company.here(|_| true);
        self.regroup("everyone", &members);
        let people = self.company.people.iter().filter(|person| person.is_here);
        let tablets: Vec<String> =
            people.filter_map(|person| person.tablet.as_ref()).map(|tablet| format!("device:name:{tablet}")).collect();
        self.teller.add(json!({"type": "put_group", "group": "tablets", "kind": "devices", "members": tablets}));
    }

    /// Some leave; who of them is deleted for good. Of those who left lately some will be back before their desk is cold.
    pub(super) fn people_go(&mut self, people: usize) -> Vec<String> {
        let mut deleted = Vec::new();
        for at in std::mem::take(&mut self.left_lately) {
            if self.company.random.is(8) {
                self.coming_back.push(at);
            }
        }
        for _ in 0..(people / 450).max(1) {
            let Some(at) = self.company.somebody() else { continue };
            let is_final = self.company.random.is(15);
            let Some(person) = self.company.people.get_mut(at) else { continue };
            person.is_here = false;
            let user_name = person.user_name.clone();
            let user = format!("name:{user_name}");
            self.departures += 1;
            self.installs.retain(|(_, person, _)| *person != at);
            if is_final {
                self.teller.add(json!({"type": "depart", "user": user, "cause": "deleted", "retire_devices": true}));
                deleted.push(user_name);
            } else {
                self.left_lately.push(at);
                self.teller.add(json!({"type": "depart", "user": user, "cause": "deactivated"}));
            }
        }
        deleted
    }

    /// Some return, others are new; the groups follow.
    pub(super) fn people_come(&mut self, people: usize) -> Result<(), Failure> {
        for at in std::mem::take(&mut self.coming_back) {
            let Some(person) = self.company.people.get_mut(at) else { continue };
            person.is_here = true;
            let user = format!("name:{}", person.user_name);
            self.returns += 1;
            self.teller.add(json!({"type": "return", "user": user}));
        }
        let mut joined = Vec::new();
        for _ in 0..(people / 420).max(1) {
            let at = self.company.hire();
            self.joined += 1;
            self.introduce(at)?;
            joined.push(at);
        }
        for (device, user_name) in std::mem::take(&mut self.arriving) {
            self.enroll(&device, &user_name);
        }
        let groups: Vec<(usize, usize)> = joined
            .iter()
            .filter_map(|at| self.company.people.get(*at))
            .map(|person| (person.department, person.site))
            .collect();
        let mut departments: Vec<usize> = groups.iter().map(|(department, _)| *department).collect();
        let mut sites: Vec<usize> = groups.iter().map(|(_, site)| *site).collect();
        for list in [&mut departments, &mut sites] {
            list.sort_unstable();
            list.dedup();
        }
        for at in departments {
            self.regroup_department(at);
        }
        for at in sites {
            self.regroup_site(at);
        }
        self.regroup_everyone();
        Ok(())
    }

    /// A device goes; another will be there in its place.
    pub(super) fn retire_a_device(&mut self) {
        let Some(at) = self.company.somebody() else { return };
        let new = self.company.device();
        let Some(person) = self.company.people.get_mut(at) else { return };
        let user_name = person.user_name.clone();
        let old = person.devices.first_mut().map(|device| std::mem::replace(device, new.clone()));
        let Some(old) = old else { return };
        self.installs.retain(|(_, _, device)| *device != old);
        self.teller.add(json!({"type": "retire_device", "device": format!("name:{old}")}));
        self.arriving.push((new, user_name));
    }
}
