//! What an event says to a person, in one sentence of ids and figures. Personal names are not in it: who shows a sentence
//! may put the name beside the id.

use crate::domain::asked::CommandKind;
use crate::domain::command::Actor;
use crate::domain::event::{Event, Target};
use crate::domain::facts::{KeepOrRelease, Owned};
use crate::domain::ids::{Holder, PoolId, UserId};
use serde::Serialize;
use std::fmt::Display;

/// `root`, `ledger` or `token_3`.
#[must_use]
pub fn actor_name(actor: Actor) -> String {
    match actor {
        Actor::Ledger => "ledger".into(),
        Actor::Root => "root".into(),
        Actor::Token(token) => token.to_string(),
    }
}

/// A small word in the form that clients know: `deficit_plan`.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// A cause as a person reads it: `timed out`.
#[must_use]
pub fn cause_words(cause: impl Serialize) -> String {
    word(&cause).replace('_', " ")
}

fn count(owned: Owned) -> String {
    match owned {
        Owned::Count(count) => count.to_string(),
        Owned::Unlimited => "unlimited".into(),
    }
}

fn who(holder: Holder) -> String {
    match holder {
        Holder::User(user) => user.to_string(),
        Holder::Device(device) => device.to_string(),
    }
}

fn target_name(target: &Target) -> String {
    match target {
        Target::User(user) => user.to_string(),
        Target::Device(device) => device.to_string(),
        Target::Group { group, exclude: None } => group.to_string(),
        Target::Group { group, exclude: Some(exclude) } => format!("{group} without {exclude}"),
    }
}

fn for_whom(user: Option<UserId>) -> String {
    user.map_or_else(|| "all users".into(), |user| user.to_string())
}

