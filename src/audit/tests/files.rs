//! Histories as files.

use super::life::{life, submission};
use crate::audit::events::EventView;
use crate::audit::export::{Format, export};
use crate::domain::command::{Command, Intake};
use crate::domain::facts::Role;
use crate::ledger::Ask;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_one_cloud_event_a_line_and_goes_on_from_any_position() {
    let world = life(20, 300).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let head = ledger.head(tenant).unwrap();
    let mut whole = Vec::new();
    assert_eq!(export(ledger, tenant, 0, head, Format::Ndjson, true, &mut whole).unwrap(), head + 1);
    let mut parts = Vec::new();
    let mut from = 0;
    while from <= head {
        from = export(ledger, tenant, from, head.min(from + 76), Format::Ndjson, true, &mut parts).unwrap();
    }
    // each has its end, with what stands before it
    let events = |text: &[u8]| -> (String, Vec<Value>) {
        let text = str::from_utf8(text).unwrap();
        let (ends, events): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.contains("\"type\":\"seatledger.export.ended\""));
        (events.join("\n") + "\n", ends.iter().map(|end| serde_json::from_str(end).unwrap()).collect())
    };
    let (text, ends) = events(&whole);
    assert_eq!(text.lines().count() as u64, head + 1);
    assert_eq!(ends.len(), 1);
    let sum = hex::encode(Sha256::digest(&text));
    assert_eq!(ends[0]["data"], json!({"from": 0, "next_position": head + 1, "sha256": sum}));
    assert!(whole.starts_with(text.as_bytes()) && whole.ends_with(b"}\n"), "its end is its last line");
    let (in_parts, ends) = events(&parts);
    assert_eq!(in_parts, text);
    assert_eq!(ends[1]["data"]["from"], 77);
    assert_eq!(ends.last().unwrap()["data"]["next_position"], head + 1);
    for (line, recorded) in text.lines().zip(ledger.events(tenant, 0, usize::MAX).unwrap()) {
        let event: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        assert!(event.keys().all(|key| key.len() <= 20 && key.bytes().all(|b| b.is_ascii_lowercase())), "{line}");
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["id"], format!("acme/{}", recorded.position));
        assert_eq!(event["type"], format!("seatledger.{}", recorded.event.type_name()));
        assert_eq!(event["time"], recorded.envelope.recorded_at.to_string());
        assert_eq!(event.get("commandid").and_then(Value::as_str), recorded.envelope.command_id.as_deref());
        assert!(event["data"].is_object());
    }
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_open_where_they_may_be_and_neither_seals_nor_hashes_of_tokens_are_shown() {
    let world = life(21, 200).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let token = Command::IssueToken { name: "t".into(), role: Role::Auditor, hash: [0xab; 32], expires_at: None };
    ledger.submit(tenant, submission(None, Ask::Intake(Intake::Command(token)))).await.unwrap();
    let mut kinds = BTreeSet::new();
    for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
        let view = EventView::of(ledger, &recorded);
        let text = serde_json::to_string(&view).unwrap();
        assert!(!text.contains("sealed") && !text.contains("subject\"") && !text.contains("171,171"), "{text}");
        if let Some(profile) = view.data.get("profile") {
            assert!(profile["user_name"].as_str().unwrap().ends_with("@acme.example"), "{text}");
        }
        if let Some(names) = view.data.get("names") {
            assert!(names["serial"].as_str().unwrap().starts_with("SN"), "{text}");
        }
        kinds.insert(view.kind);
    }
    for kind in ["user_added", "device_added", "token_issued"] {
        assert!(kinds.contains(kind), "{kind}");
    }
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_has_a_row_per_event_and_no_cell_that_a_spreadsheet_would_run() {
    let world = life(22, 300).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let head = ledger.head(tenant).unwrap();
    let mut bytes = Vec::new();
    export(ledger, tenant, 0, 9, Format::Csv, true, &mut bytes).unwrap();
    export(ledger, tenant, 10, head, Format::Csv, false, &mut bytes).unwrap();
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let column = |name: &str, headers: &csv::StringRecord| headers.iter().position(|header| header == name).unwrap();
    let headers = reader.headers().unwrap().clone();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len() as u64, head + 1);
    for (row, recorded) in rows.iter().zip(ledger.events(tenant, 0, usize::MAX).unwrap()) {
        assert_eq!(row[column("position", &headers)], recorded.position.to_string());
        assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{row:?}");
        let reason = recorded.envelope.reason.map(|reason| format!("'{reason}")).unwrap_or_default();
        assert_eq!(row[column("reason", &headers)], reason);
        let data: Value = serde_json::from_str(&row[column("data", &headers)]).unwrap();
        assert_eq!(row[column("pool", &headers)], *data["pool"].as_str().unwrap_or_default());
    }
    assert!(rows.iter().any(|row| row[column("reason", &headers)].starts_with("'=")));
    ledger.stop().await;
}
