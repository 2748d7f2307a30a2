//! From the bytes of a list to rows of text: encodings, byte order marks, separators, quoted line breaks. Not here: what
//! the columns mean.

use crate::cli::exit::{self, Failure};
use std::io::Read as _;
use std::path::Path;

/// Stands behind a list as a row of its own, unless a quote that is still open takes it in.
const END: &[u8] = b"\n\x01";
const END_MARK: &str = "\u{1}";

/// A list as it was found.
#[derive(Debug)]
pub(in crate::cli) struct Sheet {
    /// How it is called in receipts.
    pub(in crate::cli) name: String,
    pub(in crate::cli) encoding: &'static str,
    pub(in crate::cli) header: Vec<String>,
    pub(in crate::cli) rows: Vec<Row>,
}

/// One row of a list.
#[derive(Debug)]
pub(in crate::cli) struct Row {
    /// As a spreadsheet counts: the header is row 1.
    pub(in crate::cli) number: u64,
    /// Where it begins in the file; another number where a quoted text has line breaks.
    pub(in crate::cli) line: u64,
    /// Why it can't be read at all.
    pub(in crate::cli) fault: Option<String>,
    fields: Vec<String>,
}

impl Row {
    /// The trimmed text of a column; blank where the row is short.
    pub(in crate::cli) fn text(&self, column: usize) -> &str {
        self.fields.get(column).map_or("", |field| field.trim())
    }

    pub(in crate::cli) fn is_blank(&self) -> bool {
        self.fault.is_none() && self.fields.iter().all(|field| field.trim().is_empty())
    }
}

pub(in crate::cli) fn read(path: &Path) -> Result<Sheet, Failure> {
    let bytes = std::fs::read(path).map_err(|error| exit::file(path, "can't be read", error))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    parse(&name, &bytes).map_err(|fault| exit::file(path, "is no list", fault))
}

pub(in crate::cli) fn parse(name: &str, bytes: &[u8]) -> Result<Sheet, String> {
    let (text, encoding) = decode(bytes);
    let (text, separator) = separator(&text);
    let mut reader = csv::ReaderBuilder::new();
    reader.flexible(true).has_headers(false).delimiter(separator);
    let mut records: Vec<_> = reader.from_reader(text.as_bytes().chain(END)).into_records().collect();
    let last = records.pop().and_then(Result::ok);
    if last.is_none_or(|last| last.len() != 1 || last.get(0) != Some(END_MARK)) {
        let row = records.len() + 1;
        return Err(format!("a quote in row {row} is never closed, and everything behind it would be that row's"));
    }
    let mut records = records.into_iter();
    let header: Vec<String> = match records.next() {
        Some(Ok(record)) => record.iter().map(|field| field.trim().to_owned()).collect(),
        Some(Err(error)) => return Err(error.to_string()),
        None => return Err("it is empty".into()),
    };
    if header.iter().all(String::is_empty) {
        return Err("its first row names no columns".into());
    }
    let mut rows = Vec::new();
    for (record, number) in records.zip(2_u64..) {
        rows.push(match record {
            Ok(record) => {
                let line = record.position().map_or(number, csv::Position::line);
                let fields: Vec<String> = record.iter().map(str::to_owned).collect();
                let has_more = fields.iter().skip(header.len()).any(|field| !field.trim().is_empty());
                let fault =
                    has_more.then(|| format!("it has {} fields and the header names {}", fields.len(), header.len()));
                Row { number, line, fault, fields }
            }
            Err(error) => Row { number, line: number, fault: Some(error.to_string()), fields: Vec::new() },
        });
    }
    Ok(Sheet { name: name.to_owned(), encoding, header, rows })
}

