//! Connections of a simulator: taken up to a bound, and cut without an answer where a fault says so. Not here: what is
//! answered.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tower::ServiceExt as _;

const CONNECTIONS_MAX: usize = 1024;
/// For the head of a request, and for a connection that says nothing.
const HEAD_MAX: Duration = Duration::from_secs(60);

/// Marks an answer that is never sent.
#[derive(Debug, Clone, Copy)]
struct Cut;

/// An answer that cuts the connection in its place.
#[must_use]
pub fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Cut);
    response
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    task: AbortHandle,
}

impl Listening {
    /// # Errors
    /// When the address can't be listened at.
    pub async fn start(listen: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, router)).abort_handle();
        Ok(Self { address, task })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_headers(64);
    // dropped with this task, and with it every connection
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a simulator could not take a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _slower_without = stream.set_nodelay(true);
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| answer(router.clone(), request));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a simulator's connection ended");
            }
            drop(place);
        });
    }
}

async fn answer(router: Router, request: hyper::Request<Incoming>) -> io::Result<Response> {
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    match response.extensions().get::<Cut>() {
        Some(Cut) => Err(io::Error::other("cut by a fault")),
        None => Ok(response),
    }
}
