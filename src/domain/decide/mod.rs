//! Rules: what a command does to a state, or why it may not. Every door goes through [`decide`].
//!
//! A decision has two halves. First the guards, which only look and may refuse. Then the facts, each evolved into the
//! state as it is emitted, so that what follows from a fact (a released seat serves the queue) is judged against a state
//! that knows it. A refusal after the first fact is a hole in a rule and stops the process.

mod admin;
mod assign;
mod details;
mod device;
mod erase;
mod group;
mod install;
mod inventory;
mod license;
mod provider;
mod refund;
mod review;
mod seat;
mod settle;
mod sync;
mod tick;
mod undone;
mod user;

#[cfg(test)]
mod tests;

pub use tick::TICK_FACTS_MAX;
pub use undone::{Undone, refuse_batch};

use super::answer::Answer;
use super::asked::{About, CommandKind};
use super::command::{
    Actor, Command, DeviceRef, Envelope, GroupRef, HolderRef, IfMatch, Intake, Observation, PoolRef, UserRef,
};
use super::event::{Event, Target};
use super::ids::{DeviceId, GroupId, Holder, PoolId, UserId};
use super::rejection::{NO_ETAG, Rejection, RejectionClass};
use super::state::{Meta, RefusalKey, Tenant};
use super::time::{HOUR_MICROS, Time};
use std::collections::BTreeSet;

/// An assignment and its seat.
const FACTS_MOST_OFTEN: usize = 2;

/// What a judgement leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// To be recorded; the state has taken them already.
    pub events: Vec<Event>,
    /// The last word on a command that leaves no record: unchanged or refused, and not repeatable.
    pub unrecorded: Option<Box<Event>>,
    /// An equal refusal stands at this position: count this one.
    pub counts_at: Option<CountedRefusal>,
}

/// A refusal that is counted rather than recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountedRefusal {
    pub position: u64,
    pub actor: Actor,
    pub pool: Option<PoolId>,
}

/// It is handed on for every command: ops/decisions/0016.
const _: () = assert!(size_of::<Judged>() <= 64);

impl Judged {
    /// What to tell the caller.
    #[must_use]
    pub fn answer(&self) -> Box<Answer> {
        Answer::of(self.events.iter().chain(self.unrecorded.as_deref()))
    }
}

/// How a command that was not refused ended.
enum Verdict {
    Done,
    Unchanged(About),
}

type Ruling = Result<Verdict, Rejection>;

/// Judges one command against the state its predecessors left, and takes its facts into that state.
///
/// # Panics
/// When a rule refuses after it emitted a fact, or a fact breaks a law.
pub fn decide(tenant: &mut Tenant, intake: &Intake, envelope: &Envelope, if_match: Option<IfMatch>) -> Judged {
    let mut judge = Judge::new(tenant, envelope, if_match);
    judge.is_directory_held = match intake {
        Intake::Command(_) => false,
        Intake::Observation(observation) => may_be_held(observation) && judge.tenant.directory_waits(),
    };
    let ruling = judge.rule(intake);
    judge.finish(kind_of(intake), ruling)
}

/// Whether it may end seats that the brake holds for the directory's sake; the others need not be told whether it holds any.
fn may_be_held(observation: &Observation) -> bool {
    match observation {
        Observation::Depart { .. }
        | Observation::PutGroup { .. }
        | Observation::DeleteGroup { .. }
        | Observation::PutDevice { .. }
        | Observation::RetireDevice { .. }
        | Observation::Tick => true,
        Observation::Inventory(_)
        | Observation::EndSync { .. }
        | Observation::PutUser { .. }
        | Observation::Return { .. }
        | Observation::Provider { .. }
        | Observation::ReadReport { .. }
        | Observation::RotateLogKey { .. } => false,
    }
}

