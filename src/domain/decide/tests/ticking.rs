//! Much that falls due at once: ended part by part. Not here: reviews (`reviewing`), and what is due when.

use super::scenario::{POOLS, Step, crowd};
use super::steps::{observed, reservations_time_out_after};
use crate::domain::command::{Actor, Door, Envelope, Observation, UserRef};
use crate::domain::decide::decide;
use crate::domain::facts::DepartureCause;
use crate::domain::ids::UserId;
use crate::domain::state::Tenant;
use crate::domain::time::Time;

/// So many facts came of it.
fn play(tenant: &mut Tenant, step: &Step, now: Time) -> usize {
    let envelope = Envelope {
        recorded_at: now,
        occurred_at: None,
        actor: Actor::Root,
        door: Door::Timer,
        command_id: None,
        content_hash: 0,
        reason: None,
    };
    decide(tenant, &step.intake, &envelope, None).events.len()
}

/// What each tick makes, until nothing is due.
fn ticks(tenant: &mut Tenant, now: Time) -> Vec<usize> {
    let mut made = Vec::new();
    while tenant.is_due(now) {
        made.push(play(tenant, &observed(Observation::Tick), now));
        assert!(made.len() < 100, "{made:?}");
    }
    assert_eq!(tenant.broken_law(), None);
    made
}

#[test]
fn reservations_of_many_pools_that_time_out_together_end_in_parts() {
    let mut tenant = crowd(&POOLS, 3000);
    let now = tenant.last_recorded_at;
    for pool in POOLS {
        play(&mut tenant, &reservations_time_out_after(7).of(pool), now);
    }
    assert_eq!(ticks(&mut tenant, now), [0_usize], "they are looked for once");
    assert_eq!(ticks(&mut tenant, now.plus_days(7)), [4000_usize, 4000, 1000]);
    assert_eq!(tenant.seats_held, 0);
}

#[test]
fn graces_that_end_together_end_in_parts_of_as_many_seats() {
    let mut tenant = crowd(&POOLS, 1500);
    (tenant.settings.departure_grace_days, tenant.settings.brake.share_percent) = (30, 100);
    let now = tenant.last_recorded_at;
    for id in 0..1500 {
        let (user, cause) = (UserRef::Id(UserId(id)), DepartureCause::Deactivated);
        play(&mut tenant, &observed(Observation::Depart { user, cause, retire_devices: false }), now);
    }
    assert_eq!((ticks(&mut tenant, now).len(), tenant.seats_held), (0, 4500));
    // each is one grace and three seats
    assert_eq!(ticks(&mut tenant, now.plus_days(30)), [4000_usize, 2000]);
    assert_eq!(tenant.seats_held, 0);
}