fn several(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

fn by_seat(seat: Option<Holder>) -> String {
    seat.map_or_else(|| "without a license".into(), |seat| format!("licensed by the seat of {}", who(seat)))
}

fn of_pool(pool: Option<impl Display>) -> String {
    pool.map(|pool| format!(" for {pool}")).unwrap_or_default()
}

/// One sentence without a full stop.
#[must_use]
#[expect(clippy::too_many_lines, reason = "one arm a fact")]
pub fn sentence(event: &Event) -> String {
    match event {
        Event::TenantCreated { slug, .. } => format!("The tenant {slug} was created"),
        Event::TenantRenamed { name } => format!("The tenant was renamed to {name}"),
        Event::SettingsChanged { .. } => "The tenant's settings were changed".into(),
        Event::TokenIssued { token, role, .. } => format!("{token} was issued with the role {}", word(role)),
        Event::TokenRevoked { token } => format!("{token} was revoked"),
        Event::StoreAccountLinked { provider, account_id, .. } => {
            format!("The {} account {account_id} was linked", provider.name())
        }
        Event::StoreAccountChanged { provider, .. } => {
            format!("The settings of the {} account were changed", provider.name())
        }
        Event::StoreUnitLinked { provider, unit } => {
            format!("The unit {unit} of the {} account was linked", provider.name())
        }
        Event::ToolActivated { tool, .. } => format!("The management tool {tool} was activated"),
        Event::ToolDeactivated { tool } => format!("The management tool {tool} was deactivated"),
        Event::SyncStarted { sync, provider, .. } => format!("{sync} with {} started", provider.name()),
        Event::SyncCompleted { sync, listed, changed, delisted, .. } => {
            format!("{sync} completed: {listed} listed, {changed} changed, {delisted} delisted")
        }
        Event::SyncItemsTaken { sync, counts } => format!("{sync} took {} pages of items", counts.pages),
        Event::SyncSeatsCompared { sync, seats } => format!(
            "{sync} saw {} seats at the store: {} foreign, {} of ours gone",
            seats.seen, seats.foreign, seats.lost
        ),
        Event::PoolsSeen { sync, pools } => format!("{sync} was told of {} alone", several(pools.len(), "pool")),
        Event::SyncFailed { sync, reason } => format!("{sync} failed: {reason}"),
        Event::ItemSkipped { key, reason, .. } => format!("{key} was skipped: {}", word(reason)),
        Event::PoolListed { pool, key, owned, .. } => {
            format!("{pool} was listed as {key} with {} owned", count(*owned))
        }
        Event::PoolDetailsChanged { pool, .. } => format!("The details of {pool} changed"),
        Event::PoolNamed { pool, language, name, .. } => format!("{pool} is called {name} in {language}"),
        Event::PackagesListed { pool, packages, .. } => {
            format!("{} of {pool} were listed", several(packages.len(), "package"))
        }
        Event::PrivateStoreVisibilityChanged { pool, is_visible } => {
            format!("{pool} was {} in the private store", if *is_visible { "shown" } else { "hidden" })
        }
        Event::EntitlementDated { pool, ends_on: Some(day) } => format!("The entitlement of {pool} ends after {day}"),
        Event::EntitlementDated { pool, ends_on: None } => format!("The entitlement of {pool} has no end any more"),
        Event::CapacityChanged { pool, owned, cause } => {
            format!("{pool} now owns {} ({})", count(*owned), word(cause))
        }
        Event::RefundLagSeen { pool, stated } => {
            format!("The store still states {} for {pool} after a refund", count(*stated))
        }
        Event::RefundSettled { pool } => format!("The store shows the refund of {pool}"),
        Event::DistributionPolicyChanged { pool, distribution_policy } => {
            format!("{pool} became {}", word(distribution_policy))
        }
        Event::PoolDelisted { pool, cause } => format!("{pool} was delisted ({})", word(cause)),
        Event::PoolRelisted { pool } => format!("{pool} was listed again"),
        Event::PoolSuspended { pool } => format!("{pool} was suspended"),
        Event::PoolResumed { pool } => format!("{pool} was resumed"),
        Event::ServingPaused { pool } => format!("The queue of {pool} was paused: the provider had not enough"),
        Event::ServingResumed { pool } => format!("The queue of {pool} is served again"),
        Event::StoreUsedStated { pool, used } => format!("The store says that {used} of {pool} are used"),
        Event::PoolPolicyChanged { pool, .. } => format!("The policy of {pool} was changed"),
        Event::DriftFound { drift, pool, kind, before, after } => {
            let (before, after) = (count(*before), count(*after));
            format!("{drift} was found in {pool} ({}): {before} became {after}", word(kind))
        }
        Event::DriftResolved { drift, resolution } => format!("{drift} was resolved ({})", word(resolution)),
        Event::UserAdded { user, .. } => format!("{user} became known"),
        Event::UserChanged { user, .. } => format!("The names of {user} changed"),
        Event::UserDeparted { user, cause, grace_until: None } => format!("{user} departed ({})", word(cause)),
        Event::UserDeparted { user, cause, grace_until: Some(until) } => {
            format!("{user} departed ({}); the seats stay until {until}", word(cause))
        }
        Event::SeatsKept { user, pools } => format!("{user} kept {} after the departure", several(pools.len(), "seat")),
        Event::GraceEnded { user } => format!("The grace of {user} ended"),
        Event::UserReturned { user } => format!("{user} returned"),
        Event::SeatsOffered { user, pools } => format!("{user} was offered {}", several(pools.len(), "seat")),
        Event::DeviceAdded { device, .. } => format!("{device} became known"),
        Event::DeviceChanged { device, .. } => format!("{device} changed"),
        Event::DeviceReincarnated { device } => format!("{device} was wiped and enrolled again"),
        Event::DeviceRetired { device } => format!("{device} was retired"),
        Event::DeviceReturned { device } => format!("{device} returned"),
        Event::NamesErased { holder, subject: _ } => format!("the names of {holder} were erased"),
        Event::GroupAdded { group, external_id, .. } => format!("{group} became known as {external_id}"),
        Event::MembersAdded { group, members } => format!("{} joined {group}", several(members.len(), "member")),
        Event::MembersRemoved { group, members } => format!("{} left {group}", several(members.len(), "member")),
        Event::GroupDeleted { group } => format!("{group} was deleted"),
        Event::EndingsHeld { held, cause, seats, .. } => {
            format!("{held}: the brake holds the ending of {} ({})", several(seats.len(), "seat"), word(cause))
        }
        Event::RemovalHeld { held, pool, .. } => format!("{held}: the brake holds the removal of {pool}"),
        Event::EndingsConfirmed { held } => format!("{held} was confirmed"),
        Event::AssignmentMade { assignment, pool, target, intent, .. } => {
            format!("{assignment}: {pool} became {} for {}", word(intent), target_name(target))
        }
        Event::AssignmentEnded { assignment, cause, .. } => format!("{assignment} ended ({})", word(cause)),
        Event::MembersSkipped { assignment, members } => {
            format!("{assignment} skipped {}", several(members.len(), "member"))
        }
        Event::SeatGranted { pool, holder, cause, in_use } => {
            let used = if *in_use { ", in use at once" } else { "" };
            format!("{} was granted a seat of {pool} ({}){used}", who(*holder), word(cause))
        }
        Event::SeatTaken { pool, holder } => format!("{} began to use the seat of {pool}", who(*holder)),
        Event::SeatIdle { pool, holder } => format!("{} keeps the seat of {pool} reserved", who(*holder)),
        Event::SeatReleasing { pool, holder, cause, .. } => {
            format!("The release of {}'s seat of {pool} was asked for ({})", who(*holder), word(cause))
        }
        Event::SeatReleaseSent { pool, holder } => {
            format!("The release of {}'s seat of {pool} was sent to the provider", who(*holder))
        }
        Event::SeatReleaseRefused { pool, holder } => {
            format!("The provider refused to release {}'s seat of {pool}", who(*holder))
        }
        Event::SeatTakenBack { pool, holder } => format!("{} took the seat of {pool} back", who(*holder)),
        Event::RegrantFlagged { pool, holder } => format!("{} wants the releasing seat of {pool} again", who(*holder)),
        Event::SeatReleased { pool, holder, cause, .. } => {
            format!("{} gave up the seat of {pool} ({})", who(*holder), word(cause))
        }
        Event::SeatConfirmed { pool, holder } => format!("The provider confirmed {}'s seat of {pool}", who(*holder)),
        Event::ForeignSeatSeen { pool, holder } => {
            format!("The store shows a seat of {pool} for {} that the ledger did not grant", who(*holder))
        }
        Event::ForeignSeatAdopted { pool, holder, .. } => {
            format!("{}'s foreign seat of {pool} was adopted", who(*holder))
        }
        Event::LapseEnded { pool, holder } => format!("{} is no longer lapsed in {pool}", who(*holder)),
        Event::Queued { pool, holder } => format!("{} was queued for {pool}", who(*holder)),
        Event::Requeued { pool, holder, place } => format!("{} went back to place {place} of {pool}", who(*holder)),
        Event::Dequeued { pool, holder, cause } => {
            format!("{} left the queue of {pool} ({})", who(*holder), word(cause))
        }
        Event::Installed { pool, device, user, seat, .. } => {
            format!("{pool} was installed on {device} for {}, {}", for_whom(*user), by_seat(*seat))
        }
        Event::InstallLicensed { pool, device, user, seat } => {
            format!("The install of {pool} on {device} for {} is {}", for_whom(*user), by_seat(Some(*seat)))
        }
        Event::Uninstalled { pool, device, user } => {
            format!("{pool} was uninstalled from {device} for {}", for_whom(*user))
        }
        Event::RefundRecorded { pool, order, quantity, .. } => {
            format!(
                "{} of {pool} were refunded for order {order}",
                several(usize::try_from(*quantity).unwrap_or(usize::MAX), "seat")
            )
        }
        Event::OfflineLicenseIssued { pool, holder } => {
            format!("An offline license of {pool} was issued to {}", who(*holder))
        }
        Event::CommandRefused { command, pool, holder, target, rejection } => {
            format!("{} was refused: {}", refused(command, *pool, *holder, target.as_ref()), rejection.name())
        }
        Event::BatchRefused { place, commands, command, pool, holder, target, rejection } => {
            format!(
                "A batch of {commands} commands was refused as a whole: {}, at place {place} in it, was refused: {}",
                refused(command, *pool, *holder, target.as_ref()),
                rejection.name()
            )
        }
        Event::RefusalsCounted { position, pool, count, .. } => {
            format!("The refusal at position {position}{} was repeated {count} times", of_pool(*pool))
        }
        Event::CommandUnchanged { command, .. } => format!("{} changed nothing", word(command)),
        Event::ReportRead { report, asked, position } => {
            let about = asked.pool.map(|pool| format!(" of {pool}")).unwrap_or_default();
            let whom = asked.user.map(|user| format!(" about {user}")).unwrap_or_default();
            format!("The report {report}{about}{whom} was read as of {position}")
        }
        Event::LogRestored { log_id_before, log_id } => {
            format!("A backup of log {log_id_before} was restored, and log {log_id} goes on from here")
        }
        Event::ReviewOpened { review, pools, undecided, .. } => {
            let pools = several(pools.len(), "pool");
            format!("{review} was opened over the holders of {pools}; undecided seats: {}", word(undecided))
        }
        Event::ReviewDecided { review, pool, holder, decision, .. } => {
            format!("{review}: {}'s seat of {pool} is to be {}", who(*holder), decided(*decision))
        }
        Event::ReviewClosed { review } => format!("{review} was closed: its decisions are carried out"),
        Event::ReviewCarriedOut { review, pool, holder } => {
            format!("{review} was carried out up to {}'s seat of {pool}", who(*holder))
        }
        Event::ReviewEnded { review, kept, released, gone } => {
            format!("{review} ended: {kept} seats kept, {released} released, {gone} gone before")
        }
        Event::LogKeyRotated { new_key, is_old_key_lost, .. } => {
            let signed = if *is_old_key_lost { "the old one is lost" } else { "the old one signed this as well" };
            format!("The key that signs the log's heads was changed to {new_key}; {signed}")
        }
        Event::ReviewCancelled { review } => format!("{review} was cancelled: nothing of it is carried out"),
    }
}

fn decided(decision: KeepOrRelease) -> &'static str {
    match decision {
        KeepOrRelease::Keep => "kept",
        KeepOrRelease::Release => "released",
    }
}

fn refused(command: &CommandKind, pool: Option<PoolId>, holder: Option<Holder>, target: Option<&Target>) -> String {
    let whom = holder.map(|holder| format!(" and {}", who(holder))).unwrap_or_default();
    let target = target.map(|target| format!(" and {}", target_name(target))).unwrap_or_default();
    format!("{}{}{whom}{target}", word(command), of_pool(pool))
}
