//! People, devices, the groups they are in and the assignments that reach them.

use super::chunked::Chunked;
use super::flat::{ByPool, Flat};
use crate::domain::event::{Event, Target};
use crate::domain::facts::{DepartureCause, DeviceFacts, GroupKind, Intent, Licensing, Mode};
use crate::domain::ids::{AssignmentId, DeviceId, GroupId, Holder, PoolId, UserId};
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

/// What hangs on a holder, so that a departure touches just that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Links {
    pub seats: Flat<PoolId>,
    pub queued: Flat<PoolId>,
    /// Pools that cover this holder, who lost the seat and does not get it back by themselves.
    pub lapsed: Flat<PoolId>,
    pub groups: Flat<GroupId>,
    /// Assignments that target this holder alone.
    pub assignments: ByPool,
    /// Pools of which an install is on record for this user, or on this device.
    pub installed: Flat<PoolId>,
}

impl Links {
    /// A seat is held, or an app is installed.
    #[must_use]
    pub fn is_of_an_app(&self) -> bool {
        !self.seats.is_empty() || !self.installed.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub links: Links,
    /// Devices whose primary user this is.
    pub devices: Flat<DeviceId>,
    pub departed: Option<Departed>,
    /// Pools whose seats the last departure released.
    pub remembered: Flat<PoolId>,
    /// Of those, the ones that a return offers.
    pub offered: Flat<PoolId>,
    pub etag: u64,
    pub since: Time,
}

/// How and when a user left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    pub cause: DepartureCause,
    pub at: Time,
    /// Until when the seats stay, while that is in the future.
    pub grace_until: Option<Time>,
}

impl User {
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.departed.is_some_and(|d| d.cause == DepartureCause::Deleted)
    }

    #[must_use]
    pub fn is_in_grace(&self) -> bool {
        self.departed.is_some_and(|d| d.grace_until.is_some())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub id: DeviceId,
    pub links: Links,
    pub facts: DeviceFacts,
    pub primary_user: Option<UserId>,
    pub is_retired: bool,
    /// Grows with each wipe and new enrolment under the same serial number.
    pub incarnation: u32,
    pub etag: u64,
    pub since: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub external_id: String,
    pub kind: GroupKind,
    pub is_deleted: bool,
    pub members: Membership,
    /// Living assignments that target this group, and those that exclude it.
    pub targeted_by: ByPool,
    pub excluded_by: ByPool,
    pub etag: u64,
}

/// Members in the order in which they joined.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Membership {
    joined: Chunked<Holder, u64>,
    order: Chunked<u64, Holder>,
    next: u64,
}

impl Membership {
    #[must_use]
    pub fn contains(&self, holder: Holder) -> bool {
        self.joined.contains_key(&holder)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.joined.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }

    /// In the order in which they joined.
    pub fn iter(&self) -> impl Iterator<Item = Holder> + '_ {
        self.order.values().copied()
    }

    /// The same from a place on, each with its place.
    pub fn iter_from(&self, place: u64) -> impl Iterator<Item = (u64, Holder)> + '_ {
        self.order.range(place..).map(|(place, holder)| (*place, *holder))
    }

    /// The devices among them, by id.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.joined.range(Holder::Device(DeviceId(0))..).filter_map(|(holder, _)| match holder {
            Holder::User(_) => None,
            Holder::Device(device) => Some(*device),
        })
    }

    /// Who has to leave, in the order in which they joined, and who has to join, in the order of the list, so that the members are
    /// those of the list: one walk along both, which puts by nobody who stays.
    #[must_use]
    pub fn leaving_and_joining(&self, wanted: &[Holder]) -> (Vec<Holder>, Vec<Holder>) {
        let mut wanted: Vec<(Holder, u64)> = wanted.iter().copied().zip(0..).collect();
        wanted.sort_unstable();
        // each where it came first
        wanted.dedup_by_key(|(holder, _)| *holder);
        let (mut leaving, mut joining) = (Vec::new(), Vec::new());
        let mut members = self.joined.iter().map(|(member, place)| (*member, *place)).peekable();
        for (holder, place) in wanted {
            while let Some(left) = members.next_if(|(member, _)| *member < holder) {
                leaving.push(left);
            }
            if members.next_if(|(member, _)| *member == holder).is_none() {
                joining.push((holder, place));
            }
        }
        leaving.extend(members);
        (by_place(leaving), by_place(joining))
    }

    /// Takes whoever joined the group or left it by an event; nothing is asserted.
    pub fn take(&mut self, of: GroupId, event: &Event) {
        if let Event::MembersAdded { group, members } = event
            && *group == of
        {
            members.iter().for_each(|member| {
                self.join(*member);
            });
        }
        if let Event::MembersRemoved { group, members } = event
            && *group == of
        {
            members.iter().for_each(|member| {
                self.leave(*member);
            });
        }
    }

    pub(in crate::domain) fn join(&mut self, holder: Holder) -> bool {
        if self.joined.contains_key(&holder) {
            return false;
        }
        self.joined.insert(holder, self.next);
        self.order.insert(self.next, holder);
        self.next += 1;
        true
    }

    pub(in crate::domain) fn leave(&mut self, holder: Holder) -> bool {
        let Some(place) = self.joined.remove(&holder) else {
            return false;
        };
        self.order.remove(&place);
        true
    }

    pub(in crate::domain) fn clear(&mut self) {
        (self.joined, self.order) = (Chunked::default(), Chunked::default());
    }
}

fn by_place(mut holders: Vec<(Holder, u64)>) -> Vec<Holder> {
    holders.sort_unstable_by_key(|(_, place)| *place);
    holders.into_iter().map(|(holder, _)| holder).collect()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub id: AssignmentId,
    pub pool: PoolId,
    pub target: Target,
    pub intent: Intent,
    pub mode: Mode,
    pub licensing: Option<Licensing>,
    pub is_ended: bool,
    pub made_at: u64,
    pub etag: u64,
    pub since: Time,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn someone() -> impl Strategy<Value = Holder> {
        (0..12_u32, any::<bool>())
            .prop_map(|(id, is_user)| if is_user { UserId(id).into() } else { DeviceId(id).into() })
    }

    proptest! {
        #[test]
        fn who_leaves_and_who_joins_is_what_a_look_at_each_says(
            steps in prop::collection::vec((someone(), any::<bool>()), 0..60),
            listed in prop::collection::vec(someone(), 0..40),
            // most of a list is who is there already
            still in prop::collection::vec(any::<bool>(), 60),
        ) {
            let mut members = Membership::default();
            for (holder, joins) in steps {
                if joins { members.join(holder) } else { members.leave(holder) };
            }
            let stays = members.iter().zip(still).filter(|(_, still)| *still).map(|(holder, _)| holder);
            let wanted: Vec<Holder> = listed.into_iter().chain(stays).collect();
            let mut seen = BTreeSet::new();
            let joining: Vec<Holder> =
                wanted.iter().copied().filter(|holder| !members.contains(*holder) && seen.insert(*holder)).collect();
            let leaving: Vec<Holder> = members.iter().filter(|member| !wanted.contains(member)).collect();
            prop_assert_eq!(members.leaving_and_joining(&wanted), (leaving, joining));
            let devices: BTreeSet<Holder> = members.devices().map(Holder::Device).collect();
            prop_assert!(members.iter().all(|member| devices.contains(&member) == matches!(member, Holder::Device(_))));
            prop_assert!(members.devices().is_sorted() && devices.iter().all(|device| members.contains(*device)));
        }
    }
}
