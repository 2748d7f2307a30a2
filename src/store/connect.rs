//! From the settings of an account and its credentials to its connectors. Not here: what a connector does, and where
//! credentials come from.

use super::apple::{
    APPLE_URL, AppleConnector, AppleSettings, ContentToken, Ear, Hint, NotHeard, NotificationSettings, wire::MdmInfo,
};
use super::connector::{Connector, NotTold, Told};
use super::credentials::Credentials;
use super::microsoft::{MicrosoftConnector, MicrosoftSettings};
use super::secret::StoreSecret;
use super::terms::{Account, Pass, PassAsked, PassProgress, Request, Settled, StoreHolder, Trouble};
use super::transport::{Transport, TransportLimits};
use crate::domain::key::{PoolKey, Provider};
use futures::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What an account is opened with.
pub struct Opening<'a> {
    pub provider: Provider,
    pub account_id: &'a str,
    /// As JSON, from the log: without secrets.
    pub settings: &'a str,
    pub credentials: &'a Credentials,
    /// How this installation names itself where the settings don't.
    pub installation: &'a str,
    /// Where besides the stores' own addresses a setting may lead.
    pub urls: &'a [String],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MicrosoftGiven {
    client_id: String,
    base_url: Option<String>,
    authority_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppleGiven {
    base_url: Option<String>,
    mdm_id: Option<String>,
    mdm_name: Option<String>,
    /// Where the store tells of changes, as it reaches this service: the address of POST .../notifications.
    notification_url: Option<String>,
    /// Between two looks at an event; Apple asks for 30,000 at least.
    poll_millis: Option<u64>,
    /// An event that is pending after it is looked up by reading.
    patience_seconds: Option<u64>,
}

/// An account of this provider is never opened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NothingGiven {}

/// Reads settings as the connector will, so that what it can't use never gets into the log.
///
/// # Errors
/// In words, naming the setting that is wrong and never quoting what it is set to.
pub fn check_settings(provider: Provider, settings: &str) -> Result<(), String> {
    match provider {
        Provider::MicrosoftStore => read::<MicrosoftGiven>(settings).map(drop),
        Provider::AppleBusiness => read::<AppleGiven>(settings).map(drop),
        Provider::Declared => read::<NothingGiven>(settings).map(drop),
    }
}

/// Makes the connectors of an account: at Apple one for each unit.
///
/// # Errors
/// In words, naming the setting that is wrong, and no secret.
pub fn connectors(
    opening: &Opening<'_>,
    client: impl Fn(&str) -> Result<reqwest::Client, String>,
) -> Result<Vec<Arc<dyn Connector>>, String> {
    match (opening.provider, opening.credentials) {
        (Provider::MicrosoftStore, Credentials::Microsoft(given)) => {
            let settings: MicrosoftGiven = read(opening.settings)?;
            // the account is the directory, so that no setting leads to another organization's store
            let usual = MicrosoftSettings::new(opening.account_id, &settings.client_id);
            let base_url = allowed("base_url", settings.base_url, &usual.base_url, opening.urls)?;
            let authority_url = allowed("authority_url", settings.authority_url, &usual.authority_url, opening.urls)?;
            let transport = Transport::new(client(&base_url)?, TransportLimits::default());
            let settings = MicrosoftSettings { base_url, authority_url, ..usual };
            Ok(vec![Arc::new(MicrosoftConnector::new(&settings, given.client_secret.clone(), transport))])
        }
        (Provider::AppleBusiness, Credentials::Apple(given)) => {
            let settings: AppleGiven = read(opening.settings)?;
            let url = allowed("base_url", settings.base_url, APPLE_URL, opening.urls)?;
            let http = client(&url)?;
            let mut units: Vec<Arc<dyn Connector>> = Vec::with_capacity(given.content_tokens.len());
            for (place, secret) in given.content_tokens.iter().enumerate() {
                let token = ContentToken::parse(&Zeroizing::new(secret.reveal().to_owned()))
                    .map_err(|error| format!("content token {}: {error}", place + 1))?;
                let mdm_info = MdmInfo {
                    id: settings.mdm_id.clone().unwrap_or_else(|| opening.installation.to_owned()),
                    name: settings.mdm_name.clone().unwrap_or_else(|| "seatledger".to_owned()),
                    metadata: concat!("seatledger/", env!("CARGO_PKG_VERSION")).to_owned(),
                };
                let mut unit = AppleSettings::new(token, mdm_info);
                unit.url.clone_from(&url);
                // of several units one is the account, and the others may be any
                unit.unit_id = (given.content_tokens.len() == 1).then(|| opening.account_id.to_owned());
                unit.poll_interval = settings.poll_millis.map_or(unit.poll_interval, Duration::from_millis);
                unit.patience = settings.patience_seconds.map_or(unit.patience, Duration::from_secs);
                let ear = settings.notification_url.as_ref().map(|url| {
                    let bearer = bearer_for(secret);
                    unit.notifications =
                        Some(NotificationSettings { url: url.clone(), bearer: bearer.clone(), types: vec![] });
                    Ear::new(bearer)
                });
                let connector = AppleConnector::new(http.clone(), TransportLimits::default(), unit);
                units.push(Arc::new(AppleUnit { connector, ear }));
            }
            Ok(units)
        }
        (Provider::MicrosoftStore | Provider::AppleBusiness | Provider::Declared, _) => {
            Err("the credentials are not this provider's".into())
        }
    }
}

