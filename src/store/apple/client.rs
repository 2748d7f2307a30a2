//! Every call of the App and Book Management API, for one organizational unit. Each answer is looked at for whose unit it is:
//! a tool that took it over is remembered, and from then on nothing is written. Not here: whose the unit is (`config`), and what a
//! ledger asks for (`connector`).

use super::super::terms::Trouble;
use super::super::transport::{Answer, Failed, Repeat, Transport, TransportLimits};
use super::config::{ConfigSeen, NotificationSettings};
use super::errors::AppleError;
use super::limits::{AppleLimits, ServiceConfig};
use super::token::ContentToken;
use super::wire::{AssignBody, Common, ErrorInfo, EventStatus, MdmInfo, Object, Queued, RevokeBody, UsersBody};
use crate::clock::monotonic;
use crate::domain::time::Time;
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Where Apple itself is.
pub const APPLE_URL: &str = "https://vpp.itunes.apple.com/mdm/v2";

/// What a unit is asked with.
#[derive(Debug, Clone)]
pub struct AppleSettings {
    /// Before `/assets`.
    pub url: String,
    pub token: ContentToken,
    /// How we name ourselves to the store; `id` is one of this installation alone.
    pub mdm_info: MdmInfo,
    /// The unit that the tenant is linked to, where it is linked; another unit's token is then refused.
    pub unit_id: Option<String>,
    pub notifications: Option<NotificationSettings>,
    /// Names by `adamId`, where somebody knows them: the store has none.
    pub names: BTreeMap<String, String>,
    /// The service config is read again after it.
    pub config_life: Duration,
    /// Between two looks at an event, and before the first.
    pub poll_interval: Duration,
    /// An event that is still pending after it is unknown.
    pub patience: Duration,
}

impl AppleSettings {
    /// With the times that the documents name.
    #[must_use]
    pub fn new(token: ContentToken, mdm_info: MdmInfo) -> Self {
        Self {
            url: APPLE_URL.to_owned(),
            token,
            mdm_info,
            unit_id: None,
            notifications: None,
            names: BTreeMap::new(),
            config_life: Duration::from_secs(5 * 60),
            poll_interval: Duration::from_secs(30),
            patience: Duration::from_secs(10 * 60),
        }
    }
}

/// What the answers so far say of the unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) unit_id: Option<String>,
    pub(super) taken_over_by: Option<String>,
    pub(super) token_expires_at: Option<Time>,
    /// As it was last read or written.
    pub(super) config: Option<ConfigSeen>,
    /// Why the store does not tell of changes by itself, though it was to.
    pub(super) untold: Option<String>,
}

/// The store said no, and of what, where it says that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub(super) error: AppleError,
    pub(super) info: Option<ErrorInfo>,
}

impl Refused {
    /// Apple's number; 0 where the answer named none.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.error.number
    }

    #[must_use]
    pub fn trouble(&self) -> Trouble {
        self.error.trouble()
    }
}

/// One organizational unit.
#[derive(Debug)]
pub struct AppleClient {
    transport: Transport,
    settings: AppleSettings,
    limits: Mutex<Option<(Instant, AppleLimits)>>,
    pub(super) standing: Mutex<Standing>,
}

impl AppleClient {
    #[must_use]
    pub fn new(http: Client, limits: TransportLimits, settings: AppleSettings) -> Self {
        let token_expires_at = settings.token.expires_at();
        let unit_id = settings.unit_id.clone();
        let standing = Standing { unit_id, token_expires_at, ..Standing::default() };
        Self {
            transport: Transport::new(http, limits),
            settings,
            limits: Mutex::new(None),
            standing: Mutex::new(standing),
        }
    }

    #[must_use]
    pub fn settings(&self) -> &AppleSettings {
        &self.settings
    }

    /// The unit that this is, once an answer has said it.
    #[must_use]
    pub fn unit_id(&self) -> Option<String> {
        self.standing.lock().unit_id.clone()
    }

    /// Who has taken the unit over, as far as is known.
    #[must_use]
    pub fn taken_over_by(&self) -> Option<String> {
        self.standing.lock().taken_over_by.clone()
    }

    /// What one call may hold, read again every five minutes. An old reading is better than none.
    ///
    /// # Errors
    /// When it was never read and can't be read now.
    pub async fn limits(&self) -> Result<AppleLimits, Trouble> {
        let known = *self.limits.lock();
        if let Some((read_at, limits)) = known
            && monotonic().duration_since(read_at) < self.settings.config_life
        {
            return Ok(limits);
        }
        // the only call that takes no token
        let url = self.url("/service/config", &[]);
        let read = self.transport.call(Repeat::Always, |http| http.get(&url), |a| self.read(a, Answer::json)).await;
        let read = read.map_err(Trouble::from).and_then(|said| said.map_err(|no| no.trouble()));
        match (read, known) {
            (Ok(config), _) => {
                let limits = ServiceConfig::limits(&config);
                *self.limits.lock() = Some((monotonic(), limits));
                Ok(limits)
            }
            (Err(_), Some((_, limits))) => Ok(limits),
            (Err(trouble), None) => Err(trouble),
        }
    }

