//! Every call of the App and Book Management API, for one organizational unit. Each answer is looked at for whose unit it is:
//! a tool that took it over is remembered, and from then on nothing is written. Not here: what a ledger asks for (`connector`).

use super::super::secret::StoreSecret;
use super::super::terms::{Account, Trouble};
use super::super::transport::{Answer, Failed, Repeat, Transport, TransportLimits};
use super::errors::AppleError;
use super::limits::{AppleLimits, ServiceConfig};
use super::token::ContentToken;
use super::wire::{
    AssignBody, ClientConfig, ClientConfigBody, Common, ErrorInfo, EventStatus, MdmInfo, Object, Queued, RevokeBody,
    UsersBody,
};
use crate::clock::monotonic;
use crate::domain::time::Time;
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Where Apple itself is.
pub const APPLE_URL: &str = "https://vpp.itunes.apple.com/mdm/v2";
const NAME_CHARS_MAX: usize = 200;

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

/// Where the store sends what it has to tell.
#[derive(Debug, Clone)]
pub struct NotificationSettings {
    pub url: String,
    pub bearer: StoreSecret,
    /// As `ASSET_COUNT`; none for all that an `Ear` understands.
    pub types: Vec<String>,
}

/// Asked for one by one: what a store sends to who names no type is not said.
const TYPES: [&str; 4] = ["ASSET_COUNT", "ASSET_MANAGEMENT", "USER_MANAGEMENT", "USER_ASSOCIATED"];

impl NotificationSettings {
    fn types(&self) -> Vec<&str> {
        if self.types.is_empty() { TYPES.to_vec() } else { self.types.iter().map(String::as_str).collect() }
    }
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
struct Standing {
    unit_id: Option<String>,
    taken_over_by: Option<String>,
    token_expires_at: Option<Time>,
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
    standing: Mutex<Standing>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigRead {
    mdm_info: Option<MdmInfo>,
    #[serde(flatten)]
    config: ClientConfig,
}

impl AppleClient {
    #[must_use]
    pub fn new(http: Client, limits: TransportLimits, settings: AppleSettings) -> Self {
        let token_expires_at = settings.token.expires_at();
        let unit_id = settings.unit_id.clone();
        let standing = Standing { unit_id, taken_over_by: None, token_expires_at };
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

    /// What the store says of the unit, and whom it takes us for. A unit that no tool has claimed is claimed.
    ///
    /// # Errors
    /// When it can't be asked.
    pub async fn account(&self) -> Result<Account, Trouble> {
        let read: ConfigRead = self.get("/client/config", &[], Answer::json).await?.map_err(|no| no.trouble())?;
        match read.mdm_info.filter(|info| *info != MdmInfo::default()) {
            None => drop(self.claim().await?),
            Some(info) => self.standing.lock().taken_over_by = self.other(&info),
        }
        let Standing { unit_id, taken_over_by, token_expires_at } = self.standing.lock().clone();
        Ok(Account { account_id: unit_id, taken_over_by, token_expires_at })
    }

    /// What the store knows of the unit's place and of whom it notifies.
    ///
    /// # Errors
    /// When it can't be asked.
    pub async fn client_config(&self) -> Result<ClientConfig, Trouble> {
        let read: ConfigRead = self.get("/client/config", &[], Answer::json).await?.map_err(|no| no.trouble())?;
        Ok(read.config)
    }

    /// Writes our name upon the unit, over another tool's too, and where notifications go.
    ///
    /// # Errors
    /// When our name is longer than the store allows, or the store refuses.
    pub async fn claim(&self) -> Result<ClientConfig, Trouble> {
        let limits = self.limits().await?;
        let info = &self.settings.mdm_info;
        let fits = |text: &str, max: usize| !text.is_empty() && text.chars().count() <= max;
        let is_named = fits(&info.id, limits.mdm_id_chars) && fits(&info.name, limits.mdm_name_chars);
        if !is_named || !fits(&info.metadata, limits.mdm_metadata_chars) {
            let words = "the tool's id, name or metadata is empty or longer than the store allows".to_owned();
            return Err(Trouble::Refused { status: 400, words });
        }
        let notify = self.settings.notifications.as_ref();
        let body = ClientConfigBody {
            mdm_info: info,
            notification_url: notify.map(|n| n.url.as_str()),
            notification_auth_token: notify.map(|n| n.bearer.reveal()),
            notification_types: notify.map(|n| n.types()).unwrap_or_default(),
        };
        let read: ConfigRead = self.post(Repeat::Always, "/client/config", &body).await?.map_err(|no| no.trouble())?;
        self.standing.lock().taken_over_by = read.mdm_info.as_ref().and_then(|info| self.other(info));
        Ok(read.config)
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

    async fn post<T: serde::de::DeserializeOwned>(
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

    /// Another tool's name, bounded, where it is another tool.
    fn other(&self, info: &MdmInfo) -> Option<String> {
        let ours = &self.settings.mdm_info;
        let is_other = info.id != ours.id || info.metadata != ours.metadata;
        let name = if info.name.is_empty() { &info.id } else { &info.name };
        (is_other && *info != MdmInfo::default()).then(|| name.chars().take(NAME_CHARS_MAX).collect())
    }
}
