//! Which column of a list holds which field: presets, and `--map FIELD=COLUMN`. Not here: what stands in the cells.

use super::source::{Row, Sheet};
use super::vendors;
use crate::cli::exit::Failure;

/// One of the three lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Licenses,
    People,
    Devices,
}

/// Which names of columns are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Preset {
    /// The names in Snipe-IT's import files, and no others
    SnipeIt,
    /// Names that lists usually have, Snipe-IT's among them
    Generic,
    /// Intune: apps with licenses as Microsoft Graph names them, Entra's downloaded users, all devices as exported
    Intune,
    /// Jamf Pro: content of a volume purchasing location as its API names it, exported users and inventory
    Jamf,
}

impl List {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Licenses => "licenses",
            Self::People => "people",
            Self::Devices => "devices",
        }
    }

    /// Field, names in Snipe-IT's files, other names.
    fn fields(self) -> &'static [(&'static str, &'static [&'static str], &'static [&'static str])] {
        match self {
            Self::Licenses => &[
                (
                    "item",
                    &["item name", "name", "software name"],
                    &["product", "app", "application", "software", "title", "license"],
                ),
                ("serial", &["serial number", "serial", "product key"], &["license key", "key", "sku", "product id"]),
                ("account", &[], &[]),
                ("seats", &["seats"], &["quantity", "qty", "count", "owned", "licenses", "total", "total licenses"]),
                ("used", &[], &["used", "in use", "used licenses"]),
                ("publisher", &["manufacturer"], &["publisher", "vendor", "maker"]),
                ("cost", &["purchase cost"], &["cost", "price", "unit price"]),
                ("purchased_on", &["purchase date"], &["purchased", "ordered on", "order date", "start date"]),
                ("order", &["order number"], &["order", "invoice"]),
                ("expires_on", &["expiration date"], &["expires", "expires on", "end date", "expiry", "valid until"]),
                ("reassignable", &["reassignable"], &["transferable"]),
                (
                    "user_name",
                    &["username", "checked out to: username"],
                    &["user", "user name", "upn", "userprincipalname", "assigned to", "login"],
                ),
                ("full_name", &["full name", "checked out to: name"], &["display name", "holder", "assignee"]),
                ("email", &["email", "checked out to: email"], &["e-mail", "mail", "email address"]),
            ],
            Self::People => &[
                (
                    "user_name",
                    &["username"],
                    &["user", "user name", "upn", "userprincipalname", "login", "samaccountname"],
                ),
                ("first_name", &["first name"], &["given name", "givenname", "firstname"]),
                ("last_name", &["last name"], &["surname", "family name", "sn", "lastname"]),
                ("full_name", &["full name"], &["display name", "displayname", "name"]),
                ("email", &["email"], &["e-mail", "mail", "email address"]),
                ("active", &["activated"], &["active", "enabled", "account enabled", "accountenabled", "status"]),
                ("started_on", &["start date"], &["hired", "hire date"]),
                ("ended_on", &["end date"], &["left", "leave date", "termination date"]),
                ("external_id", &["employee number"], &["employee id", "external id", "object id", "id"]),
            ],
            Self::Devices => &[
                (
                    "device_id",
                    &["asset tag"],
                    &["device id", "tag", "id", "hostname", "host name", "computer name", "device name"],
                ),
                ("serial", &["serial number", "serial"], &["serialnumber", "service tag"]),
                ("model", &["model", "model name"], &["device model", "type"]),
                ("platform", &["operating system"], &["platform", "os"]),
                ("os_build", &["os build"], &["build", "os version"]),
                ("join", &["join"], &["join type"]),
                ("purchased_on", &["purchase date"], &["purchased"]),
                ("checkout", &["checkout type"], &["assigned type"]),
                (
                    "user_name",
                    &["checked out to: username"],
                    &["user", "user name", "username", "primary user", "owner", "assigned to", "upn"],
                ),
                ("first_name", &["checked out to: first name"], &["first name"]),
                ("last_name", &["checked out to: last name"], &["last name"]),
                ("full_name", &[], &["full name"]),
                ("email", &["checked out to: email"], &["email", "user email"]),
            ],
        }
    }

    pub(super) fn has(self, field: &str) -> bool {
        self.fields().iter().any(|(name, _, _)| *name == field)
    }

    fn needed(self) -> &'static [&'static str] {
        match self {
            Self::Licenses => &["item", "seats"],
            Self::People => &["user_name"],
            Self::Devices => &["device_id"],
        }
    }
}

