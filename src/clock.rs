//! The only reader of time. Everything else is handed a [`Time`].
//!
//! A jump of the wall clock by more than an hour against the monotonic clock stops timers until a person confirms it; at
//! a start only a clock that went backwards is seen. A manual clock, for demos and tests, never jumps.

use crate::domain::time::{HOUR_MICROS, Time};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Cheap to clone; all clones are one clock.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    source: Source,
    opened: Instant,
    jump: Mutex<JumpState>,
}

enum Source {
    System,
    Manual(Mutex<Time>),
}

struct JumpState {
    wall_at_reference: Time,
    reference: Instant,
    jumped: Option<Jump>,
}

/// The wall clock is not where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    pub expected: Time,
    pub found: Time,
}

impl Jump {
    /// Raises the alarm: a jump is found once, and stays until it is confirmed.
    fn found(expected: Time, found: Time) -> Self {
        tracing::warn!(%expected, %found, "the clock jumped: timers are stopped until POST /v1/clock/confirm");
        Self { expected, found }
    }
}

impl Clock {
    #[must_use]
    pub fn system() -> Self {
        Self::of(Source::System, wall())
    }

    /// Stands still at `start` until it is advanced.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self::of(Source::Manual(Mutex::new(start)), start)
    }

    fn of(source: Source, now: Time) -> Self {
        let jump = JumpState { wall_at_reference: now, reference: monotonic(), jumped: None };
        Self(Arc::new(Inner { source, opened: monotonic(), jump: Mutex::new(jump) }))
    }

    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0.source {
            Source::System => wall(),
            Source::Manual(now) => *now.lock(),
        }
    }

    /// How far it has run: nobody can set this back. A manual clock runs when it is advanced.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &self.0.source {
            Source::System => self.0.opened.elapsed(),
            Source::Manual(now) => Duration::from_micros(u64::try_from(now.lock().0).unwrap_or_default()),
        }
    }

    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(self.0.source, Source::Manual(_))
    }

    /// Moves a manual clock forward; `None` for a system clock.
    pub fn advance(&self, by: Duration) -> Option<Time> {
        match &self.0.source {
            Source::System => None,
            Source::Manual(now) => {
                let mut now = now.lock();
                let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
                *now = Time(now.0.saturating_add(micros));
                Some(*now)
            }
        }
    }

    /// Tells the clock what the newest record of the log says: at a start a clock behind it by more than an hour jumped,
    /// and a manual clock goes on from there.
    pub fn start_after(&self, last_recorded_at: Time) {
        match &self.0.source {
            Source::System => {
                let found = wall();
                if last_recorded_at.0 - found.0 > HOUR_MICROS {
                    self.0.jump.lock().jumped = Some(Jump::found(last_recorded_at, found));
                }
            }
            Source::Manual(now) => {
                let mut now = now.lock();
                *now = (*now).max(last_recorded_at);
            }
        }
    }

    /// Compares wall and monotonic clock; called about once a second. Timers run only while this answers `None`.
    pub fn check_for_jump(&self) -> Option<Jump> {
        let mut state = self.0.jump.lock();
        if matches!(self.0.source, Source::Manual(_)) || state.jumped.is_some() {
            return state.jumped;
        }
        let (found, now) = (wall(), monotonic());
        let elapsed = i64::try_from(now.duration_since(state.reference).as_micros()).unwrap_or(i64::MAX);
        let expected = Time(state.wall_at_reference.0.saturating_add(elapsed));
        if (found.0 - expected.0).abs() > HOUR_MICROS {
            state.jumped = Some(Jump::found(expected, found));
        } else {
            // A slow drift between the two clocks is no jump: the reference moves along.
            state.wall_at_reference = found;
            state.reference = now;
        }
        state.jumped
    }

    #[must_use]
    pub fn jumped(&self) -> Option<Jump> {
        self.0.jump.lock().jumped
    }

    /// A person says that the wall clock is right; `false` if nothing was to be confirmed.
    pub fn confirm(&self) -> bool {
        let mut state = self.0.jump.lock();
        state.wall_at_reference = self.now();
        state.reference = monotonic();
        state.jumped.take().is_some()
    }
}

/// A point to measure elapsed time from, for durations in logs and metrics and for deadlines.
#[expect(clippy::disallowed_methods, reason = "this file is the reader of time")]
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The wall clock, for lines of the log; what is recorded gets its time from a [`Clock`].
#[expect(clippy::disallowed_methods, reason = "this file is the reader of time")]
#[must_use]
pub fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_told_to() {
        let clock = Clock::manual(Time(5));
        assert_eq!((clock.now(), clock.now()), (Time(5), Time(5)));
        let begun = clock.elapsed();
        assert_eq!(clock.advance(Duration::from_secs(2)), Some(Time(2_000_005)));
        assert_eq!(clock.elapsed() - begun, Duration::from_secs(2));
        clock.start_after(Time(9_000_000));
        assert_eq!(clock.now(), Time(9_000_000));
        assert_eq!(clock.check_for_jump(), None);
    }

    #[test]
    fn a_clock_behind_the_log_by_more_than_an_hour_has_jumped_until_it_is_confirmed() {
        let clock = Clock::system();
        clock.start_after(Time(wall().0 + HOUR_MICROS / 2));
        assert_eq!(clock.jumped(), None);
        clock.start_after(Time(wall().0 + 2 * HOUR_MICROS));
        assert!(clock.check_for_jump().is_some());
        assert!(clock.confirm());
        assert_eq!(clock.check_for_jump(), None);
    }

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_jump_is_said_once_when_it_is_found() {
        let seen = Seen::default();
        let to = seen.clone();
        let log = tracing_subscriber::fmt().with_writer(move || to.clone()).finish();
        tracing::subscriber::with_default(log, || {
            let clock = Clock::system();
            assert_eq!(clock.check_for_jump(), None);
            clock.start_after(Time(wall().0 + 2 * HOUR_MICROS));
            assert_eq!(clock.check_for_jump(), clock.check_for_jump());
            assert!(clock.confirm());
        });
        let said = String::from_utf8(seen.0.lock().clone()).unwrap();
        assert_eq!(said.matches("the clock jumped").count(), 1, "{said}");
        assert!(said.contains("WARN") && said.contains("/v1/clock/confirm"), "{said}");
    }
}
