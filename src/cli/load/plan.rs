//! From rows to what will be asked of the ledger: pools, people, departures, devices, seats, each with the rows it stands for.
//!
//! One pool per distinct item and serial number (and account, where a list says who bought), as Snipe-IT itself does it: rows
//! that share them share the pool, and each brings its holder. The pool's key is made of the item's name and a hash of both, because what lists call a serial number
//! is often the product key itself, which has no place in addresses and logs. Not here: the wire.

mod devices;
mod people;

use super::columns::{Columns, List};
use super::receipt::{Part, Receipt};
use super::source::{Row, Sheet};
use super::values::{self, DateOrder, Seats};
use crate::cli::client::put;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

pub(super) use people::plain;

/// A place in the list of receipts.
type RowAt = usize;

/// How the lists are to be understood.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) dates: DateOrder,
    pub(super) currency: String,
    pub(super) license_type: &'static str,
    pub(super) applies_end_dates: bool,
}

/// One command, and the rows it stands for: the first of them made it.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) what: &'static str,
    pub(super) command: Value,
    pub(super) rows: Vec<RowAt>,
    /// What no list may say, and what it is of something new; of what is there it stays.
    pub(super) unsaid: Vec<(&'static str, Value)>,
}

impl Wish {
    fn of(what: &'static str, command: Value, at: RowAt) -> Self {
        Self { what, command, rows: vec![at], unsaid: Vec::new() }
    }

    /// The whole command, with what the ledger has of what the list does not say.
    pub(super) fn complete(&self, known: Option<&Value>) -> Value {
        let mut command = self.command.clone();
        for (field, of_new) in &self.unsaid {
            if command.get(*field).is_none() {
                let there = known.and_then(|known| known.get(*field)).filter(|value| !value.is_null());
                put(&mut command, field, there.unwrap_or(of_new).clone());
            }
        }
        let fields = command.as_object().into_iter().flatten();
        fields.filter(|(_, value)| !is_nothing(value)).map(|(field, value)| (field.clone(), value.clone())).collect()
    }
}

/// Which is as good as no field at all.
pub(super) fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// One item of the inventory.
#[derive(Debug)]
pub(super) struct PoolWish {
    pub(super) key: String,
    pub(super) seats: Seats,
    pub(super) item: Value,
    pub(super) rows: Vec<RowAt>,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) receipts: Vec<Receipt>,
    pub(super) pools: Vec<PoolWish>,
    /// Of the people file.
    pub(super) people: Vec<Wish>,
    /// Whom another list alone names: they are asked for if the ledger has nobody so named.
    pub(super) named: Vec<Wish>,
    /// Of those who are active; they are asked for if they have left.
    pub(super) returns: Vec<Wish>,
    pub(super) departures: Vec<Wish>,
    pub(super) devices: Vec<Wish>,
    pub(super) seats: Vec<Wish>,
    /// What the list of licenses does not say of its items.
    pub(super) keep: Vec<&'static str>,
    /// Whether the list of licenses has a column for holders, so that it says of each pool who they are.
    pub(super) states_holders: bool,
    known_people: BTreeMap<String, usize>,
    known_named: BTreeSet<String>,
    /// Whose address it is in the people file.
    addresses: BTreeMap<String, BTreeSet<String>>,
    known_devices: BTreeMap<String, usize>,
    known_pools: BTreeMap<String, usize>,
    known_seats: BTreeSet<(String, String)>,
}

impl Plan {
    fn receipt(&mut self, list: List, sheet: &Sheet, row: &Row, subject: &str) -> RowAt {
        self.receipts.push(Receipt {
            list,
            file: sheet.name.clone(),
            row: row.number,
            line: row.line,
            subject: subject.to_owned(),
            pool: None,
            parts: Vec::new(),
            notes: Vec::new(),
            remarks: Vec::new(),
        });
        self.receipts.len() - 1
    }

    pub(super) fn note(&mut self, at: RowAt, note: impl Into<String>) {
        if let Some(receipt) = self.receipts.get_mut(at) {
            receipt.notes.push(note.into());
        }
    }

    /// A row is remarked upon once in each way.
    pub(super) fn remark(&mut self, at: RowAt, kind: &'static str, words: impl Into<String>) {
        if let Some(receipt) = self.receipts.get_mut(at)
            && receipt.remarks.iter().all(|(known, _)| *known != kind)
        {
            receipt.remarks.push((kind, words.into()));
        }
    }

