//! Whom and what a fact is about: the keys under which its position is found again.

use super::asked::About;
use super::command::Actor;
use super::event::{Event, Recorded, Target};
use super::event_type::EventType;
use super::ids::{AssignmentId, DeviceId, GroupId, Holder, PoolId, ReviewId, UserId};
use super::placing::{Chain, LateStep, Lateness};

/// Something whose history can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Pool(PoolId),
    User(UserId),
    Device(DeviceId),
    Group(GroupId),
    Assignment(AssignmentId),
    /// What it did, not what was done to it.
    Actor(Actor),
    /// Every refusal, and every count of its repeats.
    Refusals,
    Type(EventType),
    Review(ReviewId),
    /// Facts about seats and installs that were recorded so late.
    Late(LateStep),
    /// The same of a pool.
    LateOf(PoolId, LateStep),
    /// A holder's seat of a pool, its place in the queue, and the installs of the app for this user, or on this device.
    Seat(PoolId, Holder),
    /// The same under the holder.
    Held(Holder, PoolId),
    /// What a holder is and belongs to, whatever it holds; of a user also which devices are theirs.
    Own(Holder),
}

impl From<Holder> for Subject {
    fn from(holder: Holder) -> Self {
        match holder {
            Holder::User(user) => Self::User(user),
            Holder::Device(device) => Self::Device(device),
        }
    }
}

/// Each subject once, in order. What an event names is what it is about: that a user is in a group is said by the events
/// that name both, and looked up nowhere else.
#[must_use]
pub fn subjects_of(recorded: &Recorded) -> Vec<Subject> {
    let mut named = Vec::new();
    name_subjects(recorded, &mut named);
    named.sort_unstable();
    named.dedup();
    named
}

/// The same into a buffer that is used again, in no order; some may come twice.
pub fn name_subjects(recorded: &Recorded, named: &mut Vec<Subject>) {
    named.clear();
    named.push(Subject::Actor(recorded.envelope.actor));
    named.push(Subject::Type(recorded.event.event_type()));
    if let (Some(lateness), Some(chain)) = (Lateness::of(recorded), Chain::of(&recorded.event)) {
        named.extend([Subject::Late(lateness.step), Subject::LateOf(chain.pool(), lateness.step)]);
    }
    name_parts(&recorded.event, named);
}

