//! Answers that are written while they are sent: a thread writes blocks, the connection takes them at its reader's pace.
//! Not here: what is written.

use super::Service;
use super::auth::Caller;
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

/// A body that `write` writes on a thread of its own, for as long as its reader's token is good; nobody's goes on. What fails
/// in the middle cuts the body off, so that nobody takes it for a whole one.
pub(super) fn written(
    service: &Arc<Service>,
    reader: Option<Caller>,
    place: OnePlace,
    write: impl FnOnce(&mut Sink) -> Result<(), String> + Send + 'static,
) -> Body {
    let (blocks, taken) = mpsc::channel(BLOCKS_MAX);
    let stopping = service.stopping.clone();
    let block = Vec::with_capacity(BLOCK_BYTES);
    let mut sink = Sink { block, blocks, reader, runtime: Handle::current(), stopping };
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
    reader: Option<Caller>,
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
        if self.reader.as_ref().is_some_and(|reader| !reader.is_good()) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "its reader's token is good no more"));
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES));
        self.send(Ok(block.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Actor, Command, Door, Intake};
    use crate::domain::facts::Role;
    use crate::domain::ids::TokenId;
    use crate::http::fixture::service;
    use crate::ledger::{Ask, Submission};
    use futures::StreamExt as _;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_breaks_off_when_its_readers_token_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path(), 2000);
        let (tenant, _) = service.ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        let asked = async |command| {
            let submission = Submission {
                actor: Actor::Root,
                door: Door::Http,
                command_id: None,
                content_hash: 0,
                occurred_at: None,
                reason: None,
                if_match: None,
                ask: Ask::Intake(Intake::Command(command)),
            };
            service.ledger.submit(tenant, submission).await.unwrap();
        };
        let token = TokenId(0);
        asked(Command::IssueToken { name: "x".into(), role: Role::Auditor, hash: [1; 32], expires_at: None }).await;
        let (actor, role) = (Actor::Token(token), Some(Role::Auditor));
        let reader = Caller { service: Arc::clone(&service), tenant, actor, role };
        let place = service.exports.take(Some(tenant)).unwrap();
        // it would never end by itself
        let body = written(&service, Some(reader), place, |sink| {
            loop {
                sink.write_all(&[b'x'; 1000]).map_err(|error| error.to_string())?;
            }
        });
        let mut blocks = body.into_data_stream();
        for _ in 0..2 * BLOCKS_MAX {
            blocks.next().await.unwrap().unwrap();
        }
        asked(Command::RevokeToken { token }).await;
        // what was written before is given
        let mut given = 0;
        while blocks.next().await.expect("it is not taken for whole").is_ok() {
            given += 1;
        }
        assert!(given <= BLOCKS_MAX + 1, "{given}");
        assert!(blocks.next().await.is_none());
    }
}