/// What Apple proves itself with: made of the unit's content token, so that each unit has its own, it is the same at every start
/// and nothing else is kept. A renewed token makes another.
fn bearer_for(token: &StoreSecret) -> StoreSecret {
    let hash = Sha256::new().chain_update(b"seatledger notifications\n").chain_update(token.reveal()).finalize();
    StoreSecret::new(Zeroizing::new(hex::encode(hash)))
}

/// A unit, and who hears what its store tells.
struct AppleUnit {
    connector: AppleConnector,
    ear: Option<Ear>,
}

/// What is there in the wrong place may be a secret: the error has the names of settings alone.
fn read<T: DeserializeOwned>(settings: &str) -> Result<T, String> {
    let given: Value = serde_json::from_str(settings).map_err(|_| "settings: no JSON".to_owned())?;
    serde_path_to_error::deserialize(given).map_err(|error| {
        let place = error.path().to_string();
        let said = error.into_inner().to_string();
        // of a value that is of the wrong kind serde says the value as well
        let tells_names_alone = ["unknown field `", "missing field `"].iter().any(|begin| said.starts_with(begin));
        if tells_names_alone {
            format!("settings: {said}")
        } else {
            format!("settings: {place} is not of the kind that it should be")
        }
    })
}

/// The store's own address, or one that the service was started with leave for: a setting must not lead anywhere else.
fn allowed(name: &str, given: Option<String>, usual: &str, urls: &[String]) -> Result<String, String> {
    let Some(given) = given else { return Ok(usual.to_owned()) };
    let given = given.trim_end_matches('/').to_owned();
    let is_below = |allowed: &str| {
        given.strip_prefix(allowed.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if is_below(usual) || urls.iter().any(|url| is_below(url)) {
        return Ok(given);
    }
    Err(format!("settings: {name} is an address that the service was not started with leave for (--store-url)"))
}

impl Connector for MicrosoftConnector {
    fn account(&self) -> BoxFuture<'_, Result<Account, Trouble>> {
        Box::pin(self.account())
    }

    fn pass<'a>(&'a self, asked: &'a PassAsked, progress: &'a PassProgress) -> BoxFuture<'a, Result<Pass, Trouble>> {
        Box::pin(self.pass(asked, progress))
    }

    fn settle(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<(Request, Settled)>> {
        Box::pin(self.settle(requests))
    }

    fn look<'a>(&'a self, pool: &'a PoolKey, holder: &'a StoreHolder) -> BoxFuture<'a, Result<bool, Trouble>> {
        Box::pin(self.look(pool, holder))
    }

    fn has(&self, pool: &PoolKey) -> bool {
        pool.provider() == Provider::MicrosoftStore
    }
}

