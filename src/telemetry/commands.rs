//! The line that each command leaves, for people: the text that the library would write, without its detours. The line of a
//! command that was judged, of which there is one a call, goes to the others without the library. Not here: any other line, or
//! lines as JSON.

use crate::domain::time::Time;
use std::cell::RefCell;
use std::fmt::{self, Debug, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// Whose lines these are.
pub(super) const TARGET: &str = "seatledger::command";

const SECOND_MICROS: i64 = 1_000_000;
/// Of an instant as text, what stands before its fraction of a second.
const UP_TO_SECONDS: usize = "2026-11-26T00:00:00".len();

thread_local! {
    /// A second, and how it is written.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    /// The line that is being written.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Set once lines are text for people, in the log that this process writes.
static IS_FOR_PEOPLE: AtomicBool = AtomicBool::new(false);

/// From now on lines are text for people.
pub(super) fn for_people() {
    IS_FOR_PEOPLE.store(true, Ordering::Relaxed);
}

/// A command of a call of its own that was judged.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    pub command: &'a str,
    pub outcome: &'a str,
    pub rule: Option<&'a str>,
    pub position: u64,
}

impl Judged<'_> {
    /// Leaves the line at `info`.
    pub fn say(self, request_id: &str) {
        let Self { command, outcome, rule, position } = self;
        if !IS_FOR_PEOPLE.load(Ordering::Relaxed) {
            tracing::info!(target: TARGET, command, outcome, rule, position, "judged");
        } else if tracing::enabled!(target: TARGET, Level::INFO) {
            LINE.with_borrow_mut(|line| {
                line.clear();
                self.write(line, crate::clock::wall(), request_id).expect("a string takes all of it");
                super::lines::put(line.as_bytes());
            });
        }
    }

    fn write(self, out: &mut impl Write, at: Time, request_id: &str) -> fmt::Result {
        let Self { command, outcome, rule, position } = self;
        write_head(out, Level::INFO, at)?;
        out.write_str(" judged command=\"")?;
        out.write_str(command)?;
        out.write_str("\" outcome=\"")?;
        out.write_str(outcome)?;
        out.write_char('"')?;
        if let Some(rule) = rule {
            out.write_str(" rule=\"")?;
            out.write_str(rule)?;
            out.write_char('"')?;
        }
        out.write_str(" position=")?;
        write_number(out, position, 1)?;
        write_end(out, request_id)
    }
}

/// Writes the line of an event.
pub(super) fn write(out: &mut impl Write, event: &Event<'_>, at: Time, request_id: &str) -> fmt::Result {
    write_head(out, *event.metadata().level(), at)?;
    let mut fields = Fields { out, written: Ok(()) };
    event.record(&mut fields);
    fields.written?;
    write_end(out, request_id)
}

fn write_head(out: &mut impl Write, level: Level, at: Time) -> fmt::Result {
    write_time(out, at)?;
    out.write_str(match level {
        Level::ERROR => " ERROR ",
        Level::WARN => "  WARN ",
        Level::INFO => "  INFO ",
        Level::DEBUG => " DEBUG ",
        Level::TRACE => " TRACE ",
    })?;
    out.write_str(TARGET)?;
    out.write_char(':')
}

fn write_end(out: &mut impl Write, request_id: &str) -> fmt::Result {
    out.write_str(" request_id=")?;
    out.write_str(request_id)?;
    out.write_char('\n')
}

/// As RFC 3339 with microseconds.
fn write_time(out: &mut impl Write, at: Time) -> fmt::Result {
    let (second, micros) = (at.0.div_euclid(SECOND_MICROS), at.0.rem_euclid(SECOND_MICROS));
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != second {
            *text = Time(second.saturating_mul(SECOND_MICROS)).to_string();
            text.truncate(UP_TO_SECONDS);
            *known = second;
        }
        out.write_str(text)
    })?;
    out.write_char('.')?;
    write_number(out, micros.unsigned_abs(), 6)?;
    out.write_char('Z')
}

/// Of a number of 64 bits.
const DIGITS_MAX: usize = 20;

