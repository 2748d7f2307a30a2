//! The judge's bench: all tenants' states, and the group that is being judged. Not here: waiting, writing, answering.

use super::batches::Batch;
use super::draft::{Draft, FreshReceipts, Judgement};
use super::judge::{Repeat, Verdict};
use super::subjects::{known_device, known_user, put_device, sealed_device, sealed_user, with_others};
use super::{GROUP_BYTES_MAX, GROUP_COMMANDS_MAX};
use crate::clock::Clock;
use crate::domain::command::{Actor, Command, Door, Envelope, Intake, Observation};
use crate::domain::decide::{CountedRefusal, Judged, TICK_FACTS_MAX, decide};
use crate::domain::event::{Event, Recorded};
use crate::domain::facts::Settings;
use crate::domain::ids::{SubjectId, TenantId};
use crate::domain::personal::Personal;
use crate::domain::state::{Meta, Tenant};
use crate::domain::time::Time;
use crate::log::Room;
use crate::log::receipts::{NotWhole, Receipt, Receipts};
use crate::log::record;
use crate::log::submission::{Ask, PastCommand, PastEvent, PastNames, Submission, SubmitError};
use crate::vault::{Vault, seal_device, seal_user};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::iter::repeat_n;
use std::sync::Arc;
use std::time::Duration;

/// A refusal's repeats are written down at most so long after the first of them.
const COUNTS_FLUSHED_AFTER: Duration = Duration::from_secs(5);
/// So many different refusals may have uncounted repeats at once; then they are written at once.
const COUNTS_MAX: usize = 10_000;

/// What became of a command before anything was put down.
pub(super) enum Begun {
    Repeat(Box<Repeat>),
    Judged { envelope: Envelope, judged: Judged, first_position: u64 },
}

pub(super) struct Bench {
    pub(super) tenants: Vec<Tenant>,
    slugs: HashMap<String, TenantId>,
    vault: Arc<Vault>,
    receipts: Receipts,
    /// Those that wait, and those that are judged in part.
    pub(super) batches: VecDeque<Batch>,
    /// The group that is being judged.
    pub(super) draft: Draft,
    /// Of the group before it, which may not be durable yet.
    sent_receipts: Arc<FreshReceipts>,
    buffer: Vec<u8>,
    counts: BTreeMap<(TenantId, CountedRefusal), u64>,
    /// How far the clock had run at the first of them.
    counts_since: Option<Duration>,
    /// The tenant whose timers are looked at first.
    ticks_from: usize,
    clock: Clock,
}

impl Bench {
    pub(super) fn new(tenants: Vec<Tenant>, receipts: Receipts, vault: Arc<Vault>, clock: Clock) -> Self {
        let slugs = (0..).map(TenantId).zip(&tenants).map(|(id, tenant)| (tenant.slug.clone(), id)).collect();
        Self {
            tenants,
            slugs,
            vault,
            receipts,
            batches: VecDeque::new(),
            draft: Draft::default(),
            sent_receipts: Arc::default(),
            buffer: Vec::new(),
            counts: BTreeMap::new(),
            counts_since: None,
            ticks_from: 0,
            clock,
        }
    }

    /// It takes no further job.
    pub(super) fn is_full(&self) -> bool {
        self.draft.commands.max(self.draft.owed.len()) >= GROUP_COMMANDS_MAX
            || self.draft.group.bytes() >= GROUP_BYTES_MAX
    }

    /// Hands out the group, and goes on with an empty one, which may have been one before.
    pub(super) fn seal(&mut self, empty: Draft) -> Draft {
        self.sent_receipts = Arc::clone(&self.draft.receipts);
        std::mem::replace(&mut self.draft, empty)
    }

    pub(super) fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Goes on with published states in place of its own, and gives those back. Where they are not the same, as in a log that
    /// did not take the whole past of another and is to be thrown away, it keeps its own.
    pub(super) fn adopt(&mut self, states: Vec<Tenant>) -> Vec<Tenant> {
        let next = |tenants: &[Tenant]| tenants.iter().map(|tenant| tenant.next_position).collect::<Vec<_>>();
        if next(&states) == next(&self.tenants) { std::mem::replace(&mut self.tenants, states) } else { states }
    }

    pub(super) fn tenant(&self, tenant: TenantId) -> Option<&Tenant> {
        self.tenants.get(tenant.index())
    }

