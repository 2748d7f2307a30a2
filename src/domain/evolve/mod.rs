//! Facts into state. `evolve` never refuses: it asserts what `decide` promised, in release builds too, and the writer
//! runs it before it appends, so a hole in a rule stops the process before the bytes exist.

mod counts;
mod directory;
mod reviews;
mod seats;
mod stores;

pub use seats::Told;

use super::event::Event;
use super::facts::{AssignmentEndCause, Intent};
use super::ids::{AssignmentId, PoolId};
use super::rejection::RejectionClass;
use super::state::{Assignment, LogKeyRotation, Meta, ReadKey, RefusalKey, RefusalSeen, Tenant, Token, Tool};
use super::time::Time;

impl Tenant {
    /// Takes one fact.
    ///
    /// # Panics
    /// When the fact breaks a law: the history is not one that `decide` could have made.
    pub fn evolve(&mut self, event: &Event, meta: &Meta) {
        assert_eq!(
            meta.position, self.next_position,
            "position {} does not follow {}",
            meta.position, self.next_position
        );
        assert!(meta.recorded_at >= self.last_recorded_at, "time ran backwards at position {}", meta.position);
        let counted = self.take_out_of_counts(event);
        self.next_position += 1;
        self.last_recorded_at = meta.recorded_at;
        match event {
            Event::TenantCreated { slug, name, settings } => {
                assert_eq!(meta.position, 0, "a tenant is created once, first");
                self.slug.clone_from(slug);
                self.name.clone_from(name);
                self.settings = settings.clone();
                self.created_at = meta.recorded_at;
            }
            Event::TenantRenamed { name } => self.name.clone_from(name),
            Event::SettingsChanged { settings } => self.settings = settings.clone(),
            Event::TokenIssued { token, name, role, hash, expires_at } => {
                assert_eq!(token.index(), self.tokens.len(), "{token} is out of order");
                let (name, hash, since) = (name.clone(), *hash, meta.recorded_at);
                self.tokens.push(Token {
                    id: *token,
                    name,
                    role: *role,
                    hash,
                    expires_at: *expires_at,
                    is_revoked: false,
                    since,
                });
            }
            Event::TokenRevoked { token } => {
                let token = self.tokens.get_mut(token.index()).expect("a token is revoked after it was issued");
                token.is_revoked = true;
            }
            Event::ToolActivated { tool, name } => {
                self.tools.insert(tool.clone(), Tool { name: name.clone(), is_active: true, since: meta.recorded_at });
            }
            Event::ToolDeactivated { tool } => {
                let tool = self.tools.get_mut(tool).expect("a tool is deactivated after it was activated");
                tool.is_active = false;
                tool.since = meta.recorded_at;
            }

            Event::StoreAccountLinked { .. }
            | Event::StoreAccountChanged { .. }
            | Event::StoreUnitLinked { .. }
            | Event::SyncStarted { .. }
            | Event::SyncCompleted { .. }
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
            | Event::PoolPolicyChanged { .. }
            | Event::DriftFound { .. }
            | Event::DriftResolved { .. }
            | Event::RefundRecorded { .. }
            | Event::OfflineLicenseIssued { .. } => self.evolve_store(event, meta),

            Event::UserAdded { .. }
            | Event::UserChanged { .. }
            | Event::UserDeparted { .. }
            | Event::SeatsKept { .. }
            | Event::GraceEnded { .. }
            | Event::UserReturned { .. }
            | Event::SeatsOffered { .. }
            | Event::DeviceAdded { .. }
            | Event::DeviceChanged { .. }
            | Event::DeviceReincarnated { .. }
            | Event::DeviceRetired { .. }
            | Event::DeviceReturned { .. }
            | Event::NamesErased { .. }
            | Event::GroupAdded { .. }
            | Event::MembersAdded { .. }
            | Event::MembersRemoved { .. }
            | Event::GroupDeleted { .. }
            | Event::EndingsHeld { .. }
            | Event::RemovalHeld { .. }
            | Event::EndingsConfirmed { .. } => self.evolve_directory(event, meta),

            Event::AssignmentMade { assignment, pool, target, intent, mode, licensing } => {
                let made = Assignment {
                    id: *assignment,
                    pool: *pool,
                    target: *target,
                    intent: *intent,
                    mode: *mode,
                    licensing: *licensing,
                    is_ended: false,
                    made_at: meta.position,
                    etag: meta.position,
                    since: meta.recorded_at,
                };
                self.assignment_made(made);
            }
            Event::AssignmentEnded { assignment, cause, .. } => self.assignment_ended(*assignment, *cause, meta),
            Event::MembersSkipped { .. } => {}

            Event::SeatGranted { .. }
            | Event::SeatTaken { .. }
            | Event::SeatIdle { .. }
            | Event::SeatReleasing { .. }
            | Event::SeatReleaseSent { .. }
            | Event::SeatReleaseRefused { .. }
            | Event::SeatTakenBack { .. }
            | Event::RegrantFlagged { .. }
            | Event::SeatReleased { .. }
            | Event::SeatConfirmed { .. }
            | Event::ForeignSeatSeen { .. }
            | Event::ForeignSeatAdopted { .. }
            | Event::LapseEnded { .. }
            | Event::Queued { .. }
            | Event::Requeued { .. }
            | Event::Dequeued { .. }
            | Event::Installed { .. }
            | Event::InstallLicensed { .. }
            | Event::Uninstalled { .. } => self.evolve_seat(event, meta),

            // The receipt of a command that named nothing real or made no sense is no refusal.
            Event::CommandRefused { rejection, .. } | Event::BatchRefused { rejection, .. }
                if rejection.class() != RejectionClass::Conflict => {}
            Event::CommandRefused { command, pool, holder, target, rejection }
            | Event::BatchRefused { command, pool, holder, target, rejection, .. } => {
                if let Some(pool) = pool {
                    self.count_refusals(*pool, 1);
                }
                let rule = rejection.name().to_owned();
                let key = RefusalKey {
                    actor: meta.actor,
                    command: *command,
                    pool: *pool,
                    holder: *holder,
                    target: *target,
                    rule,
                    is_of_batch: matches!(event, Event::BatchRefused { .. }),
                };
                self.refusals.remember(key, RefusalSeen { position: meta.position, at: meta.recorded_at });
            }
            Event::RefusalsCounted { position: _, actor: _, pool, count } => {
                if let Some(pool) = pool {
                    self.count_refusals(*pool, *count);
                }
            }
            Event::ReportRead { report, asked, position: _ } => {
                let key = ReadKey { actor: meta.actor, report: *report, asked: *asked };
                self.reads.remember(key, meta.position, meta.recorded_at);
            }
            Event::CommandUnchanged { .. } | Event::LogRestored { .. } => {}
            Event::LogKeyRotated { old_key, new_key, is_old_key_lost } => self.log_keys.push(LogKeyRotation {
                position: meta.position,
                old_key: old_key.clone(),
                new_key: new_key.clone(),
                is_old_key_lost: *is_old_key_lost,
            }),

            Event::ReviewOpened { .. }
            | Event::ReviewDecided { .. }
            | Event::ReviewClosed { .. }
            | Event::ReviewCarriedOut { .. }
            | Event::ReviewEnded { .. }
            | Event::ReviewCancelled { .. } => self.evolve_review(event, meta),
        }
        self.put_back_into_counts(&counted, event);
    }

