//! The subcommands on real folders: a stopped one, and one with a service on it that is asked over HTTP.

use super::super::{restore, verify};
use super::*;
use crate::clock::Clock;
use crate::domain::command::{Actor, Door};
use crate::domain::time::Time;
use crate::ledger::{Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress, Signing};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use clap::Parser;

#[derive(Debug, Parser)]
struct Backup {
    #[command(flatten)]
    args: Args,
}

#[derive(Debug, Parser)]
struct Restore {
    #[command(flatten)]
    args: restore::Args,
}

#[derive(Debug, Parser)]
struct Verify {
    #[command(flatten)]
    args: verify::Args,
}

fn backup(arguments: &[&str]) -> Result<Finished, Failure> {
    run(&Backup::try_parse_from([&["backup"], arguments].concat()).unwrap().args)
}

fn put_back(from: &Path, data: &Path) -> Result<Finished, Failure> {
    let arguments = ["restore", "--from", from.to_str().unwrap(), "--data", data.to_str().unwrap()];
    restore::run(&Restore::try_parse_from(arguments).unwrap().args)
}

fn verified(data: &Path) -> Result<Finished, Failure> {
    verify::run(&Verify::try_parse_from(["verify", "--json", "--data", data.to_str().unwrap()]).unwrap().args)
}

fn open(dir: &Path) -> Ledger {
    let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir) };
    let clock = Clock::manual(Time(1_790_000_000_000_000));
    Ledger::open(
        LedgerOptions { log, master_key: MasterKeySource::DataFolder, clock, signing: Signing::default() },
        &NoProgress,
    )
    .unwrap()
}

async fn with_tenants(dir: &Path) -> Ledger {
    let ledger = open(dir);
    for slug in ["acme", "umbra"] {
        ledger.create_tenant(Actor::Root, Door::Cli, slug, slug).await.unwrap();
    }
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_folder_goes_into_a_file_and_back() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    with_tenants(dir.path()).await.stop().await;
    let (data, file) = (dir.path().to_str().unwrap(), other.path().join("b.tar"));
    let to = file.to_str().unwrap();
    assert_eq!(backup(&["--data", data, "--to", to]).unwrap(), Finished::Well);
    assert_eq!(backup(&["--data", data, "--to", to]).unwrap_err().code(), exit::FILE, "the file is there already");
    backup(&["--data", data, "--to", to, "--force", "--with-master-key"]).unwrap();
    let (folder, link) = (other.path().join("folder"), other.path().join("link"));
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for to in [&folder, &link] {
        for more in [&[][..], &["--force"]] {
            let refused = backup(&[&["--data", data, "--to", to.to_str().unwrap()], more].concat()).unwrap_err();
            assert!(refused.code() == exit::FILE && refused.to_string().contains("no regular file"), "{refused}");
        }
    }
    assert!(link.is_symlink() && folder.is_dir());
    std::fs::remove_dir(folder).unwrap();
    std::fs::remove_file(link).unwrap();
    let inside = dir.path().join("b.tar");
    assert_eq!(backup(&["--data", data, "--to", inside.to_str().unwrap()]).unwrap_err().code(), exit::USAGE);
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1, "nothing lies beside the backup");

    let restored = other.path().join("restored");
    put_back(&file, &restored).unwrap();
    assert_eq!(verified(&restored).unwrap(), Finished::Well);
    assert_eq!(put_back(&file, &restored).unwrap_err().code(), exit::FILE, "not empty");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let cut = put_back(&file, &other.path().join("cut")).unwrap_err();
    assert!(cut.code() == exit::REFUSED && cut.to_string().contains("cut off"), "{cut}");
    assert!(!other.path().join("cut").exists());
    std::fs::write(restored.join("READY"), b"seatledger-log 1 nonsense\n").unwrap();
    assert_eq!(verified(&restored).unwrap(), Finished::WithRefusals);
    assert_eq!(verified(&other.path().join("nowhere")).unwrap_err().code(), exit::FILE);
}

/// A route as the service has it, on a ledger that is open.
async fn serve(ledger: Ledger, is_cut_off: bool) -> String {
    let route = axum::routing::get(move |headers: HeaderMap| {
        let ledger = ledger.clone();
        async move {
            if headers.get("authorization").is_none_or(|token| token != "Bearer secret") {
                return (StatusCode::UNAUTHORIZED, Body::empty());
            }
            let mut bytes = vec![];
            ledger.backup(&mut bytes, &NoProgress).unwrap();
            if is_cut_off {
                bytes.truncate(bytes.len() / 2);
            }
            (StatusCode::OK, Body::from(bytes))
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/v1/backup", route)).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_asked_for_its_backup() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = with_tenants(dir.path()).await;
    let url = serve(ledger.clone(), false).await;
    std::fs::write(dir.path().join("service.json"), format!("{{\"url\":{url:?}}}")).unwrap();
    std::fs::write(dir.path().join("root.token"), "wrong\n").unwrap();
    let (data, file) = (dir.path().to_owned(), other.path().join("b.tar"));
    let ask = {
        let file = file.clone();
        move |more: Vec<&'static str>| {
            let (data, file) = (data.clone(), file.clone());
            let arguments = move || {
                let mut arguments = vec!["--data", data.to_str().unwrap(), "--to", file.to_str().unwrap()];
                arguments.extend(more);
                backup(&arguments)
            };
            tokio::task::spawn_blocking(arguments)
        }
    };
    assert_eq!(ask(vec![]).await.unwrap().unwrap_err().code(), exit::NOT_ALLOWED);
    std::fs::write(dir.path().join("root.token"), "secret\n").unwrap();
    assert_eq!(ask(vec!["--with-master-key"]).await.unwrap().unwrap_err().code(), exit::USAGE);
    assert_eq!(ask(vec![]).await.unwrap().unwrap(), Finished::Well);
    let restored = other.path().join("restored");
    put_back(&file, &restored).unwrap();
    let digest = ledger.digest(ledger.tenant("umbra").unwrap()).unwrap();
    let replayed = crate::ledger::replay::replay(&restored, &Default::default(), &NoProgress).unwrap();
    assert_eq!((replayed[1].state.next_position - 1, replayed[1].digest), digest);

    std::fs::remove_file(&file).unwrap();
    let cut_off = serve(ledger.clone(), true).await;
    std::fs::write(dir.path().join("service.json"), format!("{{\"url\":{cut_off:?}}}")).unwrap();
    let outcome = ask(vec![]).await.unwrap().unwrap_err();
    assert!(outcome.code() == exit::FILE && outcome.to_string().contains("cut off"), "{outcome}");
    assert!(!file.exists(), "half a backup gets no name");
    ledger.stop().await;
}
