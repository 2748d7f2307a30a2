//! What a command answered: a function of its events alone, so that the first answer and every repeat are the same.

use super::asked::About;
use super::event::Event;
use super::facts::SkipReason;
use super::ids::{AssignmentId, DeviceId, DriftId, GroupId, HeldId, Holder, PoolId, ReviewId, SyncId, TokenId, UserId};
use super::rejection::Rejection;
use super::state::ReviewState;

/// How a judged command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    #[default]
    Done,
    Unchanged,
    Refused,
}

/// Everything a caller may want to know of one judged command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub status: Status,
    /// Something with an id of its own was made.
    pub is_created: bool,
    pub rejection: Option<Box<Rejection>>,
    pub about: Option<About>,
    pub assignment: Option<AssignmentId>,
    pub user: Option<UserId>,
    pub device: Option<DeviceId>,
    pub group: Option<GroupId>,
    pub sync: Option<SyncId>,
    pub token: Option<TokenId>,
    pub drift: Option<DriftId>,
    pub review: Option<ReviewId>,
    /// What this command left the review as.
    pub review_state: Option<ReviewState>,
    /// Held endings that this command left waiting for a person.
    pub held: Option<HeldId>,
    pub held_seats: u64,
    /// Seats granted, and holders put into a queue.
    pub reserved: u64,
    pub queued: u64,
    /// Seats gone or going.
    pub released: u64,
    pub skipped: Vec<(Holder, SkipReason)>,
    pub kept: Vec<PoolId>,
    pub offered: Vec<PoolId>,
    /// For an install: the seat that licenses it.
    pub install: Option<InstallAnswer>,
    pub released_seats: Vec<(PoolId, Holder)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallAnswer {
    pub pool: PoolId,
    pub device: DeviceId,
    pub user: Option<UserId>,
    /// `None`: unlicensed.
    pub seat: Option<Holder>,
}

/// Lists of seats in an answer end here; the events hold the rest.
pub const ANSWER_SEATS_MAX: usize = 1000;

impl Answer {
    /// Reads the answer out of a command's events. It is long, and goes through many hands.
    #[must_use]
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Box<Self> {
        let mut answer = Box::<Self>::default();
        for event in events {
            answer.take(event);
        }
        answer
    }

    fn made(&mut self, about: About) {
        if self.about.is_none() {
            self.about = Some(about);
            self.is_created = true;
        }
    }

    fn touched(&mut self, about: About) {
        if self.about.is_none() {
            self.about = Some(about);
        }
    }

    fn review_is(&mut self, review: ReviewId, state: ReviewState) {
        self.review = Some(review);
        self.review_state = Some(state);
        self.touched(About::Review(review));
    }

