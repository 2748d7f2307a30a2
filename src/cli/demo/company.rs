//! The organization that the demo lives through: people, devices, groups and pools, as its own administrators would know
//! them. All from the seed. Not here: what happens to it, and the ledger.

use super::random::Random;
use serde_json::{Value, json};

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
/// One product is one row; the product ids and names are those of the stores' public listings.
const CATALOGUE: &str = include_str!("catalogue.csv");

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) user_name: String,
    pub(super) display_name: String,
    pub(super) department: usize,
    pub(super) site: usize,
    pub(super) devices: Vec<String>,
    pub(super) is_here: bool,
}

/// For whom a pool was bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Everybody must have it.
    Everyone,
    /// A department must have it.
    Department(usize),
    /// A site may have it.
    Site(usize),
    /// A department may have it, and there are few.
    Few(usize),
    /// Bought in the middle of the story for a department, and too few.
    SellOut(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) purpose: For,
    /// `None`: without limit.
    pub(super) owned: Option<u64>,
    pub(super) is_online: bool,
    pub(super) minor_units: u64,
}

impl Pool {
    pub(super) fn key(&self) -> String {
        format!("declared:{}", self.sku)
    }

    /// The pool as a line of the inventory file.
    pub(super) fn item(&self) -> Value {
        json!({
            "sku": self.sku, "license_type": if self.is_online { "online" } else { "offline" }, "name": self.name, "publisher": "",
            "owned": self.owned.map_or_else(|| Value::from("unlimited"), Value::from),
            "distribution_policy": "restricted", "price": {"currency": "EUR", "minor_units": self.minor_units}, "encrypted": false,
            "related_set": null,
        })
    }
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
        company.pools = company.stock();
        company
    }

    /// A new person with a department, a site, and one device; every fifth has two.
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
        self.people.push(Person {
            user_name: format!("{}.{}{number}@contoso.example", first.to_lowercase(), last.to_lowercase()),
            display_name: format!("{first} {last}"),
            department,
            site,
            devices,
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

    /// 120 pools: every product of the catalogue online and offline, and most of them a second time for those who may ask.
    fn stock(&mut self) -> Vec<Pool> {
        let products: Vec<(&str, &str, &str)> = CATALOGUE
            .lines()
            .skip(1)
            .filter_map(|line| {
                let mut fields = line.splitn(3, ',');
                Some((fields.next()?, fields.next()?, fields.next()?.trim_end()))
            })
            .collect();
        let sizes: Vec<u64> =
            (0..DEPARTMENTS.len()).map(|department| self.in_department(department).len() as u64).collect();
        let all = self.people.len() as u64;
        let editions = [("0010", true), ("0011", false), ("0015", true)];
        let mut pools: Vec<Pool> = Vec::new();
        'stock: for (edition, is_online) in editions {
            for (provider, product, name) in &products {
                let number = pools.len();
                if number == 120 {
                    break 'stock;
                }
                let purpose = match number {
                    0..5 => For::Everyone,
                    5 => For::SellOut(2),
                    6..66 => For::Department(number % DEPARTMENTS.len()),
                    66..86 => For::Site(number % SITES.len()),
                    _ => For::Few(number % DEPARTMENTS.len()),
                };
                let size = |department: usize| sizes.get(department).copied().unwrap_or(0);
                let owned = match purpose {
                    For::Everyone if number == 0 => None,
                    For::Everyone => Some(all + all / 8 + 5),
                    For::Department(department) => Some(size(department) + size(department) / 6 + 3),
                    For::Site(_) => Some(all / 14 + 2),
                    For::Few(department) => Some(size(department) / 5 + 2),
                    For::SellOut(department) => Some(size(department) * 6 / 10),
                };
                let minor_units = if *provider == "apple-business" { 299 } else { 1900 };
                let minor_units = if owned.is_none() { 0 } else { minor_units + 100 * self.random.below(40) as u64 };
                pools.push(Pool {
                    sku: format!("{product}-{edition}"),
                    name: (*name).to_owned(),
                    purpose,
                    owned,
                    is_online,
                    minor_units,
                });
            }
        }
        pools
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
    fn a_company_of_5000_has_120_pools_of_real_products_and_6000_devices() {
        let company = Company::new(1, 5000);
        assert_eq!((company.pools.len(), company.devices_made()), (120, 6000));
        let mut keys: Vec<String> = company.pools.iter().map(Pool::key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 120);
    }
}
