//! A receipt for every row of every list: taken, unchanged, refused and why, and what was read differently than written.
//! Here also: the totals, and both on paper. Not here: how a row came to its receipt.

use super::columns::List;
use crate::audit::export::defused;
use crate::cli::client::put;
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// What became of one part of a row: the pool, the person, the device, the seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Taken(&'static str),
    Unchanged(&'static str),
    Refused { what: &'static str, why: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    Unchanged,
    Refused,
    Blank,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [Self::Taken, Self::Unchanged, Self::Refused, Self::Blank];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Blank => "blank",
        }
    }
}

#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) list: List,
    pub(super) file: String,
    pub(super) row: u64,
    pub(super) line: u64,
    /// The item, the user name, the tag.
    pub(super) subject: String,
    /// The pool's key, for a row about one.
    pub(super) pool: Option<String>,
    pub(super) parts: Vec<Part>,
    /// What was read differently than it is written.
    pub(super) notes: Vec<String>,
    /// What holds for many rows alike: a kind, which the terminal counts, and the row's own words.
    pub(super) remarks: Vec<(&'static str, String)>,
}

impl Receipt {
    /// One part refused is a row refused, though the others may stand.
    pub(super) fn outcome(&self) -> Outcome {
        let has = |test: fn(&Part) -> bool| self.parts.iter().any(test);
        if has(|part| matches!(part, Part::Refused { .. })) {
            Outcome::Refused
        } else if has(|part| matches!(part, Part::Taken(_))) {
            Outcome::Taken
        } else if self.parts.is_empty() {
            Outcome::Blank
        } else {
            Outcome::Unchanged
        }
    }

    pub(super) fn whys(&self) -> Vec<String> {
        let why = |part: &Part| match part {
            Part::Refused { what, why } => Some(format!("{what}: {why}")),
            Part::Taken(_) | Part::Unchanged(_) => None,
        };
        self.parts.iter().filter_map(why).collect()
    }

    fn taken(&self) -> Vec<&'static str> {
        let taken = |part: &Part| match part {
            Part::Taken(what) => Some(*what),
            Part::Unchanged(_) | Part::Refused { .. } => None,
        };
        self.parts.iter().filter_map(taken).collect()
    }

    fn all_notes(&self) -> Vec<String> {
        self.notes.iter().chain(self.remarks.iter().map(|(_, words)| words)).cloned().collect()
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "list": self.list.name(), "file": self.file, "row": self.row, "line": self.line, "subject": self.subject,
            "pool": self.pool, "outcome": self.outcome().name(), "taken": self.taken(), "why": self.whys(), "notes": self.all_notes(),
        })
    }
}

/// Rows by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) rows: u64,
    by_outcome: [u64; 4],
}

impl Count {
    pub(super) fn of<'r>(receipts: impl Iterator<Item = &'r Receipt>) -> Self {
        let mut count = Self::default();
        for receipt in receipts {
            count.rows += 1;
            let at = Outcome::ALL.iter().position(|outcome| *outcome == receipt.outcome());
            if let Some(slot) = at.and_then(|at| count.by_outcome.get_mut(at)) {
                *slot += 1;
            }
        }
        count
    }

    pub(super) fn of_outcome(&self, outcome: Outcome) -> u64 {
        let at = Outcome::ALL.iter().position(|other| *other == outcome);
        at.and_then(|at| self.by_outcome.get(at)).copied().unwrap_or(0)
    }

    pub(super) fn to_json(self) -> Value {
        let mut body = json!({"rows": self.rows});
        for outcome in Outcome::ALL {
            put(&mut body, outcome.name(), self.of_outcome(outcome));
        }
        body
    }
}

/// Rows that the terminal shows; all of them are in the report.
const SHOWN_MAX: usize = 40;

