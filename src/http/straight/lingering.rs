//! The end of a connection on which nothing more is said. A socket that is closed with something unread in it takes answers
//! back that are on their way (RFC 9112, 9.6): whoever may still be sending is listened to for a while, and not heard.

use crate::clock::monotonic;
use crate::http::alarm::Alarm;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

/// Who sends nothing for so long is no longer waited for.
const QUIET_MAX: Duration = Duration::from_secs(2);
/// As much as any body may have where nothing else is set, and some: who sends more will not stop for an answer.
const BYTES_MAX: usize = 40 << 20;
const ROOM_BYTES: usize = 16 << 10;

pub(super) struct Lingering {
    /// Whether more is expected than lies there by now.
    has_more: bool,
    bytes: usize,
    quiet_end: Instant,
    end: Instant,
}

impl Lingering {
    pub(super) fn new(has_more: bool, longest: Duration) -> Self {
        let now = monotonic();
        Self { has_more, bytes: 0, quiet_end: now + QUIET_MAX, end: now + longest }
    }

    /// Ready once the other side has ended, or has had its time.
    pub(super) fn poll(&mut self, stream: &mut TcpStream, alarm: &Alarm, context: &mut Context<'_>) -> Poll<()> {
        let mut room = [MaybeUninit::uninit(); ROOM_BYTES];
        loop {
            let mut read = ReadBuf::uninit(&mut room);
            match Pin::new(&mut *stream).poll_read(context, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    self.has_more = true;
                    self.bytes += read.filled().len();
                    let now = monotonic();
                    if self.bytes > BYTES_MAX || now > self.end {
                        return Poll::Ready(());
                    }
                    self.quiet_end = now + QUIET_MAX;
                }
                Poll::Pending if self.has_more => return alarm.poll(context, self.quiet_end.min(self.end)),
                Poll::Ready(_) | Poll::Pending => return Poll::Ready(()),
            }
        }
    }
}
