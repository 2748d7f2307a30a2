//! Asks an authority for timestamps of heads (RFC 3161 over HTTP), beside `serve`. Not here: what an answer must be
//! (`ledger::evidence`).

use super::outside;
use crate::clock::monotonic;
use crate::domain::ids::TenantId;
use crate::ledger::Ledger;
use crate::ledger::evidence::{Authorities, Due, RESPONSE_BYTES_MAX, TimestampRequest};
use reqwest::{StatusCode, header};
use std::time::Duration;

/// An authority that takes longer is asked again later.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Who is asked, and whose signature is taken.
pub(crate) struct Authority {
    pub(crate) url: String,
    pub(crate) trusted: Option<Authorities>,
}

/// Why there is no timestamp.
enum Trouble {
    /// Nobody answers: the other tenants need not ask in this round.
    Silent(String),
    Answer(String),
}

/// Asks for what is due, until it is dropped. After a failure it waits twice as long as before, up to an hour.
pub(crate) async fn run(ledger: Ledger, authority: Authority, http: reqwest::Client, every: Duration) {
    let (mut pause, mut not_before) = (every, monotonic());
    loop {
        tokio::time::sleep(every).await;
        if monotonic() < not_before {
            continue;
        }
        match round(&ledger, &authority, &http).await {
            Ok(()) => pause = every,
            Err(()) => {
                not_before = monotonic() + pause;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

async fn round(ledger: &Ledger, authority: &Authority, http: &reqwest::Client) -> Result<(), ()> {
    let mut outcome = Ok(());
    for (tenant, slug) in ledger.tenants() {
        let keeper = ledger.clone();
        let due = tokio::task::spawn_blocking(move || keeper.timestamps_due(tenant)).await;
        let due = match due.map_err(std::io::Error::other).flatten() {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, tenant = slug, "the heads to be stamped can't be read or set aside");
                outcome = Err(());
                continue;
            }
        };
        for due in due {
            let Err(trouble) = stamped(ledger, authority, http, tenant, &due).await else { continue };
            let (Trouble::Silent(why) | Trouble::Answer(why)) = &trouble;
            metrics::counter!("seatledger_timestamp_failures_total").increment(1);
            tracing::warn!(tenant = slug, date = %due.date, why, "no timestamp; it is asked for again later");
            ledger.no_timestamp_came();
            outcome = Err(());
            match trouble {
                Trouble::Silent(_) => return outcome,
                Trouble::Answer(_) => break,
            }
        }
    }
    outcome
}

async fn stamped(
    ledger: &Ledger,
    authority: &Authority,
    http: &reqwest::Client,
    tenant: TenantId,
    due: &Due,
) -> Result<(), Trouble> {
    let answer = |error: &dyn std::fmt::Display| Trouble::Answer(error.to_string());
    let silent = |error: reqwest::Error| Trouble::Silent(outside::in_full(&error));
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|error| answer(&error))?;
    let request = TimestampRequest::new(due.note.as_bytes(), nonce).map_err(|error| answer(&error))?;
    let asked = http.post(&authority.url).header(header::CONTENT_TYPE, "application/timestamp-query");
    let mut sent = asked.body(request.der.clone()).send().await.map_err(silent)?;
    if sent.status() != StatusCode::OK {
        return Err(Trouble::Answer(format!("the authority answers {}", sent.status())));
    }
    let mut response = vec![];
    while let Some(chunk) = sent.chunk().await.map_err(silent)? {
        response.extend_from_slice(&chunk);
        if response.len() > RESPONSE_BYTES_MAX {
            return Err(Trouble::Answer(format!("the answer has more than {RESPONSE_BYTES_MAX} bytes")));
        }
    }
    let time = request.check(&response, authority.trusted.as_ref()).map_err(|error| answer(&error))?;
    let (keeper, date) = (ledger.clone(), due.date);
    let kept = tokio::task::spawn_blocking(move || keeper.keep_timestamp(tenant, date, &response)).await;
    kept.map_err(std::io::Error::other).flatten().map_err(|error| answer(&error))?;
    tracing::info!(%date, %time, "a head was stamped");
    Ok(())
}
