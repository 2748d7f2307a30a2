//! Rows as Apache Parquet, for tools that read columns: each group of rows is gathered, written and forgotten. Built with the
//! feature `parquet` alone. Not here: what is in the rows.

use super::reports::{Cell, Row, Rows};
use crate::domain::facts::Owned;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

/// A group of rows has no more of them.
const GROUP_ROWS_MAX: usize = 16_384;
/// Nor fewer, where more rows come: but for the first group, which goes out as soon as somebody may wait for it.
const GROUP_ROWS_MIN: usize = 4096;
/// Nor, but for its last row, more bytes of text.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// What stands in a column. Every one may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// A 64-bit integer.
    Count,
    /// Microseconds in UTC.
    Time,
    Day,
    /// A 64-bit integer, and a column `<name>_is_unlimited` behind it.
    Owned,
    /// A list of 64-bit integers.
    Positions,
    /// A list of texts.
    Texts,
}

impl Kind {
    /// Columns of one name are of one kind in all reports, and in the export.
    fn of(column: &str) -> Self {
        match column {
            "evidence" => Self::Positions,
            "waiting" => Self::Texts,
            "day" | "ordered_on" => Self::Day,
            "since" | "reserved_since" => Self::Time,
            "owned" | "owned_then" | "owned_min" | "owned_before" | "owned_after" | "free" | "free_before"
            | "free_after" | "store" | "ledger" => Self::Owned,
            "days" | "over_by" | "over_by_max" | "over_by_before" | "over_by_after" | "over_cost" | "seconds"
            | "price" | "held" | "held_max" | "held_before" | "held_after" | "held_then" | "held_cost"
            | "held_at_start" | "held_at_end" | "cause_position" | "without_seat" | "waiting_count" | "to_buy"
            | "to_buy_cost" | "saving" | "releasing" | "refused" | "refusals" | "queued" | "quantity" | "position"
            | "granted_position" | "owned_cost" | "from" | "to" | "as_of" | "could_give_back" | "amount"
            | "difference" | "version" => Self::Count,
            name if name.ends_with("_at") => Self::Time,
            _ => Self::Text,
        }
    }

    fn schema(self, name: &str) -> String {
        match self {
            Self::Text => format!("optional binary {name} (STRING);"),
            Self::Count => format!("optional int64 {name};"),
            Self::Time => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
            Self::Day => format!("optional int32 {name} (DATE);"),
            Self::Owned => format!("optional int64 {name}; optional boolean {name}_is_unlimited;"),
            Self::Positions => {
                format!("optional group {name} (LIST) {{ repeated group list {{ required int64 element; }} }}")
            }
            Self::Texts => {
                format!(
                    "optional group {name} (LIST) {{ repeated group list {{ required binary element (STRING); }} }}"
                )
            }
        }
    }
}

/// The values of one column of the file, as far as they are not null.
#[derive(Debug)]
enum Values {
    Bytes(Vec<ByteArray>),
    Longs(Vec<i64>),
    Ints(Vec<i32>),
    Bools(Vec<bool>),
}

#[derive(Debug)]
struct Column {
    values: Values,
    /// How much of each place is there: nothing, or a value; of a list nothing, an empty one, or an entry.
    definitions: Vec<i16>,
    /// Of a list: whether an entry goes on with the list before it.
    repetitions: Option<Vec<i16>>,
}

impl Column {
    fn of(values: Values, is_list: bool) -> Self {
        Self { values, definitions: vec![], repetitions: is_list.then(Vec::new) }
    }

    fn null(&mut self) {
        self.level(0, 0);
    }

    fn level(&mut self, definition: i16, repetition: i16) {
        self.definitions.push(definition);
        self.repetitions.iter_mut().for_each(|repetitions| repetitions.push(repetition));
    }

    fn clear(&mut self) {
        self.definitions.clear();
        self.repetitions.iter_mut().for_each(Vec::clear);
        match &mut self.values {
            Values::Bytes(values) => values.clear(),
            Values::Longs(values) => values.clear(),
            Values::Ints(values) => values.clear(),
            Values::Bools(values) => values.clear(),
        }
    }
}

