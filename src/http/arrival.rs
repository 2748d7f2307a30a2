//! How a request's body arrives, seen from outside of what reads it: who runs out of time either waited for the client, or the
//! client waits for us, and is told which. Not here: how much may come (`inputs.rs`), how long it may take (`frame.rs`).

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrival(Arc<AtomicBool>);

impl Arrival {
    /// Whether somebody waits for more of the body.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same body, with an eye on it.
    pub(super) fn of<B>(&self, body: B) -> Arriving<B> {
        Arriving { body, arrival: self.clone() }
    }
}

pub(super) struct Arriving<B> {
    body: B,
    arrival: Arrival,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Arriving<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.arrival.0.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
