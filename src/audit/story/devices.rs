//! What brings a user a seat through devices: whose they are, and the assignments whose seats go to their people.

use super::{Asked, assignment_of, of};
use crate::domain::event::{Event, Recorded};
use crate::domain::event_type::EventType;
use crate::domain::facts::{DeviceFacts, Licensing};
use crate::domain::ids::{AssignmentId, DeviceId, PoolId, UserId};
use crate::ledger::{EventQuery, ReadError};
use std::collections::BTreeSet;

impl Asked<'_> {
    /// Of each device that ever was the user's, or has ever had the user's install of a pool that people alone hold: the
    /// assignments to it, its memberships, where it was left out, and what made it the user's and another's. Only as far
    /// as it was the user's; nothing of a device that no such assignment is for.
    pub(super) fn through_devices(
        &self,
        pool: PoolId,
        user: UserId,
        own: &[Recorded],
    ) -> Result<Vec<Recorded>, ReadError> {
        let is_user_only = self
            .ledger
            .read(self.tenant, |view| view.state.pools.get(pool.index()).is_some_and(|pool| pool.is_user_only()))?;
        let goes_to_users = |licensing| is_user_only || licensing == Some(Licensing::User);
        let named = self.all(of(user.into(), None, &[EventType::DeviceAdded, EventType::DeviceChanged]))?;
        let installed = own.iter().filter(|_| is_user_only).filter_map(|recorded| installed_for(&recorded.event, user));
        let installed: BTreeSet<DeviceId> = installed.collect();
        let devices = named.iter().filter_map(|recorded| known(&recorded.event)).map(|(device, ..)| device);
        let devices: BTreeSet<DeviceId> = devices.chain(installed.iter().copied()).collect();
        let mut found = Vec::new();
        for device in devices {
            let types = vec![EventType::AssignmentMade, EventType::AssignmentEnded];
            let to_it = EventQuery { pool: Some(pool), device: Some(device), types, ..EventQuery::default() };
            let mut through = self.all(to_it)?;
            retain_made(&mut through, goes_to_users);
            through.extend(self.through_groups(pool, device.into(), goes_to_users)?);
            let made: BTreeSet<AssignmentId> =
                through.iter().filter_map(|recorded| assignment_of(&recorded.event)).collect();
            if made.is_empty() {
                continue;
            }
            let mut skips = self.all(of(device.into(), Some(pool), &[EventType::MembersSkipped]))?;
            skips.retain(|recorded| assignment_of(&recorded.event).is_some_and(|id| made.contains(&id)));
            let (theirs, last) = self.tenure(device, user)?;
            let last = last.filter(|_| !installed.contains(&device)).unwrap_or(u64::MAX);
            found.extend(through.into_iter().chain(skips).filter(|recorded| recorded.position <= last));
            found.extend(theirs);
        }
        Ok(found)
    }

    /// What made a device a user's and another's, and changed it meanwhile in what assignments ask of it; and where it
    /// ceased to be the user's, if it did.
    fn tenure(&self, device: DeviceId, user: UserId) -> Result<(Vec<Recorded>, Option<u64>), ReadError> {
        let types =
            [EventType::DeviceAdded, EventType::DeviceChanged, EventType::DeviceRetired, EventType::DeviceReturned];
        let (mut theirs, mut last) = (Vec::new(), None);
        let mut before: Option<DeviceFacts> = None;
        for recorded in self.all(of(device.into(), None, &types))? {
            let is_told = match known(&recorded.event).filter(|(of, ..)| *of == device) {
                Some((_, facts, primary_user)) if primary_user == Some(user) => {
                    last = None;
                    before.replace(facts.clone()).is_none_or(|before| before != *facts)
                }
                Some(_) => {
                    let was_theirs = before.take().is_some();
                    last = if was_theirs { Some(recorded.position) } else { last };
                    was_theirs
                }
                None => before.is_some(),
            };
            if is_told {
                theirs.push(recorded);
            }
        }
        Ok((theirs, last))
    }
}

/// Leaves the assignments that were made with such a licensing, and their ends.
pub(super) fn retain_made(assignments: &mut Vec<Recorded>, is_meant: impl Fn(Option<Licensing>) -> bool) {
    let made = assignments.iter().filter_map(|recorded| {
        let Event::AssignmentMade { assignment, licensing, .. } = &recorded.event else { return None };
        is_meant(*licensing).then_some(*assignment)
    });
    let made: BTreeSet<AssignmentId> = made.collect();
    assignments.retain(|recorded| assignment_of(&recorded.event).is_some_and(|id| made.contains(&id)));
}

/// A device as it is from an event on.
fn known(event: &Event) -> Option<(DeviceId, &DeviceFacts, Option<UserId>)> {
    if let Event::DeviceAdded { device, facts, primary_user, .. }
    | Event::DeviceChanged { device, facts, primary_user, .. } = event
    {
        Some((*device, facts, *primary_user))
    } else {
        None
    }
}

fn installed_for(event: &Event, of_user: UserId) -> Option<DeviceId> {
    if let Event::Installed { device, user: Some(user), .. } = event {
        (*user == of_user).then_some(*device)
    } else {
        None
    }
}
