//! Assigning and unassigning.

use super::settle::Brake;
use super::{Judge, LIST_ENTRIES_MAX, Ruling, Verdict, each_once};
use crate::domain::asked::About;
use crate::domain::command::{PoolRef, TargetRef};
use crate::domain::event::{Event, Target};
use crate::domain::facts::{
    AssignmentEndCause, GrantCause, GroupKind, HeldBy, Intent, Licensing, Mode, PoolState, ReleaseCause, SkipReason,
};
use crate::domain::ids::{AssignmentId, GroupId, Holder, PoolId};
use crate::domain::key::Provider;
use crate::domain::rejection::{Rejection, Remedies};
use crate::domain::state::{Assignment, Pool, Tenant};

/// Who would hold seats for an assignment, and which members get none.
pub(super) struct Candidates {
    pub(super) holders: Vec<Holder>,
    skipped: Vec<(Holder, SkipReason)>,
}

impl Judge<'_> {
    pub(super) fn assign(
        &mut self,
        pool: &PoolRef,
        target: &TargetRef,
        intent: Intent,
        mode: Option<Mode>,
        licensing: Option<Licensing>,
    ) -> Ruling {
        let pool = self.pool_id(pool)?;
        let target = self.target(target)?;
        self.about.target = Some(target);
        if mode.is_some() && intent != Intent::Required {
            return Err(Rejection::ModeNotAllowed);
        }
        let mode = mode.unwrap_or(Mode::AllOrNothing);
        self.guard_licensing(pool, target, licensing)?;
        if let Some(existing) = self.existing(pool, target) {
            let is_same = existing.target == target
                && existing.intent == intent
                && existing.mode == mode
                && existing.licensing == licensing;
            return if is_same {
                Ok(Verdict::Unchanged(About::Assignment(existing.id)))
            } else {
                Err(Rejection::AssignmentExists)
            };
        }
        if let Target::User(user) = target
            && self.tenant.user(user).departed.is_some()
        {
            return Err(Rejection::UserDeparted);
        }
        self.guard_pool_state(pool, intent)?;
        let made = self.next_assignment(pool, target, intent, mode, licensing);
        let candidates = self.candidates(&made);
        self.guard_seats(pool, &made, &candidates)?;
        self.make(&made, &candidates);
        Ok(Verdict::Done)
    }

    fn target(&self, target: &TargetRef) -> Result<Target, Rejection> {
        Ok(match target {
            TargetRef::User(user) => Target::User(self.user_id(*user)?),
            TargetRef::Device(device) => {
                let device = self.device_id(*device)?;
                if self.tenant.device(device).is_retired {
                    return Err(Rejection::DeviceRetired);
                }
                Target::Device(device)
            }
            TargetRef::Group { group, exclude } => {
                let group = self.group_id(group)?;
                let exclude = exclude.as_ref().map(|exclude| self.group_id(exclude)).transpose()?;
                Target::Group { group, exclude }
            }
        })
    }

    /// Licensing is a choice only where both kinds can hold a provider's seat; people have no device to license.
    fn guard_licensing(&self, pool: PoolId, target: Target, licensing: Option<Licensing>) -> Result<(), Rejection> {
        let Some(licensing) = licensing else {
            return Ok(());
        };
        let entry = self.tenant.pool(pool);
        let allows_both =
            entry.key.provider() == Provider::AppleBusiness && entry.details.held_by == HeldBy::UserOrDevice;
        let is_for_people = match target {
            Target::User(_) => true,
            Target::Device(_) => false,
            Target::Group { group, .. } => self.tenant.group(group).kind == GroupKind::Users,
        };
        let has_no_device = is_for_people && licensing == Licensing::Device;
        if allows_both && !has_no_device { Ok(()) } else { Err(Rejection::LicensingNotAllowed) }
    }

    /// One target carries one intent for a pool; what it excludes is part of the assignment, not of the target.
    fn existing(&self, pool: PoolId, target: Target) -> Option<&Assignment> {
        let all = match target {
            Target::User(user) => &self.tenant.user(user).links.assignments,
            Target::Device(device) => &self.tenant.device(device).links.assignments,
            Target::Group { group, .. } => &self.tenant.group(group).targeted_by,
        };
        all.of(pool).map(|id| self.tenant.assignment(id)).find(|assignment| assignment.target.is_same(target))
    }

    fn guard_pool_state(&self, pool: PoolId, intent: Intent) -> Result<(), Rejection> {
        match (self.tenant.pool(pool).state, intent) {
            (PoolState::Active, _) | (PoolState::Suspended | PoolState::Removed, Intent::Uninstall) => Ok(()),
            (PoolState::Suspended, Intent::Required | Intent::Available) => Err(Rejection::PoolSuspended),
            (PoolState::Removed, Intent::Required | Intent::Available) => Err(Rejection::PoolRemoved),
        }
    }

    fn next_assignment(
        &self,
        pool: PoolId,
        target: Target,
        intent: Intent,
        mode: Mode,
        licensing: Option<Licensing>,
    ) -> Assignment {
        Assignment {
            id: AssignmentId::at(self.tenant.assignments.len()),
            pool,
            target,
            intent,
            mode,
            licensing,
            is_ended: false,
            made_at: self.tenant.next_position,
            etag: self.tenant.next_position,
            since: self.now,
        }
    }

    /// In the order in which they joined the target.
    pub(super) fn candidates(&self, assignment: &Assignment) -> Candidates {
        let pool = self.tenant.pool(assignment.pool);
        let (mut holders, mut skipped) = (Vec::new(), Vec::new());
        for member in self.members(assignment) {
            match self.skip_reason(pool, assignment, member) {
                Some(reason) => skipped.push((member, reason)),
                None => {
                    let of_member = self.tenant.holders_for(pool, assignment, member);
                    holders.extend(of_member.into_iter().filter(|holder| self.may_hold(*holder)));
                }
            }
        }
        Candidates { holders: each_once(holders), skipped }
    }

    fn may_hold(&self, holder: Holder) -> bool {
        match holder {
            Holder::User(user) => self.tenant.user(user).departed.is_none(),
            Holder::Device(device) => !self.tenant.device(device).is_retired,
        }
    }

    pub(super) fn members(&self, assignment: &Assignment) -> Vec<Holder> {
        match assignment.target {
            Target::User(user) => vec![user.into()],
            Target::Device(device) => vec![device.into()],
            Target::Group { group, .. } => {
                let members = &self.tenant.group(group).members;
                members.iter().filter(|member| self.tenant.target_holds(assignment, *member)).collect()
            }
        }
    }

    fn skip_reason(&self, pool: &Pool, assignment: &Assignment, member: Holder) -> Option<SkipReason> {
        let device = match member {
            Holder::User(user) => return self.tenant.user(user).departed.map(|_| SkipReason::UserDeparted),
            Holder::Device(device) => self.tenant.device(device),
        };
        if device.is_retired {
            return Some(SkipReason::DeviceRetired);
        }
        if !self.tenant.is_eligible(pool, &device.facts, !Tenant::seats_go_to_users(pool, assignment)) {
            return Some(SkipReason::DeviceNotEligible);
        }
        self.tenant.holders_for(pool, assignment, member).is_empty().then_some(SkipReason::NoPrimaryUser)
    }

    fn guard_seats(&mut self, pool: PoolId, made: &Assignment, candidates: &Candidates) -> Result<(), Rejection> {
        let entry = self.tenant.pool(pool);
        let Some(cap) = entry.cap() else {
            return Ok(());
        };
        let free = if entry.is_serving() { cap.saturating_sub(entry.held()) } else { 0 };
        let needed = match (made.intent, made.mode) {
            (Intent::Uninstall, _) | (Intent::Required, Mode::Fill) => return Ok(()),
            (Intent::Available, _) => 1,
            (Intent::Required, Mode::AllOrNothing) => {
                candidates.holders.iter().filter(|holder| !entry.seats.contains_key(holder)).count() as u64
            }
        };
        if needed <= free {
            return Ok(());
        }
        let queued_of_these =
            candidates.holders.iter().filter(|holder| entry.queued.contains_key(holder)).count() as u64;
        let waiting = if entry.is_serving() { entry.queued.len() as u64 } else { 0 };
        let (ahead, figures) = (entry.over_by() + waiting, entry.figures());
        let ahead = match (made.intent, made.mode) {
            // who waits already is among those who need a seat
            (Intent::Required, Mode::AllOrNothing) if waiting > 0 => ahead - queued_of_these,
            (Intent::Required | Intent::Available | Intent::Uninstall, _) => ahead,
        };
        let remedies = self.remedies(pool, needed - free, ahead);
        let short_by = if made.intent == Intent::Available { needed } else { remedies.buy_would_free };
        Err(Rejection::NotEnoughSeats { short_by, figures, remedies })
    }

    /// No seat is free for a holder who needs one.
    pub(super) fn no_seat_for(&mut self, pool: PoolId, holder: Holder) -> Rejection {
        let entry = self.tenant.pool(pool);
        let (ahead, figures) = (entry.over_by() + entry.waiting_before(holder), entry.figures());
        Rejection::NoSeatAvailable { figures, remedies: self.remedies(pool, 1, ahead) }
    }

    /// The ways out of a shortage, honest also where one would free nothing: what comes free goes first to what the pool is
    /// above its cap and to those who wait `ahead`.
    fn remedies(&mut self, pool: PoolId, needed: u64, ahead: u64) -> Remedies {
        let would_free = self.tenant.ways_out(pool);
        Remedies {
            uninstall_would_free: would_free.uninstall_would_free.saturating_sub(ahead),
            narrow_would_free: would_free.narrow_would_free.saturating_sub(ahead),
            buy_would_free: needed + ahead,
        }
    }

    fn make(&mut self, made: &Assignment, candidates: &Candidates) {
        let pool = made.pool;
        let reaches = self.reaches(candidates.holders.iter().map(|holder| (pool, *holder)));
        self.emit(Event::AssignmentMade {
            assignment: made.id,
            pool,
            target: made.target,
            intent: made.intent,
            mode: made.mode,
            licensing: made.licensing,
        });
        if made.intent == Intent::Required {
            self.emit_skipped(made.id, &candidates.skipped);
        }
        self.settle_endings(&reaches, ReleaseCause::Unassigned, Brake::Off);
        if made.intent == Intent::Required {
            for holder in &candidates.holders {
                self.provide(pool, *holder, GrantCause::Assignment);
            }
        }
    }

    fn emit_skipped(&mut self, assignment: AssignmentId, skipped: &[(Holder, SkipReason)]) {
        for part in skipped.chunks(LIST_ENTRIES_MAX) {
            self.emit(Event::MembersSkipped { assignment, members: part.to_vec() });
        }
    }

    /// Who of these, that came into or out of a group just now, is in the target of a required assignment for that and gets
    /// no seat of it: listed as when the assignment is made.
    pub(super) fn list_skipped(&mut self, group: GroupId, changed: &[Holder]) {
        let entry = self.tenant.group(group);
        for id in [entry.targeted_by.oldest_first(), entry.excluded_by.oldest_first()].concat() {
            let assignment = self.tenant.assignment(id);
            if assignment.intent != Intent::Required {
                continue;
            }
            let pool = self.tenant.pool(assignment.pool);
            let held = changed.iter().copied().filter(|member| self.tenant.target_holds(assignment, *member));
            let skipped: Vec<(Holder, SkipReason)> =
                held.filter_map(|member| Some((member, self.skip_reason(pool, assignment, member)?))).collect();
            self.emit_skipped(id, &skipped);
        }
    }

    pub(super) fn unassign(&mut self, assignment: AssignmentId) -> Ruling {
        let Some(entry) = self.tenant.assignments.get(assignment.index()).filter(|entry| !entry.is_ended).cloned()
        else {
            return Err(Rejection::AssignmentNotFound);
        };
        self.about.pool = Some(entry.pool);
        self.precondition(entry.etag)?;
        self.end_assignments(&[assignment], AssignmentEndCause::Unassigned, ReleaseCause::Unassigned, Brake::Off);
        Ok(Verdict::Done)
    }

    /// The fact that one ended, with what it was, so that the history of its pool and its target shows it.
    pub(super) fn end_assignment(&mut self, assignment: AssignmentId, cause: AssignmentEndCause) {
        let Assignment { pool, target, .. } = *self.tenant.assignment(assignment);
        self.emit(Event::AssignmentEnded { assignment, pool, target, cause });
    }

    /// Ends assignments together, and what their end means for the seats.
    pub(super) fn end_assignments(
        &mut self,
        ids: &[AssignmentId],
        why: AssignmentEndCause,
        cause: ReleaseCause,
        brake: Brake,
    ) {
        let pairs: Vec<(PoolId, Holder)> = ids
            .iter()
            .flat_map(|id| {
                let assignment = self.tenant.assignment(*id);
                let pool = self.tenant.pool(assignment.pool);
                let holders = self
                    .members(assignment)
                    .into_iter()
                    .flat_map(|member| self.tenant.holders_for(pool, assignment, member));
                holders.map(|holder| (assignment.pool, holder)).collect::<Vec<_>>()
            })
            .collect();
        let reaches = self.reaches(pairs);
        for id in ids {
            self.end_assignment(*id, why);
        }
        self.settle(&reaches, cause, brake);
    }
}
