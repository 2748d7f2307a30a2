//! Rows on their way out: what stands in a cell, how far a page goes, and the form of a line of CSV (RFC 4180). Not here:
//! what is in the rows.

use super::{Column, ReportError};
use crate::domain::facts::{AppPrice, Owned};
use crate::domain::ids::Holder;
use crate::domain::time::{Day, Time};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::str::FromStr;

/// A page ends where so many events or seats were looked at, also when it is short: the next one goes on from there.
const WORK_MAX: u64 = 100_000;
/// Where all rows are wanted, those that were taken go on after so many events or seats.
const PAUSE_WORK: u64 = 20_000;

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Nothing,
    Text(String),
    Word(&'static str),
    Count(u64),
    Difference(i64),
    Owned(Owned),
    Time(Time),
    Day(Day),
    Positions(Vec<u64>),
    Texts(Vec<String>),
}

impl Cell {
    pub(super) fn or_nothing<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Nothing, cell)
    }

    /// A small word in the form that clients know.
    pub(super) fn word(value: &impl Serialize) -> Self {
        Self::Text(crate::audit::sentence::word(value))
    }

    pub(super) fn id(id: impl fmt::Display) -> Self {
        Self::Text(id.to_string())
    }

    /// Positions once each, in order.
    pub(super) fn evidence(positions: impl IntoIterator<Item = u64>) -> Self {
        let mut positions: Vec<u64> = positions.into_iter().collect();
        positions.sort_unstable();
        positions.dedup();
        Self::Positions(positions)
    }

    /// What so many seats cost; nothing without a price, without a number, or where the sum fits into no number.
    pub(super) fn cost(seats: Owned, price: Option<&AppPrice>) -> Self {
        let (Owned::Count(seats), Some(price)) = (seats, price) else { return Self::Nothing };
        Self::or_nothing(seats.checked_mul(price.minor_units), Self::Count)
    }

    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Text(text) => text.clone().into(),
            Self::Word(word) => (*word).into(),
            Self::Count(count) => (*count).into(),
            Self::Difference(difference) => (*difference).into(),
            Self::Owned(Owned::Count(count)) => (*count).into(),
            Self::Owned(Owned::Unlimited) => "unlimited".into(),
            Self::Time(time) => time.to_string().into(),
            Self::Day(day) => day.to_string().into(),
            Self::Positions(positions) => positions.clone().into(),
            Self::Texts(texts) => texts.clone().into(),
        }
    }

    /// As a spreadsheet is given it: what is text is never a formula, lists have blanks between their entries.
    fn to_csv(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => crate::audit::export::defused(Some(text)),
            Self::Word(word) => (*word).to_owned(),
            Self::Count(count) | Self::Owned(Owned::Count(count)) => count.to_string(),
            Self::Difference(difference) => difference.to_string(),
            Self::Owned(Owned::Unlimited) => "unlimited".to_owned(),
            Self::Time(time) => time.to_string(),
            Self::Day(day) => day.to_string(),
            Self::Positions(positions) => positions.iter().map(u64::to_string).collect::<Vec<_>>().join(" "),
            Self::Texts(texts) => crate::audit::export::defused(Some(&texts.join(" "))),
        }
    }
}

/// Where a row stands among the others: by these numbers, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Key(pub u64, pub u64, pub u64);

impl Key {
    /// Behind a pool, a holder of it.
    pub(super) fn of_holder(pool: u64, holder: Holder) -> Self {
        match holder {
            Holder::User(user) => Self(pool, 0, user.0.into()),
            Holder::Device(device) => Self(pool, 1, device.0.into()),
        }
    }

