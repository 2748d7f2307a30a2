//! What Apple knows: units, their tokens, assets, users and assignments, and what each change does to them.
//!
//! **Invariant:** `total = available + assigned + retired` of an asset, unless the desk took away what was assigned. Not
//! here: HTTP, delays (`event`), notifications (`notice`).

use super::event::Event;
use super::limits::Limits;
use super::notice::Outbox;
use super::subscriptions::{AdamId, Subscriptions};
use crate::domain::time::Time;
use crate::store::simulator::journal::{Deed, Journal};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How Apple lists what has no limit.
pub const UNLIMITED: u32 = 2_147_483_647;
pub(super) const UNITS_MAX: usize = 3000;
pub(super) const ASSETS_MAX: usize = 100_000;
pub(super) const USERS_MAX: usize = 1_000_000;
pub(super) const ASSIGNMENTS_MAX: usize = 5_000_000;
pub(super) const EVENTS_MAX: usize = 100_000;

/// The two identities of one title in a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetId {
    pub adam_id: String,
    pub pricing_param: String,
}

/// Who has a license.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Holder {
    #[serde(rename = "clientUserId")]
    User(String),
    #[serde(rename = "serialNumber")]
    Device(String),
}

impl Holder {
    fn in_words(&self) -> String {
        match self {
            Self::User(id) => format!("user:{id}"),
            Self::Device(serial) => format!("device:{serial}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProductType {
    App,
    Book,
}

/// What is owned of one title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset {
    #[serde(flatten)]
    pub id: AssetId,
    pub product_type: ProductType,
    pub is_unlimited: bool,
    pub total: u32,
    pub assigned: u32,
    pub retired: u32,
    pub is_device_assignable: bool,
    pub is_revocable: bool,
    pub supported_platforms: Vec<String>,
}

impl Asset {
    pub(super) fn available(&self) -> u32 {
        if self.is_unlimited {
            UNLIMITED
        } else {
            self.total.saturating_sub(self.assigned).saturating_sub(self.retired)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum UserStatus {
    Registered,
    Associated,
    Retired,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) client_user_id: String,
    pub(super) email: Option<String>,
    pub(super) id_hash: Option<String>,
    pub(super) invite_code: Option<String>,
    pub(super) status: UserStatus,
    pub(super) changed: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) secret: String,
    pub(super) expires_at: Time,
    pub(super) is_read_only: bool,
    pub(super) is_revoked: bool,
}

/// Which tool says that the unit is its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MdmInfo {
    pub id: String,
    pub name: String,
    pub metadata: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ClientConfig {
    pub(super) mdm_info: Option<MdmInfo>,
    pub(super) notification_url: Option<String>,
    pub(super) notification_auth_token: Option<String>,
    pub(super) notification_types: Vec<String>,
}

pub(super) struct Unit {
    pub(super) uid: String,
    pub(super) name: String,
    pub(super) org_name: String,
    pub(super) country: String,
    pub(super) config: ClientConfig,
    pub(super) tokens: Vec<Token>,
    pub(super) assets: BTreeMap<AssetId, Asset>,
    /// In the order of creation, retired ones included.
    pub(super) users: Vec<User>,
    active: BTreeMap<String, usize>,
    /// By the number of the change that made each.
    pub(super) assignments: BTreeMap<u64, (AssetId, Holder)>,
    assigned: BTreeMap<(Holder, AssetId), u64>,
    /// Holders that get nothing, with the number that says why.
    pub(super) barred: BTreeMap<Holder, u16>,
    pub(super) subscriptions: Subscriptions,
    /// Of the newest change.
    pub(super) version: u64,
    /// A version that was made before it is not good any more.
    pub(super) epoch: u64,
}

/// Why one seat was not given or taken.
pub(super) type Failed = u16;

impl Unit {
    pub(super) fn new(uid: String, name: String, org_name: String, country: String) -> Self {
        Self {
            uid,
            name,
            org_name,
            country,
            config: ClientConfig::default(),
            tokens: vec![],
            assets: BTreeMap::new(),
            users: vec![],
            active: BTreeMap::new(),
            assignments: BTreeMap::new(),
            assigned: BTreeMap::new(),
            barred: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            version: 0,
            epoch: 0,
        }
    }

    fn changed(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub(super) fn active_user(&self, client_user_id: &str) -> Option<&User> {
        self.users.get(*self.active.get(client_user_id)?)
    }

    fn active_user_mut(&mut self, client_user_id: &str) -> Option<&mut User> {
        self.users.get_mut(*self.active.get(client_user_id)?)
    }

    pub(super) fn has(&self, holder: &Holder, asset: &AssetId) -> bool {
        self.assigned.contains_key(&(holder.clone(), asset.clone()))
    }

    /// What the holder has, in order of the title.
    pub(super) fn assets_of(&self, holder: &Holder) -> Vec<AssetId> {
        let first = AssetId { adam_id: String::new(), pricing_param: String::new() };
        let from = self.assigned.range((holder.clone(), first)..);
        from.take_while(|((who, _), _)| who == holder).map(|((_, asset), _)| asset.clone()).collect()
    }

    pub(super) fn revocable_of(&self, holder: &Holder) -> Vec<AssetId> {
        let mut assets = self.assets_of(holder);
        assets.retain(|id| self.assets.get(id).is_some_and(|asset| asset.is_revocable));
        assets
    }

    fn pool(&self, asset: &AssetId) -> String {
        format!("apple:{}:{}:{}", self.uid, asset.adam_id, asset.pricing_param)
    }

    fn judge_association(&self, id: &AssetId, holder: &Holder) -> Result<(), Failed> {
        if let Some(number) = self.barred.get(holder) {
            return Err(*number);
        }
        let asset = self.assets.get(id).ok_or(9602_u16)?;
        match holder {
            Holder::User(user) if self.active_user(user).is_none() => return Err(9609),
            Holder::Device(_) if !asset.is_device_assignable => return Err(9707),
            Holder::User(_) | Holder::Device(_) => {}
        }
        if asset.available() == 0 || self.assignments.len() >= ASSIGNMENTS_MAX {
            return Err(9709);
        }
        Ok(())
    }

    /// Gives one license. A holder who has it already keeps it, and uses no second one.
    pub(super) fn associate(&mut self, id: &AssetId, holder: &Holder, by: &mut By<'_>) -> Result<(), Failed> {
        if self.has(holder, id) {
            by.write(Deed::GrantedAlready, self.pool(id), holder, "");
            return Ok(());
        }
        if let Err(number) = self.judge_association(id, holder) {
            by.write(Deed::GrantRefused, self.pool(id), holder, &number.to_string());
            return Err(number);
        }
        if let Some(asset) = self.assets.get_mut(id) {
            asset.assigned += 1;
        }
        let number = self.changed();
        self.assignments.insert(number, (id.clone(), holder.clone()));
        self.assigned.insert((holder.clone(), id.clone()), number);
        by.write(Deed::Granted, self.pool(id), holder, "");
        Ok(())
    }

    /// Takes one license back. Where there is none, it is so already.
    pub(super) fn disassociate(&mut self, id: &AssetId, holder: &Holder, by: &mut By<'_>) -> Result<(), Failed> {
        let Some(asset) = self.assets.get_mut(id) else { return Err(9602) };
        if !asset.is_revocable {
            by.write(Deed::ReleaseRefused, self.pool(id), holder, "9706");
            return Err(9706);
        }
        let Some(number) = self.assigned.remove(&(holder.clone(), id.clone())) else {
            by.write(Deed::ReleasedAlready, self.pool(id), holder, "");
            return Ok(());
        };
        asset.assigned -= 1;
        self.assignments.remove(&number);
        self.changed();
        by.write(Deed::Released, self.pool(id), holder, "");
        Ok(())
    }

    /// Registers a user; one with a managed Apple Account is associated at once.
    pub(super) fn create_user(&mut self, asked: &UserAsked) -> Result<(), Failed> {
        if let Some(number) = self.barred.get(&Holder::User(asked.client_user_id.clone())) {
            return Err(*number);
        }
        if self.active.contains_key(&asked.client_user_id) {
            return Err(9716);
        }
        if self.users.len() >= USERS_MAX {
            return Err(9603);
        }
        let changed = self.changed();
        let is_managed = asked.managed_apple_id.is_some();
        self.active.insert(asked.client_user_id.clone(), self.users.len());
        self.users.push(User {
            client_user_id: asked.client_user_id.clone(),
            email: asked.email.clone(),
            id_hash: is_managed.then(|| id_hash(&self.uid, changed)),
            invite_code: (!is_managed).then(|| format!("invite-{changed:08x}")),
            status: if is_managed { UserStatus::Associated } else { UserStatus::Registered },
            changed,
        });
        Ok(())
    }

    pub(super) fn update_user(&mut self, asked: &UserAsked) -> Result<(), Failed> {
        let changed = self.changed();
        let hash = id_hash(&self.uid, changed);
        let user = self.active_user_mut(&asked.client_user_id).ok_or(9609_u16)?;
        user.changed = changed;
        if asked.email.is_some() {
            user.email = asked.email.clone();
        }
        if asked.managed_apple_id.is_some() && user.status == UserStatus::Registered {
            (user.status, user.id_hash, user.invite_code) = (UserStatus::Associated, Some(hash), None);
        }
        Ok(())
    }

    /// The invited user has signed in.
    pub(super) fn accept_invitation(&mut self, client_user_id: &str) -> Result<(), Failed> {
        let (hash, changed) = (id_hash(&self.uid, self.version + 1), self.changed());
        let user = self.active_user_mut(client_user_id).ok_or(9609_u16)?;
        (user.status, user.id_hash, user.invite_code, user.changed) =
            (UserStatus::Associated, Some(hash), None, changed);
        Ok(())
    }

    /// Retires a user, and takes back all that can be.
    pub(super) fn retire_user(&mut self, client_user_id: &str, by: &mut By<'_>) -> Result<(), Failed> {
        if self.active_user(client_user_id).is_none() {
            return Err(9609);
        }
        let holder = Holder::User(client_user_id.to_owned());
        for asset in self.revocable_of(&holder) {
            self.disassociate(&asset, &holder, by)?;
        }
        self.subscriptions.retire(client_user_id);
        let changed = self.changed();
        if let Some(user) = self.active_user_mut(client_user_id) {
            (user.status, user.changed, user.invite_code) = (UserStatus::Retired, changed, None);
        }
        self.active.remove(client_user_id);
        Ok(())
    }

    /// For listings: an asset's figures have changed.
    pub(super) fn touch(&mut self) {
        self.changed();
    }

    pub(super) fn version_id(&self) -> String {
        format!("{}-{}-{}", self.uid, self.epoch, self.version)
    }

    /// The number of the change that a version stands for, if it is still good.
    pub(super) fn read_version(&self, text: &str) -> Option<u64> {
        let rest = text.strip_prefix(&self.uid)?.strip_prefix('-')?;
        let (epoch, version) = rest.split_once('-')?;
        let version = version.parse().ok().filter(|version| *version <= self.version)?;
        (epoch.parse() == Ok(self.epoch)).then_some(version)
    }
}

fn id_hash(uid: &str, number: u64) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(format!("{uid} {number}")))
}

/// A user as a call names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserAsked {
    pub(super) client_user_id: String,
    pub(super) email: Option<String>,
    pub(super) managed_apple_id: Option<String>,
}

/// Who does something, and where it is written down.
pub(super) struct By<'w> {
    pub(super) journal: &'w mut Journal,
    pub(super) at: Time,
    pub(super) who: &'w str,
    /// The event that asked, if one did.
    pub(super) event: &'w str,
}

