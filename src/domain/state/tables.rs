//! The smaller tables of a tenant: credentials, store accounts, syncs, drift, held endings, refusals, names.

use super::chunked::Chunked;
use super::dense::Dense;
use crate::domain::asked::CommandKind;
use crate::domain::command::Actor;
use crate::domain::event::Target;
use crate::domain::facts::{DriftKind, DriftResolution, Owned, ReleaseCause, Role, SyncCounts, SyncSeats};
use crate::domain::ids::{DeviceId, DriftId, HeldId, Holder, PoolId, SubjectId, SyncId, TokenId, UserId};
use crate::domain::key::Provider;
use crate::domain::personal::{Alias, AliasKind, Blind, Personal};
use crate::domain::report::{ReportAsked, ReportName};
use crate::domain::time::{HOUR_MICROS, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: TokenId,
    pub name: String,
    pub role: Role,
    /// SHA-256 of the token's 256 random bits.
    pub hash: [u8; 32],
    pub expires_at: Option<Time>,
    pub is_revoked: bool,
    pub since: Time,
}

impl Token {
    /// Whether it opens anything at this instant: an import puts tokens on record without their secrets.
    #[must_use]
    pub fn is_good_at(&self, now: Time) -> bool {
        !self.is_revoked && self.hash != [0; 32] && self.expires_at.is_none_or(|end| now < end)
    }
}

/// From the record at this position on, heads are signed with another key. Keys as C2SP signed-note writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogKeyRotation {
    pub position: u64,
    pub old_key: Option<String>,
    pub new_key: String,
    pub is_old_key_lost: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreAccount {
    pub account_id: String,
    /// Connection settings as compact JSON, without secrets.
    pub settings: String,
    /// What else of the provider's is this tenant's for good, by the names that the store has: units beside the account's own.
    pub units: BTreeSet<String>,
    pub since: Time,
    pub etag: u64,
}

impl StoreAccount {
    /// Whether it is this account, however either is spelled.
    #[must_use]
    pub fn is(&self, provider: Provider, name: &str) -> bool {
        provider.account_name(&self.account_id) == provider.account_name(name)
    }

    /// Whether it is the account itself, or a unit of it.
    #[must_use]
    pub fn has(&self, provider: Provider, name: &str) -> bool {
        self.is(provider, name) || self.units.contains(name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub is_active: bool,
    pub since: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    Running,
    Completed,
    Failed,
}

/// One pass over a provider's inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    pub id: SyncId,
    pub provider: Provider,
    pub is_full: bool,
    pub is_dry_run: bool,
    pub language: String,
    pub state: SyncState,
    pub started_at: Time,
    pub started_position: u64,
    pub ended_at: Option<Time>,
    pub ended_position: Option<u64>,
    pub counts: SyncCounts,
    /// Where the counts were told before the end, and the seats.
    pub items_position: Option<u64>,
    pub seats_position: Option<u64>,
    /// `None` where no connector looked at seats.
    pub seats: Option<SyncSeats>,
    pub failure: Option<String>,
}

impl Sync {
    /// Whether it looked at every pool that the store lets us see: also a connector that asked for what has changed. An
    /// inventory that is not complete names the pools that it saw.
    #[must_use]
    pub fn is_of_all(&self) -> bool {
        self.is_full || self.items_position.is_some()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub id: DriftId,
    pub pool: PoolId,
    pub kind: DriftKind,
    pub before: Owned,
    pub after: Owned,
    pub found_at: Time,
    pub found_position: u64,
    pub resolution: Option<DriftResolution>,
    pub resolved_at: Option<Time>,
}

/// What the brake holds back until a person confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldEndings {
    pub id: HeldId,
    pub sync: Option<SyncId>,
    pub at: Time,
    pub position: u64,
    pub seats: Vec<(PoolId, Holder, ReleaseCause)>,
    pub removals: Vec<PoolId>,
}

impl HeldEndings {
    /// Held from a change of membership, a departure or a device, not from a sync or a timer.
    #[must_use]
    pub fn is_of_the_directory(&self) -> bool {
        self.sync.is_none() && self.seats.first().is_some_and(|(_, _, cause)| *cause != ReleaseCause::DeficitPlan)
    }
}

/// What makes two refusals the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefusalKey {
    pub actor: Actor,
    pub command: CommandKind,
    pub pool: Option<PoolId>,
    pub holder: Option<Holder>,
    pub target: Option<Target>,
    pub rule: String,
    /// Of a batch that was undone because of it.
    pub is_of_batch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalSeen {
    pub position: u64,
    pub at: Time,
}

/// The newest refusals, so that a client that asks again and again does not fill the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Refusals {
    by_key: Chunked<RefusalKey, RefusalSeen>,
    by_position: Chunked<u64, RefusalKey>,
}