/// The state under judgement and the facts so far.
struct Judge<'a> {
    tenant: &'a mut Tenant,
    now: Time,
    actor: Actor,
    is_repeatable: bool,
    if_match: Option<IfMatch>,
    facts: Vec<Event>,
    /// Pools whose queue may have to be looked at before the command ends; some more than once.
    touched: Vec<PoolId>,
    about: RefusedAbout,
    /// Something of the directory waits for a person's word: what waited before the first fact, and what was held since. A fact may
    /// uncover again who was held long ago and has come back: that is judged on its own account.
    is_directory_held: bool,
}

/// What a refusal will name.
#[derive(Default)]
struct RefusedAbout {
    pool: Option<PoolId>,
    holder: Option<Holder>,
    target: Option<Target>,
}

impl<'a> Judge<'a> {
    fn new(tenant: &'a mut Tenant, envelope: &Envelope, if_match: Option<IfMatch>) -> Self {
        Self {
            now: envelope.recorded_at.max(tenant.last_recorded_at),
            actor: envelope.actor,
            is_repeatable: envelope.command_id.is_some(),
            if_match,
            facts: Vec::with_capacity(FACTS_MOST_OFTEN),
            touched: Vec::new(),
            about: RefusedAbout::default(),
            is_directory_held: false,
            tenant,
        }
    }

    fn rule(&mut self, intake: &Intake) -> Ruling {
        match intake {
            Intake::Command(command) => self.command(command),
            Intake::Observation(observation) => self.observation(observation),
        }
    }

    fn command(&mut self, command: &Command) -> Ruling {
        match command {
            Command::RenameTenant { name } => Ok(self.rename_tenant(name)),
            Command::ChangeSettings { patch } => Ok(self.change_settings(patch)),
            Command::IssueToken { name, role, hash, expires_at } => self.issue_token(name, *role, *hash, *expires_at),
            Command::RevokeToken { token } => self.revoke_token(*token),
            Command::LinkStoreAccount { provider, account_id, settings, is_linked_elsewhere } => {
                self.link_store_account(*provider, account_id, settings, *is_linked_elsewhere)
            }
            Command::LinkStoreUnit { provider, unit, is_linked_elsewhere } => {
                self.link_store_unit(*provider, unit, *is_linked_elsewhere)
            }
            Command::ActivateTool { tool, name } => Ok(self.activate_tool(tool, name)),
            Command::DeactivateTool { tool } => self.deactivate_tool(tool),
            Command::StartSync { provider, is_full, is_dry_run, is_connected } => {
                self.start_sync(*provider, *is_full, *is_dry_run, *is_connected)
            }
            Command::ConfirmSync { sync } => self.confirm_sync(*sync),
            Command::Assign { pool, target, intent, mode, licensing } => {
                self.assign(pool, target, *intent, *mode, *licensing)
            }
            Command::Unassign { assignment } => self.unassign(*assignment),
            Command::Install { pool, device, user, is_report } => self.install(pool, *device, *user, *is_report),
            Command::Uninstall { pool, device, user, is_report: _ } => self.uninstall(pool, *device, *user),
            Command::Reclaim { pool, holder } => self.reclaim(pool, *holder),
            Command::Adopt { pool, holder } => self.adopt(pool, *holder),
            Command::Grant { pool, holder } => self.grant_by_command(pool, *holder),
            Command::Refund(order) => self.refund(order),
            Command::IssueOfflineLicense { pool, holder } => self.issue_offline_license(pool, *holder),
            Command::Erase { holder } => self.erase(*holder),
            Command::SetPolicy { pool, patch } => self.set_policy(pool, patch),
            Command::ResolveDeficit { pool } => self.resolve_deficit(pool),
            Command::ConfirmHeld { held } => self.confirm_held(*held),
            Command::OpenReview(new) => self.open_review(new),
            Command::DecideReview { review, pool, holder, decision, comment } => {
                self.decide_review(*review, pool, *holder, *decision, comment.as_deref())
            }
            Command::EndReview { review } => self.end_review(*review),
            Command::CancelReview { review } => self.cancel_review(*review),
        }
    }

