//! What a held seat takes in memory. A process of its own, in which nothing else is, folds an organization and then its
//! seats, into the state alone or into what readers see as well, and says by how much it grew. Not here: what a service
//! has in memory besides, which `restart` measures.

use super::organization::{POOLS, TENANT};
use super::report::Row;
use super::{Bench, disk, raw};
use crate::cli::exit::{Failure, Finished};
use crate::cli::output;
use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::event::{Event, Recorded, Target};
use crate::domain::facts::{DistributionPolicy, GrantCause, GroupKind, Intent, Mode, Owned, PoolDetails, Settings};
use crate::domain::ids::{AssignmentId, GroupId, PoolId, SubjectId, UserId};
use crate::domain::key::{LicenseType, PoolKey};
use crate::domain::personal::Personal;
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use crate::projection::View;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Duration;

/// What takes the events, and so holds the seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum HeldIn {
    /// What rules read
    State,
    /// That, and what questions read
    View,
}

/// How the seats come to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum HeldBy {
    /// An app is assigned to a group that everybody is in
    Group,
    /// An app is assigned to a person, for each seat anew
    Each,
}

/// The name, what `--held-in` and `--held-by` of the process are, and the goal.
const ROWS: [(&str, &str, &str, &str); 4] = [
    ("a held seat in the state, of a group's assignment", "state", "group", "64 bytes"),
    ("a held seat in the state, with an assignment of its own", "state", "each", ""),
    ("a held seat in state and projections, of a group's assignment", "view", "group", "200 bytes"),
    ("a held seat in state and projections, with an assignment of its own", "view", "each", ""),
];

const EVERYBODY: GroupId = GroupId(0);
/// Longer than the allocator keeps what was let go (`src/main.rs`).
const PAUSE: Duration = Duration::from_millis(1200);
/// So much that the allocator gives it back at once, and does not keep it for the next who asks.
const LARGE_BYTES: usize = 16 << 20;

impl Bench {
    pub(super) async fn held(&self) -> Result<Vec<Row>, Failure> {
        let (users, seats) = (self.args.users.to_string(), self.args.seats.to_string());
        let mut rows = Vec::new();
        for (name, held_in, held_by, goal) in ROWS {
            let command = ["bench", "--held-in", held_in, "--held-by", held_by, "--users", &users, "--seats", &seats];
            let said = disk::ours(command, &[]).await?;
            let said: Option<Value> = serde_json::from_slice(&said).ok();
            let bytes = said.as_ref().and_then(|said| said.get("seat_bytes")?.as_f64());
            let bytes = bytes.ok_or_else(|| Failure::File(format!("{name}: the process did not say it")))?;
            rows.push(Row::once(name, "bytes", bytes).goal(goal));
        }
        Ok(rows)
    }
}

/// The process itself. What it was resident with before the seats is not theirs: apps, people, and the group. Resident is
/// also what the allocator holds and nobody uses, so a figure is rather too high, and of few seats it says nothing.
pub(super) fn measured(held_in: HeldIn, held_by: HeldBy, users: usize, seats: u64) -> Result<Finished, Failure> {
    let mut fold = Fold::founded(held_in, users, POOLS);
    let before = resident_bytes()?;
    fold.hold(held_by, seats);
    let grown = resident_bytes()? - before;
    let held = fold.state().seats_held;
    output::json(&json!({"seats": held, "seat_bytes": grown / (held as f64).max(1.0)}))?;
    Ok(Finished::Well)
}

/// What this process is resident with, once the allocator has given back what was let go. It does so some time later, and
/// only when a whole page of it is let go again: without that, a pause changes nothing.
fn resident_bytes() -> Result<f64, Failure> {
    std::thread::sleep(PAUSE);
    drop(black_box(Vec::<u8>::with_capacity(LARGE_BYTES)));
    Ok(raw::resident_mib(std::process::id())? * 1024.0 * 1024.0)
}

/// Takes events and keeps none of them. `decide` does not make them: it needs a state of its own, and then there would be
/// two in memory.
enum Fold {
    State(Box<Tenant>),
    View(Box<View>),
}

impl Fold {
    /// An organization of so many people, all of them in one group, and so many apps, of which nobody holds a seat.
    fn founded(held_in: HeldIn, users: usize, pools: usize) -> Self {
        let mut fold = match held_in {
            HeldIn::State => Self::State(Box::default()),
            HeldIn::View => Self::View(Box::default()),
        };
        fold.take(Event::TenantCreated { slug: TENANT.into(), name: "Bench".into(), settings: Settings::default() });
        for (at, pool) in (0..pools).map(|at| (at, PoolId::at(at))) {
            fold.take(Event::PoolListed {
                pool,
                key: Box::new(PoolKey::Declared { sku: format!("app{at}") }),
                details: PoolDetails::declared(LicenseType::Offline),
                owned: Owned::Unlimited,
                distribution_policy: DistributionPolicy::Restricted,
                price: None,
            });
            fold.take(Event::PoolNamed { pool, language: "en".into(), name: format!("App {at}"), publisher: None });
        }
        for user in 0..users {
            let profile = Personal { subject: SubjectId(user as u64), sealed: vec![7; 64], aliases: Vec::new() };
            fold.take(Event::UserAdded { user: UserId::at(user), profile });
        }
        let kind = GroupKind::Users;
        fold.take(Event::GroupAdded { group: EVERYBODY, external_id: "everybody".into(), kind });
        let members = (0..users).map(|user| UserId::at(user).into()).collect();
        fold.take(Event::MembersAdded { group: EVERYBODY, members });
        fold
    }

