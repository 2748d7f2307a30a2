//! The desk of all store accounts, put together from what the service was told. Not here: what a connector does.

use super::exit::Failure;
use super::outside;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::store::credentials::{CredentialSource, folder_of};
use crate::store::desk::{StoreOptions, Stores};
use std::time::Duration;
use zeroize::Zeroizing;

/// One answer of a store, from the first byte sent to the last read.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What the service was told of stores, before anything is opened: where an account may lead, and by what it is trusted.
///
/// # Errors
/// What is no URL, and a file that holds no certificates.
pub(super) fn checked(config: &Config) -> Result<(), Failure> {
    if let Some(url) = config.store_urls.iter().find(|url| !outside::is_url(url)) {
        return Err(Failure::Usage(format!("store_urls: {url:?} is no URL, as in http://127.0.0.1:8091")));
    }
    outside::begun(std::iter::empty(), config.store_ca.as_deref()).map(drop)
}

pub(super) fn desk(config: &Config, ledger: &Ledger) -> Stores {
    let credentials = CredentialSource {
        folder: folder_of(&config.data),
        given: config.store_credentials.clone().map(Zeroizing::new),
        command: config.store_credentials_command.clone(),
    };
    let ca = config.store_ca.clone();
    let client = Box::new(move |url: &str| {
        outside::client([url].into_iter(), ca.as_deref(), ANSWER_MAX).map_err(|error| error.to_string())
    });
    let sync_every = Duration::from_secs(config.store_sync_seconds);
    let sync_pause = Duration::from_secs(config.store_pause_seconds);
    let agree_after = Duration::from_secs(config.store_agree_seconds);
    let urls = config.store_urls.clone();
    Stores::new(ledger.clone(), StoreOptions { credentials, client, urls, sync_every, sync_pause, agree_after })
}