    fn observation(&mut self, observation: &Observation) -> Ruling {
        match observation {
            Observation::Inventory(inventory) => self.inventory(inventory),
            Observation::EndSync { sync, end } => self.end_sync(*sync, end),
            Observation::PutUser { user, profile } => self.put_user(*user, profile),
            Observation::Depart { user, cause, retire_devices } => self.depart(*user, *cause, *retire_devices),
            Observation::Return { user } => self.return_user(*user),
            Observation::PutGroup { group, kind, members } => self.put_group(group, *kind, members),
            Observation::DeleteGroup { group } => self.delete_group(group),
            Observation::PutDevice { device, names, identity, facts, primary_user } => {
                self.put_device(*device, names, *identity, facts, *primary_user)
            }
            Observation::RetireDevice { device } => self.retire(*device),
            Observation::Provider { pool, report } => self.provider_report(pool, *report),
            Observation::ReadReport { report, asked, position } => Ok(self.read_report(*report, *asked, *position)),
            Observation::RotateLogKey { old_key, new_key, is_old_key_lost } => {
                Ok(self.rotate_log_key(old_key.as_deref(), new_key, *is_old_key_lost))
            }
            Observation::Tick => Ok(self.tick()),
        }
    }

    fn finish(mut self, command: CommandKind, ruling: Ruling) -> Judged {
        let last_word = match ruling {
            Ok(Verdict::Done) => {
                self.check_queues();
                return Judged { events: self.facts, unrecorded: None, counts_at: None };
            }
            Ok(Verdict::Unchanged(about)) => Event::CommandUnchanged { command, about },
            Err(rejection) => {
                let RefusedAbout { pool, holder, target } = self.about;
                Event::CommandRefused { command, pool, holder, target, rejection }
            }
        };
        assert!(self.facts.is_empty(), "{command:?} changed something and then refused: {last_word:?}");
        let is_conflict = matches!(&last_word, Event::CommandRefused { rejection, .. } if rejection.class() == RejectionClass::Conflict);
        if !self.is_repeatable && !is_conflict {
            return Judged { events: Vec::new(), unrecorded: Some(Box::new(last_word)), counts_at: None };
        }
        if !self.is_repeatable
            && let Some(counted) = self.equal_refusal(&last_word)
        {
            return Judged { events: Vec::new(), unrecorded: Some(Box::new(last_word)), counts_at: Some(counted) };
        }
        self.emit(last_word);
        Judged { events: self.facts, unrecorded: None, counts_at: None }
    }

    /// Law 8: an equal refusal is counted, for lack of seats until a seat was free, else for an hour.
    fn equal_refusal(&self, refused: &Event) -> Option<CountedRefusal> {
        let Event::CommandRefused { command, pool, holder, target, rejection } = refused else {
            return None;
        };
        let rule = rejection.name().to_owned();
        let key = RefusalKey {
            actor: self.actor,
            command: *command,
            pool: *pool,
            holder: *holder,
            target: *target,
            rule,
            is_of_batch: false,
        };
        let seen = self.tenant.refusals.seen(&key)?;
        let is_equal = match (rejection.is_for_lack_of_seats(), pool) {
            (true, Some(pool)) => {
                let pool = self.tenant.pool(*pool);
                !pool.has_free_seat() && seen.position > pool.last_free_position
            }
            (true, None) | (false, _) => self.now.0 - seen.at.0 < HOUR_MICROS,
        };
        is_equal.then_some(CountedRefusal { position: seen.position, actor: self.actor, pool: *pool })
    }

    fn emit(&mut self, event: Event) {
        let meta = Meta { position: self.tenant.next_position, recorded_at: self.now, actor: self.actor };
        self.tenant.evolve(&event, &meta);
        self.facts.push(event);
    }