fn name_parts(event: &Event, named: &mut Vec<Subject>) {
    match event {
        Event::TenantCreated { .. }
        | Event::TenantRenamed { .. }
        | Event::SettingsChanged { .. }
        | Event::TokenIssued { .. }
        | Event::TokenRevoked { .. }
        | Event::StoreAccountLinked { .. }
        | Event::StoreAccountChanged { .. }
        | Event::StoreUnitLinked { .. }
        | Event::ToolActivated { .. }
        | Event::ToolDeactivated { .. }
        | Event::SyncStarted { .. }
        | Event::SyncCompleted { .. }
        | Event::SyncItemsTaken { .. }
        | Event::PoolsSeen { .. }
        | Event::SyncSeatsCompared { .. }
        | Event::SyncFailed { .. }
        | Event::ItemSkipped { .. }
        | Event::DriftResolved { .. }
        | Event::EndingsConfirmed { .. }
        | Event::LogRestored { .. }
        | Event::LogKeyRotated { .. } => {}

        Event::PoolListed { pool, .. }
        | Event::PoolDetailsChanged { pool, .. }
        | Event::PoolNamed { pool, .. }
        | Event::PackagesListed { pool, .. }
        | Event::PrivateStoreVisibilityChanged { pool, .. }
        | Event::EntitlementDated { pool, .. }
        | Event::CapacityChanged { pool, .. }
        | Event::RefundLagSeen { pool, .. }
        | Event::RefundSettled { pool }
        | Event::DistributionPolicyChanged { pool, .. }
        | Event::PoolDelisted { pool, .. }
        | Event::PoolRelisted { pool }
        | Event::PoolSuspended { pool }
        | Event::PoolResumed { pool }
        | Event::ServingPaused { pool }
        | Event::ServingResumed { pool }
        | Event::StoreUsedStated { pool, .. }
        | Event::PoolPolicyChanged { pool, .. }
        | Event::DriftFound { pool, .. }
        | Event::RemovalHeld { pool, .. }
        | Event::RefundRecorded { pool, .. } => named.push(Subject::Pool(*pool)),

        Event::UserAdded { .. }
        | Event::UserChanged { .. }
        | Event::UserDeparted { .. }
        | Event::GraceEnded { .. }
        | Event::UserReturned { .. }
        | Event::NamesErased { .. } => each_own(event, |holder| name_own(holder, named)),
        Event::SeatsKept { user: _, pools } | Event::SeatsOffered { user: _, pools } => {
            each_own(event, |holder| name_own(holder, named));
            named.extend(pools.iter().map(|pool| Subject::Pool(*pool)));
        }

        Event::DeviceAdded { .. }
        | Event::DeviceChanged { .. }
        | Event::DeviceReincarnated { .. }
        | Event::DeviceRetired { .. }
        | Event::DeviceReturned { .. } => each_own(event, |holder| name_own(holder, named)),

        Event::GroupAdded { group, .. } | Event::GroupDeleted { group } => named.push(Subject::Group(*group)),
        Event::MembersAdded { group, .. } | Event::MembersRemoved { group, .. } => {
            named.push(Subject::Group(*group));
            each_own(event, |holder| name_own(holder, named));
        }

        Event::EndingsHeld { seats, .. } => {
            named.extend(seats.iter().flat_map(|(pool, holder)| [Subject::Pool(*pool), Subject::from(*holder)]));
        }

        Event::AssignmentMade { assignment, pool, target, .. }
        | Event::AssignmentEnded { assignment, pool, target, .. } => {
            named.extend([Subject::Assignment(*assignment), Subject::Pool(*pool)]);
            name_target(*target, named);
        }
        Event::MembersSkipped { assignment, members } => {
            named.push(Subject::Assignment(*assignment));
            named.extend(members.iter().map(|(member, _)| Subject::from(*member)));
        }

        Event::SeatGranted { pool, holder, .. }
        | Event::SeatTaken { pool, holder }
        | Event::SeatIdle { pool, holder }
        | Event::SeatReleasing { pool, holder, .. }
        | Event::SeatReleaseSent { pool, holder }
        | Event::SeatReleaseRefused { pool, holder }
        | Event::SeatTakenBack { pool, holder }
        | Event::RegrantFlagged { pool, holder }
        | Event::SeatReleased { pool, holder, .. }
        | Event::SeatConfirmed { pool, holder }
        | Event::ForeignSeatSeen { pool, holder }
        | Event::ForeignSeatAdopted { pool, holder, .. }
        | Event::LapseEnded { pool, holder }
        | Event::Queued { pool, holder }
        | Event::Requeued { pool, holder, .. }
        | Event::Dequeued { pool, holder, .. } => {
            named.extend([Subject::Pool(*pool), Subject::from(*holder)]);
            name_seat(*pool, *holder, named);
        }
        Event::OfflineLicenseIssued { pool, holder } => {
            named.extend([Subject::Pool(*pool), Subject::from(*holder)]);
        }

        Event::Installed { pool, device, user, seat, .. } => {
            name_install(*pool, *device, *user, named);
            named.extend(seat.map(Subject::from));
        }
        Event::InstallLicensed { pool, device, user, seat } => {
            name_install(*pool, *device, *user, named);
            named.push(Subject::from(*seat));
        }
        Event::Uninstalled { pool, device, user } => {
            name_install(*pool, *device, *user, named);
        }

        Event::CommandRefused { command: _, pool, holder, target, rejection: _ }
        | Event::BatchRefused { place: _, commands: _, command: _, pool, holder, target, rejection: _ } => {
            named.push(Subject::Refusals);
            named.extend(pool.map(Subject::Pool));
            named.extend(holder.map(Subject::from));
            if let Some(target) = target {
                name_target(*target, named);
            }
        }
        Event::RefusalsCounted { pool, .. } => {
            named.push(Subject::Refusals);
            named.extend(pool.map(Subject::Pool));
        }
        Event::CommandUnchanged { command: _, about } => name_about(*about, named),
        Event::ReportRead { report: _, asked, position: _ } => {
            named.extend(asked.pool.map(Subject::Pool));
            named.extend(asked.user.map(Subject::User));
        }

        Event::ReviewOpened { review, pools, .. } => {
            named.push(Subject::Review(*review));
            named.extend(pools.iter().map(|pool| Subject::Pool(*pool)));
        }
        Event::ReviewDecided { review, pool, holder, .. } => {
            named.extend([Subject::Review(*review), Subject::Pool(*pool), Subject::from(*holder)]);
        }
        Event::ReviewClosed { review }
        | Event::ReviewCarriedOut { review, .. }
        | Event::ReviewEnded { review, .. }
        | Event::ReviewCancelled { review } => named.push(Subject::Review(*review)),
    }
}

