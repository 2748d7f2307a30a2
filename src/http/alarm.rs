//! The one timer of a connection, for whatever it waits for: a head, an answer. It stays armed from one request to the next, for
//! the earliest end that was asked for, and is set anew only when it rings too early: a request costs a look at it, and no
//! change to the runtime's timers. Not here: how long anything may take.

use crate::clock::monotonic;
use hyper::rt;
use parking_lot::Mutex;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

/// Clones are one. Polled by the connection's own task alone, which it wakes.
#[derive(Debug, Clone, Default)]
pub(super) struct Alarm(Arc<Mutex<Armed>>);

#[derive(Debug, Default)]
struct Armed {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Who is woken when it rings.
    wakes: Option<Waker>,
    /// The next head has no longer than this.
    head_end: Option<Instant>,
}

impl Alarm {
    /// Waits for an instant.
    pub(super) fn until(&self, end: Instant) -> Until {
        Until { alarm: self.clone(), end }
    }

    /// The head of a request that has begun: hyper gives it no more time than was left.
    pub(super) fn expect_head_by(&self, end: Instant) {
        self.0.lock().head_end = Some(end);
    }

    pub(super) fn poll(&self, context: &mut Context<'_>, end: Instant) -> Poll<()> {
        let end = tokio::time::Instant::from_std(end);
        let mut armed = self.0.lock();
        let Armed { sleep, wakes, .. } = &mut *armed;
        let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        let rings_for_us = wakes.as_ref().is_some_and(|wakes| wakes.will_wake(context.waker()));
        if rings_for_us && sleep.deadline() <= end && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            if sleep.deadline() > end {
                sleep.as_mut().reset(end);
            }
            // in any case: a task that has had its share of the runtime would be told to wait, and the timer not be armed
            if pin!(unconstrained(sleep.as_mut())).poll(context).is_pending() {
                if !rings_for_us {
                    *wakes = Some(context.waker().clone());
                }
                return Poll::Pending;
            }
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
        let head_end = self.0.lock().head_end.take();
        Box::pin(self.until(head_end.map_or(end, |head_end| head_end.min(end))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::future::poll_fn;

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

    /// Takes all that a task may take of the runtime before it gives others their turn.
    fn take_all(context: &mut Context<'_>) {
        let mut takes = (0..1000).map(|_| pin!(tokio::task::consume_budget()).poll(context));
        assert!(takes.any(|taken| taken.is_pending()));
    }

    #[tokio::test]
    async fn it_rings_also_for_a_task_that_had_its_share_when_it_was_armed() {
        let (alarm, begun) = (Alarm::default(), monotonic());
        let end = begun + Duration::from_millis(50);
        let mut is_first = true;
        let rings = poll_fn(|context| {
            if std::mem::take(&mut is_first) {
                take_all(context);
            }
            alarm.poll(context, end)
        });
        tokio::time::timeout(Duration::from_secs(30), rings).await.expect("it was armed");
        assert!(begun.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn a_head_that_has_begun_has_the_rest_of_its_time_and_the_next_one_all_of_it() {
        let (alarm, begun) = (Alarm::default(), monotonic());
        alarm.expect_head_by(begun + Duration::from_millis(50));
        rt::Timer::sleep(&alarm, Duration::from_secs(3600)).await;
        assert!(begun.elapsed() >= Duration::from_millis(50));
        let next = rt::Timer::sleep(&alarm, Duration::from_secs(3600));
        assert!(tokio::time::timeout(Duration::from_millis(20), next).await.is_err());
    }
}
