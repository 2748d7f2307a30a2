//! A list of what was bought, as CSV, into the items of a declared inventory; what can't be read is refused by its row. Not
//! here: bytes into rows (`load::source`).

use crate::cli::exit::{self, Failure};
use crate::cli::load::source::{self, Row, Sheet};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Field and the names of its column, the last word being a person's.
const FIELDS: [(&str, &[&str]); 6] = [
    ("sku", &["sku", "article", "product id", "product key", "id"]),
    ("name", &["name", "product", "app", "title"]),
    ("owned", &["owned", "quantity", "qty", "seats", "licenses", "count", "total"]),
    ("license_type", &["license_type", "license type", "type"]),
    ("publisher", &["publisher", "vendor", "manufacturer"]),
    ("distribution_policy", &["distribution_policy", "distribution policy", "policy"]),
];
const NEEDED: [&str; 3] = ["sku", "name", "owned"];
/// What an item has besides, and no column: of pools that are there it stays as it is.
const WITHOUT_COLUMN: [&str; 8] = [
    "price",
    "related_set",
    "packages",
    "installed_by",
    "irrevocable",
    "requires_windows_1511",
    "private_store_visible",
    "ends_on",
];

/// A field, and the column that a person named for it.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    field: String,
    column: String,
}

pub(super) fn mapping(text: &str) -> Result<Mapping, String> {
    let (field, column) = text.split_once('=').ok_or("write it as FIELD=COLUMN, as in owned=Quantity")?;
    let (field, column) = (field.trim().to_owned(), column.trim().to_owned());
    if FIELDS.iter().any(|(known, _)| *known == field) {
        return Ok(Mapping { field, column });
    }
    let names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
    Err(format!("there is no such field; there are {}", names.join(", ")))
}

/// A row that is to be an item, or why it can't be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) row: u64,
    pub(super) sku: String,
    pub(super) item: Result<Value, String>,
}

/// A list, and the fields that it does not speak of.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) lines: Vec<Line>,
    pub(super) unsaid: Vec<&'static str>,
}

pub(super) fn read(path: &Path, maps: &[Mapping]) -> Result<Read, Failure> {
    let sheet = source::read(path)?;
    parse(&sheet, maps).map_err(|fault| exit::file(path, "is no list of what was bought", fault))
}

fn parse(sheet: &Sheet, maps: &[Mapping]) -> Result<Read, String> {
    let place = |name: &str| sheet.header.iter().position(|column| column.eq_ignore_ascii_case(name));
    let mut columns = BTreeMap::new();
    for (field, names) in FIELDS {
        let mapped = maps.iter().rev().find(|mapping| mapping.field == field);
        let found = match mapped {
            Some(mapping) => Some(place(&mapping.column).ok_or_else(|| format!("no column {:?}", mapping.column))?),
            None => names.iter().find_map(|name| place(name)),
        };
        columns.extend(found.map(|at| (field, at)));
    }
    if let Some(missing) = NEEDED.iter().find(|field| !columns.contains_key(*field)) {
        return Err(format!("no column for {missing:?}; the header names {}", sheet.header.join(", ")));
    }
    let optional = FIELDS.iter().map(|(field, _)| *field).filter(|field| !columns.contains_key(field));
    let unsaid = optional.chain(WITHOUT_COLUMN).collect();
    let mut seen = BTreeMap::new();
    let rows = sheet.rows.iter().filter(|row| !row.is_blank());
    let lines = rows
        .map(|row| {
            let text = |field: &str| columns.get(field).map_or("", |at| row.text(*at));
            let sku = text("sku").to_owned();
            let item = match seen.insert(sku.clone(), row.number) {
                Some(before) if !sku.is_empty() => Err(format!("row {before} has the same sku")),
                Some(_) | None => item(row, text),
            };
            Line { row: row.number, sku, item }
        })
        .collect();
    Ok(Read { lines, unsaid })
}