/// The text of a file, by its byte order mark, or as UTF-8, or at last as Windows-1252, in which every byte is a letter.
fn decode(bytes: &[u8]) -> (String, &'static str) {
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        return match std::str::from_utf8(rest) {
            Ok(text) => (text.to_owned(), "UTF-8 with a byte order mark"),
            Err(_) => (windows_1252(rest), "Windows-1252"),
        };
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFF\xFE") {
        return (utf_16(rest, u16::from_le_bytes), "UTF-16, little-endian");
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFE\xFF") {
        return (utf_16(rest, u16::from_be_bytes), "UTF-16, big-endian");
    }
    // without a mark: letters of a header in UTF-16 have every other byte 0
    match bytes {
        [first, 0, ..] if *first != 0 => {
            return (utf_16(bytes, u16::from_le_bytes), "UTF-16, little-endian, without a mark");
        }
        [0, second, ..] if *second != 0 => {
            return (utf_16(bytes, u16::from_be_bytes), "UTF-16, big-endian, without a mark");
        }
        [..] => {}
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), "UTF-8"),
        Err(_) => (windows_1252(bytes), "Windows-1252"),
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(unit);
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn windows_1252(bytes: &[u8]) -> String {
    const UPPER: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    let letter = |byte: &u8| match byte {
        0x80..=0x9f => UPPER.get(usize::from(byte - 0x80)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        0x00..=0x7f | 0xa0..=0xff => char::from(*byte),
    };
    bytes.iter().map(letter).collect()
}

/// Comma, semicolon or tab: whichever stands most often in the header, outside of quotes. Excel's own `sep=;` line wins.
fn separator(text: &str) -> (&str, u8) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(named) = first.trim_end().strip_prefix("sep=").and_then(|named| named.bytes().next()) {
        return (rest, named);
    }
    let mut is_quoted = false;
    let mut counts = [(b',', 0_u32), (b';', 0), (b'\t', 0)];
    for byte in text.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => break,
            other if !is_quoted => {
                for (_, count) in counts.iter_mut().filter(|(separator, _)| *separator == other) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    let best = counts.into_iter().rev().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 0);
    (text, best.map_or(b',', |(separator, _)| separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Vec<Vec<String>> {
        let sheet = parse("list.csv", bytes).expect("a list");
        let width = sheet.header.len();
        let rows = sheet.rows.iter().map(|row| (0..width).map(|at| row.text(at).to_owned()).collect());
        std::iter::once(sheet.header.clone()).chain(rows).collect()
    }

    #[test]
    fn every_usual_encoding_reads_as_the_same_text() {
        let text = "Name,Ort\nJürgen,Köln\n";
        let units = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("latin")).collect();
        let marked = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xEF\xBB\xBF", text.as_bytes()),
            marked(b"\xFF\xFE", &units(u16::to_le_bytes)),
            marked(b"\xFE\xFF", &units(u16::to_be_bytes)),
            units(u16::to_le_bytes),
            latin,
        ] {
            assert_eq!(fields(&bytes), [["Name", "Ort"], ["Jürgen", "Köln"]], "{bytes:?}");
        }
    }

    #[test]
    fn a_quoted_line_break_belongs_to_its_row() {
        let sheet = parse("l.csv", b"a,notes\n1,\"one\n\ntwo, three\"\n2,x\n").expect("a list");
        assert_eq!(sheet.rows.iter().map(|row| (row.number, row.line)).collect::<Vec<_>>(), [(2, 2), (3, 5)]);
        assert_eq!(sheet.rows.first().map(|row| row.text(1).to_owned()).as_deref(), Some("one\n\ntwo, three"));
    }

    #[test]
    fn a_quote_that_is_never_closed_is_named_by_its_row() {
        for (text, row) in [("a,b\n1,2\n3,\"four\n5,6\n7,8\n", 3), ("a,\"b\n1,2", 1), ("a,b\n1,\"", 2)] {
            let fault = parse("l.csv", text.as_bytes()).expect_err("an open quote");
            assert!(fault.contains(&format!("row {row} ")), "{text:?}: {fault}");
        }
        for text in ["a,b\n1,\"2\"", "a,b\n1,\"2 \"\"\"\n", "a,b\n1,2\"\n"] {
            assert_eq!(parse("l.csv", text.as_bytes()).map(|sheet| sheet.rows.len()), Ok(1), "{text:?}");
        }
    }

    #[test]
    fn semicolons_tabs_and_the_sep_line_of_excel_are_seen() {
        for text in ["a;b\n1;2\n", "a\tb\n1\t2\n", "sep=;\r\na;b\r\n1;2\r\n", "\"a\";\"b\"\n\"1\";\"2\"", "a,b\r1,2\r"]
        {
            assert_eq!(fields(text.as_bytes()), [["a", "b"], ["1", "2"]], "{text:?}");
        }
    }

    #[test]
    fn short_rows_are_blank_at_the_end_and_long_rows_are_at_fault() {
        let sheet = parse("l.csv", b"a,b\n1\n1,2,3\n1,2,,\n,\n").expect("a list");
        let faults: Vec<_> = sheet.rows.iter().map(|row| (row.text(1), row.fault.is_some(), row.is_blank())).collect();
        assert_eq!(faults, [("", false, false), ("2", true, false), ("2", false, false), ("", false, true)]);
    }

    #[test]
    fn an_empty_file_is_no_list() {
        assert!(parse("l.csv", b"").is_err());
        assert!(parse("l.csv", b"\xEF\xBB\xBF,,\n").is_err());
    }
}