    pub(super) fn create_tenant(
        &mut self,
        actor: Actor,
        door: Door,
        slug: &str,
        name: &str,
        now: Time,
    ) -> Result<(TenantId, Judgement), SubmitError> {
        if let Some(tenant) = self.slugs.get(slug).copied() {
            let rename = Submission {
                actor,
                door,
                command_id: None,
                content_hash: 0,
                occurred_at: None,
                reason: None,
                if_match: None,
                ask: Ask::Intake(Intake::Command(Command::RenameTenant { name: name.to_owned() })),
            };
            return self.judge(tenant, rename, now, Room::Ample).map(|judgement| (tenant, judgement));
        }
        let tenant = TenantId::at(self.tenants.len());
        let event =
            Event::TenantCreated { slug: slug.to_owned(), name: name.to_owned(), settings: Settings::default() };
        let mut state = Tenant::default();
        state.evolve(&event, &Meta { position: 0, recorded_at: now, actor });
        self.tenants.push(state);
        self.slugs.insert(slug.to_owned(), tenant);
        let judged = Judged { events: vec![event], unrecorded: None, counts_at: None };
        Ok((tenant, self.record(tenant, plain_envelope(actor, door, now), judged, 0)))
    }

    pub(super) fn judge(
        &mut self,
        tenant: TenantId,
        submission: Submission,
        now: Time,
        room: Room,
    ) -> Result<Judgement, SubmitError> {
        match self.begin(tenant, submission, now, room)? {
            Begun::Repeat(repeat) => Ok(Judgement(Verdict::Repeat(repeat))),
            Begun::Judged { envelope, judged, first_position } => {
                Ok(self.record(tenant, envelope, judged, first_position))
            }
        }
    }

    /// Judges a command; the state takes it, the group not yet.
    pub(super) fn begin(
        &mut self,
        tenant: TenantId,
        submission: Submission,
        now: Time,
        room: Room,
    ) -> Result<Begun, SubmitError> {
        if self.tenant(tenant).is_none() {
            return Err(SubmitError::TenantNotFound);
        }
        self.draft.commands += 1;
        let Submission { actor, door, command_id, content_hash, occurred_at, reason, if_match, ask } = submission;
        if let Some(command_id) = &command_id
            && let Some(receipt) = self.receipt(tenant, record::command_key(command_id))?
        {
            // a log that was begun by an earlier program has plain hashes, which no client has made to be like a masked one
            let is_same = receipt.content_hash == content_hash
                || receipt.content_hash == self.vault.masked(tenant.0, command_id, content_hash);
            let repeat = || Begun::Repeat(Box::new(Repeat { receipt, command_id: command_id.clone() }));
            return if is_same { Ok(repeat()) } else { Err(SubmitError::IdReused) };
        }
        match room {
            Room::Ample => {}
            Room::Low if gives_back(&ask) => {}
            Room::Low | Room::None => return Err(SubmitError::DiskLow),
        }
        let envelope = Envelope { recorded_at: now, occurred_at, actor, door, command_id, content_hash, reason };
        let intake = self.prepared(tenant, ask)?;
        let state = self.tenants.get_mut(tenant.index()).ok_or(SubmitError::TenantNotFound)?;
        let first_position = state.next_position;
        let judged = decide(state, &intake, &envelope, if_match);
        Ok(Begun::Judged { envelope, judged, first_position })
    }