    pub(super) fn holder(self) -> Option<Holder> {
        let id = u32::try_from(self.2).ok()?;
        match self.1 {
            0 => Some(Holder::User(crate::domain::ids::UserId(id))),
            1 => Some(Holder::Device(crate::domain::ids::DeviceId(id))),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A text that is no key of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no row has such a key")]
pub struct NotAKey;

impl FromStr for Key {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut parts = text.split('.').map(|part| part.parse::<u64>().map_err(|_| NotAKey));
        let mut part = || parts.next().ok_or(NotAKey)?;
        let key = Self(part()?, part()?, part()?);
        if parts.next().is_some() { Err(NotAKey) } else { Ok(key) }
    }
}

/// The values of one row, in the order of the report's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Cell>);

impl Row {
    #[must_use]
    pub fn to_json(&self, columns: &[Column]) -> Map<String, Value> {
        columns.iter().zip(&self.0).map(|(column, cell)| (column.name.to_owned(), cell.to_json())).collect()
    }
}

/// Who takes rows.
pub trait Rows {
    /// # Errors
    /// When no more are taken.
    fn row(&mut self, row: Row) -> io::Result<()>;

    /// The next row may take a while: whoever waits for those before it can have them.
    ///
    /// # Errors
    /// When no more are taken.
    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: FnMut(Row) -> io::Result<()>> Rows for F {
    fn row(&mut self, row: Row) -> io::Result<()> {
        self(row)
    }
}

/// Rows as lines of a CSV, which goes out as it grows.
pub struct CsvRows<'w>(pub &'w mut dyn io::Write);

impl Rows for CsvRows<'_> {
    fn row(&mut self, row: Row) -> io::Result<()> {
        csv_line(&row, self.0)
    }

    fn pause(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Where rows go to, and when there are enough.
pub struct Output<'a> {
    pub after: Option<Key>,
    limit: Option<usize>,
    work_left: u64,
    work_since_pause: u64,
    last: Option<Key>,
    rows: usize,
    next_after: Option<Key>,
    failure: Option<io::Error>,
    sink: &'a mut dyn Rows,
}

impl<'a> Output<'a> {
    /// All rows, from the first one on.
    pub fn all(sink: &'a mut dyn Rows) -> Self {
        Self {
            after: None,
            limit: None,
            work_left: u64::MAX,
            work_since_pause: 0,
            last: None,
            rows: 0,
            next_after: None,
            failure: None,
            sink,
        }
    }

    /// At most so many, from behind a key on; fewer where finding them takes long.
    pub fn page(after: Option<Key>, limit: usize, sink: &'a mut dyn Rows) -> Self {
        Self { after, limit: Some(limit), work_left: WORK_MAX, last: after, ..Self::all(sink) }
    }

    /// Rows at most; `None` where all are wanted.
    pub(super) fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// The key behind which the next page begins.
    #[must_use]
    pub fn next_after(&self) -> Option<Key> {
        self.next_after
    }

    /// Takes a row, or says that there are enough. One at or before the key that the page begins behind is not taken.
    pub(super) fn row(&mut self, key: Key, cells: Vec<Cell>) -> ControlFlow<()> {
        if self.after.is_some_and(|after| key <= after) {
            return ControlFlow::Continue(());
        }
        assert!(self.rows == 0 || self.last.is_none_or(|last| key > last), "row {key} does not follow {:?}", self.last);
        if self.limit.is_some_and(|limit| self.rows >= limit) {
            self.next_after = self.last;
            return ControlFlow::Break(());
        }
        self.rows += 1;
        self.last = Some(key);
        let taken = self.sink.row(Row(cells));
        self.went_on(taken)
    }

    /// So much was looked at up to a key: a page that took long ends here, and the next one goes on.
    pub(super) fn looked(&mut self, work: u64, up_to: Key) -> ControlFlow<()> {
        self.work_left = self.work_left.saturating_sub(work);
        self.last = self.last.max(Some(up_to));
        if self.limit.is_some() && self.work_left == 0 {
            self.next_after = self.last;
            return ControlFlow::Break(());
        }
        self.work_since_pause = self.work_since_pause.saturating_add(work);
        if self.work_since_pause < PAUSE_WORK {
            return ControlFlow::Continue(());
        }
        self.work_since_pause = 0;
        let taken = self.sink.pause();
        self.went_on(taken)
    }

    fn went_on(&mut self, taken: io::Result<()>) -> ControlFlow<()> {
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    pub(super) fn taken(&mut self) -> Result<(), ReportError> {
        self.failure.take().map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The first line of a CSV.
///
/// # Errors
/// When the output takes no more.
pub fn csv_header(columns: &[Column], out: &mut dyn io::Write) -> io::Result<()> {
    csv_record(columns.iter().map(|column| column.name), csv::Terminator::CRLF, out)
}

/// # Errors
/// When the output takes no more.
fn csv_line(row: &Row, out: &mut dyn io::Write) -> io::Result<()> {
    csv_record(row.0.iter().map(Cell::to_csv), csv::Terminator::CRLF, out)
}

/// One record of a CSV, handed on in one piece.
///
/// # Errors
/// When the output takes no more.
pub fn csv_record(
    cells: impl IntoIterator<Item = impl AsRef<[u8]>>,
    end: csv::Terminator,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(end).from_writer(Vec::new());
    writer.write_record(cells).map_err(io::Error::other)?;
    // its own flush would send each line by itself
    out.write_all(&writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_text_is_never_a_formula() {
        let mut out = Vec::new();
        let texts = ["=1+1", "+a", "-a", "@a", "a,\"b\"\r\nc", ""].map(|text| Cell::Text(text.into()));
        csv_line(&Row(texts.to_vec()), &mut out).unwrap();
        csv_line(&Row(vec![Cell::Difference(-3), Cell::Positions(vec![1, 2]), Cell::Nothing]), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "'=1+1,'+a,'-a,'@a,\"a,\"\"b\"\"\r\nc\",\r\n-3,1 2,\r\n");
    }

    #[test]
    fn a_key_is_three_numbers() {
        assert_eq!("1.2.3".parse(), Ok(Key(1, 2, 3)));
        assert_eq!(Key(1, 2, 3).to_string().parse(), Ok(Key(1, 2, 3)));
        for bad in ["", "1", "1.2", "1.2.3.4", "1.2.-3", "1..3", "1.2.99999999999999999999"] {
            assert_eq!(bad.parse::<Key>(), Err(NotAKey), "{bad}");
        }
    }

    #[test]
    fn a_page_ends_at_its_limit_or_when_it_took_long() {
        let mut seen = 0;
        let mut sink = |_: Row| {
            seen += 1;
            Ok(())
        };
        let mut out = Output::page(Some(Key(0, 0, 1)), 2, &mut sink);
        assert!(out.row(Key(0, 0, 2), Vec::new()).is_continue());
        assert!(out.row(Key(0, 1, 0), Vec::new()).is_continue());
        assert!(out.row(Key(1, 0, 0), Vec::new()).is_break());
        assert_eq!(out.next_after(), Some(Key(0, 1, 0)));
        let mut out = Output::page(None, 2, &mut sink);
        assert!(out.looked(WORK_MAX - 1, Key(3, 0, 0)).is_continue());
        assert!(out.looked(1, Key(4, 0, 0)).is_break());
        assert_eq!(out.next_after(), Some(Key(4, 0, 0)));
        assert_eq!(seen, 2);
    }
}
