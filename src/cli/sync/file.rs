//! A declared inventory from a file, sent to the running service, with a receipt for every item; again whenever the file has
//! changed, if asked to. Not here: what a row means (`sheet`).

use super::changes::{Taken, sync_of, taken};
use super::sheet::{self, Line, Mapping};
use crate::cli::client::{CallError, Client};
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
    pub(super) is_dry_run: bool,
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
    let (mut inventory, lines) = if is_csv(sending.file) {
        let sheet::Read { lines, unsaid } = sheet::read(sending.file, sending.maps)?;
        let items: Vec<&Value> = lines.iter().filter_map(|line| line.item.as_ref().ok()).collect();
        (json!({"complete": sending.is_complete, "items": items, "keep": unsaid}), lines)
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
    if sending.is_dry_run {
        let fields = inventory.as_object_mut();
        let fields = fields.ok_or_else(|| exit::file(sending.file, "is no inventory", "it is no JSON object"))?;
        fields.insert("dry_run".to_owned(), true.into());
    }
    // a JSON file may ask for it by itself
    let is_dry_run = inventory.get("dry_run").is_some_and(|is_dry_run| *is_dry_run == true);
    let is_readable = lines.iter().all(|line| line.item.is_ok());
    let tenant = format!("/v1/tenants/{tenant}");
    if is_dry_run && is_readable {
        // what became of each item is known of items that were taken
        let answer = client.post(&format!("{tenant}/inventory"), inventory, None).await?;
        let sync = sync_of(client, &tenant, &answer).await?;
        super::tell(&sync, sending.is_json)?;
        return Ok(Finished::well_if(sync.get("skipped").and_then(Value::as_array).is_none_or(Vec::is_empty)));
    }
    let before = pools(client, &tenant).await?;
    let taken = if is_readable {
        let answer = client.post(&format!("{tenant}/inventory"), inventory, None).await?;
        Some(taken(client, &tenant, &answer).await?)
    } else {
        None
    };
    let receipts: Vec<Receipt> = lines.into_iter().map(|line| receipt(line, taken.as_ref(), &before)).collect();
    let sync = taken.as_ref().and_then(|taken| taken.sync.get("id")?.as_str());
    tell(&receipts, sync, sending.is_json)?;
    Ok(Finished::well_if(receipts.iter().all(|receipt| receipt.outcome != "refused")))
}

fn receipt(line: Line, taken: Option<&Taken>, before: &BTreeMap<String, String>) -> Receipt {
    let key = format!("declared:{}", line.sku.trim());
    let (outcome, why) = match (line.item, taken) {
        (Err(why), _) => ("refused", Some(why)),
        (Ok(_), None) => ("not sent", Some("another row was refused".to_owned())),
        (Ok(_), Some(taken)) => match (skipped(&taken.sync, &key), before.get(&key)) {
            (Some(why), _) => ("refused", Some(why)),
            (None, None) => ("imported", None),
            (None, Some(pool)) if taken.changed.contains(pool) => ("changed", None),
            (None, Some(_)) => ("unchanged", None),
        },
    };
    Receipt { row: (line.row > 0).then_some(line.row), sku: line.sku, outcome, why }
}

/// The pools' ids, by their keys.
async fn pools(client: &Client, tenant: &str) -> Result<BTreeMap<String, String>, CallError> {
    let pools = client.list(&format!("{tenant}/pools")).await?;
    let told = |pool: &Value| Some((pool["key"].as_str()?.to_owned(), pool["id"].as_str()?.to_owned()));
    Ok(pools.iter().filter_map(told).collect())
}

/// Why a sync left an item out, if it did.
fn skipped(sync: &Value, key: &str) -> Option<String> {
    let mut skipped = sync.get("skipped").and_then(Value::as_array).into_iter().flatten();
    let entry = skipped.find(|entry| entry["key"] == key)?;
    Some(entry["reason"].as_str().unwrap_or("skipped").to_owned())
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
