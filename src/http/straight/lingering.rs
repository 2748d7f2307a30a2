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
const ROOM_BYTES: usize = 16 << 10;

pub(super) struct Lingering {
    has_more: bool,
    bytes_left: usize,
    quiet_end: Instant,
    end: Instant,
}

impl Lingering {
    /// `has_more` says whether more is expected than lies there by now.
    pub(super) fn new(has_more: bool, longest: Duration, bytes_max: usize) -> Self {
        let now = monotonic();
        Self { has_more, bytes_left: bytes_max, quiet_end: now + QUIET_MAX, end: now + longest }
    }

    /// Ready once the other side has ended, or has had its time.
    pub(super) fn poll(&mut self, stream: &mut TcpStream, alarm: &Alarm, context: &mut Context<'_>) -> Poll<()> {
        let mut room = [MaybeUninit::uninit(); ROOM_BYTES];
        loop {
            let mut read = ReadBuf::uninit(&mut room);
            match Pin::new(&mut *stream).poll_read(context, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    self.has_more = true;
                    let now = monotonic();
                    let left = self.bytes_left.checked_sub(read.filled().len());
                    let Some(left) = left.filter(|_| now < self.end) else { return Poll::Ready(()) };
                    self.bytes_left = left;
                    self.quiet_end = now + QUIET_MAX;
                }
                Poll::Pending if self.has_more => return alarm.poll(context, self.quiet_end.min(self.end)),
                Poll::Ready(_) | Poll::Pending => return Poll::Ready(()),
            }
        }
    }
}
