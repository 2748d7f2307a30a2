//! Reports and exports as Parquet, read back by the library's reader and by pyarrow: every row and every cell as it was written.

use super::life::{World, life};
use super::naive::Naive;
use super::reports::any_look;
use crate::audit::as_of::AsOf;
use crate::audit::columns;
use crate::audit::export::{Format, export};
use crate::audit::reports::{Cell, Output, REPORTS, Row, Source};
use crate::domain::facts::Owned;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// The Python that has pyarrow: `ops/test` names that of its own folder, and then it must be there.
const PYTHON: Option<&str> = option_env!("SEATLEDGER_PARQUET_PYTHON");

/// Counts rows and adds up everything that is a number; nulls and texts are counted.
const SCRIPT: &str = "
import json, sys, pyarrow as pa, pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
found = {'rows': table.num_rows, 'columns': {}}
for name, column in zip(table.column_names, table.columns):
    cells = [cell for cell in column.cast(pa.int64()).to_pylist()] if pa.types.is_timestamp(column.type) else column.to_pylist()
    numbers = [n for cell in cells for n in (cell if isinstance(cell, list) else [cell]) if isinstance(n, int) and not isinstance(n, bool)]
    found['columns'][name] = {'type': str(column.type), 'nulls': cells.count(None), 'sum': str(sum(numbers))}
print(json.dumps(found))
";

/// The cells of a row as words, `<name>_is_unlimited` behind what may be without limit.
fn words_of(cell: &Cell) -> String {
    match cell {
        Cell::Nothing => "null".into(),
        Cell::Text(text) => text.clone(),
        Cell::Word(word) => (*word).into(),
        Cell::Count(count) => count.to_string(),
        Cell::Difference(difference) => difference.to_string(),
        Cell::Owned(Owned::Count(count)) => format!("{count} false"),
        Cell::Owned(Owned::Unlimited) => "null true".into(),
        Cell::Time(time) => time.0.to_string(),
        Cell::Day(day) => day.0.to_string(),
        Cell::Positions(positions) => format!("{positions:?}"),
        Cell::Texts(texts) => format!("{texts:?}"),
    }
}

fn words_of_field(field: &Field) -> String {
    if let Field::Str(text) = field {
        text.clone()
    } else if let Field::Long(number) | Field::TimestampMicros(number) = field {
        number.to_string()
    } else if let Field::Date(day) = field {
        day.to_string()
    } else if let Field::Bool(is) = field {
        is.to_string()
    } else if let Field::ListInternal(list) = field {
        let is_text = list.elements().iter().any(|element| matches!(element, Field::Str(_)));
        let words: Vec<String> = list.elements().iter().map(words_of_field).collect();
        if is_text { format!("{words:?}") } else { format!("[{}]", words.join(", ")) }
    } else {
        assert_eq!(field, &Field::Null);
        "null".into()
    }
}

/// The rows of a file, two columns of one value put together again.
fn read(bytes: Vec<u8>) -> Vec<Vec<String>> {
    let reader = SerializedFileReader::new(axum::body::Bytes::from(bytes)).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        let mut words: Vec<String> = Vec::new();
        for (name, field) in row.get_column_iter() {
            let said = words_of_field(field);
            match words.last_mut().filter(|_| name.ends_with("_is_unlimited")) {
                Some(before) if said == "null" => assert_eq!(before, "null"),
                Some(before) => *before += &format!(" {said}"),
                None => words.push(said),
            }
        }
        words
    });
    rows.collect()
}

