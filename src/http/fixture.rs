//! A service on a folder of its own, for the tests of this room: its root token is `root`, nobody is asked for anything.

use super::{RateLimits, RequestLimits, Service};
use crate::clock::Clock;
use crate::domain::time::Time;
use crate::ledger::{Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress, Signing};
use crate::store::credentials::CredentialSource;
use crate::store::desk::{StoreOptions, Stores};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn service(dir: &Path, body_bytes_max: usize) -> Arc<Service> {
    let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir) };
    let clock = Clock::manual(Time(1_790_000_000_000_000));
    let options = LedgerOptions { log, master_key: MasterKeySource::DataFolder, clock, signing: Signing::default() };
    let ledger = Ledger::open(options, &NoProgress).unwrap();
    let limits = RequestLimits { body_bytes_max, bulk_bytes_max: 1 << 20, request_max: Duration::from_secs(60) };
    let rate = RateLimits { requests_per_s: 0, strangers_per_s: 0 };
    let credentials = CredentialSource { folder: dir.join("credentials"), given: None, command: None };
    let client = Box::new(|_: &str| Err("nobody is asked".to_owned()));
    let options = StoreOptions { credentials, client, urls: vec![], sync_every: Duration::ZERO };
    let stores = Stores::new(ledger.clone(), options);
    Service::new(ledger, stores, "root", limits, rate, None, Duration::from_secs(9))
}
