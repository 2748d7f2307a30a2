//! What goes to the terminal: results to standard output, talk to standard error. A closed pipe ends the work quietly.
//! Not here: progress, and what is printed.

use super::exit::Failure;
use comfy_table::{CellAlignment, Table, presets};
use std::io::{ErrorKind, Write};

/// Writes bytes to standard output.
///
/// # Errors
/// `ReaderGone` when the other end of the pipe is closed.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| gone(&error))
}

/// Writes one line to standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

/// Says where a service listens. It serves on though nobody reads that.
pub(crate) fn say_listening(url: &str) {
    if let Err(error) = line(&format!("listening on {url}")) {
        tracing::warn!(%error, url, "standard output does not take where the service listens");
    }
}

/// Writes a value as JSON, one line, to standard output.
pub(crate) fn json(value: &serde_json::Value) -> Result<(), Failure> {
    line(&value.to_string())
}

/// Says why it went wrong, to standard error.
pub(crate) fn complain(text: &str) {
    crate::telemetry::say_last(&format!("seatledger: {text}"));
}

/// Says what is going on, to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Why nothing more can be written. What is said in words names its place; what the system says is of standard output.
pub(crate) fn gone(error: &std::io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        Failure::ReaderGone
    } else if error.get_ref().is_some() {
        Failure::File(error.to_string())
    } else {
        Failure::File(format!("standard output: {error}"))
    }
}

/// A plain table; the columns from `numbers_from` on are figures and stand to the right.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>, numbers_from: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for at in numbers_from..header.len() {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn figures_are_grouped_by_thousands() {
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(grouped), ["0", "12", "999", "1,000", "1,234,567"]);
    }
}
