//! The straight way: a connection begins in a loop of ours that answers the calls that come by the thousand (`front.rs` says
//! which) between one read and one write, without hyper, which spends 14,000 instructions on a call. What is not plain is not
//! judged here: at the first doubt the connection is hyper's for the rest of its life, and so is every byte that was read of
//! the request in doubt. Not here: what is plain (`plain.rs`), what a call does.

mod date;
mod handed;
mod inbox;
mod lingering;
mod plain;
#[cfg(test)]
mod tests;
mod written;

pub use handed::Opened;
pub(super) use plain::Plain;

use super::front::Inside;
use super::inputs;
use super::listener::Connection;
use super::request_id;
use super::stop::Stop;
use crate::clock::monotonic;
use futures::future::join;
use futures::poll;
use inbox::Inbox;
use lingering::Lingering;
use plain::Look;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

/// Answers wait for others on the same connection up to so much.
const OUT_BYTES_MAX: usize = 16 << 10;
/// Whoever asks on and on when everything is said has so long to read the answers.
const LINGER: Duration = Duration::from_secs(1);
/// What one answer takes, mostly.
const OUT_BYTES_GUESS: usize = 1 << 10;
/// Requests that are there already are answered one after the other; then others on the lane have their turn.
const IN_A_ROW_MAX: u32 = 32;

/// Answers what is plain. Gives the connection on, with what was not answered, or is through with it.
pub(super) async fn answer(front: &Inside, opened: Opened, on: &Connection, stop: &mut Stop) -> Option<Opened> {
    let Opened { stream, before } = opened;
    let mut straight = Straight {
        front,
        on,
        stop,
        stream,
        inbox: Inbox::holding(&before),
        out: Vec::with_capacity(OUT_BYTES_GUESS),
        waits: None,
        in_a_row: 0,
    };
    let goes_on = straight.until_doubt().await;
    match goes_on {
        Ok(Next::HandOver) => Some(straight.handed_over()),
        Ok(Next::Close) => {
            straight.end().await;
            None
        }
        Err(error) => {
            tracing::debug!(%error, "a connection ended badly");
            None
        }
    }
}

struct Straight<'c> {
    front: &'c Inside,
    on: &'c Connection,
    stop: &'c mut Stop,
    stream: TcpStream,
    inbox: Inbox,
    /// Answers that are not written yet.
    out: Vec<u8>,
    /// What it waits for since when there was nothing left to answer, and until when.
    waits: Option<(Missing, Instant)>,
    in_a_row: u32,
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    HandOver,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// A head, or its end.
    Head,
    /// The end of a body.
    Body,
}

/// How a wait for more ends.
enum Heard {
    More,
    End,
    Stopped,
    TooLate,
}