/// A field of one of the lists, and the column that a person named for it.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    list: Option<String>,
    field: String,
    column: String,
}

/// `licenses.seats=Quantity`, or `seats=Quantity` for every list that has such a field.
pub(crate) fn mapping(text: &str) -> Result<Mapping, String> {
    let (field, column) = text.split_once('=').ok_or("write it as FIELD=COLUMN, as in licenses.seats=Quantity")?;
    let (list, field) =
        field.split_once('.').map_or((None, field), |(list, field)| (Some(list.trim().to_owned()), field));
    let (field, column) = (field.trim().to_owned(), column.trim().to_owned());
    let lists = [List::Licenses, List::People, List::Devices];
    let is_known =
        lists.iter().any(|known| list.as_deref().is_none_or(|list| list == known.name()) && known.has(&field));
    if is_known {
        return Ok(Mapping { list, field, column });
    }
    let names = |list: List| {
        format!("{}: {}", list.name(), list.fields().iter().map(|(name, _, _)| *name).collect::<Vec<_>>().join(", "))
    };
    Err(format!("there is no such field; there are {}", lists.map(names).join("; ")))
}

/// Where each field of a list stands.
#[derive(Debug)]
pub(super) struct Columns {
    found: Vec<(&'static str, usize)>,
}

impl Columns {
    /// # Errors
    /// Where a column that is needed, or that was named, is not there.
    pub(super) fn find(list: List, sheet: &Sheet, preset: Preset, mappings: &[Mapping]) -> Result<Self, Failure> {
        let place = |name: &str| place(sheet, name);
        let mut found = Vec::new();
        for (field, snipe_it, others) in list.fields() {
            let named = mappings.iter().find(|mapping| {
                mapping.field == *field && mapping.list.as_deref().is_none_or(|name| name == list.name())
            });
            if let Some(mapping) = named {
                match place(&mapping.column) {
                    Some(at) => {
                        found.push((*field, at));
                        continue;
                    }
                    // it may be meant for another list (`all_found`): here the usual names are good
                    None if mapping.list.is_none() => {}
                    None => return Err(missing(list, sheet, &format!("no column {:?}", mapping.column))),
                }
            }
            let (names, others): (&[&str], &[&str]) = match preset {
                Preset::SnipeIt => (snipe_it, &[]),
                Preset::Generic => (snipe_it, others),
                Preset::Intune => (vendors::of_field(vendors::intune(list), field), &[]),
                Preset::Jamf => (vendors::of_field(vendors::jamf(list), field), &[]),
            };
            if let Some(at) = names.iter().chain(others).find_map(|name| place(name)) {
                found.push((*field, at));
            }
        }
        let columns = Self { found };
        // whoever has no tag has a serial number
        let has_other_name = list == List::Devices && columns.place("serial").is_some();
        match list.needed().iter().find(|field| columns.place(field).is_none() && !has_other_name) {
            Some(field) => Err(missing(list, sheet, &format!("no column for {field:?}"))),
            None => Ok(columns),
        }
    }

    fn place(&self, field: &str) -> Option<usize> {
        self.found.iter().find(|(name, _)| *name == field).map(|(_, at)| *at)
    }

    pub(super) fn have(&self, field: &str) -> bool {
        self.place(field).is_some()
    }

    /// The text of a field, `None` where it is blank or has no column.
    pub(super) fn text<'r>(&self, row: &'r Row, field: &str) -> Option<&'r str> {
        self.place(field).map(|at| row.text(at)).filter(|text| !text.is_empty())
    }
}

