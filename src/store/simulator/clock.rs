//! The time that a simulator believes it is: that of a clock, and what it was advanced by. Not here: waiting.

use crate::clock::Clock;
use crate::domain::time::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Cheap to clone; all clones are one clock.
#[derive(Clone)]
pub struct SimulatorClock {
    base: Clock,
    advanced_micros: Arc<AtomicI64>,
}

impl SimulatorClock {
    /// Runs with the system's time, or stands still with a manual clock, until it is advanced.
    #[must_use]
    pub fn new(base: Clock) -> Self {
        Self { base, advanced_micros: Arc::default() }
    }

    #[must_use]
    pub fn now(&self) -> Time {
        Time(self.base.now().0.saturating_add(self.advanced_micros.load(Ordering::SeqCst)))
    }

    /// The clock that it goes by is left alone.
    pub fn advance(&self, by: Duration) -> Time {
        self.advanced_micros.fetch_add(micros(by), Ordering::SeqCst);
        self.now()
    }

    /// So much later than now.
    #[must_use]
    pub fn after(&self, wait: Duration) -> Time {
        later(self.now(), wait)
    }
}

/// So much later.
#[must_use]
pub fn later(than: Time, wait: Duration) -> Time {
    Time(than.0.saturating_add(micros(wait)))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clone_is_advanced_and_the_clock_behind_it_is_not() {
        let base = Clock::manual(Time(5));
        let clock = SimulatorClock::new(base.clone());
        let same = clock.clone();
        assert_eq!(clock.advance(Duration::from_secs(1)), Time(1_000_005));
        base.advance(Duration::from_secs(2));
        assert_eq!((same.now(), base.now()), (Time(3_000_005), Time(2_000_005)));
        assert_eq!(same.after(Duration::from_secs(1)), Time(4_000_005));
    }
}