    fn touch(&mut self, pool: PoolId) {
        if self.touched.last() != Some(&pool) {
            self.touched.push(pool);
        }
    }

    /// Done if anything was emitted since, unchanged otherwise.
    fn done_or(&self, about: About) -> Verdict {
        if self.facts.is_empty() { Verdict::Unchanged(about) } else { Verdict::Done }
    }

    /// At the last position of a command nobody waits while a seat is free.
    fn check_queues(&self) {
        for pool in &self.touched {
            let pool = self.tenant.pool(*pool);
            assert!(
                pool.queued.is_empty() || !pool.has_free_seat() || !pool.is_serving(),
                "{} has a free seat and {} holders wait",
                pool.id,
                pool.queued.len()
            );
        }
    }

    fn precondition(&self, etag: u64) -> Result<(), Rejection> {
        match self.if_match {
            None | Some(IfMatch::Any) => Ok(()),
            Some(IfMatch::Tag(expected)) if expected == etag => Ok(()),
            Some(IfMatch::Tag(_) | IfMatch::Nothing) => Err(Rejection::PreconditionFailed { etag }),
        }
    }

    /// The same of what the command is going to make.
    fn precondition_of_new(&self) -> Result<(), Rejection> {
        match self.if_match {
            None | Some(IfMatch::Nothing) => Ok(()),
            Some(IfMatch::Any | IfMatch::Tag(_)) => Err(Rejection::PreconditionFailed { etag: NO_ETAG }),
        }
    }

    fn pool_id(&mut self, pool: &PoolRef) -> Result<PoolId, Rejection> {
        let id = match pool {
            PoolRef::Id(id) => (id.index() < self.tenant.pools.len()).then_some(*id),
            PoolRef::Key(key) => self.tenant.pool_keys.get(key),
        };
        self.about.pool = id;
        id.ok_or(Rejection::PoolNotFound)
    }

    /// A user who is not deleted.
    fn user_id(&self, user: UserRef) -> Result<UserId, Rejection> {
        let id = match user {
            UserRef::Id(id) => (id.index() < self.tenant.users.len()).then_some(id),
            UserRef::Name(name) => self.tenant.names.user(name),
        };
        id.filter(|id| !self.tenant.user(*id).is_deleted()).ok_or(Rejection::UserNotFound)
    }

    /// Also one who was deleted, by id: for what is there already, since seats and installs outlive their user. Nothing that
    /// is given asks here.
    fn user_on_record(&self, user: UserRef) -> Result<UserId, Rejection> {
        match user {
            UserRef::Id(id) if id.index() < self.tenant.users.len() => Ok(id),
            UserRef::Id(_) | UserRef::Name(_) => self.user_id(user),
        }
    }

    fn device_id(&self, device: DeviceRef) -> Result<DeviceId, Rejection> {
        let id = match device {
            DeviceRef::Id(id) => (id.index() < self.tenant.devices.len()).then_some(id),
            DeviceRef::Name { serial, device_id } => {
                self.tenant.names.device_by_serial(serial).or_else(|| self.tenant.names.device_by_device_id(device_id))
            }
        };
        id.ok_or(Rejection::DeviceNotFound)
    }

    fn group_id(&self, group: &GroupRef) -> Result<GroupId, Rejection> {
        let id = match group {
            GroupRef::Id(id) => (id.index() < self.tenant.groups.len()).then_some(*id),
            GroupRef::Name(name) => self.tenant.group_names.get(name).copied(),
        };
        id.filter(|id| !self.tenant.group(*id).is_deleted).ok_or(Rejection::GroupNotFound)
    }

    fn holder(&mut self, holder: HolderRef) -> Result<Holder, Rejection> {
        let holder = match holder {
            HolderRef::User(user) => Holder::User(self.user_id(user)?),
            HolderRef::Device(device) => Holder::Device(self.device_id(device)?),
        };
        self.about.holder = Some(holder);
        Ok(holder)
    }

