//! How connections hear that the service stops, and how it hears that all of them are through. Not here: what they do then.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::sync::watch;
use tokio::task::coop::unconstrained;

/// Whoever tells them.
pub(super) struct Stopper(watch::Sender<()>);

/// What one connection hears. As long as there is one, somebody is not through.
pub struct Stop {
    heard: watch::Receiver<()>,
    told: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Who is woken by `told` already.
    wakes: Option<Waker>,
}

impl Stopper {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    pub(super) fn listener(&self) -> Stop {
        let heard = self.0.subscribe();
        let mut waiting = heard.clone();
        // in any case: a task that has had its share of the runtime would be told to wait, and never be woken by this
        let told = Box::pin(unconstrained(async move { waiting.changed().await.unwrap_or_default() }));
        Stop { heard, told, wakes: None }
    }

    /// Tells all; ends when all are through.
    pub(super) async fn stop(self) {
        self.0.send_replace(());
        self.0.closed().await;
    }
}

impl Stop {
    pub(super) fn is_now(&self) -> bool {
        self.heard.has_changed().unwrap_or(true)
    }

    /// Ready from then on. Who asks again and again under one waker costs no look at the runtime.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_now() {
            return Poll::Ready(());
        }
        if self.wakes.as_ref().is_some_and(|wakes| wakes.will_wake(context.waker())) {
            return Poll::Pending;
        }
        let told = self.told.as_mut().poll(context);
        self.wakes = Some(context.waker().clone());
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test]
    async fn all_hear_it_however_they_wait_and_it_waits_for_all() {
        let stopper = Stopper::new();
        let mut waits = stopper.listener();
        let looks = stopper.listener();
        assert!(!looks.is_now());
        let waiting = tokio::spawn(async move {
            // as one that is woken for other things meanwhile
            tokio::select! {
                biased;
                () = poll_fn(|context| waits.poll(context)) => panic!("nobody has told it"),
                () = tokio::task::yield_now() => {}
            }
            poll_fn(|context| waits.poll(context)).await;
            poll_fn(|context| waits.poll(context)).await;
        });
        tokio::task::yield_now().await;
        let mut all = tokio::spawn(stopper.stop());
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
        assert!(looks.is_now());
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut all).await.is_err(), "one is not through");
        drop(looks);
        tokio::time::timeout(Duration::from_secs(30), all).await.unwrap().unwrap();
    }
}