    /// Until so many seats are held, or everybody holds one of every app. A group is assigned whole, so that its last app
    /// may take it some seats further.
    fn hold(&mut self, held_by: HeldBy, seats: u64) {
        let (users, pools) = (self.state().users.len(), self.state().pools.len());
        let seats = usize::try_from(seats).unwrap_or(usize::MAX).min(users * pools);
        match held_by {
            HeldBy::Group => {
                for pool in (0..seats.div_ceil(users.max(1))).map(PoolId::at) {
                    self.assign(pool, Target::Group { group: EVERYBODY, exclude: None });
                    (0..users).for_each(|user| self.take(granted(pool, UserId::at(user))));
                }
            }
            HeldBy::Each => {
                // each pair once; two that follow each other are of different people and apps
                for at in 0..seats {
                    let (pool, user) = (PoolId::at((at / users + at % users) % pools), UserId::at(at % users));
                    self.assign(pool, Target::User(user));
                    self.take(granted(pool, user));
                }
            }
        }
    }

    fn assign(&mut self, pool: PoolId, target: Target) {
        self.take(made(AssignmentId::at(self.state().assignments.len()), pool, target));
    }

    fn state(&self) -> &Tenant {
        match self {
            Self::State(state) => state,
            Self::View(view) => &view.state,
        }
    }

    fn take(&mut self, event: Event) {
        let recorded = Recorded { position: self.state().next_position, envelope: envelope(), event };
        match self {
            Self::State(state) => state.evolve(&recorded.event, &recorded.meta()),
            Self::View(view) => view.take(&recorded),
        }
    }
}

fn envelope() -> Envelope {
    Envelope {
        recorded_at: Time(1_790_000_000_000_000),
        occurred_at: None,
        actor: Actor::Root,
        door: Door::Bulk,
        command_id: None,
        content_hash: 7,
        reason: None,
    }
}

fn made(assignment: AssignmentId, pool: PoolId, target: Target) -> Event {
    let (intent, mode) = (Intent::Required, Mode::AllOrNothing);
    Event::AssignmentMade { assignment, pool, target, intent, mode, licensing: None }
}

fn granted(pool: PoolId, user: UserId) -> Event {
    Event::SeatGranted { pool, holder: user.into(), cause: GrantCause::Assignment, in_use: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Command, GroupRef, Intake, PoolRef, TargetRef, UserRef};
    use crate::domain::decide::decide;
    use clap::ValueEnum as _;

    const USERS: usize = 20;
    const POOLS: usize = 10;

    #[test]
    fn as_many_seats_are_held_as_were_asked_for() {
        for (asked, held) in [(100, 100), (1000, USERS * POOLS)] {
            for held_in in HeldIn::value_variants() {
                for held_by in HeldBy::value_variants() {
                    let mut fold = Fold::founded(*held_in, USERS, POOLS);
                    fold.hold(*held_by, asked);
                    let state = fold.state();
                    assert_eq!(state.seats_held, held as u64, "{held_in:?} {held_by:?}");
                    let assignments = match held_by {
                        HeldBy::Group => held / USERS,
                        HeldBy::Each => held,
                    };
                    assert_eq!(state.assignments.len(), assignments, "{held_in:?} {held_by:?}");
                    assert_eq!(state.broken_law(), None, "{held_in:?} {held_by:?}");
                }
            }
        }
    }

    #[test]
    fn the_rules_make_the_same_events() {
        let judged = |target| {
            let Fold::State(mut state) = Fold::founded(HeldIn::State, USERS, POOLS) else {
                panic!("the fold is of the state")
            };
            let (pool, intent) = (PoolRef::Id(PoolId(0)), Intent::Required);
            let command = Command::Assign { pool, target, intent, mode: None, licensing: None };
            decide(&mut state, &Intake::Command(command), &envelope(), None).events
        };
        let (pool, first) = (PoolId(0), AssignmentId(0));
        let group = Target::Group { group: EVERYBODY, exclude: None };
        let everybody = (0..USERS).map(|user| granted(pool, UserId::at(user)));
        let of_group: Vec<Event> = std::iter::once(made(first, pool, group)).chain(everybody).collect();
        assert_eq!(judged(TargetRef::Group { group: GroupRef::Id(EVERYBODY), exclude: None }), of_group);
        let of_one = vec![made(first, pool, Target::User(UserId(3))), granted(pool, UserId(3))];
        assert_eq!(judged(TargetRef::User(UserRef::Id(UserId(3)))), of_one);
    }

    #[test]
    fn the_options_of_each_row_are_known() {
        for (name, held_in, held_by, _) in ROWS {
            assert!(HeldIn::from_str(held_in, false).is_ok(), "{name}: {held_in}");
            assert!(HeldBy::from_str(held_by, false).is_ok(), "{name}: {held_by}");
        }
    }
}
