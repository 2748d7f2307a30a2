//! An export taken back.

use super::life::{World, life, submission};
use crate::audit::export::{Format, export};
use crate::audit::import::{ImportError, Imported, import};
use crate::domain::command::{Command, Intake};
use crate::domain::facts::Role;
use crate::domain::time::Time;
use crate::ledger::{Ask, Clock, Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress, Signing, SubmitError};
use std::path::Path;

pub(super) fn open_at(dir: &Path, now: Time) -> Ledger {
    let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir) };
    let options = LedgerOptions {
        log,
        master_key: MasterKeySource::DataFolder,
        clock: Clock::manual(now),
        signing: Signing::default(),
    };
    Ledger::open(options, &NoProgress).unwrap()
}

pub(super) fn exported(world: &World) -> String {
    let mut bytes = Vec::new();
    let head = world.ledger.head(world.tenant).unwrap();
    export(&world.ledger, world.tenant, 0, head, Format::Ndjson, true, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(super) async fn imported(dir: &Path, text: String) -> (Ledger, Result<Imported, ImportError>) {
    let ledger = open_at(dir, Time(0));
    let into = ledger.clone();
    let taken = tokio::task::spawn_blocking(move || import(&into, &mut text.as_bytes(), &NoProgress)).await.unwrap();
    (ledger, taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_has_the_same_digest_the_same_export_and_the_same_answers() {
    let world = life(30, 900).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let token = Command::IssueToken { name: "t".into(), role: Role::Auditor, hash: [0xab; 32], expires_at: None };
    ledger.submit(tenant, submission(None, Ask::Intake(Intake::Command(token)))).await.unwrap();
    let text = exported(&world);
    let dir = tempfile::tempdir().unwrap();
    let (copy, taken) = imported(dir.path(), text.clone()).await;
    let taken = taken.unwrap();
    let (position, digest) = ledger.digest(tenant).unwrap();
    assert_eq!(taken, Imported { slug: "acme".into(), events: position + 1, digest });
    assert_eq!(copy.digest(copy.tenant("acme").unwrap()).unwrap(), (position, digest));
    copy.stop().await;

    // and after a restart, with names found and receipts known
    let copy = open_at(dir.path(), ledger.clock().now());
    let other = copy.tenant("acme").unwrap();
    assert_eq!(copy.digest(other).unwrap(), (position, digest));
    let again = World { dir, ledger: copy.clone(), tenant: other };
    assert_eq!(exported(&again), text);
    let mut asked = 0;
    let mut before = None;
    for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
        let Some(id) = recorded.envelope.command_id.filter(|id| before.as_ref() != Some(id)) else { continue };
        before = Some(id.clone());
        // what is asked does not matter to a repeat: its content hash does
        let again = submission(Some(id), super::life::grant(0, 0));
        let first = ledger.submit(tenant, again.clone()).await.unwrap();
        assert_eq!(copy.submit(other, again.clone()).await.unwrap(), first);
        assert!(first.is_repeat);
        // each under a mask of its own vault
        let theirs = copy.events(other, recorded.position, 1).unwrap().remove(0).envelope.content_hash;
        let hashes = [recorded.envelope.content_hash, theirs, again.content_hash];
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2], "{hashes:x?}");
        let another = crate::ledger::Submission { content_hash: 1, ..again };
        assert_eq!(copy.submit(other, another).await, Err(SubmitError::IdReused));
        asked += 1;
    }
    assert!(asked > 100, "{asked}");
    for n in 0..12 {
        let name = format!("user{n}@acme.example");
        let found = |ledger: &Ledger, tenant| {
            let user = ledger.user_ref(tenant, &name);
            let crate::domain::command::UserRef::Name(blind) = user else { panic!("a name") };
            ledger.read(tenant, |view| view.state.names.user(blind)).unwrap()
        };
        assert_eq!(found(&copy, other), found(ledger, tenant));
    }
    assert_eq!(copy.read(other, |view| view.state.broken_law()).unwrap(), None);
    copy.stop().await;
    world.ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_not_one_is_refused_at_its_first_bad_place() {
    let world = life(31, 250).await;
    let text = exported(&world);
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let at = |kind: &str| {
        let wanted = format!("\"type\":\"seatledger.{kind}\"");
        lines.iter().position(|line| line.contains(&wanted)).unwrap_or_else(|| panic!("no {kind}"))
    };
    let replaced = |at: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        let line = lines[at].replacen(from, to, 1);
        assert_ne!(line, lines[at], "{from}");
        lines[at] = &line;
        join(&lines)
    };
    let mut gap = lines.clone();
    gap.remove(7);
    let grant = at("seat_granted");
    // the same grant once more, in the place of what followed
    let twice =
        lines[grant].replacen(&format!("\"position\":\"{grant}\""), &format!("\"position\":\"{}\"", grant + 1), 1);
    let twice = twice.replacen(&format!("acme/{grant}\""), &format!("acme/{}\"", grant + 1), 1);
    let mut repeated = lines[..=grant].to_vec();
    repeated.push(&twice);
    let user = at("user_added");
    let last = lines.len() - 1;
    let hash = &text[text.find("\"contenthash\":\"").unwrap()..][..31];
    let other_hash = format!("\"contenthash\":\"{}", if hash.ends_with("f") { "0".repeat(16) } else { "f".repeat(16) });
    let bad: Vec<(String, &str)> = vec![
        (String::new(), "no event"),
        ("{}\n".into(), "line 1: missing field"),
        (join(&lines[1..]), "position 0 is missing"),
        (join(&gap), "line 8: position 7 is missing"),
        (join(&repeated), "over-allocated"),
        (replaced(grant, "seat_granted", "seat_invented"), "is unknown"),
        (replaced(grant, "\"holder\":", "\"colour\":\"red\",\"holder\":"), "says more"),
        (replaced(grant, "\"eventversion\":1", "\"eventversion\":9"), "event version 9"),
        (replaced(grant, "\"specversion\":\"1.0\"", "\"specversion\":\"0.3\""), "specversion"),
        (replaced(grant, "\"time\":\"202", "\"time\":\"201"), "time ran backwards"),
        (replaced(grant, "\"door\":", "\"extra\":1,\"door\":"), "unknown field"),
        (replaced(user, "\"user_name\":", "\"shoe_size\":43,\"user_name\":"), "names"),
        (replaced(user, "\"profile\":", "\"profil\":"), "profile is missing"),
        (format!("{}\n{{\"specversion\":", lines[0]), "line 2: it was cut off: after 1 events"),
        (join(&lines[..9]), "line 10: it was cut off: after 9 events"),
        (join(&lines[..last]), "it was cut off"),
        (replaced(last, "\"sha256\":\"", "\"sha256\":\"0"), "another SHA-256"),
        (replaced(last, "\"source\":\"/v1/tenants/acme/", "\"source\":\"/v1/tenants/umbra/"), "missing field"),
        (join(&[&lines[..9], &lines[last..]].concat()), "where 9 should follow"),
        (text.replace(hash, &other_hash), "another SHA-256"),
        (format!("{text}{}\n", lines[last]), "should follow"),
        (format!("{}\n{}\n", lines[0], "x".repeat(300_000)), "longer than"),
    ];
    for (text, said) in bad {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, taken) = imported(dir.path(), text).await;
        let error = taken.unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
        assert!(!error.contains("@acme.example"), "{error}");
        ledger.stop().await;
    }
    // a folder that has a history takes no other
    let text = text.clone();
    let into = world.ledger.clone();
    let taken = tokio::task::spawn_blocking(move || import(&into, &mut text.as_bytes(), &NoProgress)).await.unwrap();
    assert!(matches!(taken, Err(ImportError::NotEmpty)));
    world.ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_in_parts_is_taken_as_a_whole() {
    let world = life(32, 250).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let whole = exported(&world);
    let (position, digest) = ledger.digest(tenant).unwrap();
    let part = |from: u64, to: u64| {
        let mut bytes = Vec::new();
        export(ledger, tenant, from, to, Format::Ndjson, true, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let broke_off: String = whole.split_inclusive('\n').take(40).collect();
    let second = part(51, position);
    let without_end: String = second.split_inclusive('\n').take(second.lines().count() - 1).collect();
    for (text, is_whole) in [
        (part(0, 50) + &part(51, position), true),
        (broke_off.clone() + &part(40, position), true),
        (part(0, 50) + &without_end, false),
        (broke_off + &part(41, position), false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (copy, taken) = imported(dir.path(), text).await;
        assert_eq!(taken.is_ok(), is_whole, "{taken:?}");
        assert!(taken.is_err() || taken.is_ok_and(|taken| taken.digest == digest));
        copy.stop().await;
    }
    world.ledger.stop().await;
}