    fn assignment_made(&mut self, made: Assignment) {
        use super::event::Target;
        let id = made.id;
        assert_eq!(id.index(), self.assignments.len(), "{id} is out of order");
        self.pool_mut(made.pool).assignments.insert(id);
        match made.target {
            Target::User(user) => {
                self.user_mut(user).links.assignments.insert(made.pool, id);
            }
            Target::Device(device) => {
                self.device_mut(device).links.assignments.insert(made.pool, id);
            }
            Target::Group { group, exclude } => {
                self.group_mut(group).targeted_by.insert(made.pool, id);
                if let Some(exclude) = exclude {
                    self.group_mut(exclude).excluded_by.insert(made.pool, id);
                }
            }
        }
        self.assignments.push(made);
    }

    fn assignment_ended(&mut self, id: AssignmentId, _cause: AssignmentEndCause, meta: &Meta) {
        use super::event::Target;
        let entry = self.assignment_mut(id);
        assert!(!entry.is_ended, "{id} ended twice");
        entry.is_ended = true;
        entry.etag = meta.position;
        let (pool, target) = (entry.pool, entry.target);
        self.pool_mut(pool).assignments.remove(&id);
        match target {
            Target::User(user) => {
                self.user_mut(user).links.assignments.remove(pool, id);
            }
            Target::Device(device) => {
                self.device_mut(device).links.assignments.remove(pool, id);
            }
            Target::Group { group, exclude } => {
                self.group_mut(group).targeted_by.remove(pool, id);
                if let Some(exclude) = exclude {
                    self.group_mut(exclude).excluded_by.remove(pool, id);
                }
            }
        }
    }

    /// Notes where a pool last had a free seat, for the rule on equal refusals.
    pub(super) fn note_free(&mut self, pool: PoolId, position: u64) {
        let pool = self.pool_mut(pool);
        if pool.has_free_seat() {
            pool.last_free_position = position;
        }
    }

    /// Living assignments of a pool with this intent, in the order in which they were made.
    pub fn assignments_with(&self, pool: PoolId, intent: Intent) -> impl Iterator<Item = &Assignment> {
        self.pool(pool).assignments.iter().map(|id| self.assignment(*id)).filter(move |a| a.intent == intent)
    }
}

/// The later of two instants.
pub(super) fn later(a: Time, b: Time) -> Time {
    a.max(b)
}
