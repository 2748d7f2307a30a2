//! The folder that is tampered with: made by the real service out of the work of a town, with every kind of file in it,
//! heads that a witness cosigned and an authority stamped among them, and those of many tenants in one file, stopped, and put
//! where writing is cheap. Not here: flips.

use super::rounds;
use crate::crowd::{Crowd, Town};
use crate::harness::{Options, Said, Service, Tenant};
use crate::merkle_log::key;
use crate::quorum::until;
use crate::timestamps::{Authority, is_stamped, stamps};
use crate::witness::Witness;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const BATCH_COMMANDS: usize = 500;
/// Commands between the last two stops.
const LAST_ACTS: usize = 60;
/// Tenants whose heads nobody asks for, enough to be signed in one file.
const VILLAGES: usize = 20;
/// Those of them with a head in the older of two such files.
const STILL_VILLAGES: usize = 4;

/// A stopped data folder. Gone when dropped.
pub(crate) struct Store {
    _folder: tempfile::TempDir,
    pub(crate) data: PathBuf,
    /// The same as it was at the stop before the last.
    pub(crate) older: PathBuf,
}

/// Memory, if there is a folder of it: a million flips need no disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in files_below(from) {
        let copied = to.join(file.strip_prefix(from).expect("below it"));
        fs::create_dir_all(copied.parent().expect("a folder")).expect("a folder");
        fs::copy(&file, copied).expect("copied");
    }
}

fn bytes_below(folder: &Path) -> u64 {
    files_below(folder).iter().map(|file| file.metadata().expect("a file").len()).sum()
}

/// A service whose files come early and stay small.
pub(crate) fn service(segment_bytes: u64) -> Service {
    let environment = vec![
        ("SEATLEDGER_CHECKPOINT_SECONDS", "1".to_owned()),
        ("SEATLEDGER_SIGN_SECONDS", "1".to_owned()),
        ("SEATLEDGER_SEGMENT_BYTES", segment_bytes.to_string()),
        ("SEATLEDGER_LOG", "warn".to_owned()),
    ];
    Service::start_with(Options { environment, ..Options::default() })
}

/// So many commands of a crowd, in batches.
pub(crate) fn act(t: &Tenant, crowd: &mut Crowd, times: usize) {
    let mut left = times;
    while left > 0 {
        let commands: Vec<Value> = (0..left.min(BATCH_COMMANDS)).map(|_| crowd.act()).collect();
        let results = t.post("/commands", commands.clone().into()).ok();
        for (command, result) in commands.iter().zip(results["results"].as_array().expect("results")) {
            if let Some(said) = Said::of_result(result) {
                crowd.heard(command, &said);
            }
        }
        left -= commands.len();
    }
}

impl Store {
    /// All files together have at least so many bytes, zeros that were made ahead included.
    pub(crate) fn of_bytes(bytes: u64) -> Self {
        let town = Town { people: 300, devices: 5, pools: 2, seats: 40 };
        Self::grown(32 << 10, town, 60, |data, _| bytes_below(data) >= bytes)
    }

    /// One of its tenants has at least so many events.
    pub(crate) fn of_events(events: u64) -> Self {
        let town = Town { people: 900, devices: 100, pools: 20, seats: 300 };
        Self::grown(1 << 20, town, 20_000, |_, head| head + 1 >= events)
    }

    /// Two tenants; one of them works on, with a stop in between, until it is enough. Then some more come.
    fn grown(segment_bytes: u64, town: Town, acts: usize, is_enough: impl Fn(&Path, u64) -> bool) -> Self {
        let (folder, mut service) = (scratch(), service(segment_bytes));
        let (data, older) = (folder.path().join("data"), folder.path().join("older"));
        let (t, other) = (service.tenant(), service.tenant());
        town.build(&t);
        Town { people: 8, devices: 2, pools: 1, seats: 4 }.build(&other);
        let mut crowd = Crowd::new(town, "asker".to_owned(), rand::random());
        fs::write(folder.path().join("logs"), format!("{}\n{}\n", key(&t), key(&other))).expect("written");
        let witness = Witness::start(folder.path(), "127.0.0.1:0");
        // without openssl there are no timestamps in it
        let authority = Authority::start();
        service.stop();
        let asked = serde_json::json!([format!("{} {}", witness.url, witness.key())]).to_string();
        service.set("SEATLEDGER_WITNESSES", asked);
        service.set("SEATLEDGER_WITNESS_QUORUM", "1".to_owned());
        let without_authority = service.options().clone();
        if let Some(authority) = &authority {
            service.set("SEATLEDGER_TIMESTAMP_URL", authority.url.clone());
        }
        service.start_again();
        let is_cosigned = |tenant: &Tenant| {
            let newest = format!("/log/checkpoint?cosigned=true&at_least={}", tenant.head());
            until("its head is cosigned", || tenant.get(&newest).status == 200);
        };
        // twice at least, so that there are files of an earlier time
        for round in 0.. {
            act(&t, &mut crowd, acts);
            service.advance_days(1);
            for tenant in [&t, &other] {
                assert_eq!(tenant.get("/log/checkpoint").status, 200);
                is_cosigned(tenant);
                let is_dated =
                    || authority.is_none() || (!stamps(tenant).is_empty() && stamps(tenant).iter().all(is_stamped));
                until("its head is stamped", is_dated);
            }
            let head = t.head();
            service.stop();
            if round > 0 && is_enough(&service.data(), head) {
                break;
            }
            service.start_again();
        }
        // nobody stamps their heads, and the witness does not know them
        service.change(without_authority);
        service.start_again();
        let villages: Vec<Tenant> = (0..VILLAGES).map(|_| service.tenant()).collect();
        for copied in [&older, &data] {
            act(&t, &mut crowd, LAST_ACTS.min(acts));
            let all: Vec<&Tenant> = [&t].into_iter().chain(&villages).collect();
            rounds::sign_together(&service.data(), &all);
            rounds::sign_together(&service.data(), all.get(..all.len() - STILL_VILLAGES).expect("enough"));
            is_cosigned(&t);
            service.stop();
            copy(&service.data(), copied);
            service.start_again();
        }
        eprintln!("a store of {} bytes in {} files", bytes_below(&data), files_below(&data).len());
        Self { _folder: folder, data, older }
    }
}
