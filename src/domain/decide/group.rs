//! Groups: membership is an observation, and what it means for seats is judged at once.

use super::settle::{Brake, Reach};
use super::{Judge, LIST_ENTRIES_MAX, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::command::{GroupRef, HolderRef};
use crate::domain::event::Event;
use crate::domain::facts::{AssignmentEndCause, GroupKind, ReleaseCause};
use crate::domain::ids::{AssignmentId, GroupId, Holder};
use crate::domain::rejection::Rejection;

impl Judge<'_> {
    pub(super) fn put_group(&mut self, group: &GroupRef, kind: GroupKind, members: &[HolderRef]) -> Ruling {
        let existing = match (self.group_id(group), group) {
            (Ok(id), _) => Some(id),
            (Err(_), GroupRef::Name(_)) => None,
            (Err(rejection), GroupRef::Id(_)) => return Err(rejection),
        };
        let members = self.members_named(kind, members)?;
        if let Some(id) = existing {
            let entry = self.tenant.group(id);
            self.precondition(entry.etag)?;
            if entry.kind != kind {
                return Err(Rejection::GroupKindFixed);
            }
        }
        let group = match (existing, group) {
            (Some(id), _) => id,
            (None, GroupRef::Name(name)) => {
                self.precondition_of_new()?;
                let id = GroupId::at(self.tenant.groups.len());
                self.emit(Event::GroupAdded { group: id, external_id: name.clone(), kind });
                id
            }
            (None, GroupRef::Id(_)) => return Err(Rejection::GroupNotFound),
        };
        self.change_members(group, &members);
        Ok(self.done_or(About::Group(group)))
    }

    /// The ledger's ids for the members as sent, in their order.
    fn members_named(&self, kind: GroupKind, members: &[HolderRef]) -> Result<Vec<Holder>, Rejection> {
        let (mut unknown, mut mismatched) = (Vec::new(), Vec::new());
        let mut holders = Vec::with_capacity(members.len());
        for (place, member) in (0_u32..).zip(members) {
            let fits = match (kind, member) {
                (GroupKind::Mixed, _)
                | (GroupKind::Users, HolderRef::User(_))
                | (GroupKind::Devices, HolderRef::Device(_)) => true,
                (GroupKind::Users, HolderRef::Device(_)) | (GroupKind::Devices, HolderRef::User(_)) => false,
            };
            let found = match member {
                HolderRef::User(user) => self.user_id(*user).map(Holder::User),
                HolderRef::Device(device) => self.device_id(*device).map(Holder::Device),
            };
            match found {
                _known_or_not if !fits => mismatched.push(place),
                Ok(holder) => holders.push(holder),
                Err(_) => unknown.push(place),
            }
        }
        unknown.truncate(LIST_ENTRIES_MAX);
        mismatched.truncate(LIST_ENTRIES_MAX);
        if !mismatched.is_empty() {
            return Err(Rejection::MemberKindMismatch { places: mismatched });
        }
        if !unknown.is_empty() {
            return Err(Rejection::UnknownMembers { places: unknown });
        }
        Ok(holders)
    }

    fn change_members(&mut self, group: GroupId, members: &[Holder]) {
        let (removed, added) = self.tenant.group(group).members.leaving_and_joining(members);
        let reaches = self.group_reaches(group, removed.iter().chain(&added).copied());
        self.emit_members(group, &removed, &added);
        self.list_skipped(group, &[removed, added].concat());
        self.settle(&reaches, ReleaseCause::Uncovered, Brake::Directory);
    }

    fn emit_members(&mut self, group: GroupId, removed: &[Holder], added: &[Holder]) {
        for part in removed.chunks(LIST_ENTRIES_MAX) {
            self.emit(Event::MembersRemoved { group, members: part.to_vec() });
        }
        for part in added.chunks(LIST_ENTRIES_MAX) {
            self.emit(Event::MembersAdded { group, members: part.to_vec() });
        }
    }

    /// Everyone whose coverage may change with the membership of these: through assignments that target the group, and
    /// through those that exclude it.
    fn group_reaches(&self, group: GroupId, members: impl Iterator<Item = Holder> + Clone) -> Vec<Reach> {
        let entry = self.tenant.group(group);
        let assignments = entry.targeted_by.oldest_first().into_iter().chain(entry.excluded_by.oldest_first());
        let pairs = assignments.flat_map(|id| {
            let assignment = self.tenant.assignment(id);
            let pool = self.tenant.pool(assignment.pool);
            members.clone().flat_map(move |member| {
                self.tenant.holders_for(pool, assignment, member).into_iter().map(|holder| (assignment.pool, holder))
            })
        });
        self.reaches(pairs)
    }

    pub(super) fn delete_group(&mut self, group: &GroupRef) -> Ruling {
        let group = self.group_id(group)?;
        let entry = self.tenant.group(group);
        self.precondition(entry.etag)?;
        let members: Vec<Holder> = entry.members.iter().collect();
        let targeting: Vec<AssignmentId> = entry.targeted_by.oldest_first();
        let reaches = self.group_reaches(group, members.iter().copied());
        self.emit_members(group, &members, &[]);
        self.list_skipped(group, &members);
        for assignment in targeting {
            self.end_assignment(assignment, AssignmentEndCause::GroupDeleted);
        }
        self.emit(Event::GroupDeleted { group });
        self.settle(&reaches, ReleaseCause::Uncovered, Brake::Directory);
        Ok(Verdict::Done)
    }
}
