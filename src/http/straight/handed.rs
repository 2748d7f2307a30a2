//! A connection with bytes that were read from it and not answered: whoever reads it next reads those first. And who takes no
//! answers on it is given up, and who was answered before the end of a body is listened to, which hyper would not do.

use super::lingering::Lingering;
use crate::clock::monotonic;
use crate::http::alarm::Alarm;
use crate::http::arrival::Arrival;
use crate::http::listener::Connection;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Of a body that nobody reads: as much as any may have where nothing else is set, and some. Who sends more will not stop for
/// an answer.
const REST_BYTES_MAX: usize = 40 << 20;

pub struct Opened {
    pub(super) stream: TcpStream,
    pub(super) before: Vec<u8>,
}

impl Opened {
    pub(in crate::http) fn new(stream: TcpStream) -> Self {
        Self { stream, before: Vec::new() }
    }

    pub(in crate::http) fn for_hyper(self, on: &Connection) -> Handed {
        Handed {
            io: TokioIo::new(self.stream),
            before: self.before,
            read: 0,
            alarm: on.alarm.clone(),
            arrival: on.arrival.clone(),
            silence_max: on.head_max,
            write_end: None,
            lingering: None,
        }
    }
}

/// As hyper reads and writes it.
pub(in crate::http) struct Handed {
    io: TokioIo<TcpStream>,
    before: Vec<u8>,
    read: usize,
    alarm: Alarm,
    arrival: Arrival,
    silence_max: Duration,
    /// Until when there must be room for more, where there was none.
    write_end: Option<Instant>,
    /// Once nothing more is said.
    lingering: Option<Lingering>,
}

impl Handed {
    /// How writing went. Whoever takes so little for so long that there is no room to speak of is given up, as on the straight way.
    fn in_time(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_end = None;
            return written;
        }
        let end = *self.write_end.get_or_insert_with(|| monotonic() + self.silence_max);
        self.alarm.poll(context, end).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for Handed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, before, read, .. } = &mut *self;
        if let Some(rest @ [_, ..]) = before.get(*read..) {
            let now = rest.get(..room.remaining()).unwrap_or(rest);
            room.put_slice(now);
            *read += now.len();
            if *read == before.len() {
                (*before, *read) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(io).poll_read(context, room)
    }
}

impl Write for Handed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, alarm, arrival, silence_max, lingering, .. } = &mut *self;
        let lingering = match lingering {
            Some(lingering) => lingering,
            None => {
                ready!(Pin::new(&mut *io).poll_shutdown(context))?;
                lingering.insert(Lingering::new(arrival.has_rest(), *silence_max, REST_BYTES_MAX))
            }
        };
        lingering.poll(io.inner_mut(), alarm, context).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.in_time(context, written)
    }
}