/// So many different refusals are remembered; an older one is recorded anew.
const REFUSALS_REMEMBERED_MAX: usize = 4096;

impl Refusals {
    #[must_use]
    pub fn seen(&self, key: &RefusalKey) -> Option<RefusalSeen> {
        self.by_key.get(key).copied()
    }

    pub(in crate::domain) fn remember(&mut self, key: RefusalKey, seen: RefusalSeen) {
        if let Some(older) = self.by_key.insert(key.clone(), seen) {
            self.by_position.remove(&older.position);
        }
        self.by_position.insert(seen.position, key);
        while self.by_position.len() > REFUSALS_REMEMBERED_MAX {
            if let Some((_, oldest)) = self.by_position.pop_first() {
                self.by_key.remove(&oldest);
            }
        }
    }
}

/// What makes two reads of a report the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReadKey {
    pub actor: Actor,
    pub report: ReportName,
    pub asked: ReportAsked,
}

/// The reads of the last hour, so that who asks again and again does not fill the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reads {
    by_key: Chunked<ReadKey, u64>,
    by_position: Chunked<u64, (ReadKey, Time)>,
}

/// So many different reads are remembered; an older one is recorded anew.
const READS_REMEMBERED_MAX: usize = 4096;

impl Reads {
    /// Whether the same was read within the hour before.
    #[must_use]
    pub fn is_fresh(&self, key: &ReadKey, now: Time) -> bool {
        let read = self.by_key.get(key).and_then(|position| self.by_position.get(position));
        read.is_some_and(|(_, at)| now.0 - at.0 < HOUR_MICROS)
    }

    fn oldest(&self) -> Option<Time> {
        self.by_position.values().next().map(|(_, read)| *read)
    }

    pub(in crate::domain) fn remember(&mut self, key: ReadKey, position: u64, at: Time) {
        if let Some(older) = self.by_key.insert(key, position) {
            self.by_position.remove(&older);
        }
        self.by_position.insert(position, (key, at));
        let is_over = |read: Time| at.0 - read.0 >= HOUR_MICROS;
        while (self.by_key.len() > READS_REMEMBERED_MAX || self.oldest().is_some_and(is_over))
            && let Some((_, (key, _))) = self.by_position.pop_first()
        {
            self.by_key.remove(&key);
        }
    }
}

/// Outside names: hashes to find a subject by, and the sealed text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Names {
    users: Chunked<Blind, UserId>,
    serials: Chunked<Blind, DeviceId>,
    device_ids: Chunked<Blind, DeviceId>,
    user_profiles: Dense<Arc<StoredNames>>,
    device_names: Dense<Arc<StoredNames>>,
}

/// A seal with the aliases that were found under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredNames {
    pub personal: Personal,
    pub aliases: Vec<Alias>,
}

impl StoredNames {
    fn of(personal: &Personal) -> Arc<Self> {
        let bare = Personal { subject: personal.subject, sealed: personal.sealed.clone(), aliases: Vec::new() };
        Arc::new(Self { personal: bare, aliases: personal.aliases.clone() })
    }

    /// A seal is never empty else.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.personal.sealed.is_empty() && self.personal.subject != SubjectId::NOBODY
    }
}

impl StoredNames {
    fn of_nobody() -> Arc<Self> {
        let personal = Personal { subject: SubjectId::NOBODY, sealed: Vec::new(), aliases: Vec::new() };
        Arc::new(Self { personal, aliases: Vec::new() })
    }
}

impl Names {
    #[must_use]
    pub fn user(&self, name: Blind) -> Option<UserId> {
        self.users.get(&name).copied()
    }

