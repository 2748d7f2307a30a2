//! The one timer of a connection, for whatever it waits for: a head, an answer. It stays armed from one request to the next, for
//! the earliest end that was asked for, and is set anew only when it rings too early: a request costs a look at it, and no
//! change to the runtime's timers. Not here: how long anything may take.

use crate::clock::monotonic;
use hyper::rt;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Clones are one. Polled by the connection's own task alone, which it wakes.
#[derive(Debug, Clone, Default)]
pub(super) struct Alarm(Arc<Mutex<Option<Pin<Box<Sleep>>>>>);

impl Alarm {
    /// Waits for an instant.
    pub(super) fn until(&self, end: Instant) -> Until {
        Until { alarm: self.clone(), end }
    }

    fn poll(&self, context: &mut Context<'_>, end: Instant) -> Poll<()> {
        let end = tokio::time::Instant::from_std(end);
        let mut armed = self.0.lock();
        let sleep = armed.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        loop {
            if sleep.deadline() > end {
                sleep.as_mut().reset(end);
            }
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() == end {
                return Poll::Ready(());
            }
            // it was armed for something that is over
            sleep.as_mut().reset(end);
        }
    }
}

pub(super) struct Until {
    alarm: Alarm,
    end: Instant,
}

impl Future for Until {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll(context, self.end)
    }
}

impl rt::Sleep for Until {}

impl rt::Timer for Alarm {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(monotonic() + duration)
    }

    fn sleep_until(&self, end: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(self.until(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn it_rings_at_each_end_and_not_for_one_that_is_over() {
        let (alarm, begun) = (Alarm::default(), monotonic());
        let at = |ms| begun + Duration::from_millis(ms);
        let soon = |end| tokio::time::timeout(Duration::from_secs(30), alarm.until(end));
        assert_eq!(alarm.until(at(50)).now_or_never(), None, "armed, and forgotten");
        soon(at(150)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(150), "it was armed for an earlier one");
        assert_eq!(alarm.until(at(3_600_000)).now_or_never(), None);
        soon(at(200)).await.expect("it was armed for a later one");
        assert!(begun.elapsed() >= Duration::from_millis(200));
        assert_eq!(alarm.until(at(100)).now_or_never(), Some(()), "over already");
    }
}