/// A column of the rows: one or two of the file.
struct Field {
    name: String,
    kind: Kind,
    columns: Vec<Column>,
}

impl Field {
    fn new(name: &str) -> Self {
        let kind = Kind::of(name);
        let columns = match kind {
            Kind::Text => vec![Column::of(Values::Bytes(vec![]), false)],
            Kind::Count | Kind::Time => vec![Column::of(Values::Longs(vec![]), false)],
            Kind::Day => vec![Column::of(Values::Ints(vec![]), false)],
            Kind::Owned => {
                vec![Column::of(Values::Longs(vec![]), false), Column::of(Values::Bools(vec![]), false)]
            }
            Kind::Positions => vec![Column::of(Values::Longs(vec![]), true)],
            Kind::Texts => vec![Column::of(Values::Bytes(vec![]), true)],
        };
        Self { name: name.to_owned(), kind, columns }
    }

    /// Takes the cell of the next row, and answers how many bytes of text are in it.
    fn take(&mut self, cell: &Cell) -> io::Result<usize> {
        let wrong = || io::Error::other(format!("column {}: {cell:?} is no {:?}", self.name, self.kind));
        let long = |count: u64| i64::try_from(count).map_err(|_| wrong());
        match (self.columns.as_mut_slice(), self.kind, cell) {
            (columns, _, Cell::Nothing) => columns.iter_mut().for_each(Column::null),
            ([column], Kind::Text, Cell::Text(text)) => return Ok(push_text(column, text)),
            ([column], Kind::Text, Cell::Word(text)) => return Ok(push_text(column, text)),
            ([column], Kind::Count, Cell::Count(count)) => push_long(column, long(*count)?),
            ([column], Kind::Count, Cell::Difference(difference)) => push_long(column, *difference),
            ([column], Kind::Time, Cell::Time(time)) => push_long(column, time.0),
            ([column], Kind::Day, Cell::Day(day)) => {
                if let Values::Ints(values) = &mut column.values {
                    values.push(day.0);
                }
                column.level(1, 0);
            }
            ([number, is_unlimited], Kind::Owned, Cell::Owned(owned)) => {
                match owned {
                    Owned::Count(count) => push_long(number, long(*count)?),
                    Owned::Unlimited => number.null(),
                }
                if let Values::Bools(values) = &mut is_unlimited.values {
                    values.push(*owned == Owned::Unlimited);
                }
                is_unlimited.level(1, 0);
            }
            ([column], Kind::Positions, Cell::Positions(positions)) => {
                let positions = positions.iter().map(|position| long(*position)).collect::<io::Result<Vec<_>>>()?;
                levels_of_list(column, positions.len());
                if let Values::Longs(values) = &mut column.values {
                    values.extend(positions);
                }
            }
            ([column], Kind::Texts, Cell::Texts(list)) => {
                levels_of_list(column, list.len());
                if let Values::Bytes(values) = &mut column.values {
                    values.extend(list.iter().map(|text| bytes_of(text)));
                }
                return Ok(list.iter().map(String::len).sum());
            }
            (_, _, _) => return Err(wrong()),
        }
        Ok(0)
    }
}

fn push_text(column: &mut Column, text: &str) -> usize {
    if let Values::Bytes(values) = &mut column.values {
        values.push(bytes_of(text));
    }
    column.level(1, 0);
    text.len()
}

fn bytes_of(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn push_long(column: &mut Column, value: i64) {
    if let Values::Longs(values) = &mut column.values {
        values.push(value);
    }
    column.level(1, 0);
}

/// Levels of a list of so many entries: Parquet counts an empty one as 1, and an entry as 2.
fn levels_of_list(column: &mut Column, entries: usize) {
    if entries == 0 {
        column.level(1, 0);
    }
    (0..entries).for_each(|at| column.level(2, i16::from(at > 0)));
}

/// A file that is being written.
pub(crate) struct Sheet<'w> {
    writer: SerializedFileWriter<&'w mut (dyn Write + Send)>,
    fields: Vec<Field>,
    rows: usize,
    bytes: usize,
    is_begun: bool,
}