/// Whom an event says to be or to belong to something ([`Subject::Own`]).
pub fn each_own(event: &Event, mut each: impl FnMut(Holder)) {
    if let Event::UserAdded { user, .. }
    | Event::UserChanged { user, .. }
    | Event::UserDeparted { user, .. }
    | Event::GraceEnded { user }
    | Event::UserReturned { user }
    | Event::SeatsKept { user, .. }
    | Event::SeatsOffered { user, .. } = event
    {
        each((*user).into());
    }
    if let Event::DeviceAdded { device, .. }
    | Event::DeviceChanged { device, .. }
    | Event::DeviceReincarnated { device }
    | Event::DeviceRetired { device }
    | Event::DeviceReturned { device } = event
    {
        each((*device).into());
    }
    if let Event::DeviceAdded { primary_user: Some(user), .. } | Event::DeviceChanged { primary_user: Some(user), .. } =
        event
    {
        each((*user).into());
    }
    if let Event::NamesErased { holder, .. } = event {
        each(*holder);
    }
    if let Event::MembersAdded { members, .. } | Event::MembersRemoved { members, .. } = event {
        members.iter().for_each(|member| each(*member));
    }
}

fn name_own(holder: Holder, named: &mut Vec<Subject>) {
    named.extend([Subject::from(holder), Subject::Own(holder)]);
}

fn name_seat(pool: PoolId, holder: Holder, named: &mut Vec<Subject>) {
    named.extend([Subject::Seat(pool, holder), Subject::Held(holder, pool)]);
}

fn name_install(pool: PoolId, device: DeviceId, user: Option<UserId>, named: &mut Vec<Subject>) {
    named.extend([Subject::Pool(pool), Subject::Device(device)]);
    name_seat(pool, device.into(), named);
    if let Some(user) = user {
        named.push(Subject::User(user));
        name_seat(pool, user.into(), named);
    }
}

fn name_target(target: Target, named: &mut Vec<Subject>) {
    match target {
        Target::User(user) => named.push(Subject::User(user)),
        Target::Device(device) => named.push(Subject::Device(device)),
        Target::Group { group, exclude } => {
            named.push(Subject::Group(group));
            named.extend(exclude.map(Subject::Group));
        }
    }
}

