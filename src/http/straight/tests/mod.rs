//! The straight way on real sockets: a service with it and one without it are sent the same bytes. Here: both of them, and how a
//! client without manners reads what they say.

mod alike;
mod ends;

use crate::http::fixture::{Asked, service_within};
use crate::http::{Answer, Answers, Connection, Front, ListenerLimits};
use axum::http::Request;
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const BODY_BYTES_MAX: usize = 2000;
/// Nothing that is answered takes so long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// Through hyper alone.
#[derive(Clone)]
struct Long(Front);

impl Answers for Long {
    fn answer(self, request: Request<Incoming>, on: Connection) -> impl Future<Output = Answer> + Send + 'static {
        self.0.answer(request, on)
    }
}

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    through: JoinHandle<()>,
    _dir: TempDir,
}

#[derive(Clone, Copy)]
struct Bounds {
    connections_max: usize,
    head_max: Duration,
    request_max: Duration,
}

const USUAL: Bounds = Bounds { connections_max: 100, head_max: PATIENCE, request_max: PATIENCE };

impl Served {
    async fn straight(bounds: Bounds) -> Self {
        Self::start(bounds, |front| front).await
    }

    async fn long(bounds: Bounds) -> Self {
        Self::start(bounds, Long).await
    }

    async fn start<A: Answers>(bounds: Bounds, answers: impl FnOnce(Front) -> A) -> Self {
        let Bounds { connections_max, head_max, request_max } = bounds;
        let dir = tempfile::tempdir().unwrap();
        let service = service_within(dir.path(), BODY_BYTES_MAX, head_max, request_max);
        let answers = answers(crate::http::front(service));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let limits = ListenerLimits { connections_max, head_max, drain_max: PATIENCE };
        let through = tokio::spawn(crate::http::serve(listener, answers, limits, async {
            stopped.await.ok();
        }));
        Self { address, stop, through, _dir: dir }
    }

    async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Everything that is said on a connection of its own until it is closed.
    async fn told(&self, sent: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        until_closed(stream).await
    }
}

async fn until_closed(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // reset is closed, too
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("it is closed").ok();
    String::from_utf8(said).unwrap()
}

/// A request as a client writes it.
fn written(asked: &Asked, id: &str) -> String {
    let Asked { method, path, headers, body } = asked;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: here\r\nX-Request-Id: {id}\r\n");
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    let says_length = headers.iter().any(|(name, _)| *name == "content-length");
    if *method != "GET" && *method != "HEAD" && !says_length {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

const POOL: &str = "GET /v1/tenants/acme/pools/pool_0 HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer root\r\n";

fn pool(id: &str) -> String {
    format!("{POOL}X-Request-Id: {id}\r\n\r\n")
}

/// One answer as it is compared: status, headers in order without the date, body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heard {
    status: u16,
    headers: Vec<String>,
    body: String,
}

impl Heard {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn id(&self) -> &str {
        self.header("x-request-id").unwrap_or("")
    }
}

/// The next answer in these bytes, and how many it takes.
fn next(said: &[u8]) -> Option<(Heard, usize)> {
    let end = said.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&said[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap();
    let status: u16 = line.strip_prefix("HTTP/1.").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers: Vec<_> = lines.map(str::to_owned).collect();
    let dates = headers.iter().filter(|line| line.starts_with("date: ")).count();
    assert_eq!(dates, usize::from(status != 100), "{head}");
    headers.retain(|line| !line.starts_with("date: "));
    headers.sort();
    let mut heard = Heard { status, headers, body: line.to_owned() };
    let is_of_head = heard.id().starts_with("head");
    let length = heard.header("content-length").filter(|_| !is_of_head).map_or(0, |length| length.parse().unwrap());
    let bytes = end + 4 + length;
    let body = String::from_utf8(said.get(end + 4..bytes)?.to_vec()).unwrap();
    // the words of the status line belong to what is compared
    heard.body = format!("{line}\n{body}");
    // who sends no id gets one of the service's own
    let id = heard.id().to_owned();
    if id.contains('-') && id.len() > 13 && !id.starts_with("head") {
        heard.headers.iter_mut().for_each(|line| *line = line.replace(&id, "made"));
        heard.body = heard.body.replace(&id, "made");
    }
    Some((heard, bytes))
}

/// Reads answers, one after the other.
struct Reader {
    stream: OwnedReadHalf,
    said: Vec<u8>,
}

impl Reader {
    fn of(stream: OwnedReadHalf) -> Self {
        Self { stream, said: Vec::new() }
    }

    /// `None` once the connection is closed.
    async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some((heard, bytes)) = next(&self.said) {
                self.said.drain(..bytes);
                return Some(heard);
            }
            match self.stream.read_buf(&mut self.said).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => {
                    assert!(self.said.is_empty(), "half an answer: {}", String::from_utf8_lossy(&self.said));
                    return None;
                }
            }
        }
    }
}