/// A mapping for every list that has such a field must have found its column in one of them.
///
/// # Errors
/// Where it did not, with the columns that there are.
pub(super) fn all_found(mappings: &[Mapping], lists: &[(List, Sheet)]) -> Result<(), Failure> {
    let is_found = |mapping: &Mapping| {
        let has_it =
            |(list, sheet): &(List, Sheet)| list.has(&mapping.field) && place(sheet, &mapping.column).is_some();
        mapping.list.is_some() || lists.iter().any(has_it)
    };
    let Some(Mapping { field, column, .. }) = mappings.iter().find(|mapping| !is_found(mapping)) else {
        return Ok(());
    };
    let columns = lists.iter().map(|(list, sheet)| format!("{} ({}) {:?}", sheet.name, list.name(), sheet.header));
    let columns = columns.collect::<Vec<_>>().join("; ");
    Err(Failure::Usage(format!(
        "--map {field}={column}: no list with a field {field:?} has a column {column:?}; there are {columns}"
    )))
}

fn place(sheet: &Sheet, name: &str) -> Option<usize> {
    sheet.header.iter().position(|column| plain(column) == plain(name))
}

fn missing(list: List, sheet: &Sheet, what: &str) -> Failure {
    Failure::Usage(format!(
        "{} ({}) has {what}; its columns are {:?}. Name the right one with --map {}.FIELD=COLUMN",
        sheet.name,
        list.name(),
        sheet.header,
        list.name()
    ))
}

/// Upper and lower case, blanks, underscores and hyphens make no difference.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::parse;
    use super::*;

    fn seats_of(header: &str, preset: Preset, mappings: &[&str]) -> Result<Option<String>, String> {
        let sheet = parse("l.csv", format!("{header}\nPaint,7\n").as_bytes())?;
        let mappings: Vec<Mapping> = mappings.iter().map(|text| mapping(text)).collect::<Result<_, _>>()?;
        let columns =
            Columns::find(List::Licenses, &sheet, preset, &mappings).map_err(|failure| failure.to_string())?;
        Ok(sheet.rows.first().and_then(|row| columns.text(row, "seats")).map(str::to_owned))
    }

    #[test]
    fn columns_are_found_by_preset_or_by_name() {
        assert_eq!(seats_of("Item name,seats", Preset::SnipeIt, &[]), Ok(Some("7".into())));
        assert_eq!(seats_of("ITEM_NAME,Quantity", Preset::Generic, &[]), Ok(Some("7".into())));
        assert_eq!(
            seats_of("What,How many", Preset::Generic, &["item=What", "licenses.seats=how many"]),
            Ok(Some("7".into()))
        );
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_are_there() {
        let fault = seats_of("Item name,Quantity", Preset::SnipeIt, &[]).expect_err("no seats");
        assert!(fault.contains("no column for \"seats\"") && fault.contains("Quantity"), "{fault}");
        let fault = seats_of("Item name,Quantity", Preset::SnipeIt, &["licenses.seats=Count"]).expect_err("no count");
        assert!(fault.contains("no column \"Count\""), "{fault}");
        // a mapping that names no list must fit one of them; in the others the usual names are good
        let sheet = |text: &str| parse("l.csv", text.as_bytes()).expect("a list");
        let lists = [(List::Licenses, sheet("Item,Seats,Username\n")), (List::People, sheet("Login name,Mail\n"))];
        let mapped = |text: &str| all_found(&[mapping(text).expect("a mapping")], &lists).map_err(|f| f.to_string());
        assert_eq!(mapped("user_name=Login name"), Ok(()));
        let fault = mapped("user_name=Login nmae").expect_err("no such column");
        assert!(
            fault.contains("\"Login nmae\"") && fault.contains("\"Username\"") && fault.contains("\"Mail\""),
            "{fault}"
        );
        assert!(mapped("seats=Mail").is_err(), "there is no such field of people");
        assert_eq!(seats_of("Item name,Seats", Preset::Generic, &["seats=Count"]), Ok(Some("7".into())));
        assert!(mapping("colour=Red").expect_err("no field").contains("licenses: item, serial"));
    }
}
