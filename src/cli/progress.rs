//! How far something is: a bar where a person looks on, a line every few seconds where a file does. Always on standard
//! error, never part of a result.

use super::output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use std::io::IsTerminal;
use std::time::Duration;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// The progress of one piece of work with a known size.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    label: String,
    said_at: std::cell::Cell<Duration>,
}

impl Progress {
    pub(crate) fn new(label: &str, total: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {human_pos}/{human_len} {per_sec} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(label.to_owned());
        Self { bar, is_terminal, label: label.to_owned(), said_at: std::cell::Cell::new(Duration::ZERO) }
    }

    pub(crate) fn advance(&self, by: u64) {
        self.set(self.bar.position() + by);
    }

    pub(crate) fn set(&self, position: u64) {
        self.bar.set_position(position);
        self.maybe_say();
    }

    /// So far, of a size that may have become known just now.
    pub(crate) fn reach(&self, position: u64, total: u64) {
        self.set_total(total);
        self.set(position);
    }

    pub(crate) fn message(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        self.maybe_say();
    }

    /// A line of its own that stays: above the bar on a terminal.
    pub(crate) fn say(&self, text: &str) {
        if self.is_terminal {
            self.bar.suspend(|| output::note(text));
        } else {
            output::note(text);
            self.said_at.set(self.bar.elapsed());
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Since this progress began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// The size became known later, or grew.
    fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    fn maybe_say(&self) {
        if self.is_terminal || self.bar.elapsed().saturating_sub(self.said_at.get()) < LINE_EVERY {
            return;
        }
        self.said_at.set(self.bar.elapsed());
        let (at, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        output::note(&format!(
            "{}: {} of {} {}",
            self.label,
            output::grouped(at),
            output::grouped(total),
            self.bar.message()
        ));
    }
}

/// What the log says of its long walks, shown: one bar after the other. Nothing is shown of work that is soon done.
#[derive(Default)]
pub(crate) struct Steps(Mutex<Option<(String, Progress)>>);

impl crate::ledger::Progress for Steps {
    fn step(&self, what: &str, done: u64, total: u64) {
        let mut shown = self.0.lock();
        if shown.as_ref().is_none_or(|(label, _)| label != what)
            && let Some((_, before)) = shown.replace((what.to_owned(), Progress::new(what, total)))
        {
            before.finish();
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_total(total);
            bar.set(done);
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some((_, bar)) = self.0.get_mut() {
            bar.finish();
        }
    }
}
