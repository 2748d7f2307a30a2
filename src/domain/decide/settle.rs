//! The one way in which seats are handed out and given back. Everything that changes who is covered, or what is free,
//! ends here.

use super::{Judge, LIST_ENTRIES_MAX, each_once};
use crate::domain::coverage::Coverage;
use crate::domain::event::Event;
use crate::domain::facts::{DequeueCause, GrantCause, KeepOrRelease, PoolState, ReleaseCause};
use crate::domain::ids::{HeldId, Holder, PoolId, SyncId};
use crate::domain::state::{Seat, SeatMark, SeatState, Tenant};
use crate::domain::time::HOUR_MICROS;
use std::collections::{BTreeMap, BTreeSet};

/// One holder in one pool, with what covered it before a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) pool: PoolId,
    pub(super) holder: Holder,
    pub(super) before: Coverage,
}

/// A seat that is to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) pool: PoolId,
    pub(super) holder: Holder,
    pub(super) cause: ReleaseCause,
}

/// Who answers for the end of seats, and so whether the brake may hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brake {
    /// A person's command: never held.
    Off,
    /// A change of membership.
    Directory,
    /// One person's departure: never held on its own account.
    Departure,
    /// What a sync or a timer takes back by itself, against the seats held where it acts.
    Automatic { sync: Option<SyncId>, seats_held: u64 },
}

/// Each seat once, for what ends it first.
pub(super) fn each_seat_once(mut endings: Vec<Ending>) -> Vec<Ending> {
    let mut seen = BTreeSet::new();
    endings.retain(|ending| seen.insert((ending.pool, ending.holder)));
    endings
}

