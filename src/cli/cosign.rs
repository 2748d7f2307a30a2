//! Asks witnesses to cosign the heads that the service signs, and has their cosignatures published with them (C2SP
//! tlog-witness, the client's side). Runs beside `serve`. Not here: what a witness does.

use crate::domain::ids::TenantId;
use crate::ledger::Ledger;
use crate::ledger::evidence::SignedHead;
use crate::merkle::{KeyKind, SUBMISSION_BYTES_MAX, Signature, Submission, VerifierKey};
use reqwest::{StatusCode, header};
use std::collections::HashMap;
use std::time::Duration;

/// A witness that takes longer is asked again later.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Where a witness is, and the key by which it cosigns.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    url: String,
    key: VerifierKey,
}

impl Witness {
    /// From a URL and a verifier key with a blank between them.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (url, key) =
            text.split_once(' ').ok_or("a witness is a URL and its verifier key, with a blank between them")?;
        if !url.starts_with("http://") {
            return Err(format!("{url}: a witness is asked over http://; what goes there is public and signed"));
        }
        let key: VerifierKey = key.trim().parse().map_err(|error| format!("{url}: {error}"))?;
        if key.kind() != KeyKind::Cosigner {
            return Err(format!("{url}: the key is a log's, not a witness's (type 4)"));
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), key })
    }
}

/// What came of asking.
enum Answer {
    Cosigned,
    /// The size that the witness cosigned last.
    From(u64),
    Failed(String),
}

/// Why a head is not cosigned.
struct Trouble {
    why: String,
    /// Nobody answered: the other tenants need not ask in this round.
    is_silent: bool,
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self { why, is_silent: false }
    }
}

/// Asks for every new head, until it is dropped.
pub(crate) async fn run(ledger: Ledger, witnesses: Vec<Witness>, every: Duration) {
    let http = match reqwest::Client::builder().timeout(ANSWER_MAX).build() {
        Ok(http) => http,
        Err(error) => return tracing::error!(%error, "witnesses can't be asked"),
    };
    // by witness and tenant: the size that was cosigned last, as far as is known
    let mut known: HashMap<(usize, TenantId), u64> = HashMap::new();
    loop {
        tokio::time::sleep(every).await;
        let mut silent = vec![false; witnesses.len()];
        for (tenant, slug) in ledger.tenants() {
            let Some(head) = ledger.last_head(tenant) else { continue };
            for (place, (witness, silent)) in witnesses.iter().zip(&mut silent).enumerate() {
                let size = known.get(&(place, tenant)).copied().unwrap_or(0);
                if size == head.size || *silent {
                    continue;
                }
                let asked = cosigned(&http, &ledger, tenant, witness, &head, size).await;
                match asked {
                    Ok(size) => drop(known.insert((place, tenant), size)),
                    Err(Trouble { why, is_silent }) => {
                        *silent = is_silent;
                        metrics::counter!("seatledger_witness_failures_total").increment(1);
                        tracing::warn!(witness = witness.key.name(), tenant = slug, size = head.size, %why, "not cosigned");
                    }
                }
            }
        }
    }
}

/// The size that is cosigned by now.
async fn cosigned(
    http: &reqwest::Client,
    ledger: &Ledger,
    tenant: TenantId,
    witness: &Witness,
    head: &SignedHead,
    known: u64,
) -> Result<u64, Trouble> {
    let mut old = known;
    // once more from where the witness says that it is
    for _ in 0..2 {
        match ask(http, ledger, tenant, witness, head, old).await? {
            Answer::Cosigned => return Ok(head.size),
            Answer::From(size) if size > head.size => {
                let why = format!("the witness cosigned {size} records, which is more than this log has signed");
                return Err(why.into());
            }
            Answer::From(size) => old = size,
            Answer::Failed(why) => return Err(why.into()),
        }
    }
    Err("the witness names another size each time".to_owned().into())
}

async fn ask(
    http: &reqwest::Client,
    ledger: &Ledger,
    tenant: TenantId,
    witness: &Witness,
    head: &SignedHead,
    old: u64,
) -> Result<Answer, Trouble> {
    let (prover, size) = (ledger.clone(), head.size);
    let proof = tokio::task::spawn_blocking(move || prover.consistency(tenant, old, Some(size))).await;
    let proof = proof.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let submission = Submission { old, path: proof.path, checkpoint: head.note.clone() };
    let sent = http.post(format!("{}/add-checkpoint", witness.url)).body(submission.to_string()).send().await;
    let answer = sent.map_err(|error| Trouble { why: error.to_string(), is_silent: true })?;
    let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
    if answer.content_length().is_none_or(|length| length > SUBMISSION_BYTES_MAX as u64) {
        return Ok(Answer::Failed(format!("{status} with an answer of no or too great a length")));
    }
    let text = answer.text().await.map_err(|error| error.to_string())?;
    if status == StatusCode::CONFLICT && kind.is_some_and(|kind| kind == "text/x.tlog.size") {
        let size = text.trim_end().parse().map_err(|_| "409 with a size that is no number".to_owned())?;
        return Ok(Answer::From(size));
    }
    if status != StatusCode::OK {
        return Ok(Answer::Failed(format!("{status}: {}", text.trim_end())));
    }
    let ours =
        text.lines().filter_map(|line| line.parse::<Signature>().ok()).find(|line| witness.key.is_named_by(line));
    let signature = ours.ok_or("the answer has no signature of the witness's key".to_owned())?;
    let (keeper, key) = (ledger.clone(), witness.key.clone());
    let kept = tokio::task::spawn_blocking(move || keeper.add_cosignature(tenant, size, &key, signature)).await;
    kept.map_err(|error| error.to_string())??;
    Ok(Answer::Cosigned)
}
