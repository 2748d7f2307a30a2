//! `seatledger witness`: cosigns the heads of logs that it knows, each log as one history, and refuses every fork (C2SP
//! tlog-witness). It needs nothing of the logs but what they send. Not here: the judgement (`merkle`).

use super::descriptors;
use super::exit::{self, Failure, Finished};
use super::output;
use super::serve::stop_signals;
use crate::clock::Clock;
use crate::config::{LogFormat, is_address};
use crate::http::ListenerLimits;
use crate::ledger::LogKeySource;
use crate::merkle::{Cosigned, KeyKind, Note, Refusal, SUBMISSION_BYTES_MAX, Signer, Submission, VerifierKey};
use crate::telemetry;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tower_http::timeout::TimeoutLayer;

/// The folder of what was cosigned last, a file each log.
const SEEN: &str = "seen";
/// The file with the name that this witness has for good: under another one it would not know its own signatures.
const NAMED: &str = "name";
const CONNECTIONS_MAX: usize = 1024;
/// For the head of a request, for the whole of it, and for what is under way at the end.
const CALL_MAX: Duration = Duration::from_secs(10);
const TEXT: &str = "text/plain; charset=utf-8";

const AFTER_HELP: &str = "\
A witness remembers of each log the last head that it cosigned, and cosigns another only if the log proves that it goes on
from there. Who asks several witnesses of several people can't be shown a history of his own. Run it where the log's
operator can't reach. The key is made at the first start as witness.key in the folder, with mode 0600.

When a log changes its key, add the new line below the old one: both are good until the new key has signed a head that was
cosigned here, and the old one never again after that.

POST /add-checkpoint is that of C2SP tlog-witness, GET /key the verifier key to give to logs and auditors.

Example:
  curl https://ledger.example/v1/tenants/contoso/log/key -H \"Authorization: Bearer $TOKEN\" >> logs
  seatledger witness --data witness-data --name witness.example/w1 --logs logs --listen 127.0.0.1:8090";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The witness's own folder; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The witness's name: a URL without its scheme; it stays as it is
    #[arg(long, value_name = "NAME")]
    name: String,
    /// A file with the verifier keys of the logs, one a line, a log's newest last; read at the start
    #[arg(long, value_name = "FILE")]
    logs: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: String,
}

struct Witness {
    signer: Signer,
    logs: Vec<VerifierKey>,
    dir: PathBuf,
    clock: Clock,
    /// By origin. Judged, written and remembered under one lock, so that nothing is rolled back.
    last: Mutex<BTreeMap<String, Cosigned>>,
    _lock: File,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    telemetry::start_log(LogFormat::Human, "info", || None).map_err(Failure::Usage)?;
    if !is_address(&args.listen) {
        return Err(Failure::Usage(format!("{:?} is no address with a port, as in 127.0.0.1:8090", args.listen)));
    }
    let listener = tokio::net::TcpListener::bind(&args.listen).await;
    let listener = listener.map_err(|error| Failure::File(format!("{} can't be listened at: {error}", args.listen)))?;
    let address = listener.local_addr().map_err(|error| Failure::File(error.to_string()))?;
    let witness = Arc::new(Witness::open(&args)?);
    let stop = stop_signals().map_err(|error| Failure::File(format!("signals can't be listened for: {error}")))?;
    tracing::info!(key = %witness.key(), logs = witness.logs.len(), "ready");
    let router = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/key", get(key))
        .layer(DefaultBodyLimit::max(SUBMISSION_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, CALL_MAX))
        .with_state(witness);
    output::line(&format!("listening on http://{address}"))?;
    let connections_max = descriptors::connections(CONNECTIONS_MAX);
    let limits = ListenerLimits { connections_max, head_max: CALL_MAX, drain_max: CALL_MAX };
    crate::http::serve(listener, router, limits, async {
        stop.await;
    })
    .await;
    Ok(Finished::Well)
}

async fn key(State(witness): State<Arc<Witness>>) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], format!("{}\n", witness.key())).into_response()
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    let cosigned = tokio::task::spawn_blocking(move || witness.cosign(&body)).await;
    let (status, kind, text) = match cosigned {
        Ok(Ok(Ok(line))) => (StatusCode::OK, TEXT, line),
        Ok(Ok(Err(refusal))) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
            if let Refusal::OtherSize(size) = refusal {
                (status, "text/x.tlog.size", format!("{size}\n"))
            } else {
                (status, TEXT, format!("{refusal}\n"))
            }
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "what was to be cosigned could not be written; it was not cosigned");
            (StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the witness could not write what it was to cosign\n".into())
        }
        Err(error) => {
            tracing::error!(%error, "a request ended the thread that judged it");
            (StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the witness failed\n".into())
        }
    };
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

