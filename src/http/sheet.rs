//! A review's seats as a spreadsheet has them: written, and read back with the decisions filled in. A cell that a
//! spreadsheet would take for a formula is text in it, and comes back as it was. Not here: what becomes of a decision.

use super::bodies::reviews::ReviewSeatBody;
use super::inputs::unmarked;
use super::problem::Problem;
use crate::audit::reports::csv_record;
use serde::Serialize;
use serde_json::Value;
use std::io;

const COLUMNS: [&str; 15] = [
    "pool",
    "pool_key",
    "holder",
    "name",
    "state",
    "since",
    "granted_position",
    "assignments",
    "last_install",
    "decision",
    "comment",
    "decided_by",
    "decided_at",
    "outcome",
    "reason",
];

/// Rows in one file.
pub(super) const ROWS_MAX: usize = 100_000;
/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

pub(super) fn write_header(out: &mut dyn io::Write) -> io::Result<()> {
    csv_record(COLUMNS, csv::Terminator::default(), out)
}

pub(super) fn write_seat(out: &mut dyn io::Write, seat: &ReviewSeatBody) -> io::Result<()> {
    let assignments: Vec<String> = seat.assignments.iter().map(ToString::to_string).collect();
    let text = |text: &Option<String>| defused(text.as_deref().unwrap_or_default());
    let time = |time: Option<crate::domain::time::Time>| time.map(|time| time.to_string()).unwrap_or_default();
    csv_record(
        [
            seat.pool.to_string(),
            defused(&seat.pool_key),
            seat.holder.to_string(),
            text(&seat.name),
            word(&seat.state),
            seat.since.to_string(),
            seat.granted_position.to_string(),
            assignments.join(" "),
            time(seat.last_install),
            seat.decision.map(|decision| word(&decision)).unwrap_or_default(),
            text(&seat.comment),
            text(&seat.decided_by),
            time(seat.decided_at),
            word(&seat.outcome),
            word(&seat.reason),
        ],
        csv::Terminator::default(),
        out,
    )
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// An apostrophe in front makes it text; one that was there gets another, so that [`restored`] is exact.
fn defused(cell: &str) -> String {
    if cell.starts_with(FORMULA) || cell.starts_with('\'') { format!("'{cell}") } else { cell.to_owned() }
}

fn restored(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if text.starts_with(FORMULA) || text.starts_with('\'') => text,
        Some(_) | None => cell,
    }
}

/// One row of a file, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SheetRow {
    pub(super) pool: String,
    pub(super) holder: String,
    /// Empty: left undecided.
    pub(super) decision: String,
    pub(super) comment: Option<String>,
}

/// Reads a file back: as it was written, or with `pool`, `holder`, `decision` and `comment` alone, in any order, parted by
/// commas, semicolons or tabs. What is wrong with a row is that row's; what is wrong with the columns is the file's.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Result<SheetRow, Problem>>, Problem> {
    let bytes = unmarked(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter(bytes)).from_reader(bytes);
    let broken = |error: csv::Error| Problem::unreadable(format!("the body is no CSV: {error}"));
    let places = Places::of(reader.byte_headers().map_err(broken)?)?;
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        if rows.len() == ROWS_MAX {
            let detail = format!("a file has at most {ROWS_MAX} rows");
            return Err(Problem::new("too-large", detail).with("rows_max", ROWS_MAX));
        }
        rows.push(places.row(&record.map_err(broken)?));
    }
    Ok(rows)
}

/// What most of the first line's separators are.
fn delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// Where the columns stand.
struct Places {
    pool: usize,
    holder: usize,
    decision: usize,
    comment: Option<usize>,
    columns: usize,
}

