//! Devices, each by its serial number or else its tag. Not here: what the ledger knows of them.

use super::{Plan, RowAt, Wish, by_name};
use crate::cli::client::put;
use crate::cli::load::columns::{Columns, List};
use crate::cli::load::receipt::Part;
use crate::cli::load::source::Sheet;
use crate::cli::load::values;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What makers and lists write where there is no serial number.
const NO_SERIALS: [&str; 7] =
    ["n/a", "na", "none", "0", "to be filled by o.e.m.", "system serial number", "default string"];

/// Words of an operating system's name.
const SYSTEMS: [(&str, &[&str]); 4] = [
    ("macos", &["macos", "mac", "osx", "darwin", "macmdm"]),
    ("ios", &["ios", "ipados"]),
    ("android", &["android", "androidforwork", "androidenterprise"]),
    ("windows", &["windows", "win"]),
];
/// Words of a model's name.
const MODELS: [(&str, &[&str]); 4] = [
    ("macos", &["macbook", "macbookpro", "macbookair", "mac", "macmini", "macpro", "imac", "imacpro", "macos"]),
    ("ios", &["ipad", "iphone"]),
    ("android", &["android", "pixel", "galaxy"]),
    ("windows", &["windows", "surface", "thinkpad", "latitude", "elitebook", "optiplex"]),
];

/// Whole words, less the numbers of versions and models behind them: there is a Predator Helios.
fn platform(text: &str, names: &[(&'static str, &[&str])]) -> &'static str {
    let text = text.to_lowercase();
    let words =
        text.split(|c: char| !c.is_alphanumeric()).map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let mut found = words.filter_map(|word| names.iter().find(|(_, known)| known.contains(&word)));
    found.next().map_or("other", |(platform, _)| *platform)
}

fn serial_in(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !NO_SERIALS.contains(&text.to_lowercase().as_str()))
}

impl Plan {
    pub(in crate::cli::load) fn read_devices(&mut self, sheet: &Sheet, columns: &Columns) {
        let mut tags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in sheet.rows.iter().filter(|row| row.fault.is_none()) {
            if let (Some(serial), Some(tag)) = (serial_in(columns.text(row, "serial")), columns.text(row, "device_id"))
            {
                tags.entry(serial.to_lowercase()).or_default().insert(tag.to_lowercase());
            }
        }
        for row in &sheet.rows {
            let text = |field: &str| columns.text(row, field);
            let (tag, serial) = (text("device_id"), serial_in(text("serial")));
            let (at, is_readable) = self.begin(List::Devices, sheet, row, tag.or(text("serial")).unwrap_or(""));
            if !is_readable {
                continue;
            }
            if let (None, Some(text)) = (serial, text("serial")) {
                let words = format!("{text:?} is no serial number: read as blank");
                self.remark(at, "what stands for a serial number is none", words);
            }
            let Some(name) = serial.or(tag) else {
                self.refuse(at, "device", "it has neither a tag nor a serial number");
                continue;
            };
            if let Some(serial) =
                serial.filter(|serial| tags.get(&serial.to_lowercase()).is_some_and(|tags| tags.len() > 1))
            {
                self.refuse(
                    at,
                    "device",
                    format!("rows with another tag have the serial number {serial:?} as well: none of them is taken"),
                );
                continue;
            }
            let mut command = json!({"type": "put_device", "device": by_name(name)});
            for (field, name) in [("serial", serial), ("device_id", tag)] {
                if let Some(name) = name {
                    put(&mut command, field, name);
                }
            }
            if let Some(system) = text("platform") {
                put(&mut command, "platform", platform(system, &SYSTEMS));
            }
            match text("join").map(str::to_lowercase) {
                Some(join) if ["domain", "entra", "workplace", "none"].contains(&join.as_str()) => {
                    put(&mut command, "join", join)
                }
                Some(join) => {
                    self.note(at, format!("join: {join:?} is none of domain, entra, workplace, none: not taken"))
                }
                None => {}
            }
            match text("os_build").map(values::os_build) {
                Some(Ok(build)) => put(&mut command, "os_build", build),
                Some(Err(fault)) => self.note(at, format!("os_build: {fault}: not taken")),
                None if columns.have("os_build") => put(&mut command, "os_build", Value::Null),
                None => {}
            }
            let is_for_a_person = text("checkout").is_none_or(|kind| kind.eq_ignore_ascii_case("user"));
            match text("user_name").or(text("email")).filter(|_| is_for_a_person) {
                Some(user_name) => {
                    let names: Vec<&str> = [text("first_name"), text("last_name")].into_iter().flatten().collect();
                    let name = text("full_name").map(str::to_owned).or((!names.is_empty()).then(|| names.join(" ")));
                    if let Some(user_name) = self.holder(at, user_name, name, text("email")) {
                        put(&mut command, "primary_user", by_name(&user_name));
                    }
                }
                // a blank cell says that it is nobody's; only without a column nothing is said
                None if !is_for_a_person || columns.have("user_name") || columns.have("email") => {
                    put(&mut command, "primary_user", Value::Null);
                }
                None => {}
            }
            if let (false, Some(kind)) = (is_for_a_person, text("checkout")) {
                self.remark(
                    at,
                    "the device is not checked out to a person",
                    format!("checked out to a {}: no primary user", kind.to_lowercase()),
                );
            }
            let guess = text("model").map_or("other", |model| platform(model, &MODELS));
            let unsaid = vec![
                ("platform", guess.into()),
                ("join", "none".into()),
                ("enrolled", false.into()),
                ("os_build", Value::Null),
                ("serial", Value::Null),
                ("device_id", Value::Null),
                ("primary_user", Value::Null),
            ];
            let names = [("serial", serial), ("tag", tag)];
            let names = names.into_iter().filter_map(|(kind, name)| Some(format!("{kind} {}", name?.to_lowercase())));
            self.device(at, names.collect(), Wish { unsaid, ..Wish::of("device", command, at) });
        }
    }

    fn device(&mut self, at: RowAt, names: Vec<String>, wish: Wish) {
        let Some(known) = names.iter().find_map(|name| self.known_devices.get(name).copied()) else {
            self.known_devices.extend(names.into_iter().map(|name| (name, self.devices.len())));
            self.devices.push(wish);
            return;
        };
        let before = self.devices.get(known);
        let is_same = before.is_some_and(|before| before.complete(None) == wish.complete(None));
        let row = self.row_number(before.and_then(|before| before.rows.first().copied()).unwrap_or(at));
        if is_same {
            self.note(at, format!("the same as row {row}"));
            self.part(at, Part::Unchanged("device"));
        } else {
            let why = format!("row {row} has the same tag or serial number and says something else; that row stands");
            self.refuse(at, "device", why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_told_by_whole_words() {
        for (text, expected) in [
            ("Windows", "windows"),
            ("Windows 11 Pro", "windows"),
            ("macOS 14.5", "macos"),
            ("Mac OS X", "macos"),
            ("iPadOS", "ios"),
            ("iOS/iPadOS", "ios"),
            ("AndroidForWork", "android"),
            ("Linux", "other"),
            ("Darwinia", "other"),
        ] {
            assert_eq!(platform(text, &SYSTEMS), expected, "{text}");
        }
        for (text, expected) in [
            ("Acer Predator Helios 300", "other"),
            ("Macbook Pro 13\"", "macos"),
            ("MacBookPro18,3", "macos"),
            ("iPad13,1", "ios"),
            ("Surface Pro 9", "windows"),
        ] {
            assert_eq!(platform(text, &MODELS), expected, "{text}");
        }
    }
}