    #[must_use]
    pub fn device_by_serial(&self, serial: Blind) -> Option<DeviceId> {
        self.serials.get(&serial).copied()
    }

    #[must_use]
    pub fn device_by_device_id(&self, device_id: Blind) -> Option<DeviceId> {
        self.device_ids.get(&device_id).copied()
    }

    #[must_use]
    pub fn user_profile(&self, user: UserId) -> Option<&StoredNames> {
        self.user_profiles.get(user.index()).map(Arc::as_ref)
    }

    /// Whose key a holder's names are sealed with.
    #[must_use]
    pub fn subject(&self, holder: Holder) -> Option<SubjectId> {
        self.of(holder).map(|stored| stored.personal.subject)
    }

    #[must_use]
    pub fn device_names(&self, device: DeviceId) -> Option<&StoredNames> {
        self.device_names.get(device.index()).map(Arc::as_ref)
    }

    pub(in crate::domain) fn learn_user(&mut self, user: UserId, profile: &Personal) {
        self.forget_user(user);
        for alias in &profile.aliases {
            if alias.kind == AliasKind::UserName {
                self.users.insert(alias.blind, user);
            }
        }
        let stored = StoredNames::of(profile);
        match self.user_profiles.get_mut(user.index()) {
            Some(place) => *place = stored,
            None => self.user_profiles.push(stored),
        }
    }

    /// Makes room for the names of one user in a part of a state.
    pub(in crate::domain) fn place_user(&mut self, user: UserId) {
        if self.user_profiles.len() <= user.index() {
            self.user_profiles.grow_to(user.index() + 1, &StoredNames::of_nobody());
        }
    }

    /// The same for a device.
    pub(in crate::domain) fn place_device(&mut self, device: DeviceId) {
        if self.device_names.len() <= device.index() {
            self.device_names.grow_to(device.index() + 1, &StoredNames::of_nobody());
        }
    }

    /// As in another state, where there is room for them.
    pub(in crate::domain) fn copy_user(&mut self, user: UserId, from: &Self) {
        let (Some(place), Some(stored)) =
            (self.user_profiles.get_mut(user.index()), from.user_profiles.get(user.index()))
        else {
            return;
        };
        let is_theirs = |alias: &&Alias| from.users.get(&alias.blind) == Some(&user);
        for alias in stored.aliases.iter().filter(is_theirs) {
            self.users.insert(alias.blind, user);
        }
        *place = Arc::clone(stored);
    }

    /// The same of a device.
    pub(in crate::domain) fn copy_device(&mut self, device: DeviceId, from: &Self) {
        let (Some(place), Some(stored)) =
            (self.device_names.get_mut(device.index()), from.device_names.get(device.index()))
        else {
            return;
        };
        for (table, known) in [(&mut self.serials, &from.serials), (&mut self.device_ids, &from.device_ids)] {
            let is_its = |alias: &&Alias| known.get(&alias.blind) == Some(&device);
            for alias in stored.aliases.iter().filter(is_its) {
                table.insert(alias.blind, device);
            }
        }
        *place = Arc::clone(stored);
    }

    /// The user name is free again; the sealed text stays.
    pub(in crate::domain) fn forget_user(&mut self, user: UserId) {
        let aliases = self.user_profiles.get(user.index()).map(|stored| stored.aliases.clone()).unwrap_or_default();
        for alias in aliases {
            if self.users.get(&alias.blind) == Some(&user) {
                self.users.remove(&alias.blind);
            }
        }
    }

    /// The same of a device.
    fn forget_device(&mut self, device: DeviceId) {
        let old = self.device_names.get(device.index()).map(|stored| stored.aliases.clone()).unwrap_or_default();
        for alias in old {
            for table in [&mut self.serials, &mut self.device_ids] {
                if table.get(&alias.blind) == Some(&device) {
                    table.remove(&alias.blind);
                }
            }
        }
    }

    /// Nobody is found by what the holder was called, and of the sealed text nothing stays but whose key it had.
    pub(in crate::domain) fn erase(&mut self, holder: Holder) {
        match holder {
            Holder::User(user) => self.forget_user(user),
            Holder::Device(device) => self.forget_device(device),
        }
        if let Some(place) = self.place_of(holder) {
            let personal = Personal { subject: place.personal.subject, sealed: Vec::new(), aliases: Vec::new() };
            *place = Arc::new(StoredNames { personal, aliases: Vec::new() });
        }
    }

