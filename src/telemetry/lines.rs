//! Lines on their way to standard error: gathered for some milliseconds and written together, because a system call for
//! each request's line was a tenth of what a request cost. A warning wakes who writes at once, and goes with everything
//! before it. Only one thread writes: whoever reads standard error may stop reading, and nobody who serves waits for that.
//! What a killed process had gathered is lost; its events are not here but in the log of the ledger.

use crate::clock::monotonic;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long lines wait for others.
const LINGER: Duration = Duration::from_millis(5);
/// With so much they do not wait any longer.
const LINGER_BYTES_MAX: usize = 128 << 10;
/// So much is gathered at most while nobody reads. Further lines are dropped, and counted.
const BYTES_MAX: usize = 1 << 20;
/// Warnings have some room more.
const URGENT_BYTES_MAX: usize = BYTES_MAX + (64 << 10);
/// So long an end waits for whoever reads.
const FLUSH_MAX: Duration = Duration::from_secs(1);

static TO_STDERR: LazyLock<Arc<Gathered<io::Stderr>>> = LazyLock::new(|| {
    let gathered = Arc::new(Gathered::new(io::stderr()));
    let writing = Arc::clone(&gathered);
    // without the thread every line is written by who brings it
    let is_written =
        std::thread::Builder::new().name("log-lines".into()).spawn(move || writing.write_on(say_dropped)).is_ok();
    gathered.lines.lock().is_written = is_written;
    gathered
});

fn say_dropped(lines: u64) {
    tracing::warn!(lines, "lines of this log were dropped: nobody read standard error");
}

/// Has what was gathered written before the process ends, as far as somebody reads it; says whether all of it was.
pub fn flush() -> bool {
    TO_STDERR.flush(FLUSH_MAX)
}

/// The last line of a process: it ends though nobody reads it.
pub fn say_last(line: &str) {
    TO_STDERR.put(format!("{line}\n").as_bytes(), true);
    flush();
}

/// A panic is said behind the lines before it, and nobody who does not read keeps it from going on.
pub(super) fn flush_at_panics() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if flush() {
            others(info);
        } else {
            TO_STDERR.put(format!("{info}\n").as_bytes(), true);
        }
    }));
}

/// Takes a line that can wait.
pub(super) fn put(line: &[u8]) {
    TO_STDERR.put(line, false);
}

/// The way of a line to standard error.
pub(super) struct ToStderr;

impl<'a> MakeWriter<'a> for ToStderr {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { is_urgent: false }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        Line { is_urgent: *meta.level() <= Level::WARN }
    }
}

pub(super) struct Line {
    is_urgent: bool,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TO_STDERR.put(bytes, self.is_urgent);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Gathered<W> {
    lines: Mutex<Lines>,
    has_some: Condvar,
    was_written: Condvar,
    /// Taken before `lines`, and held while they are written, so that they stay in order.
    out: Mutex<Out<W>>,
}

struct Out<W> {
    to: W,
    /// What was written last, emptied: lines are put where there is room, while others wait to put theirs.
    spare: Vec<u8>,
}

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Since the last ones were taken to be written.
    dropped: u64,
    /// They wait for no others.
    is_urgent: bool,
    /// Bytes that were ever put, and that were written or had nobody to read them.
    bytes_put: u64,
    bytes_written: u64,
    /// A thread writes them now and then.
    is_written: bool,
}

impl Lines {
    fn is_due(&self) -> bool {
        self.is_urgent || self.bytes.len() > LINGER_BYTES_MAX
    }
}

impl<W: Write> Gathered<W> {
    fn new(out: W) -> Self {
        Self {
            lines: Mutex::default(),
            has_some: Condvar::new(),
            was_written: Condvar::new(),
            out: Mutex::new(Out { to: out, spare: Vec::new() }),
        }
    }

    fn put(&self, bytes: &[u8], is_urgent: bool) {
        let mut lines = self.lines.lock();
        if lines.bytes.len() + bytes.len() > if is_urgent { URGENT_BYTES_MAX } else { BYTES_MAX } {
            lines.dropped += 1;
            drop(lines);
            metrics::counter!("seatledger_log_lines_dropped_total").increment(1);
            return;
        }
        let (is_first, was_due) = (lines.bytes.is_empty(), lines.is_due());
        lines.bytes.extend_from_slice(bytes);
        lines.bytes_put += bytes.len() as u64;
        lines.is_urgent |= is_urgent;
        let (is_due, is_written) = (lines.is_due(), lines.is_written);
        drop(lines);
        if !is_written {
            self.write();
        } else if is_first || is_due && !was_due {
            self.has_some.notify_one();
        }
    }