fn item<'r>(row: &'r Row, text: impl Fn(&str) -> &'r str) -> Result<Value, String> {
    if let Some(fault) = &row.fault {
        return Err(fault.clone());
    }
    let given = |field: &str| {
        let text = text(field);
        if text.is_empty() { Err(format!("it has no {field}")) } else { Ok(text) }
    };
    let word = |field: &str, usual: &'static str, known: [&'static str; 2]| {
        let text = text(field).to_lowercase();
        if text.is_empty() {
            return Ok(usual);
        }
        let found = known.into_iter().find(|word| *word == text);
        found.ok_or_else(|| format!("{field} is {text:?} and not {} or {}", known[0], known[1]))
    };
    let owned = given("owned")?;
    let owned = if owned.eq_ignore_ascii_case("unlimited") {
        json!("unlimited")
    } else {
        let number: Result<u64, _> = owned.parse();
        json!(number.map_err(|_| format!("owned is {owned:?} and no whole number, nor unlimited"))?)
    };
    let mut item = Map::new();
    item.insert("sku".into(), given("sku")?.into());
    item.insert("name".into(), given("name")?.into());
    item.insert("owned".into(), owned);
    item.insert("license_type".into(), word("license_type", "offline", ["online", "offline"])?.into());
    let policy = word("distribution_policy", "restricted", ["restricted", "open"])?;
    item.insert("distribution_policy".into(), policy.into());
    if !text("publisher").is_empty() {
        item.insert("publisher".into(), text("publisher").into());
    }
    Ok(Value::Object(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, maps: &[&str]) -> Result<Vec<Line>, String> {
        let maps: Vec<_> = maps.iter().map(|text| mapping(text).unwrap()).collect();
        parse(&source::parse("list.csv", text.as_bytes()).unwrap(), &maps).map(|read| read.lines)
    }

    #[test]
    fn a_row_is_an_item_with_what_it_says_and_the_usual_where_it_says_nothing() {
        let text = "SKU;Product;Quantity;License type\nA1;Editor;12;Online\n;;;\nA2;Viewer;Unlimited;\n";
        let read = read(text, &[]).unwrap();
        let item = |sku: &str, name: &str, owned: Value, kind: &str| {
            Ok(
                json!({"sku": sku, "name": name, "owned": owned, "license_type": kind, "distribution_policy": "restricted"}),
            )
        };
        let items: Vec<_> = read.iter().map(|line| (line.row, line.item.clone())).collect();
        assert_eq!(
            items,
            [(2, item("A1", "Editor", json!(12), "online")), (4, item("A2", "Viewer", json!("unlimited"), "offline"))]
        );
    }

    #[test]
    fn a_row_that_can_not_be_read_is_refused_with_the_reason() {
        let text = "sku,name,owned,type\nA,Editor,a dozen,\nB,,3,\nA,Editor,3,\nC,Viewer,3,rented\nD,Notes,-1,\n";
        let whys: Vec<_> = read(text, &[]).unwrap().into_iter().map(|line| line.item.unwrap_err()).collect();
        assert_eq!(
            whys,
            [
                "owned is \"a dozen\" and no whole number, nor unlimited",
                "it has no name",
                "row 2 has the same sku",
                "license_type is \"rented\" and not online or offline",
                "owned is \"-1\" and no whole number, nor unlimited",
            ]
        );
    }

    #[test]
    fn columns_are_named_by_a_person_or_known_by_their_names() {
        let text = "Artikel,Bezeichnung,Stück\nA,Editor,3\n";
        assert!(read(text, &[]).unwrap_err().contains("no column for \"sku\""));
        let named = read(text, &["sku=Artikel", "name=Bezeichnung", "owned=Stück"]).unwrap();
        assert_eq!(named[0].item.as_ref().unwrap()["owned"], 3);
        assert!(read(text, &["sku=Nummer"]).unwrap_err().contains("no column \"Nummer\""));
        let sheet = source::parse("list.csv", b"sku,name,owned,publisher\nA,Editor,3,Contoso\n").unwrap();
        let unsaid = parse(&sheet, &[]).unwrap().unsaid;
        assert_eq!(unsaid, [&["license_type", "distribution_policy"], &WITHOUT_COLUMN[..]].concat());
        assert!(mapping("colour=Farbe").unwrap_err().contains("license_type"));
    }
}