impl By<'_> {
    fn write(&mut self, deed: Deed, pool: String, holder: &Holder, number: &str) {
        let about = [self.event, number].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
        self.journal.write(self.at, deed, pool, &holder.in_words(), self.who, &about);
    }
}

pub(super) struct World {
    pub(super) units: BTreeMap<String, Unit>,
    pub(super) events: BTreeMap<String, Event>,
    /// Oldest first, so that the number kept has a bound.
    pub(super) event_order: VecDeque<String>,
    /// Events by when they are carried out.
    pub(super) due: BTreeMap<(Time, u64), String>,
    /// When the period of which subscription of which unit is over.
    pub(super) periods: BTreeSet<(Time, String, AdamId)>,
    pub(super) outbox: Outbox,
    pub(super) journal: Journal,
    pub(super) limits: Limits,
    pub(super) page_size: usize,
    pub(super) seed: u64,
    pub(super) made: u64,
}

impl World {
    /// A number that was not given before.
    pub(super) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// In the form of a UUID; the same ones from the same seed.
    pub(super) fn uuid(&mut self) -> String {
        use sha2::Digest as _;
        let number = self.next();
        let digest = hex::encode(sha2::Sha256::digest(format!("{} {number}", self.seed)));
        let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default().to_owned();
        format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Unit {
        let mut unit = Unit::new("u".into(), "n".into(), "o".into(), "DE".into());
        let id = AssetId { adam_id: "1".into(), pricing_param: "STDQ".into() };
        unit.assets.insert(
            id.clone(),
            Asset {
                id,
                product_type: ProductType::App,
                is_unlimited: false,
                total: 1,
                assigned: 0,
                retired: 0,
                is_device_assignable: true,
                is_revocable: true,
                supported_platforms: vec![],
            },
        );
        unit
    }

    #[test]
    fn one_license_is_given_once_and_comes_back() {
        let (mut unit, mut journal) = (unit(), Journal::default());
        let id = AssetId { adam_id: "1".into(), pricing_param: "STDQ".into() };
        let (mac, pad) = (Holder::Device("MAC".into()), Holder::Device("PAD".into()));
        let mut by = By { journal: &mut journal, at: Time(1), who: "api", event: "" };
        assert_eq!(unit.associate(&id, &mac, &mut by), Ok(()));
        assert_eq!(unit.associate(&id, &mac, &mut by), Ok(()));
        assert_eq!(unit.associate(&id, &pad, &mut by), Err(9709));
        assert_eq!(unit.associate(&id, &Holder::User("ada".into()), &mut by), Err(9609));
        assert_eq!(unit.disassociate(&id, &mac, &mut by), Ok(()));
        assert_eq!(unit.disassociate(&id, &mac, &mut by), Ok(()));
        assert_eq!(unit.associate(&id, &pad, &mut by), Ok(()));
        assert_eq!(unit.assets_of(&pad), [id]);
        let deeds: Vec<_> = journal.from(0, 99).into_iter().map(|entry| entry.deed).collect();
        assert_eq!(
            deeds,
            [
                Deed::Granted,
                Deed::GrantedAlready,
                Deed::GrantRefused,
                Deed::GrantRefused,
                Deed::Released,
                Deed::ReleasedAlready,
                Deed::Granted
            ]
        );
    }

    #[test]
    fn a_version_is_good_until_all_are_made_invalid() {
        let mut unit = unit();
        unit.touch();
        let version = unit.version_id();
        assert_eq!(unit.read_version(&version), Some(1));
        assert_eq!(unit.read_version("u-0-2"), None);
        assert_eq!(unit.read_version("nonsense"), None);
        unit.epoch += 1;
        assert_eq!(unit.read_version(&version), None);
    }
}
