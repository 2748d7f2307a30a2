//! People: those of the people file, and those whom another list alone names. Not here: who of them is in the ledger.

use super::{Plan, RowAt, Wish, by_name};
use crate::cli::client::put;
use crate::cli::load::columns::{Columns, List};
use crate::cli::load::plan::Reading;
use crate::cli::load::receipt::Part;
use crate::cli::load::source::Sheet;
use crate::cli::load::values;
use serde_json::{Value, json};

/// What a new person has of what no list says of them.
fn unsaid() -> Vec<(&'static str, Value)> {
    vec![("display_name", Value::Null), ("external_id", Value::Null), ("emails", json!([]))]
}

/// As the ledger tells names and addresses apart.
pub(in crate::cli::load) fn plain(name: &str) -> String {
    name.trim().to_lowercase()
}

impl Plan {
    /// The people file, first: what it says of a person wins over what other lists say.
    pub(in crate::cli::load) fn read_people(&mut self, sheet: &Sheet, columns: &Columns, reading: &Reading) {
        let names_of = ["full_name", "first_name", "last_name"];
        for row in &sheet.rows {
            let text = |field: &str| columns.text(row, field);
            let (at, is_readable) =
                self.begin(List::People, sheet, row, text("user_name").or(text("email")).unwrap_or(""));
            if !is_readable {
                continue;
            }
            let Some(user_name) = text("user_name").or(text("email")) else {
                self.refuse(at, "person", "it has neither a user name nor a mail address");
                continue;
            };
            let names: Vec<&str> = [text("first_name"), text("last_name")].into_iter().flatten().collect();
            let display_name = text("full_name").map(str::to_owned).or((!names.is_empty()).then(|| names.join(" ")));
            let said_active = self.flag(at, "active", text("active"));
            let is_active = said_active.unwrap_or(true);
            let mut ended_on = None;
            for field in ["started_on", "ended_on"] {
                match text(field).map(|text| values::day(text, reading.dates)) {
                    Some(Ok(day)) if field == "ended_on" => ended_on = Some(day),
                    Some(Err(fault)) => self.note(at, format!("{field}: {fault}")),
                    Some(Ok(_)) | None => {}
                }
            }
            if let (true, Some(day)) = (is_active, ended_on) {
                self.note(at, format!("ended on {day}, but is active: taken as active"));
            }
            let mut command = self.profile(at, user_name, display_name, text("email"));
            if let Some(id) = text("external_id") {
                put(&mut command, "external_id", id);
            }
            // a blank cell says that there is none; only without a column nothing is said
            for (field, is_said) in [
                ("display_name", names_of.iter().any(|field| columns.have(field))),
                ("external_id", columns.have("external_id")),
                ("emails", columns.have("email") && text("email").is_none()),
            ] {
                if is_said && command.get(field).is_none() {
                    put(&mut command, field, if field == "emails" { json!([]) } else { Value::Null });
                }
            }
            if !self.person(at, user_name, command, is_active) {
                continue;
            }
            if let Some(email) = text("email") {
                self.addresses.entry(plain(email)).or_default().insert(user_name.to_owned());
            }
            if said_active == Some(true) {
                self.returns.push(Wish::of("return", json!({"type": "return", "user": by_name(user_name)}), at));
            }
            if !is_active {
                let mut departure = json!({"type": "depart", "user": by_name(user_name), "cause": "deactivated"});
                if let Some(day) = ended_on {
                    put(&mut departure, "occurred_at", format!("{day}T00:00:00Z"));
                }
                self.departures.push(Wish::of("departure", departure, at));
            }
        }
    }

    fn profile(&mut self, at: RowAt, user_name: &str, display_name: Option<String>, email: Option<&str>) -> Value {
        let mut command = json!({"type": "put_user", "user": by_name(user_name), "user_name": user_name});
        if let Some(name) = display_name {
            put(&mut command, "display_name", name);
        }
        match email {
            Some(email) if email.contains('@') => put(&mut command, "emails", json!([email])),
            Some(email) => self.note(at, format!("{email:?} is no mail address: not taken")),
            None => {}
        }
        command
    }

    /// Whether the row is the one that says who this person is.
    fn person(&mut self, at: RowAt, user_name: &str, command: Value, is_active: bool) -> bool {
        let Some(known) = self.known_people.get(&plain(user_name)).copied() else {
            self.known_people.insert(plain(user_name), self.people.len());
            self.people.push(Wish { unsaid: unsaid(), ..Wish::of("person", command, at) });
            return true;
        };
        let before =
            self.people.get(known).map(|wish| (wish.command.clone(), wish.rows.first().copied().unwrap_or(at)));
        let Some((before, first)) = before else { return false };
        let was_active = !self.departures.iter().any(|wish| wish.command.get("user") == before.get("user"));
        let row = self.row_number(first);
        if before == command && was_active == is_active {
            self.note(at, format!("the same as row {row}"));
            self.part(at, Part::Unchanged("person"));
        } else {
            self.refuse(
                at,
                "person",
                format!("row {row} has the same user name and says something else; that row stands"),
            );
        }
        false
    }

    /// The user name of whom a row of another list names: one of the people file, by name or by an address that is theirs alone,
    /// or one that nobody there has. None where several have the address, which is refused.
    pub(super) fn holder(
        &mut self,
        at: RowAt,
        user_name: &str,
        display_name: Option<String>,
        email: Option<&str>,
    ) -> Option<String> {
        if self.known_people.contains_key(&plain(user_name)) {
            return Some(user_name.to_owned());
        }
        if let Some(owners) = self.addresses.get(&plain(user_name)).cloned() {
            let found = self.owner(at, user_name, owners.iter().map(String::as_str), "the people file");
            return found.map(str::to_owned);
        }
        if self.known_named.insert(plain(user_name)) {
            let words = format!("{user_name} is not in the people file: taken from this row if new to the ledger");
            self.remark(
                at,
                "the holder or user is not in the people file: taken from the row if new to the ledger",
                words,
            );
            let command = self.profile(at, user_name, display_name, email);
            self.named.push(Wish { unsaid: unsaid(), ..Wish::of("person", command, at) });
        }
        Some(user_name.to_owned())
    }

    /// Whose address it is, where it is one person's.
    pub(in crate::cli::load) fn owner<'n>(
        &mut self,
        at: RowAt,
        address: &str,
        mut owners: impl Iterator<Item = &'n str>,
        place: &str,
    ) -> Option<&'n str> {
        let (owner, others) = (owners.next()?, owners.collect::<Vec<_>>());
        if !others.is_empty() {
            let others = others.join(", ");
            self.refuse(at, "person", format!("in {place} {address} is the address of {owner} and of {others}"));
            return None;
        }
        let words = format!("{address} is the address of {owner} in {place}");
        self.remark(at, "the holder or user is found by the address", words);
        Some(owner)
    }

    /// Everybody whom the lists name.
    pub(in crate::cli::load) fn names(&self) -> impl Iterator<Item = &String> {
        self.known_people.keys().chain(&self.known_named)
    }
}
