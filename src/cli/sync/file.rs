//! A declared inventory from a file, sent to the running service, with a receipt for every item; again whenever the file has
//! changed, if asked to. Not here: what a row means (`sheet`).

use super::sheet::{self, Line, Mapping};
use crate::cli::client::{self, Client};
use crate::cli::exit::{self, Failure, Finished};
use crate::cli::output;
use crate::cli::serve::stop_signals;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const FILE_BYTES_MAX: u64 = 32 << 20;

pub(super) struct Sending<'a> {
    pub(super) file: &'a Path,
    pub(super) maps: &'a [Mapping],
    pub(super) is_complete: bool,
    pub(super) is_json: bool,
}

/// What became of one item.
struct Receipt {
    row: Option<u64>,
    sku: String,
    outcome: &'static str,
    why: Option<String>,
}

pub(super) async fn run(
    client: &Client,
    tenant: &str,
    sending: &Sending<'_>,
    every: Option<Duration>,
) -> Result<Finished, Failure> {
    let Some(every) = every else {
        return send(client, tenant, sending).await;
    };
    let stop = stop_signals().map_err(|error| Failure::File(format!("signals can't be listened for: {error}")))?;
    tokio::pin!(stop);
    let (mut last, mut is_missing) = (None, false);
    loop {
        let round = async {
            match tokio::fs::read(sending.file).await {
                Ok(bytes) => {
                    if std::mem::take(&mut is_missing) {
                        output::note(&format!("{}: it can be read again", sending.file.display()));
                    }
                    if last.as_ref() != Some(&bytes) {
                        // a file that is wrong now may be right the next time
                        match send(client, tenant, sending).await {
                            Ok(_) => last = Some(bytes),
                            Err(failure) => output::complain(&failure.to_string()),
                        }
                    }
                }
                // said once: it may be missing for long
                Err(error) => {
                    if !std::mem::replace(&mut is_missing, true) {
                        let what = "can't be read, and is looked for again and again";
                        output::complain(&exit::file(sending.file, what, error).to_string());
                    }
                }
            }
            tokio::time::sleep(every).await;
        };
        tokio::select! {
            biased;
            _ = &mut stop => return Ok(Finished::Well),
            () = round => {}
        }
    }
}

pub(super) fn is_csv(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

async fn send(client: &Client, tenant: &str, sending: &Sending<'_>) -> Result<Finished, Failure> {
    let size = std::fs::metadata(sending.file).map_err(|error| exit::file(sending.file, "can't be read", error))?.len();
    if size > FILE_BYTES_MAX {
        return Err(exit::file(sending.file, "is too large", format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    let (inventory, lines) = if is_csv(sending.file) {
        let lines = sheet::read(sending.file, sending.maps)?;
        let items: Vec<&Value> = lines.iter().filter_map(|line| line.item.as_ref().ok()).collect();
        (json!({"complete": sending.is_complete, "items": items}), lines)
    } else {
        let text = std::fs::read(sending.file).map_err(|error| exit::file(sending.file, "can't be read", error))?;
        let inventory: Value =
            serde_json::from_slice(&text).map_err(|error| exit::file(sending.file, "is no JSON", error))?;
        let items = inventory.get("items").and_then(Value::as_array).into_iter().flatten();
        let line = |item: &Value| Line {
            row: 0,
            sku: item["sku"].as_str().unwrap_or_default().to_owned(),
            item: Ok(item.clone()),
        };
        let lines = items.map(line).collect();
        (inventory, lines)
    };
    let is_readable = lines.iter().all(|line| line.item.is_ok());
    let before = pools(client, tenant).await?;
    let answer = if is_readable {
        Some(client.post(&format!("/v1/tenants/{tenant}/inventory"), inventory, None).await?)
    } else {
        None
    };
    let after = if is_readable { pools(client, tenant).await? } else { BTreeMap::new() };
    let sync = answer.as_ref().and_then(|answer| answer["sync"].as_str());
    let skipped = match sync {
        Some(sync) => skipped(client, tenant, sync).await?,
        None => BTreeMap::new(),
    };
    let receipts: Vec<Receipt> =
        lines.into_iter().map(|line| receipt(line, is_readable, &before, &after, &skipped)).collect();
    tell(&receipts, sync, sending.is_json)?;
    Ok(Finished::well_if(receipts.iter().all(|receipt| receipt.outcome != "refused")))
}

fn receipt(
    line: Line,
    is_sent: bool,
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
    skipped: &BTreeMap<String, String>,
) -> Receipt {
    let key = format!("declared:{}", line.sku);
    let (outcome, why) = match (line.item, skipped.get(&key)) {
        (Err(why), _) => ("refused", Some(why)),
        (Ok(_), _) if !is_sent => ("not sent", Some("another row was refused".to_owned())),
        (Ok(_), Some(why)) => ("refused", Some(why.clone())),
        (Ok(_), None) => match (before.get(&key), after.get(&key)) {
            (None, _) => ("imported", None),
            (Some(before), Some(after)) if before == after => ("unchanged", None),
            (Some(_), _) => ("changed", None),
        },
    };
    Receipt { row: (line.row > 0).then_some(line.row), sku: line.sku, outcome, why }
}

/// What an inventory can change of a pool, by its key.
async fn pools(client: &Client, tenant: &str) -> Result<BTreeMap<String, Value>, Failure> {
    let pools = client.list(&format!("/v1/tenants/{tenant}/pools")).await?;
    let told = |pool: &Value| {
        let parts = ["owned", "name", "state", "license_type", "distribution_policy", "publisher"];
        Some((pool["key"].as_str()?.to_owned(), json!(parts.map(|part| &pool[part]))))
    };
    Ok(pools.iter().filter_map(told).collect())
}

async fn skipped(client: &Client, tenant: &str, sync: &str) -> Result<BTreeMap<String, String>, Failure> {
    let sync = client.get(&format!("/v1/tenants/{tenant}/syncs/{}", client::encode(sync))).await?;
    let told = |entry: &Value| {
        Some((entry["key"].as_str()?.to_owned(), entry["reason"].as_str().unwrap_or("skipped").to_owned()))
    };
    let skipped = sync.get("skipped").and_then(Value::as_array).into_iter().flatten();
    Ok(skipped.filter_map(told).collect())
}

fn tell(receipts: &[Receipt], sync: Option<&str>, is_json: bool) -> Result<(), Failure> {
    let count = |outcome: &str| receipts.iter().filter(|receipt| receipt.outcome == outcome).count();
    if is_json {
        let rows: Vec<_> = receipts
            .iter()
            .map(|one| json!({"row": one.row, "sku": one.sku, "outcome": one.outcome, "why": one.why}))
            .collect();
        return output::json(&json!({"sync": sync, "receipts": rows}));
    }
    for receipt in receipts.iter().filter(|receipt| receipt.why.is_some()) {
        let place = receipt.row.map_or_else(|| receipt.sku.clone(), |row| format!("row {row} ({})", receipt.sku));
        let why = receipt.why.as_deref().unwrap_or_default();
        output::line(&format!("{place}: {}: {why}", receipt.outcome))?;
    }
    let counts = ["imported", "changed", "unchanged", "refused", "not sent"].map(|outcome| (count(outcome), outcome));
    let words: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, outcome)| format!("{n} {outcome}")).collect();
    let said = if words.is_empty() { "the file lists nothing".to_owned() } else { words.join(", ") };
    output::line(&match sync {
        Some(sync) => format!("{sync}: {said}"),
        None => format!("nothing was sent: {said}"),
    })
}