impl<'w> Sheet<'w> {
    /// Begins a file with these columns.
    pub(crate) fn begin(columns: &[&str], out: &'w mut (dyn Write + Send)) -> io::Result<Self> {
        let mut schema = String::from("message rows {");
        for name in columns {
            // writing to a string can't fail
            let _ = write!(schema, " {}", Kind::of(name).schema(name));
        }
        let schema = Arc::new(parse_message_type(&(schema + " }")).map_err(broken)?);
        let made_by = format!("seatledger {}", env!("CARGO_PKG_VERSION"));
        let properties =
            WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by(made_by).build();
        let writer = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(broken)?;
        let fields = columns.iter().map(|name| Field::new(name)).collect();
        Ok(Self { writer, fields, rows: 0, bytes: 0, is_begun: false })
    }

    /// Takes a row, its cells in the order of the columns.
    pub(crate) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        if cells.len() != self.fields.len() {
            return Err(io::Error::other(format!("a row of {} cells for {} columns", cells.len(), self.fields.len())));
        }
        for (field, cell) in self.fields.iter_mut().zip(cells) {
            self.bytes += field.take(cell)?;
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS_MAX || self.bytes >= GROUP_BYTES_MAX { self.write_group() } else { Ok(()) }
    }

    /// Writes what is left and the file's end, without which it is none.
    pub(crate) fn end(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.close().map(drop).map_err(broken)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(broken)?;
        for column in self.fields.iter_mut().flat_map(|field| &mut field.columns) {
            let out = group.next_column().map_err(broken)?;
            let mut out = out.ok_or_else(|| io::Error::other("the file has fewer columns than its rows"))?;
            let (definitions, repetitions) = (Some(column.definitions.as_slice()), column.repetitions.as_deref());
            let written = match &column.values {
                Values::Bytes(values) => out.typed::<ByteArrayType>().write_batch(values, definitions, repetitions),
                Values::Longs(values) => out.typed::<Int64Type>().write_batch(values, definitions, repetitions),
                Values::Ints(values) => out.typed::<Int32Type>().write_batch(values, definitions, repetitions),
                Values::Bools(values) => out.typed::<BoolType>().write_batch(values, definitions, repetitions),
            };
            written.and_then(|_| out.close()).map_err(broken)?;
            column.clear();
        }
        group.close().map_err(broken)?;
        (self.rows, self.bytes, self.is_begun) = (0, 0, true);
        Ok(())
    }
}

impl Rows for Sheet<'_> {
    fn row(&mut self, row: Row) -> io::Result<()> {
        Sheet::row(self, &row.0)
    }

    fn pause(&mut self) -> io::Result<()> {
        if self.rows >= if self.is_begun { GROUP_ROWS_MIN } else { 1 } {
            self.write_group()?;
        }
        self.writer.flush()
    }
}

fn broken(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    #[test]
    fn rows_are_written_in_groups_and_a_cell_of_another_kind_is_refused() {
        let mut out = Vec::new();
        let mut sheet = Sheet::begin(&["position", "reason"], &mut out).unwrap();
        for row in 0..40_000 {
            sheet.row(&[Cell::Count(row), Cell::Nothing]).unwrap();
        }
        let wrong = sheet.row(&[Cell::Text("x".into()), Cell::Nothing]).unwrap_err();
        assert!(wrong.to_string().contains("column position"), "{wrong}");
        drop(sheet);
        let mut sheet = Sheet::begin(&["position", "reason"], &mut out).unwrap();
        assert!(sheet.row(&[Cell::Count(1)]).is_err() && sheet.row(&[Cell::Count(u64::MAX), Cell::Nothing]).is_err());
        drop(sheet);
        out.clear();
        let mut sheet = Sheet::begin(&["position", "reason"], &mut out).unwrap();
        for row in 0..40_000 {
            sheet.row(&[Cell::Count(row), Cell::Text("why".repeat(100))]).unwrap();
        }
        sheet.end().unwrap();
        let reader = SerializedFileReader::new(axum::body::Bytes::from(out)).unwrap();
        let groups = reader.metadata().row_groups();
        assert_eq!(groups.iter().map(|group| group.num_rows()).sum::<i64>(), 40_000);
        assert!(groups.len() == 3 && groups.iter().all(|group| group.num_rows() <= 16_384), "{}", groups.len());
    }
}
