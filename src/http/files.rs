//! Answers that are written while they are sent: a thread writes blocks, the connection takes them at its reader's pace.
//! Not here: what is written.

use super::Service;
use super::places::OnePlace;
use axum::body::{Body, Bytes};
use futures::stream;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

const BLOCK_BYTES: usize = 64 << 10;
/// Blocks that wait for the reader.
const BLOCKS_MAX: usize = 4;
/// A reader that takes nothing for so long loses the rest.
const STALL_MAX: Duration = Duration::from_secs(60);

/// A body that `write` writes on a thread of its own. What fails in the middle cuts the body off, so that nobody takes it
/// for a whole one.
pub(super) fn written(
    service: &Arc<Service>,
    place: OnePlace,
    write: impl FnOnce(&mut Sink) -> Result<(), String> + Send + 'static,
) -> Body {
    let (blocks, taken) = mpsc::channel(BLOCKS_MAX);
    let stopping = service.stopping.clone();
    let mut sink = Sink { block: Vec::with_capacity(BLOCK_BYTES), blocks, runtime: Handle::current(), stopping };
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let ended = write(&mut sink).and_then(|()| sink.flush().map_err(|error| error.to_string()));
        if let Err(error) = ended {
            tracing::warn!(%error, "a file that was being sent broke off");
            // A reader that has gone needs no word of it.
            let _gone = sink.send(Err(io::Error::other(error)));
        }
    });
    Body::from_stream(stream::unfold(taken, |mut taken| async move { taken.recv().await.map(|block| (block, taken)) }))
}

/// Where such a body is written to.
pub(super) struct Sink {
    block: Vec<u8>,
    blocks: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
    stopping: tokio_util::sync::CancellationToken,
}

impl Sink {
    fn send(&self, block: io::Result<Bytes>) -> io::Result<()> {
        self.runtime.block_on(async {
            tokio::select! {
                sent = self.blocks.send_timeout(block, STALL_MAX) => {
                    sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "its reader takes no more"))
                }
                () = self.stopping.cancelled() => Err(io::Error::other("the service is stopping")),
            }
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES));
        self.send(Ok(block.into()))
    }
}
