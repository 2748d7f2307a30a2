//! Commands on one seat or one pool: reclaim, adopt, grant, policy, deficit, what the brake held.

use super::settle::{Brake, Ending};
use super::{Judge, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::command::{HolderRef, PoolRef};
use crate::domain::event::Event;
use crate::domain::facts::{CapacityCause, DeficitPolicy, GrantCause, PolicyPatch, PoolState, ReleaseCause};
use crate::domain::ids::{HeldId, Holder, PoolId, SyncId};
use crate::domain::key::LicenseType;
use crate::domain::plan::DeficitPlan;
use crate::domain::rejection::Rejection;
use crate::domain::state::{HeldEndings, SeatMark, SeatState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Seats that are to go anyway, of whole pools or one by one.
#[derive(Default)]
struct Going {
    pools: BTreeSet<PoolId>,
    seats: BTreeMap<PoolId, BTreeSet<Holder>>,
}

impl Going {
    fn add(&mut self, pool: PoolId, holder: Holder) {
        self.seats.entry(pool).or_default().insert(holder);
    }
}

fn planned_endings(pool: PoolId, plan: DeficitPlan) -> Vec<Ending> {
    let cause = ReleaseCause::DeficitPlan;
    plan.seats.into_iter().map(|(holder, _)| Ending { pool, holder, cause }).collect()
}

impl Judge<'_> {
    pub(super) fn reclaim(&mut self, pool: &PoolRef, holder: HolderRef) -> Ruling {
        let (pool, holder) = (self.pool_id(pool)?, self.holder_on_record(holder)?);
        if !self.take_from(pool, holder, ReleaseCause::Reclaimed)? {
            return Ok(Verdict::Unchanged(About::Seat { pool, holder }));
        }
        self.serve_queue(pool);
        Ok(Verdict::Done)
    }

    /// Takes a seat from its holder by a person's word; `false` where it is on its way back already. Whoever calls serves
    /// the queue.
    pub(super) fn take_from(&mut self, pool: PoolId, holder: Holder, cause: ReleaseCause) -> Result<bool, Rejection> {
        let entry = self.tenant.pool(pool);
        let seat = entry.seats.get(&holder).ok_or(Rejection::SeatNotFound)?;
        if !entry.is_revocable(seat) {
            return Err(Rejection::SeatNotRevocable);
        }
        if seat.state == SeatState::Releasing {
            return Ok(false);
        }
        self.release(pool, holder, cause);
        self.license_by_people(pool, holder);
        Ok(true)
    }

    pub(super) fn adopt(&mut self, pool: &PoolRef, holder: HolderRef) -> Ruling {
        let (pool, holder) = (self.pool_id(pool)?, self.holder_on_record(holder)?);
        let entry = self.tenant.pool(pool);
        let seat = entry.seats.get(&holder).ok_or(Rejection::SeatNotFound)?;
        if seat.state != SeatState::Foreign {
            return Ok(Verdict::Unchanged(About::Seat { pool, holder }));
        }
        self.bring(pool, holder, false, |in_use| Event::ForeignSeatAdopted { pool, holder, in_use });
        Ok(Verdict::Done)
    }

    /// For a holder who is covered, lapsed or was offered the seat at a return.
    pub(super) fn grant_by_command(&mut self, pool: &PoolRef, holder: HolderRef) -> Ruling {
        let (pool, holder) = (self.pool_id(pool)?, self.holder(holder)?);
        let entry = self.tenant.pool(pool);
        match holder {
            Holder::User(user) if self.tenant.user(user).departed.is_some() => return Err(Rejection::UserDeparted),
            Holder::Device(_) if entry.is_user_only() => return Err(Rejection::HolderKindNotAllowed),
            Holder::Device(device) if self.tenant.device(device).is_retired => return Err(Rejection::DeviceRetired),
            Holder::User(_) | Holder::Device(_) => {}
        }
        let seat = entry.seats.get(&holder);
        let has_seat = seat.is_some_and(|seat| seat.state != SeatState::Releasing);
        if !has_seat && !self.is_offered(pool, holder) && !self.tenant.coverage(pool, holder).is_covered() {
            return Err(Rejection::NotAssigned);
        }
        if let Some(seat) = seat {
            let (state, is_sent, is_flagged) =
                (seat.state, seat.is(SeatMark::ReleaseSent), seat.is(SeatMark::RegrantWanted));
            self.regain(pool, holder, state, is_sent, is_flagged);
            return Ok(self.done_or(About::Seat { pool, holder }));
        }
        match entry.state {
            PoolState::Active => {}
            PoolState::Suspended => return Err(Rejection::PoolSuspended),
            PoolState::Removed => return Err(Rejection::PoolRemoved),
        }
        if !entry.has_free_seat() || !entry.is_serving() {
            return Err(self.no_seat_for(pool, holder));
        }
        self.grant(pool, holder, GrantCause::Command);
        Ok(Verdict::Done)
    }

    /// A seat that a return offered and that nobody took yet.
    pub(super) fn is_offered(&self, pool: PoolId, holder: Holder) -> bool {
        match holder {
            Holder::User(user) => self.tenant.user(user).offered.contains(&pool),
            Holder::Device(_) => false,
        }
    }

    /// Evidence that somebody carried an offline license off; no seat moves.
    pub(super) fn issue_offline_license(&mut self, pool: &PoolRef, holder: HolderRef) -> Ruling {
        let (pool, holder) = (self.pool_id(pool)?, self.holder(holder)?);
        let entry = self.tenant.pool(pool);
        if entry.details.license_type != LicenseType::Offline {
            return Err(Rejection::NotAnOfflinePool);
        }
        if entry.state == PoolState::Removed {
            return Err(Rejection::PoolRemoved);
        }
        self.emit(Event::OfflineLicenseIssued { pool, holder });
        Ok(Verdict::Done)
    }

    pub(super) fn set_policy(&mut self, pool: &PoolRef, patch: &PolicyPatch) -> Ruling {
        let pool = self.pool_id(pool)?;
        let entry = self.tenant.pool(pool);
        self.precondition(entry.etag)?;
        let mut policy = entry.policy;
        policy.on_uninstall = patch.on_uninstall.unwrap_or(policy.on_uninstall);
        policy.untargeted = patch.untargeted.unwrap_or(policy.untargeted);
        policy.deficit = patch.deficit.unwrap_or(policy.deficit);
        policy.on_device_retirement = patch.on_device_retirement.unwrap_or(policy.on_device_retirement);
        policy.reservation_timeout_days = patch.reservation_timeout_days.unwrap_or(policy.reservation_timeout_days);
        if policy == entry.policy {
            return Ok(Verdict::Unchanged(About::Pool(pool)));
        }
        self.emit(Event::PoolPolicyChanged { pool, policy });
        let endings = self.automatic_reclaims([pool], None, &[]);
        self.end_seats(&endings, Brake::Off);
        Ok(Verdict::Done)
    }

    /// What pools that reclaim by themselves would take back now, beside what is `lost` and what waits at the stores, which go
    /// anyway.
    pub(super) fn automatic_reclaims(
        &self,
        pools: impl IntoIterator<Item = PoolId>,
        sync: Option<SyncId>,
        lost: &[Ending],
    ) -> Vec<Ending> {
        let is_owing = |pool: &PoolId| {
            let entry = self.tenant.pool(*pool);
            let reclaims = entry.policy.deficit == DeficitPolicy::Reclaim && entry.state != PoolState::Removed;
            reclaims && entry.over_by() > entry.releasing
        };
        let owing: Vec<PoolId> = pools.into_iter().filter(is_owing).collect();
        // however much waits at the stores, it is gone through only for those
        if owing.is_empty() {
            return Vec::new();
        }
        let mut going = self.waiting_at_stores(sync, &owing.iter().copied().collect());
        for ending in lost {
            going.add(ending.pool, ending.holder);
        }
        owing.into_iter().flat_map(|pool| self.reclaims_beside(pool, &going)).collect()
    }

    fn reclaims_beside(&self, pool: PoolId, going: &Going) -> Vec<Ending> {
        if going.pools.contains(&pool) {
            return Vec::new();
        }
        match going.seats.get(&pool) {
            Some(seats) => planned_endings(pool, self.tenant.deficit_plan_beside(pool, seats)),
            None => planned_endings(pool, self.tenant.deficit_plan(pool)),
        }
    }

    /// What waits of these pools at the brake, but not for the directory's sake: as long as it does, no reclaim takes it, or
    /// others in its stead. The end of a complete sync makes moot what older ones held.
    fn waiting_at_stores(&self, sync: Option<SyncId>, pools: &BTreeSet<PoolId>) -> Going {
        let running = sync.and_then(|sync| self.tenant.syncs.get(sync.index()));
        let is_full = running.is_some_and(|running| running.is_full);
        let waits = |held: &&Arc<HeldEndings>| {
            !held.is_of_the_directory() && (!is_full || held.sync.is_none() || held.sync == sync)
        };
        let mut going = Going::default();
        for held in self.tenant.held.values().filter(waits) {
            going.pools.extend(&held.removals);
            for (pool, holder, cause) in held.seats.iter().copied().filter(|(pool, ..)| pools.contains(pool)) {
                if self.tenant.still_ends(held, pool, holder, cause) {
                    going.add(pool, holder);
                }
            }
        }
        going
    }

    /// What pools that reclaim by themselves take back, as far as the brake lets them. All of one provider.
    pub(super) fn reclaim_deficits(&mut self, pools: impl IntoIterator<Item = PoolId>, sync: Option<SyncId>) {
        let endings = self.automatic_reclaims(pools, sync, &[]);
        let Some(first) = endings.first() else {
            return;
        };
        let provider = self.tenant.pool(first.pool).key.provider();
        let seats_held = self.tenant.pools_of(provider).map(|pool| pool.held()).sum();
        self.end_seats(&endings, Brake::Automatic { sync, seats_held });
    }

    pub(super) fn resolve_deficit(&mut self, pool: &PoolRef) -> Ruling {
        let pool = self.pool_id(pool)?;
        let endings = planned_endings(pool, self.tenant.deficit_plan(pool));
        self.end_seats(&endings, Brake::Off);
        Ok(self.done_or(About::Pool(pool)))
    }

    pub(super) fn confirm_sync(&mut self, sync: SyncId) -> Ruling {
        if sync.index() >= self.tenant.syncs.len() {
            return Err(Rejection::SyncNotFound);
        }
        let waiting: Vec<Arc<HeldEndings>> =
            self.tenant.held.values().filter(|held| held.sync == Some(sync)).cloned().collect();
        if waiting.is_empty() {
            return Err(Rejection::NothingHeld);
        }
        for held in waiting {
            self.carry_out(&held);
        }
        Ok(Verdict::Done)
    }

    pub(super) fn confirm_held(&mut self, held: HeldId) -> Ruling {
        let waiting = self.tenant.held.get(&held).cloned().ok_or(Rejection::HeldNotFound)?;
        self.carry_out(&waiting);
        Ok(Verdict::Done)
    }

    /// What was held back happens now, as far as it still holds.
    fn carry_out(&mut self, held: &HeldEndings) {
        for pool in &held.removals {
            if self.tenant.pool(*pool).state != PoolState::Removed {
                self.delist(*pool, CapacityCause::Delisted);
            }
        }
        let mut ended: Vec<(PoolId, Holder)> = Vec::new();
        // a plan last: it takes only what the others leave owing
        let is_planned = |(_, _, cause): &&(PoolId, Holder, ReleaseCause)| *cause == ReleaseCause::DeficitPlan;
        let others = held.seats.iter().filter(|seat| !is_planned(seat));
        for (pool, holder, cause) in others.chain(held.seats.iter().filter(is_planned)).copied() {
            if self.tenant.still_ends(held, pool, holder, cause) {
                self.release(pool, holder, cause);
                ended.push((pool, holder));
            }
        }
        for (pool, holder) in ended.iter().copied() {
            self.license_by_people(pool, holder);
        }
        for pool in ended.into_iter().map(|(pool, _)| pool).collect::<BTreeSet<_>>() {
            self.serve_queue(pool);
        }
        // Last, so that what a person has confirmed does not count against the next hour.
        self.lay_aside_beside(held);
        self.emit(Event::EndingsConfirmed { held: held.id });
    }

    /// Of the directory, also what holds nothing back any more.
    fn lay_aside_beside(&mut self, confirmed: &HeldEndings) {
        if !confirmed.is_of_the_directory() {
            return;
        }
        let others = self.tenant.held.values().filter(|held| held.is_of_the_directory() && held.id != confirmed.id);
        let is_over: Vec<HeldId> = others.filter(|held| !self.tenant.still_waits(held)).map(|held| held.id).collect();
        for held in is_over {
            self.emit(Event::EndingsConfirmed { held });
        }
    }
}