    pub(super) fn part(&mut self, at: RowAt, part: Part) {
        if let Some(receipt) = self.receipts.get_mut(at) {
            receipt.parts.push(part);
        }
    }

    fn refuse(&mut self, at: RowAt, what: &'static str, why: impl Into<String>) {
        self.part(at, Part::Refused { what, why: why.into() });
    }

    fn row_number(&self, at: RowAt) -> u64 {
        self.receipts.get(at).map_or(0, |receipt| receipt.row)
    }

    /// A receipt for the row, and whether there is anything to read in it.
    fn begin(&mut self, list: List, sheet: &Sheet, row: &Row, subject: &str) -> (RowAt, bool) {
        let at = self.receipt(list, sheet, row, subject);
        if let Some(fault) = &row.fault {
            self.refuse(at, "row", fault.clone());
        }
        (at, row.fault.is_none() && !row.is_blank())
    }

    pub(super) fn read_licenses(&mut self, sheet: &Sheet, columns: &Columns, reading: &Reading) {
        self.states_holders = columns.have("user_name") || columns.have("email");
        for row in &sheet.rows {
            let text = |field: &str| columns.text(row, field);
            let (at, is_readable) = self.begin(List::Licenses, sheet, row, text("item").unwrap_or(""));
            if !is_readable {
                continue;
            }
            let Some(item) = text("item") else {
                self.refuse(at, "pool", "it names no item");
                continue;
            };
            if let Some(used) = text("used") {
                self.used(at, used, text("seats"));
            }
            let sku = sku(item, text("serial"), text("account"));
            let key = format!("declared:{sku}");
            if let Some(receipt) = self.receipts.get_mut(at) {
                receipt.pool = Some(key.clone());
            }
            if !self.pool(at, row, columns, reading, &key, &sku, item) {
                continue;
            }
            match (text("user_name").or(text("email")), text("full_name")) {
                (Some(user_name), full_name) => {
                    if let Some(user_name) = self.holder(at, user_name, full_name.map(str::to_owned), text("email")) {
                        self.seat(at, &key, &user_name);
                    }
                }
                (None, Some(_)) => {
                    self.refuse(at, "seat", "its holder has a name, but neither a user name nor a mail address")
                }
                (None, None) => {}
            }
        }
    }

    /// Whether there is such a pool after this row.
    #[expect(clippy::too_many_arguments, reason = "one row and what is known of it")]
    fn pool(
        &mut self,
        at: RowAt,
        row: &Row,
        columns: &Columns,
        reading: &Reading,
        key: &str,
        sku: &str,
        item: &str,
    ) -> bool {
        let text = |field: &str| columns.text(row, field);
        let seats = text("seats").map_or_else(|| Err("it says no number of seats".to_owned()), values::seats);
        if let Some(known) = self.known_pools.get(key).copied() {
            let before = self.pools.get_mut(known).map(|wish| {
                wish.rows.push(at);
                (wish.seats, wish.rows.first().copied().unwrap_or(at))
            });
            if let Some((before, first)) = before
                && text("seats").is_some()
                && seats != Ok(before)
            {
                let row = self.row_number(first);
                self.refuse(
                    at,
                    "pool",
                    format!("{:?} seats here, another number in row {row}, which stands", text("seats").unwrap_or("")),
                );
            }
            return true;
        }
        let seats = match seats {
            Ok(seats) => seats,
            Err(fault) => {
                self.refuse(at, "pool", fault);
                return false;
            }
        };
        let price = match text("cost").map(|text| values::money(text, &reading.currency)) {
            Some(Ok(money)) => json!({"currency": money.currency, "minor_units": money.minor_units}),
            Some(Err(fault)) => {
                self.note(at, format!("cost: {fault}: not taken"));
                Value::Null
            }
            None => Value::Null,
        };
        let is_reassignable = self.flag(at, "reassignable", text("reassignable")).unwrap_or(true);
        let mut ends_on = Value::Null;
        let mut days = [None, None];
        for (field, slot) in ["purchased_on", "expires_on"].into_iter().zip(&mut days) {
            match text(field).map(|text| values::day(text, reading.dates)) {
                Some(Ok(day)) => *slot = Some(day),
                Some(Err(fault)) => self.note(at, format!("{field}: {fault}: not taken")),
                None => {}
            }
        }
        let [purchased_on, expires_on] = days;
        if let (Some(purchased), Some(expires)) = (purchased_on, expires_on)
            && expires < purchased
        {
            self.note(at, format!("it expires ({expires}) before it was bought ({purchased})"));
        }
        match expires_on {
            Some(day) if reading.applies_end_dates => ends_on = day.to_string().into(),
            Some(day) => self.remark(
                at,
                "the date of expiry is noted and not applied (--end-dates apply)",
                format!("expires on {day}: not applied"),
            ),
            None => {}
        }
        let item = json!({
            "sku": sku, "license_type": reading.license_type, "name": item, "publisher": text("publisher").unwrap_or(""),
            "owned": match seats { Seats::Count(count) => Value::from(count), Seats::Unlimited => "unlimited".into() },
            "distribution_policy": "restricted", "price": price, "encrypted": false, "related_set": null, "packages": [],
            "installed_by": "tool", "irrevocable": !is_reassignable, "requires_windows_1511": false, "private_store_visible": true,
            "ends_on": ends_on,
        });
        self.known_pools.insert(key.to_owned(), self.pools.len());
        self.pools.push(PoolWish { key: key.to_owned(), seats, item, rows: vec![at] });
        true
    }