    /// # Errors
    /// `Ok(Err(..))` where the store refused and queued nothing.
    pub async fn associate(&self, body: &AssignBody) -> Result<Result<String, Refused>, Failed> {
        self.queue("/assets/associate", body).await
    }

    /// # Errors
    /// As of `associate`.
    pub async fn disassociate(&self, body: &AssignBody) -> Result<Result<String, Refused>, Failed> {
        self.queue("/assets/disassociate", body).await
    }

    /// Frees every revocable asset of these holders.
    ///
    /// # Errors
    /// As of `associate`.
    pub async fn revoke(&self, body: &RevokeBody) -> Result<Result<String, Refused>, Failed> {
        self.queue("/assets/revoke", body).await
    }

    /// # Errors
    /// As of `associate`.
    pub async fn create_users(&self, body: &UsersBody) -> Result<Result<String, Refused>, Failed> {
        self.queue("/users/create", body).await
    }

    /// # Errors
    /// As of `associate`.
    pub async fn update_users(&self, body: &UsersBody) -> Result<Result<String, Refused>, Failed> {
        self.queue("/users/update", body).await
    }

    /// Whether it frees their seats is not said: who wants to know reads the assignments.
    ///
    /// # Errors
    /// As of `associate`.
    pub async fn retire_users(&self, body: &UsersBody) -> Result<Result<String, Refused>, Failed> {
        self.queue("/users/retire", body).await
    }

    /// How far an event is.
    ///
    /// # Errors
    /// When it can't be asked; `Ok(Err(..))` where the store refuses, as of an event that it does not know.
    pub async fn event(&self, event_id: &str) -> Result<Result<EventStatus, Refused>, Trouble> {
        self.get("/status", &[("eventId", event_id)], Answer::json).await
    }

    /// Whatever changes something. Nothing is sent once another tool has the unit.
    pub(super) async fn queue(&self, path: &str, body: &impl Serialize) -> Result<Result<String, Refused>, Failed> {
        if let Some(other) = self.taken_over_by() {
            return Err(Failed { trouble: Trouble::TakenOver(other), may_have_happened: false });
        }
        let queued: Result<Queued, Refused> = self.post(Repeat::IfNotDone, path, body).await?;
        Ok(queued.map(|queued| queued.event_id))
    }

    pub(super) async fn post<T: serde::de::DeserializeOwned>(
        &self,
        repeat: Repeat,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Result<T, Refused>, Failed> {
        let url = self.url(path, &[]);
        let make = |http: &Client| http.post(&url).bearer_auth(self.settings.token.reveal()).json(body);
        let read = |answer: &Answer| {
            let read = self.read(answer, Answer::json);
            // whatever is wrong with a good answer, the store has acted
            read.map_err(|trouble| match answer.status.is_success() {
                true => Trouble::Malformed(trouble.to_string()),
                false => trouble,
            })
        };
        self.transport.call(repeat, make, read).await
    }

    pub(super) async fn get<T>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        parse: impl Fn(&Answer) -> Result<T, Trouble>,
    ) -> Result<Result<T, Refused>, Trouble> {
        let url = self.url(path, query);
        let make = |http: &Client| http.get(&url).bearer_auth(self.settings.token.reveal());
        Ok(self.transport.call(Repeat::Always, make, |answer| self.read(answer, &parse)).await?)
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = format!("{}{path}", self.settings.url.trim_end_matches('/'));
        for (at, (name, value)) in query.iter().enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        url
    }

    fn read<T>(
        &self,
        answer: &Answer,
        parse: impl Fn(&Answer) -> Result<T, Trouble>,
    ) -> Result<Result<T, Refused>, Trouble> {
        if answer.status.is_success() {
            let Object = answer.json()?;
            self.note(&answer.json()?)?;
            return parse(answer).map(Ok);
        }
        // a refusal may come from something before the store, which has no numbers
        let common: Common = answer.json().unwrap_or_default();
        let error = AppleError { number: common.error_number, status: answer.status.as_u16() };
        Ok(Err(Refused { error, info: common.error_info }))
    }

    /// Takes from an answer what every answer says.
    fn note(&self, common: &Common) -> Result<(), Trouble> {
        let mut standing = self.standing.lock();
        if let Some(unit) = &common.u_id {
            match &standing.unit_id {
                Some(known) if known != unit => {
                    return Err(Trouble::Credentials("the token is another unit's".into()));
                }
                Some(_) => {}
                None => standing.unit_id = Some(unit.clone()),
            }
        }
        if let Some(at) = common.token_expiration_date.as_ref().and_then(|text| text.parse().ok()) {
            standing.token_expires_at = Some(at);
        }
        // seen once, it stays until the unit is asked about or claimed: an older answer may still be under way
        if let Some(other) = common.mdm_info.as_ref().and_then(|info| self.other(info)) {
            standing.taken_over_by = Some(other);
        }
        Ok(())
    }
}
