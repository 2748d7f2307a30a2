//! People: known, renamed, gone, back.

use super::settle::{Brake, Ending, each_seat_once};
use super::{Judge, LIST_ENTRIES_MAX, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::command::UserRef;
use crate::domain::event::Event;
use crate::domain::facts::{AssignmentEndCause, DepartureCause, DequeueCause, GrantCause, PoolState, ReleaseCause};
use crate::domain::ids::{AssignmentId, Holder, PoolId, UserId};
use crate::domain::personal::{AliasKind, Personal};
use crate::domain::rejection::Rejection;
use crate::domain::state::{Seat, SeatMark, SeatState};

impl Judge<'_> {
    pub(super) fn put_user(&mut self, user: UserRef, profile: &Personal) -> Ruling {
        let existing = match self.user_id(user) {
            Ok(existing) => Some(existing),
            Err(_) if matches!(user, UserRef::Name(_)) => None,
            Err(rejection) => return Err(rejection),
        };
        let name = profile.aliases.iter().find(|alias| alias.kind == AliasKind::UserName).map(|alias| alias.blind);
        let owner = name.and_then(|name| self.tenant.names.user(name));
        if owner.is_some() && owner != existing {
            return Err(Rejection::UserNameTaken);
        }
        let Some(id) = existing else {
            if matches!(user, UserRef::Name(asked) if name.is_some_and(|name| name != asked)) {
                return Err(Rejection::NameMismatch);
            }
            self.precondition_of_new()?;
            let user = UserId::at(self.tenant.users.len());
            self.emit(Event::UserAdded { user, profile: profile.clone() });
            return Ok(Verdict::Done);
        };
        self.precondition(self.tenant.user(id).etag)?;
        self.must_have_names(id.into())?;
        if self.tenant.names.user_profile(id).is_some_and(|stored| stored.personal.sealed == profile.sealed) {
            return Ok(Verdict::Unchanged(About::User(id)));
        }
        self.emit(Event::UserChanged { user: id, profile: profile.clone() });
        Ok(Verdict::Done)
    }

    pub(super) fn depart(&mut self, user: UserRef, cause: DepartureCause, retire_devices: bool) -> Ruling {
        let user = self.user_id(user)?;
        self.precondition(self.tenant.user(user).etag)?;
        let mut endings = Vec::new();
        match (self.tenant.user(user).departed, cause) {
            (None, _) => endings = self.leave(user, cause),
            (Some(_), DepartureCause::Deleted) => self.emit(Event::UserDeparted { user, cause, grace_until: None }),
            (Some(_), DepartureCause::Deactivated) => {}
        }
        if retire_devices {
            let devices: Vec<_> = self.tenant.user(user).devices.iter().copied().collect();
            for device in
                devices.into_iter().filter(|device| !self.tenant.device(*device).is_retired).collect::<Vec<_>>()
            {
                endings.extend(self.retire_device(device));
            }
        }
        self.end_seats(&each_seat_once(endings), Brake::Departure);
        Ok(self.done_or(About::User(user)))
    }

    /// The seats that go at once, for the caller to end.
    #[must_use]
    fn leave(&mut self, user: UserId, cause: DepartureCause) -> Vec<Ending> {
        let holder = Holder::User(user);
        let days = self.tenant.settings.departure_grace_days;
        let grace_until = (days > 0).then(|| self.now.plus_days(days));
        self.emit(Event::UserDeparted { user, cause, grace_until });
        self.wait_no_more(holder, DequeueCause::Departed);
        let links = self.tenant.user(user).links.clone();
        let own: Vec<AssignmentId> = links.assignments.oldest_first();
        for assignment in own {
            self.end_assignment(assignment, AssignmentEndCause::UserDeparted);
        }
        let is_kept = |pool: &PoolId| {
            let entry = self.tenant.pool(*pool);
            entry.seats.get(&holder).is_some_and(|seat| !entry.is_revocable(seat))
        };
        let kept: Vec<PoolId> = links.seats.iter().copied().filter(is_kept).collect();
        for part in kept.chunks(LIST_ENTRIES_MAX) {
            self.emit(Event::SeatsKept { user, pools: part.to_vec() });
        }
        if grace_until.is_some() { Vec::new() } else { self.departure_endings(user) }
    }

    /// Whoever is gone waits in no queue and has lost nothing, before a seat that is freed finds the next.
    pub(super) fn wait_no_more(&mut self, holder: Holder, cause: DequeueCause) {
        let links = self.tenant.links(holder).clone();
        for pool in links.queued {
            self.emit(Event::Dequeued { pool, holder, cause });
        }
        for pool in links.lapsed {
            self.emit(Event::LapseEnded { pool, holder });
        }
    }

    /// Every revocable seat that the ledger granted to a user who is gone.
    pub(super) fn departure_endings(&self, user: UserId) -> Vec<Ending> {
        let holder = Holder::User(user);
        self.tenant
            .user(user)
            .links
            .seats
            .iter()
            .copied()
            .filter(|pool| {
                let entry = self.tenant.pool(*pool);
                entry
                    .seats
                    .get(&holder)
                    .is_some_and(|seat| entry.is_revocable(seat) && seat.state != SeatState::Releasing)
            })
            .map(|pool| Ending { pool, holder, cause: ReleaseCause::Departed })
            .collect()
    }

    pub(super) fn return_user(&mut self, user: UserRef) -> Ruling {
        let user = self.user_id(user)?;
        self.precondition(self.tenant.user(user).etag)?;
        let Some(departed) = self.tenant.user(user).departed else {
            return Ok(Verdict::Unchanged(About::User(user)));
        };
        self.must_have_names(user.into())?;
        let holder = Holder::User(user);
        let is_in_window = self.now <= departed.at.plus_days(self.tenant.settings.return_window_days);
        let reaches = self.reaches(self.pools_around(holder).into_iter().map(|pool| (pool, holder)));
        self.emit(Event::UserReturned { user });
        self.settle_endings(&reaches, ReleaseCause::Uncovered, Brake::Off);
        self.settle_beginnings(&reaches, GrantCause::Return);
        if is_in_window {
            let can_be_offered = |pool: &PoolId| {
                let entry = self.tenant.pool(*pool);
                let is_going = |seat: &Seat| seat.state == SeatState::Releasing && !seat.is(SeatMark::RegrantWanted);
                entry.state != PoolState::Removed
                    && entry.seats.get(&holder).is_none_or(is_going)
                    && !entry.queued.contains_key(&holder)
            };
            let offered: Vec<PoolId> =
                self.tenant.user(user).remembered.iter().copied().filter(can_be_offered).collect();
            for part in offered.chunks(LIST_ENTRIES_MAX) {
                self.emit(Event::SeatsOffered { user, pools: part.to_vec() });
            }
        }
        Ok(Verdict::Done)
    }
}
