//! Lines on their way to standard error: gathered for some milliseconds and written together, because a system call for
//! each request's line was a tenth of what a request cost. A warning is written at once, with everything before it. What
//! a killed process had gathered is lost; its events are not here but in the log of the ledger.

use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long lines wait for others.
const LINGER: Duration = Duration::from_millis(5);
/// So much is gathered at most; whoever brings more writes it out.
const BYTES_MAX: usize = 256 << 10;

static TO_STDERR: LazyLock<Arc<Gathered<io::Stderr>>> = LazyLock::new(|| {
    let gathered = Arc::new(Gathered::new(io::stderr()));
    let writing = Arc::clone(&gathered);
    // without the thread every line is written by who brings it
    let is_written = std::thread::Builder::new().name("log-lines".into()).spawn(move || writing.write_on()).is_ok();
    gathered.lines.lock().is_written = is_written;
    gathered
});

/// Writes what was gathered: before the process ends.
pub fn flush() {
    TO_STDERR.flush();
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
    /// A thread writes them now and then.
    is_written: bool,
}

impl<W: Write> Gathered<W> {
    fn new(out: W) -> Self {
        Self { lines: Mutex::default(), has_some: Condvar::new(), out: Mutex::new(Out { to: out, spare: Vec::new() }) }
    }

    fn put(&self, bytes: &[u8], is_urgent: bool) {
        let (is_first, is_due) = {
            let mut lines = self.lines.lock();
            let is_first = lines.bytes.is_empty();
            lines.bytes.extend_from_slice(bytes);
            (is_first, is_urgent || !lines.is_written || lines.bytes.len() > BYTES_MAX)
        };
        if is_first {
            self.has_some.notify_one();
        }
        if is_due {
            self.flush();
        }
    }

    fn flush(&self) {
        let mut out = self.out.lock();
        let Out { to, spare } = &mut *out;
        std::mem::swap(&mut self.lines.lock().bytes, spare);
        // whoever reads standard error may have gone
        let _gone = to.write_all(spare).and_then(|()| to.flush());
        spare.clear();
    }

    fn write_on(&self) {
        loop {
            {
                let mut lines = self.lines.lock();
                while lines.bytes.is_empty() {
                    self.has_some.wait(&mut lines);
                }
            }
            std::thread::sleep(LINGER);
            self.flush();
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

    fn gathered() -> (Gathered<Seen>, Seen) {
        let seen = Seen::default();
        let gathered = Gathered::new(seen.clone());
        gathered.lines.lock().is_written = true;
        (gathered, seen)
    }

    #[test]
    fn a_warning_is_written_at_once_and_everything_before_it() {
        let (gathered, seen) = gathered();
        gathered.put(b"a\n", false);
        assert!(seen.0.lock().is_empty());
        gathered.put(b"b\n", true);
        assert_eq!(*seen.0.lock(), b"a\nb\n");
        gathered.flush();
        assert_eq!(*seen.0.lock(), b"a\nb\n");
    }

    #[test]
    fn what_is_gathered_is_bounded() {
        let (gathered, seen) = gathered();
        let line = [b'x'; 1024];
        for _ in 0..=BYTES_MAX / line.len() {
            gathered.put(&line, false);
        }
        assert_eq!(seen.0.lock().len(), BYTES_MAX + line.len());
    }

    #[test]
    fn a_thread_writes_what_nobody_flushes() {
        let (gathered, seen) = gathered();
        let gathered = Arc::new(gathered);
        let writing = Arc::clone(&gathered);
        std::thread::spawn(move || writing.write_on());
        for line in ["a\n", "b\n"] {
            gathered.put(line.as_bytes(), false);
            while !seen.0.lock().ends_with(line.as_bytes()) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
