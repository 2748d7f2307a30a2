//! A load generator that is not the bottleneck: plain HTTP/1.1 over one socket per connection, requests written ahead of
//! time, answers read as far as their length says. Not here: what is sent.

use super::super::exit::Failure;
use crate::clock::monotonic;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub(super) answers: u64,
    pub(super) not_2xx: u64,
    pub(super) elapsed: Duration,
    pub(super) micros: Vec<u32>,
}

impl Run {
    pub(super) fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub(super) fn percentile_ms(&mut self, share: f64) -> f64 {
        self.micros.sort_unstable();
        let at = ((self.micros.len() as f64 - 1.0) * share).max(0.0).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list, from 0 on")]
        let at = at as usize;
        self.micros.get(at).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

/// Where, and what stands in every head.
#[derive(Debug, Clone)]
pub(super) struct To {
    pub(super) address: SocketAddr,
    pub(super) path: String,
    pub(super) token: String,
    pub(super) content_type: &'static str,
}

impl To {
    fn request(&self, body: &str) -> String {
        let Self { address, path, token, content_type } = self;
        format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Sends on so many connections, one request in flight on each, for so long. `body` is asked with the connection and the
/// number of the request on it; `None` ends the connection's work.
pub(super) async fn run<B>(to: &To, connections: usize, lasts: Duration, body: B) -> Result<Run, Failure>
where
    B: Fn(usize, u64) -> Option<String> + Clone + Send + 'static,
{
    let begun = monotonic();
    let mut tasks = Vec::new();
    for connection in 0..connections {
        let (to, body) = (to.clone(), body.clone());
        tasks.push(tokio::spawn(async move { one(&to, connection, begun + lasts, body).await }));
    }
    let mut sum = Run::default();
    for task in tasks {
        let run = task.await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let run = run.map_err(|error| Failure::Unreachable(format!("{} broke off: {error}", to.address)))?;
        sum.answers += run.answers;
        sum.not_2xx += run.not_2xx;
        sum.micros.extend(run.micros);
    }
    sum.elapsed = begun.elapsed();
    Ok(sum)
}

async fn one<B>(to: &To, connection: usize, end: std::time::Instant, body: B) -> std::io::Result<Run>
where
    B: Fn(usize, u64) -> Option<String>,
{
    let mut stream = TcpStream::connect(to.address).await?;
    stream.set_nodelay(true)?;
    let mut run = Run::default();
    let mut buffer = Vec::with_capacity(64 << 10);
    for number in 0.. {
        let begun = monotonic();
        if begun >= end {
            break;
        }
        let Some(body) = body(connection, number) else { break };
        stream.write_all(to.request(&body).as_bytes()).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        run.answers += 1;
        run.not_2xx += u64::from(!(200..300).contains(&status));
        run.micros.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(run)
}

/// Reads one answer whole; its status.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<u16> {
    buffer.clear();
    let broken = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(broken("the connection ended"));
        }
        let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).to_ascii_lowercase();
        let status = text.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| broken("no status"))?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let whole = head + 4 + length.ok_or_else(|| broken("no content-length"))?;
        while buffer.len() < whole {
            if stream.read_buf(buffer).await? == 0 {
                return Err(broken("the body broke off"));
            }
        }
        return Ok(status);
    }
}