/// In so many digits at least.
fn write_number(out: &mut impl Write, number: u64, digits_min: usize) -> fmt::Result {
    let (mut text, mut left, mut digits) = ([b'0'; DIGITS_MAX], number, 0);
    for place in text.iter_mut().rev() {
        if left == 0 && digits >= digits_min {
            break;
        }
        *place += u8::try_from(left % 10).unwrap_or_default();
        (left, digits) = (left / 10, digits + 1);
    }
    let text = text.get(DIGITS_MAX - digits..).and_then(|text| std::str::from_utf8(text).ok());
    out.write_str(text.unwrap_or_default())
}

struct Fields<'a, W> {
    out: &'a mut W,
    written: fmt::Result,
}

impl<W: Write> Fields<'_, W> {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.written = self.written.and_then(|()| match field.name() {
            "message" => write!(self.out, " {value}"),
            name => {
                self.out.write_char(' ')?;
                self.out.write_str(name)?;
                self.out.write_char('=')?;
                self.out.write_fmt(value)
            }
        });
    }
}

impl<W: Write> Visit for Fields<'_, W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
            self.put(field, format_args!("\"{value}\""));
        } else {
            self.put(field, format_args!("{value:?}"));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use tracing_subscriber::fmt::format::Writer;
    use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format};
    use tracing_subscriber::registry::LookupSpan;

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Said {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// Each line both ways: ours, and then the library's.
    struct Both;

    impl<S, N> FormatEvent<S, N> for Both
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
            write(&mut out, event, crate::clock::wall(), "r-1")?;
            format().with_ansi(false).format_event(context, out, event)
        }
    }

    #[test]
    fn a_command_s_line_is_what_the_library_would_write() {
        let said = Said::default();
        let log = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(said.clone()).event_format(Both);
        let (none, rule, position) = (None::<&str>, Some("no-seat-available"), 4711_u64);
        tracing::subscriber::with_default(log.finish(), || {
            tracing::info!(target: TARGET, command = "assign", outcome = "done", rule = none, position, "judged");
            tracing::debug!(target: TARGET, command = "put user", outcome = "refused \"é\n", rule, position, "judged");
            tracing::warn!(target: TARGET, command = "assign", error = %"the queue is full", "not judged");
            tracing::error!(target: TARGET, count = -1_i32, is_it = true, "{} {}", "two", 2);
            tracing::trace!(target: TARGET, done = 3_u64, "judged many");
        });
        let said = String::from_utf8(said.0.lock().clone()).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 10, "{said}");
        for both in lines.chunks(2) {
            let ours = both[0].strip_suffix(" request_id=r-1").unwrap();
            let (time, rest) = ours.split_at("2026-11-26T00:00:00.000000Z".len());
            assert_eq!(rest, both[1].split_at(time.len()).1);
            assert!(time.parse::<Time>().is_ok(), "{time}");
        }
    }

    /// The event, and the line without it.
    struct Beside(Judged<'static>);

    impl<S, N> FormatEvent<S, N> for Beside
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
            write(&mut out, event, Time(0), "r-1")?;
            self.0.write(&mut out, Time(0), "r-1")
        }
    }

    #[test]
    fn the_line_of_a_judged_command_is_that_of_its_event() {
        for rule in [None, Some("no-seat-available")] {
            let (said, judged) = (Said::default(), Judged { command: "assign", outcome: "done", rule, position: 4711 });
            let log = tracing_subscriber::fmt().with_writer(said.clone()).event_format(Beside(judged));
            tracing::subscriber::with_default(log.finish(), || judged.say("r-1"));
            let said = String::from_utf8(said.0.lock().clone()).unwrap();
            let lines: Vec<&str> = said.lines().collect();
            assert_eq!((lines.len(), lines[0]), (2, lines[1]));
        }
    }

    #[test]
    fn a_number_is_written_as_everywhere() {
        for number in [0, 7, 10, 99, 100, 4711, 999_999, 1_000_000, u64::MAX - 1, u64::MAX] {
            let mut text = String::new();
            write_number(&mut text, number, 1).unwrap();
            text.push(' ');
            write_number(&mut text, number, 6).unwrap();
            assert_eq!(text, format!("{number} {number:06}"));
        }
    }

    #[test]
    fn an_instant_is_written_as_everywhere() {
        for micros in
            [0, -1, 1_790_000_000_000_000, 1_790_000_000_999_999, 1_790_000_001_000_001, 253_402_207_200_000_000]
        {
            let mut text = String::new();
            write_time(&mut text, Time(micros)).unwrap();
            assert_eq!(text, Time(micros).to_string());
        }
    }
}