impl Connector for AppleUnit {
    fn account(&self) -> BoxFuture<'_, Result<Account, Trouble>> {
        Box::pin(self.connector.account())
    }

    fn enter(&self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(self.connector.enter())
    }

    fn unit(&self) -> Option<String> {
        self.connector.client().unit_id()
    }

    fn untold(&self) -> Option<String> {
        self.connector.client().untold()
    }

    fn pass<'a>(&'a self, asked: &'a PassAsked, progress: &'a PassProgress) -> BoxFuture<'a, Result<Pass, Trouble>> {
        Box::pin(self.connector.pass(asked, progress))
    }

    fn settle(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<(Request, Settled)>> {
        Box::pin(self.connector.settle(requests))
    }

    fn look<'a>(&'a self, pool: &'a PoolKey, holder: &'a StoreHolder) -> BoxFuture<'a, Result<bool, Trouble>> {
        Box::pin(self.connector.look(pool, holder))
    }

    fn has(&self, pool: &PoolKey) -> bool {
        match pool {
            PoolKey::Apple { unit_id, .. } => self.unit().as_deref() == Some(unit_id),
            PoolKey::Microsoft { .. } | PoolKey::Declared { .. } => false,
        }
    }

    fn hear(&self, authorization: Option<&str>, body: &[u8]) -> Result<Told, NotTold> {
        let ear = self.ear.as_ref().ok_or(NotTold::Unauthorized)?;
        let Some(unit) = self.unit() else {
            // whose it is will be known when the store is read, and nothing that was told is believed
            return if ear.knows(authorization) { Ok(Told::ReadAgain) } else { Err(NotTold::Unauthorized) };
        };
        match ear.hear(&unit, authorization, body) {
            Ok(heard) if heard.is_repeated => Ok(Told::Nothing),
            Ok(heard) => Ok(match heard.hint {
                // figures are never added up from what was told: the store is read
                Hint::Figures { .. } | Hint::Subscriptions | Hint::Unknown(_) => Told::ReadAgain,
                // what we asked for ourselves is asked after as well
                Hint::Seats | Hint::Users | Hint::Nothing => Told::Nothing,
            }),
            Err(NotHeard::Unauthorized) => Err(NotTold::Unauthorized),
            Err(NotHeard::TooLong | NotHeard::Malformed | NotHeard::OtherUnit) => Err(NotTold::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_a_connector_can_not_use_are_named_and_never_quoted() {
        let said = |provider, settings: &str| check_settings(provider, settings).unwrap_err();
        for (provider, settings, name) in [
            (Provider::MicrosoftStore, r#"{"client_id": "c", "client_secret": "hush"}"#, "`client_secret`"),
            (Provider::MicrosoftStore, r#"{"client_id": {"secret": "hush"}}"#, "client_id"),
            (Provider::MicrosoftStore, r#"{"client_id": "c", "base_url": ["hush"]}"#, "base_url"),
            (Provider::MicrosoftStore, "{}", "`client_id`"),
            (Provider::AppleBusiness, r#"{"content_tokens": ["hush"]}"#, "`content_tokens`"),
            (Provider::AppleBusiness, r#"{"poll_millis": "hush"}"#, "poll_millis"),
            (Provider::Declared, r#"{"client_secret": "hush"}"#, "`client_secret`"),
        ] {
            let said = said(provider, settings);
            assert!(said.contains(name) && !said.contains("hush"), "{said}");
        }
        assert_eq!(check_settings(Provider::MicrosoftStore, r#"{"client_id": "c", "base_url": null}"#), Ok(()));
        assert_eq!(check_settings(Provider::AppleBusiness, r#"{"poll_millis": 40000}"#), Ok(()));
        assert_eq!(check_settings(Provider::Declared, "{}"), Ok(()));
    }

    #[test]
    fn a_setting_leads_to_the_store_itself_or_where_the_service_may_go() {
        let urls = ["http://127.0.0.1:9".to_owned()];
        let asked = |given: &str| allowed("base_url", Some(given.to_owned()), "https://store.example", &urls);
        assert_eq!(allowed("base_url", None, "https://store.example", &urls), Ok("https://store.example".into()));
        assert_eq!(asked("https://store.example/"), Ok("https://store.example".into()));
        assert_eq!(asked("http://127.0.0.1:9/mdm/v2"), Ok("http://127.0.0.1:9/mdm/v2".into()));
        for elsewhere in ["http://127.0.0.1:90", "http://127.0.0.1:9@evil.example", "https://store.example.evil", ""] {
            assert!(asked(elsewhere).unwrap_err().contains("base_url"), "{elsewhere}");
        }
    }
}