impl Straight<'_> {
    async fn until_doubt(&mut self) -> io::Result<Next> {
        loop {
            let body_bytes_max = self.front.body_bytes_max();
            let missing = match plain::look(self.inbox.unread(), body_bytes_max) {
                Look::Plain(plain) => {
                    let bytes = plain.bytes;
                    let is_last = {
                        let until = match self.waits {
                            Some((Missing::Body, end)) => end,
                            Some((Missing::Head, _)) | None => monotonic() + self.front.frame().request_max,
                        };
                        answered(self.front, self.on, &self.stream, &mut self.out, self.stop, &plain, until).await?
                    };
                    self.inbox.take(bytes);
                    self.waits = None;
                    if is_last {
                        self.flush().await?;
                        return Ok(Next::Close);
                    }
                    self.take_turns().await?;
                    continue;
                }
                Look::Doubtful => {
                    self.flush().await?;
                    return Ok(Next::HandOver);
                }
                Look::Begun => Missing::Head,
                Look::WithoutBody(said) => {
                    let is_new = !matches!(self.waits, Some((Missing::Body, _)));
                    // for a stranger's nobody waits, and hyper asks who it is before it reads one
                    if is_new && !self.front.knows(said.authorization) {
                        self.flush().await?;
                        return Ok(Next::HandOver);
                    }
                    Missing::Body
                }
            };
            // whoever has asked hears before anybody waits
            self.flush().await?;
            match self.more(missing).await? {
                Heard::More => {}
                Heard::End if self.inbox.unread().is_empty() => return Ok(Next::Close),
                Heard::End => return Ok(Next::HandOver),
                Heard::Stopped => return Ok(Next::Close),
                Heard::TooLate => {
                    if missing == Missing::Body {
                        self.say_too_late();
                        self.flush().await?;
                    }
                    return Ok(Next::Close);
                }
            }
        }
    }

    /// Reads once. Between two requests it ends when the service stops.
    async fn more(&mut self, missing: Missing) -> io::Result<Heard> {
        let Self { front, on, stop, stream, inbox, waits, in_a_row, .. } = self;
        let end = match *waits {
            Some((since, end)) if since == missing => end,
            Some(_) | None => {
                let max = match missing {
                    Missing::Head => on.head_max,
                    Missing::Body => front.frame().request_max,
                };
                waits.insert((missing, monotonic() + max)).1
            }
        };
        let is_between = inbox.unread().is_empty();
        let read = poll_fn(|context| {
            let mut room = ReadBuf::new(inbox.room());
            match Pin::new(&mut *stream).poll_read(context, &mut room) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok((Heard::More, room.filled().len()))),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => *in_a_row = 0,
            }
            if is_between && stop.poll(context).is_ready() {
                return Poll::Ready(Ok((Heard::Stopped, 0)));
            }
            on.alarm.poll(context, end).map(|()| Ok((Heard::TooLate, 0)))
        });
        let (heard, bytes) = read.await?;
        inbox.give(bytes);
        Ok(match heard {
            Heard::More if bytes == 0 => Heard::End,
            Heard::More | Heard::End | Heard::Stopped | Heard::TooLate => heard,
        })
    }

    async fn flush(&mut self) -> io::Result<()> {
        flush(&self.stream, &mut self.out, self.on).await
    }

    async fn take_turns(&mut self) -> io::Result<()> {
        self.in_a_row += 1;
        if self.out.len() > OUT_BYTES_MAX || self.in_a_row >= IN_A_ROW_MAX {
            self.flush().await?;
        }
        if self.in_a_row >= IN_A_ROW_MAX {
            self.in_a_row = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn end(&mut self) {
        self.stream.shutdown().await.ok();
        let mut lingering = Lingering::new(!self.inbox.unread().is_empty(), LINGER, usize::MAX);
        poll_fn(|context| lingering.poll(&mut self.stream, &self.on.alarm, context)).await;
    }

    /// As the frame says it; the rest of the body is not waited for.
    fn say_too_late(&mut self) {
        let sent = match plain::look(self.inbox.unread(), self.front.body_bytes_max()) {
            Look::WithoutBody(said) => said.request_id,
            Look::Plain(_) | Look::Begun | Look::Doubtful => None,
        };
        let id = self.front.frame().id_of(sent);
        let reply = request_id::now(id, || inputs::too_late().into_reply());
        written::put(&mut self.out, &reply, id.as_str(), true);
    }

    /// A head that has begun has no longer time there than it has here.
    fn handed_over(self) -> Opened {
        if let Some((Missing::Head, end)) = self.waits {
            self.on.alarm.expect_head_by(end);
        }
        Opened { stream: self.stream, before: self.inbox.into_unread() }
    }
}

/// Answers into `out`; whether it is the connection's last answer.
async fn answered(
    front: &Inside,
    on: &Connection,
    stream: &TcpStream,
    out: &mut Vec<u8>,
    stop: &mut Stop,
    plain: &Plain<'_>,
    until: Instant,
) -> io::Result<bool> {
    front.heard_on(on.number);
    let id = front.frame().id_of(plain.said.request_id);
    let answer = pin!(front.answer_plain(plain, on.peer));
    let mut reply = pin!(front.frame().around_straight(id, on.alarm.until(until), answer));
    let reply = match poll!(reply.as_mut()) {
        Poll::Ready(reply) => reply,
        Poll::Pending if out.is_empty() => reply.await,
        Poll::Pending => {
            // those who asked before need not wait for it; what was begun comes to its end, also where nobody hears of it
            let (flushed, reply) = join(flush(stream, out, on), reply).await;
            flushed?;
            reply
        }
    };
    let is_last = stop.is_now();
    written::put(out, &reply, id.as_str(), is_last);
    Ok(is_last)
}

/// Writes what there is. While it can't be written nothing is read, and whoever takes so little of it that for as long as a head
/// may take the system has no room to speak of, a third of what it holds for the connection, is given up.
async fn flush(stream: &TcpStream, out: &mut Vec<u8>, on: &Connection) -> io::Result<()> {
    let mut written = 0;
    while let Some(rest @ [_, ..]) = out.get(written..) {
        match stream.try_write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => written += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut writable = pin!(stream.writable());
                let end = monotonic() + on.head_max;
                poll_fn(|context| match writable.as_mut().poll(context) {
                    Poll::Ready(writable) => Poll::Ready(writable),
                    Poll::Pending => on.alarm.poll(context, end).map(|()| Err(io::ErrorKind::TimedOut.into())),
                })
                .await?;
            }
            Err(error) => return Err(error),
        }
    }
    out.clear();
    Ok(())
}
