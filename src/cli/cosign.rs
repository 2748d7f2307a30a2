//! Asks witnesses to cosign the heads that the service signs, and has their cosignatures published with them (C2SP
//! tlog-witness, the client's side). Runs beside `serve`. Not here: what a witness does.

use super::outside;
use crate::domain::ids::TenantId;
use crate::ledger::Ledger;
use crate::ledger::evidence::{SignedHead, WitnessTrouble};
use crate::merkle::{KeyKind, SUBMISSION_BYTES_MAX, Signature, Submission, VerifierKey};
use reqwest::{StatusCode, header};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A witness that takes longer is asked again later.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);

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
        if !outside::is_url(url) {
            return Err(format!("{url}: a witness is asked over https:// or http://"));
        }
        let key: VerifierKey = key.trim().parse().map_err(|error| format!("the key of the witness {url}: {error}"))?;
        if key.kind() != KeyKind::Cosigner {
            return Err(format!("{url}: the key is a log's, not a witness's (type 4)"));
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), key })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn key(&self) -> &VerifierKey {
        &self.key
    }
}

/// What came of asking.
enum Answer {
    Cosigned,
    /// The size that the witness cosigned last.
    From(u64),
    Failed(String),
}

/// Asks for every new head, until it is dropped. All witnesses are asked at once and for the same heads, so that a slow one
/// holds back the next round, and never the others' signatures.
pub(crate) async fn run(ledger: Ledger, witnesses: Vec<Witness>, http: reqwest::Client, every: Duration) {
    let mut asking: Vec<_> = witnesses.into_iter().map(|witness| Asking { witness, known: HashMap::new() }).collect();
    loop {
        tokio::time::sleep(every).await;
        let heads: Vec<_> = ledger
            .tenants()
            .into_iter()
            .filter_map(|(tenant, slug)| Some((tenant, slug, ledger.ask_to_cosign(tenant)?)))
            .collect();
        let round = asking.iter_mut().map(|asking| asking.round(&http, &ledger, &heads));
        futures::future::join_all(round).await;
    }
}

/// A witness, and the sizes that it cosigned last, as far as is known.
struct Asking {
    witness: Witness,
    known: HashMap<TenantId, u64>,
}

impl Asking {
    async fn round(&mut self, http: &reqwest::Client, ledger: &Ledger, heads: &[(TenantId, String, Arc<SignedHead>)]) {
        let witness = &self.witness;
        for (tenant, slug, head) in heads {
            let size = self.known.get(tenant).copied().unwrap_or(0);
            if size == head.size {
                continue;
            }
            let asked = cosigned(http, ledger, *tenant, witness, head, size).await;
            let Err(trouble) = asked else {
                self.known.insert(*tenant, head.size);
                ledger.tell_of_witness(*tenant, &witness.key, Ok(head.size));
                continue;
            };
            metrics::counter!("seatledger_witness_failures_total").increment(1);
            tracing::warn!(witness = witness.key.name(), tenant = slug, size = head.size, ?trouble, "not cosigned");
            // nobody answers: the other tenants need not ask in this round
            let is_silent = matches!(trouble, WitnessTrouble::Silent(_));
            ledger.tell_of_witness(*tenant, &witness.key, Err(trouble));
            if is_silent {
                return;
            }
        }
    }
}

/// Has the head cosigned.
async fn cosigned(
    http: &reqwest::Client,
    ledger: &Ledger,
    tenant: TenantId,
    witness: &Witness,
    head: &SignedHead,
    known: u64,
) -> Result<(), WitnessTrouble> {
    let mut old = known;
    // once more from where the witness says that it is
    for _ in 0..2 {
        match ask(http, ledger, tenant, witness, head, old).await? {
            Answer::Cosigned => return Ok(()),
            Answer::From(size) if size > head.size => {
                let why = format!("the witness cosigned {size} records, which is more than this log has signed");
                return Err(refuses(why));
            }
            Answer::From(size) => old = size,
            Answer::Failed(why) => return Err(refuses(why)),
        }
    }
    Err(refuses("the witness names another size each time"))
}

async fn ask(
    http: &reqwest::Client,
    ledger: &Ledger,
    tenant: TenantId,
    witness: &Witness,
    head: &SignedHead,
    old: u64,
) -> Result<Answer, WitnessTrouble> {
    let (prover, size) = (ledger.clone(), head.size);
    let proof = tokio::task::spawn_blocking(move || prover.consistency(tenant, old, Some(size))).await;
    let proof = proof.map_err(refuses)?.map_err(refuses)?;
    let submission = Submission { old, path: proof.path, checkpoint: head.note.clone() };
    let sent = http.post(format!("{}/add-checkpoint", witness.url)).body(submission.to_string()).send().await;
    let answer = sent.map_err(silent)?;
    let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
    if answer.content_length().is_none_or(|length| length > SUBMISSION_BYTES_MAX as u64) {
        return Ok(Answer::Failed(format!("{status} with an answer of no or too great a length")));
    }
    let text = answer.text().await.map_err(silent)?;
    if status == StatusCode::CONFLICT && kind.is_some_and(|kind| kind == "text/x.tlog.size") {
        let size = text.trim_end().parse().map_err(|_| refuses("409 with a size that is no number"))?;
        return Ok(Answer::From(size));
    }
    if status != StatusCode::OK {
        return Ok(Answer::Failed(format!("{status}: {}", text.trim_end())));
    }
    let ours =
        text.lines().filter_map(|line| line.parse::<Signature>().ok()).find(|line| witness.key.is_named_by(line));
    let signature = ours.ok_or_else(|| refuses("the answer has no signature of the witness's key"))?;
    let (keeper, key) = (ledger.clone(), witness.key.clone());
    let kept = tokio::task::spawn_blocking(move || keeper.add_cosignature(tenant, size, &key, signature)).await;
    kept.map_err(refuses)?.map_err(refuses)?;
    Ok(Answer::Cosigned)
}

fn refuses(why: impl std::fmt::Display) -> WitnessTrouble {
    WitnessTrouble::Refuses(why.to_string())
}

fn silent(error: reqwest::Error) -> WitnessTrouble {
    WitnessTrouble::Silent(outside::in_full(&error))
}