/// What pyarrow finds in a file; `None` where there is none and none was named.
fn by_pyarrow(bytes: &[u8]) -> Option<Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let python = PYTHON.unwrap_or("python3");
    let found = Command::new(python).args(["-c", "import pyarrow.parquet"]).output();
    if PYTHON.is_none() && !found.is_ok_and(|found| found.status.success()) {
        eprintln!("there is no pyarrow here: it is not asked");
        return None;
    }
    let output = Command::new(python).args(["-c", SCRIPT]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn source<'w>(world: &'w World, as_of: &'w AsOf, position: u64, until: crate::domain::time::Time) -> Source<'w> {
    let (ledger, tenant) = (&world.ledger, world.tenant);
    Source { ledger, as_of, tenant, position, until, pinned: None, hindsight: None, work: std::cell::Cell::new(0) }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_in_columns_is_read_back_as_it_is_in_rows() {
    let (mut random, mut seen) = (SmallRng::seed_from_u64(30), BTreeMap::new());
    for seed in 0..3 {
        let world = life(940 + seed, 600).await;
        let naive = Naive::of(world.ledger.events(world.tenant, 0, usize::MAX).unwrap());
        let as_of = AsOf::new();
        for report in REPORTS {
            for _ in 0..14 {
                let look = any_look(&mut random, &naive, report);
                let source = source(&world, &as_of, look.at as u64, look.until);
                let mut expected: Vec<Vec<String>> = Vec::new();
                let mut sink = |row: Row| {
                    expected.push(row.0.iter().map(words_of).collect());
                    Ok(())
                };
                if report.read(&source, &look.asked, &mut Output::all(&mut sink)).is_err() {
                    continue;
                }
                let mut bytes = Vec::new();
                columns::report(report, &source, &look.asked, &mut bytes).unwrap();
                assert_eq!(read(bytes), expected, "{} at {}", report.name, look.at);
                *seen.entry(report.name).or_insert(0) += expected.len();
            }
        }
        world.ledger.stop().await;
    }
    for report in REPORTS {
        assert!(seen.get(&report.name).is_some_and(|rows| *rows > 0), "{} said nothing: {seen:?}", report.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_in_columns_is_the_history_to_the_library_and_to_pyarrow() {
    let world = life(950, 500).await;
    let head = world.ledger.head(world.tenant).unwrap();
    let events = world.ledger.events(world.tenant, 7, usize::MAX).unwrap();
    let mut bytes = Vec::new();
    let next = export(&world.ledger, world.tenant, 7, head, Format::Parquet, false, &mut bytes).unwrap();
    assert_eq!(next, head + 1);
    let rows = read(bytes.clone());
    assert_eq!(rows.len(), events.len());
    for (row, recorded) in rows.iter().zip(&events) {
        let envelope = &recorded.envelope;
        let occurred_at = envelope.occurred_at.map_or("null".into(), |time| time.0.to_string());
        assert_eq!(row[..3], [recorded.position.to_string(), envelope.recorded_at.0.to_string(), occurred_at]);
        assert_eq!((row[3].as_str(), row.len()), (recorded.event.type_name(), 16));
        assert_eq!(row[8], envelope.reason.clone().unwrap_or("null".into()));
        let data: Value = serde_json::from_str(&row[15]).unwrap();
        assert_eq!(row[9], data["pool"].as_str().unwrap_or("null"));
    }
    let Some(found) = by_pyarrow(&bytes) else { return world.ledger.stop().await };
    assert_eq!(found["rows"], events.len());
    let column = |name: &str| &found["columns"][name];
    let sum = |of: &dyn Fn(&crate::domain::event::Recorded) -> i128| events.iter().map(of).sum::<i128>().to_string();
    assert_eq!(column("position")["sum"], sum(&|recorded| recorded.position.into()));
    assert_eq!(column("recorded_at")["sum"], sum(&|recorded| recorded.envelope.recorded_at.0.into()));
    assert_eq!(column("recorded_at")["type"], "timestamp[us, tz=UTC]");
    assert_eq!(column("reason")["nulls"], events.iter().filter(|recorded| recorded.envelope.reason.is_none()).count());
    assert_eq!(column("data")["type"], "string");
    // a report with lists, days and what may be without limit
    let as_of = AsOf::new();
    let recorded_at = events.last().unwrap().envelope.recorded_at;
    let source = source(&world, &as_of, head, recorded_at);
    let report = crate::audit::reports::Report::find(crate::domain::report::ReportName::LicensePosition).unwrap();
    let asked = crate::audit::reports::Asked { first: 0, since: recorded_at, pool: None, user: None, days: None };
    let mut bytes = Vec::new();
    columns::report(report, &source, &asked, &mut bytes).unwrap();
    let found = by_pyarrow(&bytes).unwrap();
    let kinds = &found["columns"];
    assert_eq!((&kinds["owned"]["type"], &kinds["owned_is_unlimited"]["type"]), (&"int64".into(), &"bool".into()));
    assert!(kinds["evidence"]["type"].as_str().unwrap().starts_with("list<"), "{kinds}");
    world.ledger.stop().await;
}
