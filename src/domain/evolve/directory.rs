//! People, devices, groups, and seat endings that wait for a person's word.

use crate::domain::event::Event;
use crate::domain::facts::{DepartureCause, DeviceFacts};
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::personal::Personal;
use crate::domain::state::{
    ByPool, Departed, Device, Flat, Group, HeldEndings, Links, Membership, Meta, Seat, SeatState, Tenant, User,
};
use std::sync::Arc;

impl Tenant {
    #[expect(clippy::wildcard_enum_match_arm, reason = "`evolve` names every event and sends only these here")]
    pub(super) fn evolve_directory(&mut self, event: &Event, meta: &Meta) {
        match event {
            Event::UserAdded { user, profile } => self.user_added(*user, profile, meta),
            Event::UserChanged { user, profile } => {
                self.names.learn_user(*user, profile);
                self.user_mut(*user).etag = meta.position;
            }
            Event::UserDeparted { user, cause, grace_until } => self.departed(*user, *cause, *grace_until, meta),
            Event::SeatsKept { .. } => {}
            Event::GraceEnded { user } => {
                let entry = self.user_mut(*user);
                let departed = entry.departed.as_mut().expect("a grace ends after a departure");
                if let Some(until) = departed.grace_until.take() {
                    self.graces.remove(&(until, *user));
                }
            }
            Event::UserReturned { user } => {
                let entry = self.user_mut(*user);
                entry.etag = meta.position;
                let departed = entry.departed.take().expect("a user returns after a departure");
                if let Some(until) = departed.grace_until {
                    self.graces.remove(&(until, *user));
                }
            }
            Event::SeatsOffered { user, pools } => {
                let entry = self.user_mut(*user);
                entry.offered.extend(pools);
            }
            Event::DeviceAdded { device, names, facts, primary_user } => {
                self.device_added(*device, names, facts, *primary_user, meta);
            }
            Event::DeviceChanged { device, names, facts, primary_user } => {
                self.names.learn_device(*device, names);
                let entry = self.device_mut(*device);
                entry.facts = facts.clone();
                entry.etag = meta.position;
                let before = std::mem::replace(&mut entry.primary_user, *primary_user);
                self.move_device(*device, before, *primary_user);
            }
            Event::DeviceReincarnated { device } => {
                let entry = self.device_mut(*device);
                entry.incarnation += 1;
                entry.etag = meta.position;
            }
            Event::DeviceRetired { device } => {
                let entry = self.device_mut(*device);
                entry.is_retired = true;
                entry.etag = meta.position;
            }
            Event::DeviceReturned { device } => {
                let entry = self.device_mut(*device);
                entry.is_retired = false;
                entry.incarnation += 1;
                entry.etag = meta.position;
            }
            Event::NamesErased { holder, subject: _ } => {
                match holder {
                    Holder::User(user) => self.user_mut(*user).etag = meta.position,
                    Holder::Device(device) => self.device_mut(*device).etag = meta.position,
                }
                self.names.erase(*holder);
            }
            Event::GroupAdded { group, external_id, kind } => {
                assert_eq!(group.index(), self.groups.len(), "{group} is out of order");
                assert!(self.group_names.insert(external_id.clone(), *group).is_none(), "two groups of one name");
                self.groups.push(Arc::new(Group {
                    id: *group,
                    external_id: external_id.clone(),
                    kind: *kind,
                    is_deleted: false,
                    members: Membership::default(),
                    targeted_by: ByPool::default(),
                    excluded_by: ByPool::default(),
                    etag: meta.position,
                }));
            }
            Event::MembersAdded { group, members } => {
                for member in members {
                    assert!(self.group_mut(*group).members.join(*member), "{member} joined {group} twice");
                    self.links_mut(*member).groups.insert(*group);
                }
                self.group_mut(*group).etag = meta.position;
            }
            Event::MembersRemoved { group, members } => {
                for member in members {
                    assert!(self.group_mut(*group).members.leave(*member), "{member} left {group} without being in it");
                    self.links_mut(*member).groups.remove(group);
                }
                self.group_mut(*group).etag = meta.position;
            }
            Event::GroupDeleted { group } => {
                let entry = self.group(*group);
                assert!(entry.members.is_empty(), "a group is emptied before it is deleted");
                let name = entry.external_id.clone();
                self.group_names.remove(&name);
                let entry = self.group_mut(*group);
                entry.is_deleted = true;
                entry.members.clear();
                entry.etag = meta.position;
            }
            Event::EndingsHeld { held, sync, cause, seats } => {
                let entry = self.held_entry(*held, *sync, meta);
                entry.seats.extend(seats.iter().map(|(pool, holder)| (*pool, *holder, *cause)));
            }
            Event::RemovalHeld { held, sync, pool } => self.held_entry(*held, Some(*sync), meta).removals.push(*pool),
            Event::EndingsConfirmed { held } => {
                let confirmed = self.held.remove(held).expect("what is confirmed was held");
                let is_left = self.held.values().any(|held| held.is_of_the_directory());
                if confirmed.is_of_the_directory() && !is_left {
                    self.recent_endings.clear();
                }
            }
            other => unreachable!("not about the directory: {other:?}"),
        }
    }