    /// So that what the next submissions are about is near when they are judged.
    pub(super) fn look_ahead<'s>(&self, tenant: TenantId, submissions: impl Iterator<Item = &'s Submission>) {
        if let Some(state) = self.tenant(tenant) {
            state.look_ahead_of(submissions.filter_map(command_in));
        }
    }

    fn receipt(&self, tenant: TenantId, key: [u8; 16]) -> Result<Option<Receipt>, SubmitError> {
        let key = (tenant.0, key);
        match self.draft.receipts.get(&key).or_else(|| self.sent_receipts.get(&key)) {
            Some(receipt) => Ok(Some(*receipt)),
            None => self.receipts.get(key).map_err(|NotWhole| SubmitError::ReceiptsNotWhole),
        }
    }

    /// Seals names, and answers what only the writer can see.
    fn prepared(&mut self, tenant: TenantId, ask: Ask) -> Result<Intake, SubmitError> {
        match ask {
            Ask::Intake(Intake::Command(command)) => {
                let others = (0..).map(TenantId).zip(&self.tenants).filter(|(id, _)| *id != tenant);
                Ok(Intake::Command(with_others(command, others.map(|(_, other)| other))))
            }
            Ask::Intake(intake) => Ok(intake),
            Ask::PutUser { user, profile } => {
                let known = known_user(self.tenant(tenant).ok_or(SubmitError::TenantNotFound)?, user);
                let subject = self.subject(known)?;
                let profile = sealed_user(&self.vault, tenant, subject, &profile);
                Ok(Intake::Observation(Observation::PutUser { user, profile }))
            }
            Ask::PutDevice { device, names, facts, primary_user } => {
                let state = self.tenant(tenant).ok_or(SubmitError::TenantNotFound)?;
                let known = known_device(&self.vault, tenant, state, device, &names);
                let subject = self.subject(known)?;
                let names = sealed_device(&self.vault, tenant, subject, &names);
                Ok(put_device(device, names, facts, primary_user))
            }
        }
    }

    /// Takes a past as it is, into the tenant or as a new one. The caller has folded it before and knows that it breaks no
    /// law. After an error the group holds a part of it: the log is to be thrown away.
    pub(super) fn take_over(&mut self, tenant: TenantId, past: Vec<PastCommand>) -> Result<u64, SubmitError> {
        if tenant.index() == self.tenants.len() {
            self.tenants.push(Tenant::default());
        }
        for PastCommand { envelope, events } in past {
            let first_position = self.tenant(tenant).ok_or(SubmitError::TenantNotFound)?.next_position;
            let mut facts = Vec::with_capacity(events.len());
            for past in events {
                let event = self.sealed(tenant, past)?;
                self.buffer.clear();
                record::encode(&envelope, &event, &mut self.buffer)
                    .map_err(|error| SubmitError::TooLarge(error.to_string()))?;
                let state = self.tenants.get_mut(tenant.index()).ok_or(SubmitError::TenantNotFound)?;
                let (position, recorded_at) = (state.next_position, envelope.recorded_at);
                state.evolve(&event, &Meta { position, recorded_at, actor: envelope.actor });
                facts.push(event);
            }
            self.draft.commands += 1;
            self.record(tenant, envelope, Judged { events: facts, unrecorded: None, counts_at: None }, first_position);
        }
        let state = self.tenant(tenant).ok_or(SubmitError::TenantNotFound)?;
        let (slug, next) = (state.slug.clone(), state.next_position);
        self.slugs.insert(slug, tenant);
        Ok(next)
    }

    /// The fact with its names under keys of this vault. Names that were erased stay so: what is sealed is nothing.
    fn sealed(&mut self, tenant: TenantId, past: PastEvent) -> Result<Event, SubmitError> {
        let PastEvent { mut event, names } = past;
        let known = &self.tenant(tenant).ok_or(SubmitError::TenantNotFound)?.names;
        let known = if let Event::UserChanged { user, .. } = &event {
            known.subject((*user).into())
        } else if let Event::DeviceChanged { device, .. } = &event {
            known.subject((*device).into())
        } else if let Event::NamesErased { holder, subject } = &mut event {
            *subject = known.subject(*holder).unwrap_or(*subject);
            return Ok(event);
        } else {
            None
        };
        let known = known.filter(|subject| !self.vault.is_erased(*subject));
        if let Event::UserAdded { profile: personal, .. }
        | Event::UserChanged { profile: personal, .. }
        | Event::DeviceAdded { names: personal, .. }
        | Event::DeviceChanged { names: personal, .. } = &mut event
        {
            let subject = self.subject(known)?;
            *personal = match names {
                PastNames::User(Some(profile)) => seal_user(&self.vault, tenant.0, subject, &profile),
                PastNames::Device(Some(names)) => seal_device(&self.vault, tenant.0, subject, &names),
                PastNames::User(None) | PastNames::Device(None) | PastNames::NotPersonal => {
                    Personal { subject, sealed: self.vault.seal(subject, b""), aliases: Vec::new() }
                }
            };
        }
        Ok(event)
    }

    fn subject(&mut self, known: Option<SubjectId>) -> Result<SubjectId, SubmitError> {
        if let Some(subject) = known {
            return Ok(subject);
        }
        self.draft.has_new_subjects = true;
        self.vault.create().map_err(|error| {
            tracing::error!(%error, "no key could be made for a new subject");
            SubmitError::Stopped
        })
    }

    /// Puts a judged command's events into the group.
    pub(super) fn record(
        &mut self,
        tenant: TenantId,
        mut envelope: Envelope,
        judged: Judged,
        first_position: u64,
    ) -> Judgement {
        let answer = judged.answer();
        if let Some(counted) = judged.counts_at {
            *self.counts.entry((tenant, counted)).or_default() += 1;
            self.counts_since.get_or_insert_with(|| self.clock.elapsed());
        }
        if let Some(state) = self.tenant(tenant) {
            envelope.recorded_at = envelope.recorded_at.max(state.last_recorded_at);
        }
        let count = judged.events.len();
        if let Some(id) = envelope.command_id.as_deref().filter(|_| count > 0) {
            let records = u32::try_from(count).unwrap_or(u32::MAX);
            let receipt = Receipt { first_position, records, content_hash: envelope.content_hash };
            self.draft.note(tenant, record::command_key(id), receipt);
        }
        let mut position = first_position;
        // the last one takes it
        for (event, envelope) in judged.events.into_iter().zip(repeat_n(envelope, count)) {
            self.buffer.clear();
            if let Err(error) = record::encode(&envelope, &event, &mut self.buffer) {
                panic!("a fact that decide made does not fit into a record: {error}");
            }
            self.draft.group.push(tenant.0, &self.buffer);
            self.draft.has_erasures |= matches!(event, Event::NamesErased { .. });
            self.draft.records.push((tenant, Recorded { position, envelope, event }));
            position += 1;
        }
        Judgement(Verdict::Judged { position: position.saturating_sub(1), answer })
    }

    /// Lets time pass in every tenant, as far as one tick goes; `true` where something is left for the next one.
    pub(super) fn tick(&mut self, now: Time, may_run_timers: bool) -> bool {
        // not by `now`: the wall clock may be set back meanwhile
        let is_old = |since| self.clock.elapsed().saturating_sub(since) >= COUNTS_FLUSHED_AFTER;
        if self.counts_since.is_some_and(|since| is_old(since) || self.counts.len() > COUNTS_MAX) {
            self.flush_counts(now);
        }
        if !may_run_timers {
            return false;
        }
        let before = self.draft.records.len();
        let mut is_left = false;
        let (first, count) = (self.ticks_from, self.tenants.len());
        for at in (first..count).chain(0..first.min(count)) {
            if self.draft.records.len() - before >= TICK_FACTS_MAX {
                self.ticks_from = at;
                return true;
            }
            let tenant = TenantId::at(at);
            let Some(state) = self.tenants.get_mut(tenant.index()).filter(|state| state.is_due(now)) else { continue };
            let envelope = timer_envelope(now);
            let first_position = state.next_position;
            let judged = decide(state, &Intake::Observation(Observation::Tick), &envelope, None);
            if !judged.events.is_empty() {
                is_left |= state.is_due(now);
                self.draft.commands += 1;
                self.record(tenant, envelope, judged, first_position);
            }
        }
        is_left
    }

    /// Writes down how often refusals were repeated.
    pub(super) fn flush_counts(&mut self, now: Time) {
        self.counts_since = None;
        for ((tenant, counted), count) in std::mem::take(&mut self.counts) {
            let Some(state) = self.tenants.get_mut(tenant.index()) else { continue };
            let CountedRefusal { position, actor, pool } = counted;
            let event = Event::RefusalsCounted { position, actor, pool, count };
            let envelope = timer_envelope(now.max(state.last_recorded_at));
            let at = state.next_position;
            state.evolve(&event, &Meta { position: at, recorded_at: envelope.recorded_at, actor: envelope.actor });
            self.draft.commands += 1;
            self.record(tenant, envelope, Judged { events: vec![event], unrecorded: None, counts_at: None }, at);
        }
    }
}

/// Taken also when the disk is nearly full: it needs little room and frees seats.
fn gives_back(ask: &Ask) -> bool {
    matches!(ask, Ask::Intake(Intake::Observation(Observation::Depart { .. })))
}

/// Of what nobody gave an id or a reason.
fn plain_envelope(actor: Actor, door: Door, recorded_at: Time) -> Envelope {
    Envelope { recorded_at, occurred_at: None, actor, door, command_id: None, content_hash: 0, reason: None }
}

fn timer_envelope(now: Time) -> Envelope {
    plain_envelope(Actor::Ledger, Door::Timer, now)
}

fn command_in(submission: &Submission) -> Option<&Command> {
    if let Ask::Intake(Intake::Command(command)) = &submission.ask { Some(command) } else { None }
}

#[cfg(test)]
mod tests;