    /// The same for a seat that is there already.
    fn holder_on_record(&mut self, holder: HolderRef) -> Result<Holder, Rejection> {
        let holder = match holder {
            HolderRef::User(user) => Holder::User(self.user_on_record(user)?),
            HolderRef::Device(_) => return self.holder(holder),
        };
        self.about.holder = Some(holder);
        Ok(holder)
    }
}

/// The name of what was asked.
#[must_use]
pub fn kind_of(intake: &Intake) -> CommandKind {
    match intake {
        Intake::Command(command) => match command {
            Command::RenameTenant { .. } => CommandKind::RenameTenant,
            Command::ChangeSettings { .. } => CommandKind::ChangeSettings,
            Command::IssueToken { .. } => CommandKind::IssueToken,
            Command::RevokeToken { .. } => CommandKind::RevokeToken,
            Command::LinkStoreAccount { .. } => CommandKind::LinkStoreAccount,
            Command::LinkStoreUnit { .. } => CommandKind::LinkStoreUnit,
            Command::ActivateTool { .. } => CommandKind::ActivateTool,
            Command::DeactivateTool { .. } => CommandKind::DeactivateTool,
            Command::StartSync { .. } => CommandKind::StartSync,
            Command::ConfirmSync { .. } => CommandKind::ConfirmSync,
            Command::Assign { .. } => CommandKind::Assign,
            Command::Unassign { .. } => CommandKind::Unassign,
            Command::Install { .. } => CommandKind::Install,
            Command::Uninstall { .. } => CommandKind::Uninstall,
            Command::Reclaim { .. } => CommandKind::Reclaim,
            Command::Adopt { .. } => CommandKind::Adopt,
            Command::Grant { .. } => CommandKind::Grant,
            Command::Refund(_) => CommandKind::Refund,
            Command::IssueOfflineLicense { .. } => CommandKind::IssueOfflineLicense,
            Command::Erase { .. } => CommandKind::Erase,
            Command::SetPolicy { .. } => CommandKind::SetPolicy,
            Command::ResolveDeficit { .. } => CommandKind::ResolveDeficit,
            Command::ConfirmHeld { .. } => CommandKind::ConfirmHeld,
            Command::OpenReview(_) => CommandKind::OpenReview,
            Command::DecideReview { .. } => CommandKind::DecideReview,
            Command::EndReview { .. } => CommandKind::EndReview,
            Command::CancelReview { .. } => CommandKind::CancelReview,
        },
        Intake::Observation(observation) => match observation {
            Observation::Inventory(_) => CommandKind::Inventory,
            Observation::EndSync { .. } => CommandKind::EndSync,
            Observation::PutUser { .. } => CommandKind::PutUser,
            Observation::Depart { .. } => CommandKind::Depart,
            Observation::Return { .. } => CommandKind::Return,
            Observation::PutGroup { .. } => CommandKind::PutGroup,
            Observation::DeleteGroup { .. } => CommandKind::DeleteGroup,
            Observation::PutDevice { .. } => CommandKind::PutDevice,
            Observation::RetireDevice { .. } => CommandKind::RetireDevice,
            Observation::Provider { .. } => CommandKind::Provider,
            Observation::ReadReport { .. } => CommandKind::ReadReport,
            Observation::RotateLogKey { .. } => CommandKind::RotateLogKey,
            Observation::Tick => CommandKind::Tick,
        },
    }
}

/// In the order in which each came first.
fn each_once<T: Ord + Copy>(mut all: Vec<T>) -> Vec<T> {
    // most commands are about one holder
    if all.len() > 1 {
        let mut seen = BTreeSet::new();
        all.retain(|one| seen.insert(*one));
    }
    all
}

/// Facts that carry lists are cut to this many entries, so that a record stays within its bound.
const LIST_ENTRIES_MAX: usize = 500;