    /// A count has no holder, and a seat needs one: it stands on the receipt.
    fn used(&mut self, at: RowAt, used: &str, owned: Option<&str>) {
        match values::used(used, owned) {
            Ok(words) => self.remark(at, "what the list counts as used is noted: it names no holder", words),
            Err(fault) => self.note(at, format!("used: {fault}")),
        }
    }

    fn seat(&mut self, at: RowAt, pool: &str, user_name: &str) {
        if !self.known_seats.insert((pool.to_owned(), plain(user_name))) {
            self.note(at, "an earlier row gives this holder the same seat");
            self.part(at, Part::Unchanged("seat"));
            return;
        }
        let command = json!({"type": "assign", "pool": pool, "target": {"user": by_name(user_name)}, "intent": "required", "mode": "all_or_nothing"});
        self.seats.push(Wish::of("seat", command, at));
    }

    /// What would become of every row if the ledger refused nothing and knew nothing yet.
    pub(super) fn foresee(&mut self) {
        let lists = [&self.people, &self.named, &self.departures, &self.devices, &self.seats];
        let commands = lists.into_iter().flatten();
        let parts =
            self.pools.iter().map(|wish| ("pool", &wish.rows)).chain(commands.map(|wish| (wish.what, &wish.rows)));
        let parts: Vec<(RowAt, &'static str)> =
            parts.flat_map(|(what, rows)| rows.iter().map(move |at| (*at, what))).collect();
        let mut seen = BTreeSet::new();
        for (at, what) in parts {
            let is_first_pool =
                what != "pool" || self.receipts.get(at).is_some_and(|receipt| seen.insert(receipt.pool.clone()));
            self.part(at, if is_first_pool { Part::Taken(what) } else { Part::Unchanged(what) });
        }
    }

    /// A yes or no; neither is noted and read as blank.
    fn flag(&mut self, at: RowAt, field: &str, text: Option<&str>) -> Option<bool> {
        match values::flag(text?) {
            Ok(is_so) => Some(is_so),
            Err(fault) => {
                self.note(at, format!("{field}: {fault}: taken as yes"));
                None
            }
        }
    }
}

/// A name of the outside, also where it looks like one of the ledger's own ids.
pub(super) fn by_name(name: &str) -> String {
    format!("name:{name}")
}

/// The identity of a pool among the tenant's lists: readable, and the same in every run.
fn sku(item: &str, serial: Option<&str>, account: Option<&str>) -> String {
    let mut slug = String::new();
    for c in item.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= 32 {
            break;
        }
    }
    let mut identity = format!("{}\0{}", item.to_lowercase(), serial.unwrap_or("").to_lowercase());
    if let Some(account) = account {
        identity.push_str(&format!("\0{}", account.to_lowercase()));
    }
    let hash = Sha256::digest(identity);
    let hash: String = hex::encode(hash).chars().take(10).collect();
    match slug.trim_end_matches('-') {
        "" => hash,
        slug => format!("{slug}-{hash}"),
    }
}

/// The command with an id that its content decides: a second run asks the same under the same id and changes nothing.
pub(super) fn with_id(command: &Value, tenant: &str, run: &str) -> Value {
    let mut command = command.clone();
    let hash = hex::encode(Sha256::digest(format!("{run}\0{tenant}\0{command}")));
    put(&mut command, "id", format!("load-{}", hash.chars().take(32).collect::<String>()));
    put(&mut command, "reason", "list load");
    command
}