impl Witness {
    fn open(args: &Args) -> Result<Self, Failure> {
        let Args { data: dir, name, logs, .. } = args;
        let seen = dir.join(SEEN);
        fs::create_dir_all(&seen).map_err(|error| exit::file(&seen, "can't be made", error))?;
        let lock = dir.join("LOCK");
        let lock = File::create(&lock).map_err(|error| exit::file(&lock, "can't be opened", error))?;
        lock.try_lock().map_err(|error| exit::file(dir, "another witness has this folder", error))?;
        let named = dir.join(NAMED);
        let before = match fs::read_to_string(&named) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(|error| exit::file(&named, "can't be read", error))?),
        };
        if name.contains("://") {
            return Err(Failure::Usage(format!("{name:?}: a witness's name is a URL without its scheme")));
        }
        if let Some(before) = before.as_deref().map(str::trim_end).filter(|before| before != name) {
            let what = format!("it is the folder of the witness {before}, which can't become {name}");
            return Err(Failure::Usage(format!("{}: {what}", dir.display())));
        }
        let secret = LogKeySource::File(dir.join("witness.key")).load(dir).map_err(Failure::File)?;
        let signer = Signer::new(name, &secret).map_err(|error| Failure::Usage(format!("{name:?}: {error}")))?;
        let text = fs::read_to_string(logs).map_err(|error| exit::file(logs, "can't be read", error))?;
        let mut keys = vec![];
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let key = line.parse().map_err(|error| exit::file(logs, &format!("line {number}"), error))?;
            keys.push(key);
        }
        let mut last = BTreeMap::new();
        for entry in fs::read_dir(&seen).map_err(|error| exit::file(&seen, "can't be listed", error))? {
            let path = entry.map_err(|error| exit::file(&seen, "can't be listed", error))?.path();
            if path.extension().is_some() {
                continue; // left by a cut
            }
            let head = read(&path, &signer, &keys).map_err(|what| {
                let what = format!(
                    "{what}. Without the file any history of its log would be cosigned: put it back from a copy, or leave the \
                     checkpoint in it with the lines of the log and of this witness alone"
                );
                exit::file(&path, "can't be trusted", what)
            })?;
            last.insert(head.origin.clone(), head);
        }
        if before.is_none() {
            let aside = dir.join("name.tmp");
            let noted = fs::write(&aside, format!("{name}\n")).and_then(|()| fs::rename(&aside, &named));
            noted.map_err(|error| exit::file(&named, "can't be written", error))?;
        }
        let clock = Clock::system();
        Ok(Self { signer, logs: keys, dir: dir.clone(), clock, last: Mutex::new(last), _lock: lock })
    }

    fn key(&self) -> VerifierKey {
        self.signer.verifier_key(KeyKind::Cosigner)
    }

    /// The line that cosigns, once what it speaks of is on stable storage.
    fn cosign(&self, body: &[u8]) -> io::Result<Result<String, Refusal>> {
        let submission = match Submission::parse(body) {
            Ok(submission) => submission,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut last = self.last.lock();
        let (head, mut note) = match submission.judge(&self.logs, last.get(submission.origin())) {
            Ok(judged) => judged,
            Err(refusal) => {
                if matches!(refusal, Refusal::Fork { .. } | Refusal::NotConsistent(_)) {
                    tracing::error!(%refusal, checkpoint = submission.checkpoint, "a log shows another history than it did");
                }
                return Ok(Err(refusal));
            }
        };
        let time_s = u64::try_from(self.clock.now().0 / 1_000_000).unwrap_or(0);
        let signature = self.signer.cosign(&note.text, time_s);
        // nothing is kept that the next start could not read
        if let Err(error) = note.add(&self.key(), signature.clone()) {
            return Ok(Err(Refusal::Checkpoint(error.into())));
        }
        write(&self.dir.join(SEEN), &head.origin, &note)?;
        tracing::info!(origin = head.origin, size = head.size, "cosigned");
        last.insert(head.origin.clone(), head);
        Ok(Ok(format!("{signature}\n")))
    }
}

/// A head that this witness has cosigned.
fn read(path: &Path, signer: &Signer, logs: &[VerifierKey]) -> Result<Cosigned, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let note = Note::parse(&bytes).map_err(|error| error.to_string())?;
    note.open(&[signer.verifier_key(KeyKind::Cosigner)]).map_err(|error| error.to_string())?;
    Cosigned::of(&note, logs).map_err(|error| error.to_string())
}

/// Whole, and for good: what was cosigned must never be forgotten.
fn write(seen: &Path, origin: &str, note: &Note) -> io::Result<()> {
    let name = hex::encode(Sha256::digest(origin));
    let aside = seen.join(format!("{name}.tmp"));
    let mut file = File::create(&aside)?;
    file.write_all(note.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, seen.join(name))?;
    File::open(seen)?.sync_all()
}

#[cfg(test)]
mod tests;
