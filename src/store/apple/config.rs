//! Whose a unit is, and whom its store tells of changes: the client config, read, and written where it is not as it should be.
//! Not here: what the store tells (`notifications`).

use super::super::secret::StoreSecret;
use super::super::terms::{Account, Trouble};
use super::super::transport::{Answer, Repeat};
use super::client::{AppleClient, Standing};
use super::wire::{ClientConfig, ClientConfigBody, MdmInfo};
use std::collections::BTreeSet;

const NAME_CHARS_MAX: usize = 200;

/// Where the store sends what it has to tell.
#[derive(Debug, Clone)]
pub struct NotificationSettings {
    pub url: String,
    pub bearer: StoreSecret,
    /// As `ASSET_COUNT`; none for all that an `Ear` understands.
    pub types: Vec<String>,
}

/// Asked for one by one: what a store sends to who names no type is not said.
const TYPES: [&str; 5] =
    ["ASSET_COUNT", "ASSET_MANAGEMENT", "USER_MANAGEMENT", "USER_ASSOCIATED", "SUBSCRIPTION_COUNT"];

impl NotificationSettings {
    fn types(&self) -> Vec<&str> {
        if self.types.is_empty() { TYPES.to_vec() } else { self.types.iter().map(String::as_str).collect() }
    }
}

/// The client config as it stands at the store.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfigSeen {
    info: Option<MdmInfo>,
    url: Option<String>,
    types: BTreeSet<String>,
    /// Where the store shows it, or where it was written since the start.
    bearer: Option<StoreSecret>,
}

impl ConfigSeen {
    /// Whether the store tells what it is to tell, to whom it is to.
    fn tells(&self, wanted: Option<&NotificationSettings>) -> bool {
        let Some(wanted) = wanted else { return self.types.is_empty() };
        self.url.as_ref() == Some(&wanted.url)
            && self.bearer.as_ref() == Some(&wanted.bearer)
            && self.types.iter().map(String::as_str).eq(wanted.types().into_iter().collect::<BTreeSet<_>>())
    }
}

impl AppleClient {
    /// What the store says of the unit, and whom it takes us for. Nothing is written.
    ///
    /// # Errors
    /// When it can't be asked.
    pub async fn account(&self) -> Result<Account, Trouble> {
        let read: ClientConfig = self.get("/client/config", &[], Answer::json).await?.map_err(|no| no.trouble())?;
        let mut standing = self.standing.lock();
        let info = read.mdm_info.filter(|info| *info != MdmInfo::default());
        standing.taken_over_by = info.as_ref().and_then(|info| self.other(info));
        let before = standing.config.take();
        let types = read.subscribed_notification_types.into_iter().collect();
        // a store that keeps the bearer to itself has the one that it was given last
        let bearer = read.notification_auth_token.map(StoreSecret::from);
        let bearer = bearer.or_else(|| before.filter(|before| before.url == read.notification_url)?.bearer);
        standing.config = Some(ConfigSeen { info, url: read.notification_url, types, bearer });
        let Standing { unit_id, taken_over_by, token_expires_at, .. } = standing.clone();
        Ok(Account { account_id: unit_id, taken_over_by, token_expires_at })
    }

    /// Why the store does not tell of changes, though it was to.
    #[must_use]
    pub fn untold(&self) -> Option<String> {
        self.standing.lock().untold.clone()
    }

    /// Writes what the store should know of us and does not: our name upon a unit that nobody has claimed, and where
    /// notifications go, or that none go any more. That the store won't tell of changes keeps nobody from working.
    ///
    /// # Errors
    /// When another tool has the unit, or our name can't be written.
    pub async fn enter(&self) -> Result<(), Trouble> {
        if self.standing.lock().config.is_none() {
            self.account().await?;
        }
        let (config, taken_over_by) = {
            let standing = self.standing.lock();
            (standing.config.clone().unwrap_or_default(), standing.taken_over_by.clone())
        };
        if let Some(other) = taken_over_by {
            return Err(Trouble::TakenOver(other));
        }
        if config.info.as_ref() != Some(&self.settings().mdm_info) {
            self.claim().await?;
        }
        let wanted = self.settings().notifications.as_ref();
        let told = if config.tells(wanted) { Ok(()) } else { self.subscribe(wanted).await };
        match told {
            Ok(()) => self.standing.lock().untold = None,
            Err(trouble) if trouble.shuts_the_account() => return Err(trouble),
            Err(trouble) => self.standing.lock().untold = Some(trouble.to_string()),
        }
        Ok(())
    }

    /// Writes our name upon the unit, over another tool's too.
    ///
    /// # Errors
    /// When our name is longer than the store allows, or the store refuses.
    pub async fn claim(&self) -> Result<(), Trouble> {
        let limits = self.limits().await?;
        let info = &self.settings().mdm_info;
        let fits = |text: &str, max: usize| !text.is_empty() && text.chars().count() <= max;
        let is_named = fits(&info.id, limits.mdm_id_chars) && fits(&info.name, limits.mdm_name_chars);
        if !is_named || !fits(&info.metadata, limits.mdm_metadata_chars) {
            let words = "the tool's id, name or metadata is empty or longer than the store allows".to_owned();
            return Err(Trouble::Refused { status: 400, words });
        }
        let body = ClientConfigBody {
            mdm_info: info,
            notification_url: None,
            notification_auth_token: None,
            notification_types: None,
        };
        let read: ClientConfig =
            self.post(Repeat::Always, "/client/config", &body).await?.map_err(|no| no.trouble())?;
        self.standing.lock().taken_over_by = read.mdm_info.as_ref().and_then(|info| self.other(info));
        Ok(())
    }

    /// Says where notifications go, with the secret that they are to bring; or, that there are to be none. The store tries the
    /// address before it answers.
    async fn subscribe(&self, wanted: Option<&NotificationSettings>) -> Result<(), Trouble> {
        let limits = self.limits().await?;
        let is_too_long = |n: &NotificationSettings| {
            n.url.chars().count().max(n.bearer.reveal().chars().count()) > limits.notification_chars
        };
        if wanted.is_some_and(is_too_long) {
            let words = "the notification URL is longer than the store allows".to_owned();
            return Err(Trouble::Refused { status: 400, words });
        }
        let body = ClientConfigBody {
            mdm_info: &self.settings().mdm_info,
            notification_url: wanted.map(|n| n.url.as_str()),
            notification_auth_token: wanted.map(|n| n.bearer.reveal()),
            notification_types: Some(wanted.map(NotificationSettings::types).unwrap_or_default()),
        };
        let read: ClientConfig =
            self.post(Repeat::Always, "/client/config", &body).await?.map_err(|no| no.trouble())?;
        let mut standing = self.standing.lock();
        standing.taken_over_by = read.mdm_info.as_ref().and_then(|info| self.other(info));
        if let (Some(wanted), Some(config)) = (wanted, standing.config.as_mut()) {
            (config.url, config.bearer) = (Some(wanted.url.clone()), Some(wanted.bearer.clone()));
        }
        Ok(())
    }

    /// Another tool's name, bounded, where it is another tool. Our own is known by its id: a new version of us writes other
    /// metadata and is no other tool.
    pub(super) fn other(&self, info: &MdmInfo) -> Option<String> {
        let name = if info.name.is_empty() { &info.id } else { &info.name };
        let is_other = *info != MdmInfo::default() && info.id != self.settings().mdm_info.id;
        is_other.then(|| name.chars().take(NAME_CHARS_MAX).collect())
    }
}