impl Judge<'_> {
    /// Notes what covers each of these now, each pair once, in the order given.
    pub(super) fn reaches(&self, pairs: impl IntoIterator<Item = (PoolId, Holder)>) -> Vec<Reach> {
        let pairs = each_once(pairs.into_iter().collect());
        let before = self.tenant.coverages(pairs.iter().copied());
        pairs.iter().zip(before).map(|(&(pool, holder), before)| Reach { pool, holder, before }).collect()
    }

    /// After a change of coverage: first what ends, then what begins.
    pub(super) fn settle(&mut self, reaches: &[Reach], cause: ReleaseCause, brake: Brake) {
        self.settle_endings(reaches, cause, brake);
        self.settle_beginnings(reaches, GrantCause::Coverage);
    }

    pub(super) fn settle_beginnings(&mut self, reaches: &[Reach], cause: GrantCause) {
        let others = reaches.iter().filter(|reach| !reach.before.is_required).map(|reach| (reach.pool, reach.holder));
        let after = self.tenant.coverages(others.clone());
        let begun: Vec<_> = others.zip(after).filter(|(_, after)| after.is_required).map(|(pair, _)| pair).collect();
        // what is provided covers and uncovers nobody
        for (pool, holder) in begun {
            self.provide(pool, holder, cause);
        }
    }

    pub(super) fn settle_endings(&mut self, reaches: &[Reach], cause: ReleaseCause, brake: Brake) {
        let endings = self.coverage_endings(reaches, cause);
        self.end_seats(&endings, brake);
    }

    /// What ends with the coverage of these: places and lapses at once, the seats are the caller's to end.
    #[must_use]
    pub(super) fn coverage_endings(&mut self, reaches: &[Reach], cause: ReleaseCause) -> Vec<Ending> {
        let mut endings = Vec::new();
        // what ends here covers and uncovers nobody
        let after: Vec<Coverage> =
            self.tenant.coverages(reaches.iter().map(|reach| (reach.pool, reach.holder))).collect();
        for (Reach { pool, holder, before }, after) in reaches.iter().copied().zip(after) {
            let has_ended = before.is_covered() && !after.is_covered();
            if has_ended && self.tenant.is_lapsed(pool, holder) {
                self.emit(Event::LapseEnded { pool, holder });
            }
            let entry = self.tenant.pool(pool);
            if entry.queued.contains_key(&holder) && !self.keeps_place(pool, holder, before, after) {
                self.emit(Event::Dequeued { pool, holder, cause: DequeueCause::Uncovered });
            }
            if self.coverage_ends_seat(pool, holder, before, after) {
                endings.push(Ending { pool, holder, cause });
            }
        }
        endings
    }

    /// A place that a required assignment gave ends with that; one of a regrant, with what let its holder ask for it.
    fn keeps_place(&self, pool: PoolId, holder: Holder, before: Coverage, after: Coverage) -> bool {
        after.is_required || (!before.is_required && (after.is_covered() || self.is_offered(pool, holder)))
    }

    fn coverage_ends_seat(&self, pool: PoolId, holder: Holder, before: Coverage, after: Coverage) -> bool {
        let entry = self.tenant.pool(pool);
        let Some(seat) = entry.seats.get(&holder).filter(|seat| entry.is_revocable(seat)) else {
            return false;
        };
        if self.tenant.is_in_grace(holder) {
            return false;
        }
        let has_ended = before.is_covered() && !after.is_covered();
        match seat.state {
            SeatState::Reserved => has_ended || (after.is_to_be_uninstalled() && !before.is_to_be_uninstalled()),
            SeatState::InUse => has_ended && entry.policy.untargeted == KeepOrRelease::Release,
            SeatState::Releasing | SeatState::Foreign => false,
        }
    }

    /// A seat for a holder who should have one, or a place in the queue. A lapsed holder gets neither, but for a new
    /// assignment.
    pub(super) fn provide(&mut self, pool: PoolId, holder: Holder, cause: GrantCause) {
        self.touch(pool);
        if cause == GrantCause::Coverage && self.tenant.is_lapsed(pool, holder) {
            return;
        }
        let entry = self.tenant.pool(pool);
        if let Some(seat) = entry.seats.get(&holder) {
            let (state, is_sent, is_flagged) =
                (seat.state, seat.is(SeatMark::ReleaseSent), seat.is(SeatMark::RegrantWanted));
            return self.regain(pool, holder, state, is_sent, is_flagged);
        }
        if entry.state == PoolState::Removed {
            return;
        }
        if entry.has_free_seat() && entry.is_serving() {
            self.grant(pool, holder, cause);
        } else if !entry.queued.contains_key(&holder) {
            self.emit(Event::Queued { pool, holder });
        }
    }

    /// A holder who still has a seat of some kind is wanted again.
    pub(super) fn regain(&mut self, pool: PoolId, holder: Holder, state: SeatState, is_sent: bool, is_flagged: bool) {
        match state {
            SeatState::Reserved | SeatState::InUse => {}
            SeatState::Foreign => {
                self.bring(pool, holder, false, |in_use| Event::ForeignSeatAdopted { pool, holder, in_use });
            }
            SeatState::Releasing if !is_sent => self.emit(Event::SeatTakenBack { pool, holder }),
            SeatState::Releasing if !is_flagged => self.emit(Event::RegrantFlagged { pool, holder }),
            SeatState::Releasing => {}
        }
    }

    /// Law 1: the only place where a seat is granted. Guards ask `has_free_seat` first; `evolve` asserts it again.
    pub(super) fn grant(&mut self, pool: PoolId, holder: Holder, cause: GrantCause) {
        self.touch(pool);
        let is_asked_for = cause == GrantCause::Install;
        self.bring(pool, holder, is_asked_for, |in_use| Event::SeatGranted { pool, holder, cause, in_use });
    }

    /// Gives waiting holders what is free, in their order.
    pub(super) fn serve_queue(&mut self, pool: PoolId) {
        self.touch(pool);
        loop {
            let entry = self.tenant.pool(pool);
            if !entry.is_serving() || !entry.has_free_seat() {
                return;
            }
            let Some(holder) = entry.queue.values().next().copied() else {
                return;
            };
            self.grant(pool, holder, GrantCause::Queue);
        }
    }

    /// Ends seats unless the brake holds them, and serves whoever waited for one.
    pub(super) fn end_seats(&mut self, endings: &[Ending], brake: Brake) {
        if endings.is_empty() {
            return;
        }
        if self.is_held_by_brake(endings.len() as u64, brake) {
            self.leave_idle(endings);
            self.hold(endings, brake);
            return;
        }
        for ending in endings {
            self.release(ending.pool, ending.holder, ending.cause);
        }
        for ending in endings {
            self.license_by_people(ending.pool, ending.holder);
        }
        let pools: BTreeSet<PoolId> = endings.iter().map(|ending| ending.pool).collect();
        for pool in pools {
            self.serve_queue(pool);
        }
    }

    /// What waits at the brake without an install is a reservation.
    fn leave_idle(&mut self, endings: &[Ending]) {
        for Ending { pool, holder, .. } in endings.iter().copied() {
            if self.tenant.pool(pool).seats.get(&holder).is_some_and(Seat::is_unused) {
                self.emit(Event::SeatIdle { pool, holder });
            }
        }
    }

    /// A seat of ours goes: at once, or when the provider has confirmed it.
    pub(super) fn release(&mut self, pool: PoolId, holder: Holder, cause: ReleaseCause) {
        let lapses = match cause {
            ReleaseCause::Uninstalled
            // of a device never, nothing covers it any more; of people it is as if they had uninstalled
            | ReleaseCause::DeviceRetired
            | ReleaseCause::Reclaimed
            | ReleaseCause::DeficitPlan
            | ReleaseCause::TimedOut
            | ReleaseCause::RefusedByProvider
            | ReleaseCause::Lost
            | ReleaseCause::Reviewed => true,
            ReleaseCause::Unassigned
            | ReleaseCause::Uncovered
            | ReleaseCause::Ineligible
            | ReleaseCause::Departed
            | ReleaseCause::NotEnoughAtProvider
            | ReleaseCause::EndedAtStore => false,
        };
        let lapsed = lapses && self.tenant.coverage(pool, holder).is_covered();
        self.touch(pool);
        let is_gone = matches!(cause, ReleaseCause::Lost | ReleaseCause::EndedAtStore);
        if self.tenant.pool(pool).details.is_confirmed_by_provider && !is_gone {
            self.emit(Event::SeatReleasing { pool, holder, cause, lapsed });
        } else {
            self.emit(Event::SeatReleased { pool, holder, cause, lapsed });
        }
    }

    fn is_held_by_brake(&self, seats: u64, brake: Brake) -> bool {
        let (seats_ended, seats_held) = match brake {
            Brake::Off => return false,
            // what a sync ends waits whole
            Brake::Automatic { sync: Some(sync), .. }
                if self.tenant.held.values().any(|held| held.sync == Some(sync)) =>
            {
                return true;
            }
            Brake::Automatic { sync: _, seats_held } => (0, seats_held),
            Brake::Directory | Brake::Departure => {
                if self.is_directory_held {
                    return true;
                }
                let hour_ago = self.now.0 - HOUR_MICROS;
                let mut recent = self.tenant.recent_endings.iter().filter(|ending| ending.at.0 > hour_ago).peekable();
                let held_at_start = recent.peek().map_or(self.tenant.seats_held, |first| first.seats_held_before);
                let ended: u64 = recent.map(|ending| ending.seats_ended).sum();
                if brake == Brake::Departure && ended == 0 {
                    return false;
                }
                (ended, held_at_start)
            }
        };
        self.crosses(seats_ended + seats, seats_held)
    }

    /// More than the share and at least the number that the tenant has set.
    pub(super) fn crosses(&self, seats_ending: u64, seats_held: u64) -> bool {
        let limit = self.tenant.settings.brake;
        let share = u128::from(seats_held) * u128::from(limit.share_percent);
        u128::from(seats_ending) * 100 > share && seats_ending >= limit.at_least
    }

    fn hold(&mut self, endings: &[Ending], brake: Brake) {
        let sync = match brake {
            Brake::Automatic { sync, .. } => sync,
            Brake::Off | Brake::Directory | Brake::Departure => None,
        };
        self.is_directory_held |= matches!(brake, Brake::Directory | Brake::Departure);
        self.hold_as(HeldId(self.tenant.held_next), sync, endings.iter());
    }

    /// One list for each cause, in the order given.
    pub(super) fn hold_as<'e>(
        &mut self,
        held: HeldId,
        sync: Option<SyncId>,
        endings: impl Iterator<Item = &'e Ending>,
    ) {
        let mut lists: BTreeMap<ReleaseCause, Vec<(PoolId, Holder)>> = BTreeMap::new();
        for ending in endings {
            lists.entry(ending.cause).or_default().push((ending.pool, ending.holder));
        }
        for (cause, seats) in lists {
            for part in seats.chunks(LIST_ENTRIES_MAX) {
                self.emit(Event::EndingsHeld { held, sync, cause, seats: part.to_vec() });
            }
        }
    }

    /// The pools whose assignments could reach a holder, directly, through groups or through its devices.
    pub(super) fn pools_around(&self, holder: Holder) -> BTreeSet<PoolId> {
        let mut pools = BTreeSet::new();
        self.add_pools_of(holder, &mut pools);
        match holder {
            Holder::User(user) => {
                let user = self.tenant.user(user);
                for device in &user.devices {
                    self.add_pools_of(Holder::Device(*device), &mut pools);
                }
                pools.extend(&user.links.installed);
            }
            Holder::Device(device) => pools.extend(&self.tenant.device(device).links.installed),
        }
        let links = self.tenant.links(holder);
        pools.extend(links.seats.iter().chain(&links.queued).chain(&links.lapsed));
        pools
    }

    fn add_pools_of(&self, holder: Holder, pools: &mut BTreeSet<PoolId>) {
        let tenant: &Tenant = self.tenant;
        let links = tenant.links(holder);
        let through_groups = links.groups.iter().flat_map(|group| tenant.group(*group).targeted_by.pools());
        pools.extend(links.assignments.pools().chain(through_groups));
    }
}