    #[expect(clippy::too_many_lines, reason = "one arm a fact")]
    fn take(&mut self, event: &Event) {
        match event {
            Event::CommandRefused { rejection, .. } | Event::BatchRefused { rejection, .. } => {
                self.status = Status::Refused;
                self.rejection = Some(Box::new(rejection.clone()));
            }
            Event::CommandUnchanged { about, .. } => {
                self.status = Status::Unchanged;
                self.about = Some(*about);
                match about {
                    About::Assignment(assignment) => self.assignment = Some(*assignment),
                    About::User(user) => self.user = Some(*user),
                    About::Device(device) => self.device = Some(*device),
                    About::Group(group) => self.group = Some(*group),
                    About::Sync(sync) => self.sync = Some(*sync),
                    About::Token(token) => self.token = Some(*token),
                    About::Review(review) => self.review = Some(*review),
                    About::Install { .. }
                    | About::Tenant
                    | About::Pool(_)
                    | About::Held(_)
                    | About::Seat { .. }
                    | About::Tool
                    | About::StoreAccount(_) => {}
                }
            }
            Event::TenantCreated { .. } => self.made(About::Tenant),
            Event::TenantRenamed { .. } | Event::SettingsChanged { .. } => self.touched(About::Tenant),
            Event::TokenIssued { token, .. } => {
                self.token = Some(*token);
                self.made(About::Token(*token));
            }
            Event::TokenRevoked { token } => {
                self.token = Some(*token);
                self.touched(About::Token(*token));
            }
            Event::StoreAccountLinked { provider, .. } => self.made(About::StoreAccount(*provider)),
            Event::StoreAccountChanged { provider, .. } | Event::StoreUnitLinked { provider, .. } => {
                self.touched(About::StoreAccount(*provider));
            }
            Event::ToolActivated { .. } | Event::ToolDeactivated { .. } => self.touched(About::Tool),
            Event::SyncStarted { sync, .. } => {
                self.sync = Some(*sync);
                self.made(About::Sync(*sync));
            }
            Event::UserAdded { user, .. } => {
                self.user = Some(*user);
                self.made(About::User(*user));
            }
            Event::UserChanged { user, .. } | Event::UserDeparted { user, .. } | Event::UserReturned { user } => {
                self.user = Some(*user);
                self.touched(About::User(*user));
            }
            Event::SeatsKept { pools, .. } => self.kept.extend(pools),
            Event::SeatsOffered { pools, .. } => self.offered.extend(pools),
            Event::DeviceAdded { device, .. } => {
                self.device = Some(*device);
                self.made(About::Device(*device));
            }
            Event::DeviceChanged { device, .. }
            | Event::DeviceReincarnated { device }
            | Event::DeviceRetired { device }
            | Event::DeviceReturned { device } => {
                if self.device.is_none() {
                    self.device = Some(*device);
                }
                self.touched(About::Device(*device));
            }
            Event::NamesErased { holder: Holder::User(user), .. } => {
                self.user = Some(*user);
                self.touched(About::User(*user));
            }
            Event::NamesErased { holder: Holder::Device(device), .. } => {
                self.device = Some(*device);
                self.touched(About::Device(*device));
            }
            Event::GroupAdded { group, .. } => {
                self.group = Some(*group);
                self.made(About::Group(*group));
            }
            Event::MembersAdded { group, .. } | Event::MembersRemoved { group, .. } | Event::GroupDeleted { group } => {
                self.group = Some(*group);
                self.touched(About::Group(*group));
            }
            Event::EndingsHeld { held, seats, .. } => {
                self.held = Some(*held);
                self.held_seats += seats.len() as u64;
            }
            Event::RemovalHeld { held, .. } => self.held = Some(*held),
            Event::EndingsConfirmed { held } => self.about = Some(About::Held(*held)),
            Event::AssignmentMade { assignment, .. } => {
                self.assignment = Some(*assignment);
                self.made(About::Assignment(*assignment));
            }
            Event::AssignmentEnded { assignment, .. } => self.touched(About::Assignment(*assignment)),
            Event::MembersSkipped { members, .. } => self.skipped.extend(members),
            Event::SeatGranted { pool, holder, .. } => {
                self.reserved += 1;
                self.touched(About::Seat { pool: *pool, holder: *holder });
            }
            Event::SeatReleased { pool, holder, .. } | Event::SeatReleasing { pool, holder, .. } => {
                self.released += 1;
                if self.released_seats.len() < ANSWER_SEATS_MAX {
                    self.released_seats.push((*pool, *holder));
                }
                self.touched(About::Seat { pool: *pool, holder: *holder });
            }
            Event::Queued { .. } | Event::RegrantFlagged { .. } => self.queued += 1,
            Event::SeatTakenBack { pool, holder } | Event::ForeignSeatAdopted { pool, holder, .. } => {
                self.reserved += 1;
                self.touched(About::Seat { pool: *pool, holder: *holder });
            }
            Event::Installed { pool, device, user, seat, .. } => {
                let (pool, device, user) = (*pool, *device, *user);
                self.install = Some(InstallAnswer { pool, device, user, seat: *seat });
                self.about = Some(About::Install { pool, device, user });
                self.is_created = true;
            }
            Event::InstallLicensed { pool, device, user, seat } => {
                let (pool, device, user) = (*pool, *device, *user);
                self.install = Some(InstallAnswer { pool, device, user, seat: Some(*seat) });
                self.touched(About::Install { pool, device, user });
            }
            Event::Uninstalled { pool, device, user } => {
                self.touched(About::Install { pool: *pool, device: *device, user: *user });
            }
            Event::RefundRecorded { pool, .. } => self.made(About::Pool(*pool)),
            Event::OfflineLicenseIssued { pool, holder } => {
                self.made(About::Seat { pool: *pool, holder: *holder });
            }
            Event::PoolPolicyChanged { pool, .. } => self.touched(About::Pool(*pool)),
            Event::DriftFound { drift, .. } => self.drift = Some(*drift),
            Event::ReviewOpened { review, .. } => {
                self.made(About::Review(*review));
                self.review_is(*review, ReviewState::Open);
            }
            Event::ReviewDecided { review, pool, holder, .. } => {
                self.review = Some(*review);
                self.touched(About::Seat { pool: *pool, holder: *holder });
            }
            Event::ReviewClosed { review } => self.review_is(*review, ReviewState::Closing),
            Event::ReviewEnded { review, .. } => self.review_is(*review, ReviewState::Ended),
            Event::ReviewCancelled { review } => self.review_is(*review, ReviewState::Cancelled),
            Event::SyncCompleted { .. }
            | Event::SyncItemsTaken { .. }
            | Event::PoolsSeen { .. }
            | Event::SyncSeatsCompared { .. }
            | Event::SyncFailed { .. }
            | Event::ItemSkipped { .. }
            | Event::PoolListed { .. }
            | Event::PoolDetailsChanged { .. }
            | Event::PoolNamed { .. }
            | Event::PackagesListed { .. }
            | Event::PrivateStoreVisibilityChanged { .. }
            | Event::EntitlementDated { .. }
            | Event::CapacityChanged { .. }
            | Event::RefundLagSeen { .. }
            | Event::RefundSettled { .. }
            | Event::DistributionPolicyChanged { .. }
            | Event::PoolDelisted { .. }
            | Event::PoolRelisted { .. }
            | Event::PoolSuspended { .. }
            | Event::PoolResumed { .. }
            | Event::ServingPaused { .. }
            | Event::ServingResumed { .. }
            | Event::StoreUsedStated { .. }
            | Event::DriftResolved { .. }
            | Event::GraceEnded { .. }
            | Event::SeatTaken { .. }
            | Event::SeatIdle { .. }
            | Event::SeatReleaseSent { .. }
            | Event::SeatReleaseRefused { .. }
            | Event::SeatConfirmed { .. }
            | Event::ForeignSeatSeen { .. }
            | Event::LapseEnded { .. }
            | Event::Requeued { .. }
            | Event::Dequeued { .. }
            | Event::RefusalsCounted { .. }
            | Event::ReviewCarriedOut { .. }
            | Event::LogRestored { .. }
            | Event::ReportRead { .. }
            | Event::LogKeyRotated { .. } => {}
        }
    }
}