impl Places {
    fn of(header: &csv::ByteRecord) -> Result<Self, Problem> {
        let names: Vec<&[u8]> = header.iter().map(<[u8]>::trim_ascii).collect();
        for (place, name) in names.iter().enumerate() {
            let is_known = name.is_empty() || COLUMNS.iter().any(|known| known.as_bytes() == *name);
            let shown: String = String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).take(64).collect();
            if !is_known {
                let detail = format!("no column is called `{shown}`; there are {}", COLUMNS.join(", "));
                return Err(Problem::unreadable(detail).with("field", shown));
            }
            if !name.is_empty() && names.iter().take(place).any(|other| other == name) {
                return Err(Problem::unreadable(format!("there are two columns `{shown}`")).with("field", shown));
            }
        }
        let find = |wanted: &str| names.iter().position(|name| *name == wanted.as_bytes());
        let need = |wanted: &str| {
            find(wanted)
                .ok_or_else(|| Problem::unreadable(format!("the column `{wanted}` is missing")).with("field", wanted))
        };
        let (pool, holder, decision) = (need("pool")?, need("holder")?, need("decision")?);
        Ok(Self { pool, holder, decision, comment: find("comment"), columns: names.len() })
    }

    fn row(&self, record: &csv::ByteRecord) -> Result<SheetRow, Problem> {
        if record.len() > self.columns {
            let detail = format!("the row has {} cells, the header {}", record.len(), self.columns);
            return Err(Problem::unreadable(detail));
        }
        let cell = |name: &'static str, place: usize| {
            let text = std::str::from_utf8(record.get(place).unwrap_or_default());
            text.map_err(|_| Problem::unreadable(format!("{name}: the cell is not UTF-8")).with("field", name))
        };
        let comment = self.comment.map(|place| cell("comment", place)).transpose()?.map(restored);
        Ok(SheetRow {
            pool: restored(cell("pool", self.pool)?.trim()).to_owned(),
            holder: restored(cell("holder", self.holder)?.trim()).to_owned(),
            decision: cell("decision", self.decision)?.trim().to_ascii_lowercase(),
            comment: comment.filter(|comment| !comment.trim().is_empty()).map(str::to_owned),
        })
    }
}

impl SheetRow {
    /// The fields of the command that it stands for.
    pub(super) fn fields(&self) -> serde_json::Map<String, Value> {
        let mut fields = serde_json::Map::new();
        for (name, text) in [("pool", &self.pool), ("holder", &self.holder), ("decision", &self.decision)] {
            fields.insert(name.to_owned(), text.clone().into());
        }
        if let Some(comment) = &self.comment {
            fields.insert("comment".to_owned(), comment.clone().into());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(decision: &str, comment: Option<&str>) -> SheetRow {
        let text = |text: &str| text.to_owned();
        SheetRow {
            pool: text("pool_0"),
            holder: text("user:user_1"),
            decision: text(decision),
            comment: comment.map(str::to_owned),
        }
    }

    #[test]
    fn a_file_is_read_whatever_it_is_parted_by_and_in_any_order() {
        let files = [
            "pool,holder,decision,comment\npool_0,user:user_1,keep,\"a, b\"\n",
            "\u{feff}comment;decision;holder;pool;\r\n\"a, b\"; KEEP ;user:user_1;pool_0;\r\n",
            "holder\tname\tpool\tcomment\tdecision\nuser:user_1\t=x\tpool_0\ta, b\tKeep",
        ];
        for file in files {
            let rows: Vec<SheetRow> = read(file.as_bytes()).unwrap().into_iter().map(Result::unwrap).collect();
            assert_eq!(rows, [row("keep", Some("a, b"))], "{file:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_columns_is_named() {
        for (file, what) in [
            ("", "`pool` is missing"),
            ("pool,decision\n", "`holder` is missing"),
            ("pool,holder,decision,notes\n", "`notes`"),
            ("pool,holder,decision,pool\n", "two columns `pool`"),
        ] {
            let problem = read(file.as_bytes()).unwrap_err().to_json();
            assert!(problem["detail"].as_str().unwrap().contains(what), "{file:?}: {problem}");
        }
    }

    #[test]
    fn a_bad_row_leaves_the_others_alone() {
        let mut file = b"pool,holder,decision\npool_0,user:user_1,keep,more\n\xff,user:user_1,keep\n".to_vec();
        file.extend_from_slice(b"pool_0,user:user_1,\npool_0\n");
        let rows = read(&file).unwrap();
        assert_eq!(rows.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, false, true, true]);
        assert_eq!(rows[2].as_ref().unwrap(), &row("", None));
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_a_cell(text in "[ -~\\t\\n='+@-]{0,12}") {
            let cell = defused(&text);
            prop_assert_eq!(restored(&cell), &text);
            prop_assert!(!cell.starts_with(FORMULA));
        }
    }
}