    fn held_entry(
        &mut self,
        held: crate::domain::ids::HeldId,
        sync: Option<crate::domain::ids::SyncId>,
        meta: &Meta,
    ) -> &mut HeldEndings {
        self.held_next = self.held_next.max(held.0 + 1);
        Arc::make_mut(self.held.entry(held).or_insert_with(|| {
            let (at, position) = (meta.recorded_at, meta.position);
            Arc::new(HeldEndings { id: held, sync, at, position, seats: Vec::new(), removals: Vec::new() })
        }))
    }

    fn user_added(&mut self, user: UserId, profile: &Personal, meta: &Meta) {
        assert_eq!(user.index(), self.users.len(), "{user} is out of order");
        self.names.learn_user(user, profile);
        self.users.push(Arc::new(User {
            id: user,
            links: Links::default(),
            devices: Flat::default(),
            departed: None,
            remembered: Flat::default(),
            offered: Flat::default(),
            etag: meta.position,
            since: meta.recorded_at,
        }));
    }

    fn departed(
        &mut self,
        user: UserId,
        cause: DepartureCause,
        grace_until: Option<crate::domain::time::Time>,
        meta: &Meta,
    ) {
        let was = self.user(user).departed;
        // What is ours to release now is what a return may offer, whenever it is released.
        let is_ours = |pool: &&PoolId| {
            let entry = self.pool(**pool);
            let is_held = |seat: &Seat| matches!(seat.state, SeatState::Reserved | SeatState::InUse);
            entry.seats.get(&user.into()).is_some_and(|seat| entry.is_revocable(seat) && is_held(seat))
        };
        let ours: Flat<PoolId> = self.user(user).links.seats.iter().filter(is_ours).copied().collect();
        let entry = self.user_mut(user);
        entry.etag = meta.position;
        entry.offered.clear();
        match was {
            None => {
                entry.remembered.clear();
                entry.departed = Some(Departed { cause, at: meta.recorded_at, grace_until });
                entry.remembered = ours;
                if let Some(until) = grace_until {
                    self.graces.insert((until, user));
                }
            }
            Some(before) => entry.departed = Some(Departed { cause, ..before }),
        }
        if cause == DepartureCause::Deleted {
            self.names.forget_user(user);
        }
    }

    fn device_added(
        &mut self,
        device: DeviceId,
        names: &Personal,
        facts: &DeviceFacts,
        primary_user: Option<UserId>,
        meta: &Meta,
    ) {
        assert_eq!(device.index(), self.devices.len(), "{device} is out of order");
        self.names.learn_device(device, names);
        self.devices.push(Arc::new(Device {
            id: device,
            links: Links::default(),
            facts: facts.clone(),
            primary_user,
            is_retired: false,
            incarnation: 0,
            etag: meta.position,
            since: meta.recorded_at,
        }));
        self.move_device(device, None, primary_user);
    }

    pub(super) fn move_device(&mut self, device: DeviceId, from: Option<UserId>, to: Option<UserId>) {
        if let Some(from) = from {
            self.user_mut(from).devices.remove(&device);
        }
        if let Some(to) = to {
            self.user_mut(to).devices.insert(device);
        }
    }

    /// Whether any living assignment could notice this holder.
    #[must_use]
    pub fn is_targeted(&self, holder: Holder) -> bool {
        let links = self.links(holder);
        !links.assignments.is_empty() || links.groups.iter().any(|g| !self.group(*g).targeted_by.is_empty())
    }
}
