//! The organization that the demo lives through: its people and their devices, as its own administrators would know them.
//! All from the seed. Not here: what it buys (`stock`), what happens to it, and the ledger.

use super::random::Random;
use super::stock::{self, Pool};

pub(super) const DEPARTMENTS: [&str; 10] = [
    "sales",
    "support",
    "engineering",
    "research",
    "finance",
    "legal",
    "people",
    "marketing",
    "production",
    "logistics",
];
pub(super) const SITES: [&str; 8] = ["berlin", "lyon", "porto", "gdansk", "leeds", "austin", "osaka", "pune"];
const FIRST: [&str; 32] = [
    "Ada", "Amir", "Anja", "Bela", "Carl", "Chen", "Dara", "Edda", "Emil", "Fay", "Gita", "Hugo", "Ines", "Ivan",
    "Jana", "Jose", "Kaya", "Lars", "Lena", "Maya", "Milo", "Nora", "Omar", "Petra", "Quinn", "Rosa", "Sami", "Tess",
    "Uma", "Vera", "Wim", "Zoe",
];
const LAST: [&str; 32] = [
    "Abel", "Baker", "Castro", "Dietz", "Egger", "Fischer", "Garcia", "Haas", "Ito", "Jansen", "Kaur", "Lopez",
    "Maier", "Nowak", "Okafor", "Patel", "Quist", "Rossi", "Sato", "Tanaka", "Ueda", "Vogel", "Weber", "Xu", "Yilmaz",
    "Zhang", "Adler", "Brandt", "Costa", "Duarte", "Evans", "Franke",
];
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) user_name: String,
    pub(super) display_name: String,
    pub(super) department: usize,
    pub(super) site: usize,
    /// Windows.
    pub(super) devices: Vec<String>,
    pub(super) tablet: Option<String>,
    pub(super) is_here: bool,
}

#[derive(Debug)]
pub(super) struct Company {
    pub(super) random: Random,
    pub(super) people: Vec<Person>,
    pub(super) pools: Vec<Pool>,
    devices_made: usize,
}

impl Company {
    pub(super) fn new(seed: u64, people: usize) -> Self {
        let mut company =
            Self { random: Random::new(seed), people: Vec::with_capacity(people), pools: Vec::new(), devices_made: 0 };
        for _ in 0..people {
            company.hire();
        }
        company.pools = stock::stock(&mut company);
        company
    }

    /// A new person with a department, a site, and one device; every fifth has two, every fourth a tablet as well.
    pub(super) fn hire(&mut self) -> usize {
        let number = self.people.len();
        let first = self.random.pick(&FIRST).copied().unwrap_or("Ada");
        let last = self.random.pick(&LAST).copied().unwrap_or("Abel");
        let department = self.random.below(DEPARTMENTS.len());
        let site = self.random.below(SITES.len());
        let mut devices = vec![self.device()];
        if number.is_multiple_of(5) {
            devices.push(self.device());
        }
        let tablet = number.is_multiple_of(4).then(|| format!("DX{number:07}"));
        self.people.push(Person {
            user_name: format!("{}.{}{number}@contoso.example", first.to_lowercase(), last.to_lowercase()),
            display_name: format!("{first} {last}"),
            department,
            site,
            devices,
            tablet,
            is_here: true,
        });
        number
    }

    pub(super) fn device(&mut self) -> String {
        self.devices_made += 1;
        format!("CN{:07}", self.devices_made)
    }

    pub(super) fn devices_made(&self) -> usize {
        self.devices_made
    }

    pub(super) fn in_department(&self, department: usize) -> Vec<usize> {
        self.here(|person| person.department == department)
    }

    pub(super) fn here(&self, is_meant: impl Fn(&Person) -> bool) -> Vec<usize> {
        self.people
            .iter()
            .enumerate()
            .filter(|(_, person)| person.is_here && is_meant(person))
            .map(|(at, _)| at)
            .collect()
    }

    /// What a pool is called, by the ledger's key for it.
    pub(super) fn name_of(&self, key: &str) -> Option<String> {
        let pool = self.pools.iter().find(|pool| pool.key() == key)?;
        let how = match (pool.is_apple(), pool.is_online()) {
            (true, _) => "Apple",
            (false, true) => "Online",
            (false, false) => "Offline",
        };
        Some(format!("{} ({how})", pool.name))
    }

    /// Somebody who works here.
    pub(super) fn somebody(&mut self) -> Option<usize> {
        for _ in 0..64 {
            let at = self.random.below(self.people.len());
            if self.people.get(at).is_some_and(|person| person.is_here) {
                return Some(at);
            }
        }
        self.people.iter().position(|person| person.is_here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_company() {
        let [a, b, c] = [7, 7, 8].map(|seed| format!("{:?}", Company::new(seed, 300)));
        assert!(a == b && a != c);
    }

    #[test]
    fn a_company_of_5000_has_6000_devices_and_1250_tablets() {
        let company = Company::new(1, 5000);
        let tablets = company.people.iter().filter(|person| person.tablet.is_some()).count();
        assert_eq!((company.devices_made(), tablets), (6000, 1250));
    }
}
