//! Connections: taken up to a bound, each with a time for its head, and let go in order at the end. Not here: answers.

use super::alarm::Alarm;
use super::lanes::Lanes;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub struct ListenerLimits {
    pub connections_max: usize,
    /// For the head of a request, and for a connection that says nothing.
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
    /// Where what may take longer is done: others are on this one's thread.
    pub(super) home: Handle,
}

/// There is always one.
pub type Answer = Result<Response, Infallible>;

/// Who answers the requests of all connections. Clones are one.
pub trait Answers: Clone + Send + Sync + 'static {
    fn answer(self, request: Request<Incoming>, on: Connection) -> impl Future<Output = Answer> + Send + 'static;
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
    let graceful = GracefulShutdown::new();
    // HTTP/1.1 alone: finding out which version a client speaks has no time limit there, nor has a silent HTTP/2 connection,
    // so that a client that says nothing would keep its place for ever.
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(limits.head_max);
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
        let connection = Connection { peer, number: taken, alarm: Alarm::default(), home: home.clone() };
        builder.timer(connection.alarm.clone());
        let (answers, builder, watcher) = (answers.clone(), builder.clone(), graceful.watcher());
        // it leaves the runtime that took it
        let stream = stream.into_std();
        lanes.spawn(async move {
            let stream = match stream.and_then(TcpStream::from_std) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "a connection could not be taken over"),
            };
            let service = service_fn(move |request| answers.clone().answer(request, connection.clone()));
            let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service));
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended badly");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain_max, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way at the end of the time to stop");
    }
}