    /// Nobody is found by what these subjects were called: in a state from before their erasure.
    pub fn forget_if(&mut self, is_erased: impl Fn(SubjectId) -> bool) {
        let is_known = |stored: &StoredNames| !stored.aliases.is_empty() && is_erased(stored.personal.subject);
        let erased: Vec<Holder> = self.holders().filter(|(_, stored)| is_known(stored)).map(|(who, _)| who).collect();
        erased.into_iter().for_each(|holder| self.erase(holder));
    }

    fn place_of(&mut self, holder: Holder) -> Option<&mut Arc<StoredNames>> {
        match holder {
            Holder::User(user) => self.user_profiles.get_mut(user.index()),
            Holder::Device(device) => self.device_names.get_mut(device.index()),
        }
    }

    /// Whether a fact says that the holder's names were erased.
    #[must_use]
    pub fn is_erased(&self, holder: Holder) -> bool {
        self.of(holder).is_some_and(StoredNames::is_erased)
    }

    /// The sealed names of a user or of a device.
    #[must_use]
    pub fn of(&self, holder: Holder) -> Option<&StoredNames> {
        match holder {
            Holder::User(user) => self.user_profile(user),
            Holder::Device(device) => self.device_names(device),
        }
    }

    /// Everybody who has or had names.
    pub fn holders(&self) -> impl Iterator<Item = (Holder, &StoredNames)> {
        let users = self.user_profiles.iter().enumerate().map(|(at, stored)| (Holder::User(UserId::at(at)), &**stored));
        let devices =
            self.device_names.iter().enumerate().map(|(at, stored)| (Holder::Device(DeviceId::at(at)), &**stored));
        users.chain(devices)
    }

    pub(in crate::domain) fn learn_device(&mut self, device: DeviceId, names: &Personal) {
        self.forget_device(device);
        for alias in &names.aliases {
            match alias.kind {
                AliasKind::Serial => self.serials.insert(alias.blind, device),
                AliasKind::DeviceId => self.device_ids.insert(alias.blind, device),
                AliasKind::UserName => None,
            };
        }
        let stored = StoredNames::of(names);
        match self.device_names.get_mut(device.index()) {
            Some(place) => *place = stored,
            None => self.device_names.push(stored),
        }
    }
}

#[cfg(test)]
impl Names {
    /// How many pieces of sealed names two states do not share.
    pub(super) fn pieces_apart(&self, other: &Self) -> usize {
        self.user_profiles.pieces_apart(&other.user_profiles) + self.device_names.pieces_apart(&other.device_names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(position: u64) -> ReadKey {
        let asked = ReportAsked { as_of: Some(position), ..ReportAsked::default() };
        ReadKey { actor: Actor::Root, report: ReportName::Holders, asked }
    }

    #[test]
    fn a_read_is_remembered_for_an_hour_and_the_table_is_bounded() {
        let mut reads = Reads::default();
        let begun = Time(5);
        reads.remember(key(1), 10, begun);
        assert!(reads.is_fresh(&key(1), Time(begun.0 + HOUR_MICROS - 1)));
        assert!(!reads.is_fresh(&key(1), Time(begun.0 + HOUR_MICROS)));
        assert!(!reads.is_fresh(&key(2), begun));
        for n in 0..2 * READS_REMEMBERED_MAX as u64 {
            reads.remember(key(n), 20 + n, begun);
        }
        assert_eq!((reads.by_key.len(), reads.by_position.len()), (READS_REMEMBERED_MAX, READS_REMEMBERED_MAX));
        assert!(!reads.is_fresh(&key(0), begun) && reads.is_fresh(&key(2 * READS_REMEMBERED_MAX as u64 - 1), begun));
        // what is older than an hour goes with the next one
        reads.remember(key(7), 100_000, Time(begun.0 + HOUR_MICROS));
        assert_eq!((reads.by_key.len(), reads.by_position.len()), (1, 1));
    }
}
