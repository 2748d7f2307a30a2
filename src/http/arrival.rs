//! How the bodies of a connection arrive, seen from outside of what reads them: who runs out of time either waited for the
//! client, or the client waits for us, and is told which; who was answered before the end of a body may still be sending it.
//! Not here: how much may come (`inputs.rs`), how long it may take (`frame.rs`).

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Of a connection's last request. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrival(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    is_awaited: AtomicBool,
    has_rest: AtomicBool,
}

impl Arrival {
    /// Whether somebody waits for more of the body.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.is_awaited.load(Ordering::Relaxed)
    }

    /// Whether there is more of the body than was read.
    pub(super) fn has_rest(&self) -> bool {
        self.0.has_rest.load(Ordering::Relaxed)
    }

    /// The same body, with an eye on it.
    pub(super) fn of<B: HttpBody>(&self, body: B) -> Arriving<B> {
        self.0.is_awaited.store(false, Ordering::Relaxed);
        self.0.has_rest.store(!body.is_end_stream(), Ordering::Relaxed);
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
        let is_through = matches!(polled, Poll::Ready(None)) || self.body.is_end_stream();
        self.arrival.0.is_awaited.store(polled.is_pending(), Ordering::Relaxed);
        self.arrival.0.has_rest.store(!is_through, Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
