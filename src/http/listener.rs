//! Connections: taken up to a bound, each with a time for its head, and let go in order at the end. What the straight way leaves
//! of one is hyper's. Not here: answers.

use super::alarm::Alarm;
use super::arrival::Arrival;
use super::lanes::Lanes;
use super::stop::{Stop, Stopper};
use super::straight::Opened;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub struct ListenerLimits {
    pub connections_max: usize,
    /// For the head of a request, for a connection that says nothing, and for one that takes nothing.
    pub head_max: Duration,
    /// For what is under way when the service stops.
    pub drain_max: Duration,
}

/// A connection, to whoever answers what comes on it.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(super) peer: SocketAddr,
    /// No other one has it.
    pub(super) number: u64,
    pub(super) alarm: Alarm,
    pub(super) arrival: Arrival,
    /// Where what may take longer is done: others are on this one's thread.
    pub(super) home: Handle,
    pub(super) head_max: Duration,
}

/// There is always one.
pub type Answer = Result<Response, Infallible>;

/// Who answers the requests of all connections. Clones are one.
pub trait Answers: Clone + Send + Sync + 'static {
    fn answer(self, request: Request<Incoming>, on: Connection) -> impl Future<Output = Answer> + Send + 'static;

    /// Answers on a new connection what needs no hyper. Gives it on with the first request that does; nothing where it is through.
    fn straight(
        &self,
        opened: Opened,
        _on: &Connection,
        _stop: &mut Stop,
    ) -> impl Future<Output = Option<Opened>> + Send {
        ready(Some(opened))
    }
}

impl Answers for Router {
    fn answer(self, request: Request<Incoming>, on: Connection) -> impl Future<Output = Answer> + Send + 'static {
        routed(&self, request.map(Body::new), on.peer)
    }
}

/// The router's answer; whoever asks it where a request comes from hears it.
pub(super) fn routed(
    router: &Router,
    mut request: Request<Body>,
    peer: SocketAddr,
) -> impl Future<Output = Answer> + Send + use<> {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.clone().oneshot(request)
}

/// Serves until `stop` ends, then lets what is under way finish.
pub async fn serve(
    listener: TcpListener,
    answers: impl Answers,
    limits: ListenerLimits,
    stop: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let stopper = Stopper::new();
    // HTTP/1.1 alone: finding out which version a client speaks has no time limit there, nor has a silent HTTP/2 connection,
    // so that a client that says nothing would keep its place for ever.
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(limits.head_max);
    // who says that no more comes may wait for what became of the call: it is judged in any case
    builder.half_close(true);
    let (lanes, home) = (Lanes::start(), Handle::current());
    tokio::pin!(stop);
    let mut taken = 0;
    loop {
        // a connection is taken only when there is a place for it; until then it waits in the system's own queue
        let place = tokio::select! {
            place = Arc::clone(&connections).acquire_owned() => place,
            () = &mut stop => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // out of file descriptors, most likely: nothing is gained by asking again at once
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _slower_without = stream.set_nodelay(true);
        taken += 1;
        let connection = Connection {
            peer,
            number: taken,
            alarm: Alarm::default(),
            arrival: Arrival::default(),
            home: home.clone(),
            head_max: limits.head_max,
        };
        builder.timer(connection.alarm.clone());
        let (answers, builder, mut stop) = (answers.clone(), builder.clone(), stopper.listener());
        // it leaves the runtime that took it
        let stream = stream.into_std();
        lanes.spawn(async move {
            let stream = match stream.and_then(TcpStream::from_std) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "a connection could not be taken over"),
            };
            if let Some(opened) = answers.straight(Opened::new(stream), &connection, &mut stop).await {
                through_hyper(opened, builder, answers, connection, &mut stop).await;
            }
            drop((stop, place));
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain_max, stopper.stop()).await.is_err() {
        tracing::warn!("requests were still under way at the end of the time to stop");
    }
}

async fn through_hyper(
    opened: Opened,
    mut builder: http1::Builder,
    answers: impl Answers,
    connection: Connection,
    stop: &mut Stop,
) {
    // what it has already is its last
    builder.keep_alive(!stop.is_now());
    let handed = opened.for_hyper(&connection);
    let service = service_fn(move |request| answers.clone().answer(request, connection.clone()));
    let mut served = pin!(builder.serve_connection(handed, service));
    let mut is_told = false;
    let ended = poll_fn(|context| {
        // before anything is read there would be nothing under way
        if let Poll::Ready(ended) = served.as_mut().poll(context) {
            return Poll::Ready(ended);
        }
        if is_told || stop.poll(context).is_pending() {
            return Poll::Pending;
        }
        is_told = true;
        served.as_mut().graceful_shutdown();
        served.as_mut().poll(context)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection ended badly");
    }
}