    /// Waits until what was put is written, and not longer than `wait_max`.
    fn flush(&self, wait_max: Duration) -> bool {
        let until = monotonic() + wait_max;
        // whoever panics may have it
        let Some(mut lines) = self.lines.try_lock_until(until) else { return false };
        let due = lines.bytes_put;
        if lines.bytes_written < due {
            lines.is_urgent = true;
            self.has_some.notify_one();
        }
        while lines.bytes_written < due {
            if self.was_written.wait_until(&mut lines, until).timed_out() {
                return lines.bytes_written >= due;
            }
        }
        true
    }

    /// Writes what was gathered, and says how many lines had no room since the last time.
    fn write(&self) -> u64 {
        let mut out = self.out.lock();
        let Out { to, spare } = &mut *out;
        let dropped = {
            let mut lines = self.lines.lock();
            std::mem::swap(&mut lines.bytes, spare);
            lines.is_urgent = false;
            std::mem::take(&mut lines.dropped)
        };
        // whoever reads standard error may have gone
        let _gone = to.write_all(spare).and_then(|()| to.flush());
        self.lines.lock().bytes_written += spare.len() as u64;
        self.was_written.notify_all();
        spare.clear();
        dropped
    }

    fn write_on(&self, say_dropped: impl Fn(u64)) {
        loop {
            self.wait_for_others(self.lines.lock());
            let dropped = self.write();
            if dropped > 0 {
                say_dropped(dropped);
            }
        }
    }

    /// Until there are lines, and then until they are due.
    fn wait_for_others(&self, mut lines: MutexGuard<'_, Lines>) {
        while lines.bytes.is_empty() {
            self.has_some.wait(&mut lines);
        }
        let until = monotonic() + LINGER;
        while !lines.is_due() {
            if self.has_some.wait_until(&mut lines, until).timed_out() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<u8>>>);

    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Nobody reads it until the gate is opened.
    #[derive(Clone, Default)]
    struct Gate {
        seen: Seen,
        is_open: Arc<(Mutex<bool>, Condvar)>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (is_open, opened) = &*self.is_open;
            let mut is_open = is_open.lock();
            while !*is_open {
                opened.wait(&mut is_open);
            }
            self.seen.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// With a thread that writes, and that notes in the lines how many were dropped.
    fn written<W: Write + Send + 'static>(to: W) -> Arc<Gathered<W>> {
        let gathered = Arc::new(Gathered::new(to));
        gathered.lines.lock().is_written = true;
        let writing = Arc::clone(&gathered);
        std::thread::spawn(move || {
            writing.write_on(|lines| writing.put(format!("dropped {lines}\n").as_bytes(), true));
        });
        gathered
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn what_nobody_flushes_is_written_all_the_same_and_in_order() {
        let seen = Seen::default();
        let gathered = written(seen.clone());
        for (line, is_urgent) in [("a\n", false), ("b\n", true), ("c\n", false)] {
            gathered.put(line.as_bytes(), is_urgent);
            while !seen.0.lock().ends_with(line.as_bytes()) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert_eq!(*seen.0.lock(), b"a\nb\nc\n");
    }

    #[test]
    fn a_flush_waits_for_every_line_before_it() {
        let seen = Seen::default();
        let gathered = written(seen.clone());
        for _ in 0..1000 {
            gathered.put(b"line\n", false);
        }
        assert!(gathered.flush(SOON));
        assert_eq!(seen.0.lock().len(), 5000);
        assert!(gathered.flush(Duration::ZERO), "nothing is left to wait for");
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_was_dropped_is_counted() {
        let gate = Gate::default();
        let gathered = written(gate.clone());
        let line = [b'x'; 1024];
        let lines = 4 * BYTES_MAX / line.len();
        for n in 0..lines {
            gathered.put(&line, n % 100 == 0);
        }
        let kept = gathered.lines.lock().bytes.len();
        assert!(kept <= URGENT_BYTES_MAX, "{kept} bytes wait");
        assert!(!gathered.flush(Duration::from_millis(20)), "nobody reads");
        *gate.is_open.0.lock() = true;
        gate.is_open.1.notify_all();
        assert!(gathered.flush(SOON));
        // where the thread was late to take the first ones, it tells of what was dropped more than once
        let accounted_for = || {
            let seen = String::from_utf8(gate.seen.0.lock().clone()).unwrap();
            let said = seen.split("dropped ").skip(1).filter_map(|said| said.split_once('\n')?.0.parse::<usize>().ok());
            seen.matches('x').count() / line.len() + said.sum::<usize>()
        };
        let mut soon = 0..20_000;
        while accounted_for() != lines && soon.next().is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(accounted_for(), lines);
    }

    #[test]
    fn without_the_thread_every_line_is_written_by_who_brings_it() {
        let seen = Seen::default();
        let gathered = Gathered::new(seen.clone());
        gathered.put(b"a\n", false);
        assert_eq!(*seen.0.lock(), b"a\n");
        assert!(gathered.flush(Duration::ZERO));
    }
}