/// The table of totals, and the rows that a person should look at.
pub(super) fn summary(receipts: &[Receipt]) -> String {
    let mut rows = Vec::new();
    let row = |name: &str, count: Count| {
        let figures = Outcome::ALL.iter().map(|outcome| output::grouped(count.of_outcome(*outcome)));
        [name.to_owned(), output::grouped(count.rows)].into_iter().chain(figures).collect::<Vec<_>>()
    };
    for list in [List::Licenses, List::People, List::Devices] {
        let count = Count::of(receipts.iter().filter(|receipt| receipt.list == list));
        if count.rows > 0 {
            rows.push(row(list.name(), count));
        }
    }
    rows.push(row("total", Count::of(receipts.iter())));
    let mut text = output::table(&["list", "rows", "taken", "unchanged", "refused", "blank"], rows, 1);
    let line = |receipt: &Receipt, words: &[String]| {
        format!("\n  {} row {} ({}): {}", receipt.file, receipt.row, receipt.subject, words.join("; "))
    };
    for (heading, words) in [
        ("refused", (|receipt| receipt.whys()) as fn(&Receipt) -> Vec<String>),
        ("notes", |receipt| receipt.notes.clone()),
    ] {
        let found: Vec<_> =
            receipts.iter().map(|receipt| (receipt, words(receipt))).filter(|(_, words)| !words.is_empty()).collect();
        if found.is_empty() {
            continue;
        }
        text.push_str(&format!("\n\n{heading}:"));
        for (receipt, words) in found.iter().take(SHOWN_MAX) {
            text.push_str(&line(receipt, words));
        }
        if found.len() > SHOWN_MAX {
            text.push_str(&format!("\n  ... and {} rows more; --report FILE has them all", found.len() - SHOWN_MAX));
        }
    }
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, _) in receipts.iter().flat_map(|receipt| &receipt.remarks) {
        *kinds.entry(kind).or_default() += 1;
    }
    if !kinds.is_empty() {
        text.push_str("\n\nremarks:");
        for (kind, count) in kinds {
            text.push_str(&format!("\n  {count} rows: {kind}"));
        }
    }
    text
}

/// The file of a report, opened before anything is sent: receipts are had once. What stands in it stays until the new ones are there.
pub(super) fn open_report(path: &Path) -> Result<File, Failure> {
    let opened = File::options().write(true).create(true).truncate(false).open(path);
    opened.map_err(|error| exit::file(path, "the report can't be written", error))
}

/// Every receipt into a file: JSON where its name says so, else CSV.
pub(super) fn write_report(path: &Path, mut file: File, receipts: &[Receipt]) -> Result<(), Failure> {
    let is = |wanted: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted));
    let wrong = |error: &dyn std::fmt::Display| exit::file(path, "the report can't be written", error);
    let bytes = if is("json") {
        let all: Vec<Value> = receipts.iter().map(Receipt::to_json).collect();
        serde_json::to_vec_pretty(&all).map_err(|error| wrong(&error))?
    } else if is("ndjson") || is("jsonl") {
        receipts.iter().map(|receipt| format!("{}\n", receipt.to_json())).collect::<String>().into_bytes()
    } else {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer
            .write_record(["list", "file", "row", "line", "subject", "pool", "outcome", "taken", "why", "notes"])
            .map_err(|error| wrong(&error))?;
        for receipt in receipts {
            let record = [
                receipt.list.name().to_owned(),
                receipt.file.clone(),
                receipt.row.to_string(),
                receipt.line.to_string(),
                receipt.subject.clone(),
                receipt.pool.clone().unwrap_or_default(),
                receipt.outcome().name().to_owned(),
                receipt.taken().join(" "),
                receipt.whys().join("; "),
                receipt.all_notes().join("; "),
            ];
            writer.write_record(record.iter().map(|cell| defused(Some(cell)))).map_err(|error| wrong(&error))?;
        }
        writer.into_inner().map_err(|error| wrong(&error))?
    };
    // a terminal has no length to set
    let emptied = file.metadata().and_then(|about| if about.is_file() { file.set_len(0) } else { Ok(()) });
    emptied.and_then(|()| file.write_all(&bytes)).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_as_csv_has_no_formulas() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.csv");
        let receipt = Receipt {
            list: List::Licenses,
            file: "@l.csv".into(),
            row: 2,
            line: 2,
            subject: "=HYPERLINK(\"http://x.example\")".into(),
            pool: None,
            parts: vec![Part::Taken("pool")],
            notes: vec!["+1".into()],
            remarks: Vec::new(),
        };
        write_report(&path, open_report(&path).expect("a file"), &[receipt]).expect("written");
        let mut reader = csv::Reader::from_path(&path).expect("a report");
        let record = reader.records().next().expect("a row").expect("a row");
        let cells = [1, 4, 9].map(|at| record.get(at).unwrap_or("").to_owned());
        assert_eq!(cells, ["'@l.csv", "'=HYPERLINK(\"http://x.example\")", "'+1"]);
    }
}
