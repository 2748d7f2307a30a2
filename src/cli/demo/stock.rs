//! What the organization buys: pools at Microsoft's store and at Apple's, each bought for somebody. All from the seed. Not
//! here: the stores themselves, and who is in the company.

use super::company::{Company, DEPARTMENTS, SITES};
use super::stores::UNIT;
use crate::domain::key::LicenseType;
use crate::store::simulator::microsoft::{EntryKey, ProductKey};

/// One product is one row; the product ids and names are those of the stores' public listings.
const CATALOGUE: &str = include_str!("catalogue.csv");
const POOLS: usize = 120;
const PRICING: [&str; 2] = ["STDQ", "PLUS"];

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
    /// Every tablet must have it, whoever uses it.
    Tablets,
}

/// Where a pool is bought, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sold {
    Microsoft(EntryKey),
    Apple { adam_id: String, pricing_param: &'static str },
}

#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) sold: Sold,
    pub(super) name: String,
    pub(super) purpose: For,
    /// `None`: without limit.
    pub(super) owned: Option<u64>,
    pub(super) minor_units: u64,
}

impl Pool {
    /// As the ledger names it.
    pub(super) fn key(&self) -> String {
        match &self.sold {
            Sold::Microsoft(EntryKey { product, license_type }) => {
                let how = match license_type {
                    LicenseType::Online => "online",
                    LicenseType::Offline => "offline",
                };
                format!("{}:{}:{how}", product.product_id, product.sku_id)
            }
            Sold::Apple { adam_id, pricing_param } => format!("apple:{UNIT}:{adam_id}:{pricing_param}"),
        }
    }

    pub(super) fn is_apple(&self) -> bool {
        match self.sold {
            Sold::Microsoft(_) => false,
            Sold::Apple { .. } => true,
        }
    }

    /// Whether Microsoft's store itself says who has a seat of it.
    pub(super) fn is_online(&self) -> bool {
        match &self.sold {
            Sold::Microsoft(key) => key.license_type == LicenseType::Online,
            Sold::Apple { .. } => false,
        }
    }

    pub(super) fn provider(&self) -> &'static str {
        if self.is_apple() { "apple-business" } else { "microsoft-store" }
    }
}

/// 120 pools: Microsoft's products online, offline and in a second edition, and Apple's titles at two prices.
pub(super) fn stock(company: &mut Company) -> Vec<Pool> {
    let products: Vec<(&str, &str, &str)> = CATALOGUE
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.splitn(3, ',');
            Some((fields.next()?, fields.next()?, fields.next()?.trim_end()))
        })
        .collect();
    let of = |provider: &str| -> Vec<(&str, &str)> {
        products.iter().filter(|row| row.0 == provider).map(|(_, product, name)| (*product, *name)).collect()
    };
    let (windows, tablets) = (of("microsoft-store"), of("apple-business"));
    let apple: Vec<(Sold, &str)> = PRICING
        .iter()
        .flat_map(|pricing_param| {
            let sold = |adam_id: &str| Sold::Apple { adam_id: adam_id.to_owned(), pricing_param };
            tablets.iter().map(move |(adam_id, name)| (sold(adam_id), *name)).collect::<Vec<_>>()
        })
        .collect();
    let editions = [("0010", LicenseType::Online), ("0010", LicenseType::Offline), ("0015", LicenseType::Online)];
    let microsoft = editions.into_iter().flat_map(|(sku_id, license_type)| {
        let sold = move |product_id: &str| {
            let product = ProductKey { product_id: product_id.to_owned(), sku_id: sku_id.to_owned() };
            Sold::Microsoft(EntryKey { product, license_type })
        };
        windows.iter().map(move |(product, name)| (sold(product), *name))
    });
    let microsoft = microsoft.take(POOLS - apple.len()).enumerate().map(|(at, it)| (purpose(at), it));
    let apple = apple.into_iter().enumerate().map(|(at, it)| (purpose_of_title(at), it));
    let all: Vec<(For, (Sold, &str))> = microsoft.chain(apple).collect();
    all.into_iter()
        .enumerate()
        .map(|(at, (purpose, (sold, name)))| {
            let owned = (at > 0).then(|| enough(company, purpose));
            let base = if matches!(sold, Sold::Apple { .. }) { 299 } else { 1900 };
            let minor_units = if owned.is_none() { 0 } else { base + 100 * company.random.below(40) as u64 };
            Pool { sold, name: name.to_owned(), purpose, owned, minor_units }
        })
        .collect()
}

fn purpose(number: usize) -> For {
    match number {
        0..5 => For::Everyone,
        5 => For::SellOut(2),
        6..66 => For::Department(number % DEPARTMENTS.len()),
        66..86 => For::Site(number % SITES.len()),
        _ => For::Few(number % DEPARTMENTS.len()),
    }
}

fn purpose_of_title(number: usize) -> For {
    match number {
        0..3 => For::Tablets,
        3 => For::Department(1),
        4..6 => For::Site(number % SITES.len()),
        _ => For::Few(number % DEPARTMENTS.len()),
    }
}

/// How many seats are bought at first.
fn enough(company: &Company, purpose: For) -> u64 {
    let size = |department: usize| company.in_department(department).len() as u64;
    let all = company.people.len() as u64;
    match purpose {
        For::Everyone => all + all / 8 + 5,
        For::Department(department) => size(department) + size(department) / 6 + 3,
        For::Site(_) => all / 14 + 2,
        For::Few(department) => size(department) / 5 + 2,
        For::SellOut(department) => (size(department) * 6 / 10).max(1),
        For::Tablets => {
            let tablets = company.people.iter().filter(|person| person.tablet.is_some()).count() as u64;
            tablets + tablets / 6 + 3
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_120_pools_of_real_products_for_everybody_and_each_is_one() {
        let company = Company::new(1, 5000);
        let mut keys: Vec<String> = company.pools.iter().map(Pool::key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 120);
        let apple = company.pools.iter().filter(|pool| pool.is_apple()).count();
        let online = company.pools.iter().filter(|pool| pool.is_online()).count();
        assert_eq!((apple, online), (8, 73));
    }
}