fn name_about(about: About, named: &mut Vec<Subject>) {
    match about {
        About::Tenant | About::Token(_) | About::Sync(_) | About::Held(_) | About::Tool | About::StoreAccount(_) => {}
        About::Review(review) => named.push(Subject::Review(review)),
        About::Pool(pool) => named.push(Subject::Pool(pool)),
        About::User(user) => named.push(Subject::User(user)),
        About::Device(device) => named.push(Subject::Device(device)),
        About::Group(group) => named.push(Subject::Group(group)),
        About::Assignment(assignment) => named.push(Subject::Assignment(assignment)),
        About::Seat { pool, holder } => named.extend([Subject::Pool(pool), Subject::from(holder)]),
        About::Install { pool, device, user } => {
            named.extend([Subject::Pool(pool), Subject::Device(device)]);
            named.extend(user.map(Subject::User));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Door, Envelope};
    use crate::domain::time::Time;

    fn about(event: Event) -> Vec<Subject> {
        let envelope = Envelope {
            recorded_at: Time(0),
            occurred_at: None,
            actor: Actor::Root,
            door: Door::Http,
            command_id: None,
            content_hash: 0,
            reason: None,
        };
        let kind = event.event_type();
        let mut named = subjects_of(&Recorded { position: 0, envelope, event });
        for common in [Subject::Actor(Actor::Root), Subject::Type(kind)] {
            assert_eq!(named.iter().filter(|subject| **subject == common).count(), 1);
        }
        for subject in named.clone() {
            // what is told of a seat or of somebody is told of them at large as well
            let larger = if let Subject::Seat(pool, holder) | Subject::Held(holder, pool) = subject {
                vec![Subject::Pool(pool), holder.into()]
            } else if let Subject::Own(holder) = subject {
                vec![holder.into()]
            } else {
                continue;
            };
            assert!(larger.iter().all(|subject| named.contains(subject)), "{subject:?}");
        }
        let is_narrow = |subject: &Subject| matches!(subject, Subject::Seat(..) | Subject::Held(..) | Subject::Own(_));
        named.retain(|subject| !matches!(subject, Subject::Actor(_) | Subject::Type(_)) && !is_narrow(subject));
        named
    }

    #[test]
    fn an_install_is_about_its_pool_its_device_its_user_and_the_holder_of_its_seat() {
        let (pool, device, user) = (PoolId(3), DeviceId(4), UserId(5));
        let (p, d, u) = (Subject::Pool(pool), Subject::Device(device), Subject::User(user));
        let installed = |user, seat| about(Event::Installed { pool, device, user, seat, is_report: false });
        assert_eq!(installed(Some(user), Some(Holder::User(user))), [p, u, d]);
        assert_eq!(installed(Some(user), Some(Holder::User(UserId(9)))), [p, u, Subject::User(UserId(9)), d]);
        assert_eq!(installed(None, Some(Holder::Device(device))), [p, d]);
        assert_eq!(installed(None, None), [p, d]);
    }

    #[test]
    fn lists_name_each_member_once() {
        let (ada, bob) = (Holder::User(UserId(1)), Holder::User(UserId(2)));
        let added = Event::MembersAdded { group: GroupId(7), members: vec![bob, ada, bob] };
        assert_eq!(about(added), [Subject::User(UserId(1)), Subject::User(UserId(2)), Subject::Group(GroupId(7))]);
        let held = Event::EndingsHeld {
            held: crate::domain::ids::HeldId(0),
            sync: None,
            cause: crate::domain::facts::ReleaseCause::Lost,
            seats: vec![(PoolId(1), ada), (PoolId(2), ada)],
        };
        assert_eq!(about(held), [Subject::Pool(PoolId(1)), Subject::Pool(PoolId(2)), Subject::User(UserId(1))]);
    }

    #[test]
    fn a_refusal_is_about_everything_it_names() {
        let refused = Event::CommandRefused {
            command: crate::domain::asked::CommandKind::Assign,
            pool: Some(PoolId(1)),
            holder: None,
            target: Some(Target::Group { group: GroupId(2), exclude: Some(GroupId(3)) }),
            rejection: crate::domain::rejection::Rejection::PoolRemoved,
        };
        let groups = [Subject::Group(GroupId(2)), Subject::Group(GroupId(3))];
        assert_eq!(about(refused), [Subject::Pool(PoolId(1)), groups[0], groups[1], Subject::Refusals]);
    }
}
