//! A load generator that is not the bottleneck: plain HTTP/1.1 over one socket per connection, one request in flight on
//! each, answers read as far as their length says. Not here: what is sent.

use super::super::exit::Failure;
use super::raw;
use crate::clock::monotonic;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub(super) answers: u64,
    pub(super) not_2xx: u64,
    pub(super) elapsed: Duration,
    /// How long each answer took, in order of length.
    micros: Vec<u32>,
    gap: Duration,
    /// Processor time of the asked process and of this one.
    cpu: (Duration, Duration),
}

impl Run {
    /// What was measured without a socket, or of several runs together.
    pub(super) fn new(elapsed: Duration, mut ends: Vec<(u32, u32)>, cpu: (Duration, Duration)) -> Self {
        ends.sort_unstable();
        let end = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX);
        let (mut last, mut gap) = (0, 0);
        for at in ends.iter().map(|(at, _)| *at).chain([end]) {
            gap = gap.max(at.saturating_sub(last));
            last = at;
        }
        let mut micros: Vec<u32> = ends.iter().map(|(_, took)| *took).collect();
        micros.sort_unstable();
        Self {
            answers: ends.len() as u64,
            not_2xx: 0,
            elapsed,
            micros,
            gap: Duration::from_micros(u64::from(gap)),
            cpu,
        }
    }

    /// Each answer spoke of so many commands.
    pub(super) fn times(self, each: u64) -> Self {
        Self { answers: self.answers * each, ..self }
    }

    pub(super) fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub(super) fn percentile_ms(&self, share: f64) -> f64 {
        let at = ((self.micros.len() as f64 - 1.0) * share).max(0.0).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list, from 0 on")]
        let at = at as usize;
        self.micros.get(at).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }

    pub(super) fn gap_ms(&self) -> f64 {
        self.gap.as_secs_f64() * 1e3
    }

    pub(super) fn asked_micros(&self) -> f64 {
        self.cpu.0.as_secs_f64() * 1e6 / (self.answers as f64).max(1.0)
    }

    pub(super) fn asking_micros(&self) -> f64 {
        self.cpu.1.as_secs_f64() * 1e6 / (self.answers as f64).max(1.0)
    }
}

/// Where, in which process, and what stands in every head.
#[derive(Debug, Clone)]
pub(super) struct To {
    pub(super) process: u32,
    pub(super) address: SocketAddr,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) token: String,
    pub(super) content_type: &'static str,
}

impl To {
    fn request(&self, body: &str) -> String {
        let Self { address, method, path, token, content_type, .. } = self;
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Sends on so many connections for so long. `body` is asked with the connection and the number of the request on it;
/// `None` ends the connection's work.
pub(super) async fn run<B>(to: &To, connections: usize, lasts: Duration, body: B) -> Result<Run, Failure>
where
    B: Fn(usize, u64) -> Option<String> + Clone + Send + 'static,
{
    let before = (raw::cpu(to.process), raw::cpu(std::process::id()));
    let begun = monotonic();
    let mut tasks = Vec::new();
    for connection in 0..connections {
        let (to, body) = (to.clone(), body.clone());
        tasks.push(tokio::spawn(async move { one(&to, connection, begun, lasts, body).await }));
    }
    let (mut ends, mut not_2xx) = (Vec::new(), 0);
    for task in tasks {
        let run = task.await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let (theirs, wrong) =
            run.map_err(|error| Failure::Unreachable(format!("{} broke off: {error}", to.address)))?;
        ends.extend(theirs);
        not_2xx += wrong;
    }
    let elapsed = begun.elapsed();
    let cpu = (raw::cpu(to.process).saturating_sub(before.0), raw::cpu(std::process::id()).saturating_sub(before.1));
    Ok(Run { not_2xx, ..Run::new(elapsed, ends, cpu) })
}

/// When each answer came, and how long it took, in microseconds; and how many were none of those that are wanted.
async fn one<B>(
    to: &To,
    connection: usize,
    begun: Instant,
    lasts: Duration,
    body: B,
) -> std::io::Result<(Vec<(u32, u32)>, u64)>
where
    B: Fn(usize, u64) -> Option<String>,
{
    let mut stream = TcpStream::connect(to.address).await?;
    stream.set_nodelay(true)?;
    let (mut ends, mut not_2xx) = (Vec::new(), 0);
    let mut buffer = Vec::with_capacity(64 << 10);
    let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    for number in 0.. {
        let asked = begun.elapsed();
        if asked >= lasts {
            break;
        }
        let Some(body) = body(connection, number) else { break };
        stream.write_all(to.request(&body).as_bytes()).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        not_2xx += u64::from(!(200..300).contains(&status));
        let ended = begun.elapsed();
        ends.push((micros(ended), micros(ended.saturating_sub(asked))));
    }
    Ok((ends, not_2xx))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_looked_for_from_the_first_moment_to_the_last() {
        let gap = |ends: &[u32]| {
            let ends = ends.iter().map(|at| (*at, 1)).collect();
            Run::new(Duration::from_millis(100), ends, (Duration::ZERO, Duration::ZERO)).gap_ms()
        };
        assert_eq!([gap(&[]), gap(&[60_000]), gap(&[90_000, 10_000])], [100.0, 60.0, 80.0]);
        assert_eq!(gap(&[40_000]), 60.0);
    }

    #[test]
    fn a_percentile_is_one_of_the_answers() {
        let ends = (1..=100).rev().map(|took| (took, took * 1000)).collect();
        let run = Run::new(Duration::from_secs(1), ends, (Duration::from_millis(1), Duration::from_millis(2)));
        assert_eq!([run.percentile_ms(0.0), run.percentile_ms(0.99), run.percentile_ms(1.0)], [1.0, 99.0, 100.0]);
        assert_eq!((run.per_second(), run.asked_micros(), run.asking_micros()), (100.0, 10.0, 20.0));
    }
}
