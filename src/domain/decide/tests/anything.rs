//! Anything at all may happen to a small organization: the laws hold after every step, and the history folds to the same
//! state. The laws are asked by `scenario` itself.

use super::connector_steps::{begun_so, ended_sync, read};
use super::reviewing::{cancelled, decided, ended, in_review, opened, opened_until};
use super::scenario::{POOLS, Scenario, Step};
use super::steps::*;
use crate::domain::command::{Command, Intake, InventoryItem, ProviderReport, SyncEnd};
use crate::domain::facts::{
    Brake, DistributionPolicy, GroupKind, HeldBy, KeepOrRelease, Licensing, Owned, PoolState, SettingsPatch, SyncSeats,
};
use crate::domain::ids::{HeldId, Holder, PoolId};
use crate::domain::state::{Seat, SeatMark, Tenant};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub(super) fn person() -> impl Strategy<Value = &'static str> {
    select(vec!["ada", "bob", "cy", "dee", "eve"])
}

fn machine() -> impl Strategy<Value = &'static str> {
    select(vec!["laptop", "tablet", "desk", "kiosk", "old", "byod"])
}

pub(super) fn anyone() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => person(), 1 => machine()]
}

fn target() -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => person(), 2 => machine(), 3 => select(vec!["staff", "fleet", "all"])]
}

fn word() -> impl Strategy<Value = KeepOrRelease> {
    select(vec![KeepOrRelease::Keep, KeepOrRelease::Release])
}

fn members() -> impl Strategy<Value = Step> {
    let users = subsequence(vec!["ada", "bob", "cy", "dee", "eve"], 0..=5);
    let devices = subsequence(vec!["laptop", "tablet", "desk", "kiosk", "old", "byod"], 0..=6);
    (users, devices, 0..3_u8).prop_map(|(users, devices, which)| match which {
        0 => people("staff", &users),
        1 => machines("fleet", &devices),
        2.. => group(GroupKind::Mixed, "all", &[users, devices].concat()),
    })
}

/// Two pools of one provider, both, one or none of them in an inventory.
fn stock(kind: Kind) -> impl Strategy<Value = Vec<InventoryItem>> {
    let one = move |name: &'static str| {
        (0..6_u64, 0..10_u8, any::<bool>(), prop::option::of(0..4_u64)).prop_map(
            move |(owned, odd, is_there, store_used)| {
                let mut item = item(kind, name, owned);
                item.store_used = store_used;
                match odd {
                    0 => item.distribution_policy = DistributionPolicy::Open,
                    1 => item.owned = Owned::Unlimited,
                    2 => item.ends_on = Some(on("2026-06-20")),
                    3 => item.is_encrypted = true,
                    4 => item.details.requires_windows_1511 ^= true,
                    5 => {
                        item.details.held_by = match item.details.held_by {
                            HeldBy::User => HeldBy::UserOrDevice,
                            HeldBy::UserOrDevice => HeldBy::User,
                        }
                    }
                    6.. => {}
                }
                is_there.then_some(item)
            },
        )
    };
    (one("office"), one("visio")).prop_map(|(office, visio)| office.into_iter().chain(visio).collect())
}

fn by_an_administrator() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => target().prop_map(required),
        4 => target().prop_map(required_as_far_as_it_goes),
        3 => target().prop_map(available),
        2 => target().prop_map(to_be_uninstalled),
        1 => Just(required_but_for("all", "staff")),
        1 => (machine(), any::<bool>()).prop_map(|(machine, is_user)| {
            required(machine).licensed_to(if is_user { Licensing::User } else { Licensing::Device })
        }),
        4 => (0..12_u32).prop_map(unassigned),
        3 => anyone().prop_map(reclaimed),
        2 => anyone().prop_map(adopted),
        3 => anyone().prop_map(granted),
        1 => Just(deficit_resolved()),
        1 => Just(deficits_are_reclaimed()),
        1 => word().prop_map(on_uninstall),
        1 => word().prop_map(untargeted),
        1 => (1..9_u32).prop_map(reservations_time_out_after),
        1 => (0..4_u32).prop_map(grace_of),
        2 => (0..5_u64, 0..50_u32).prop_map(|(quantity, order)| refunded(&format!("order-{order}"), quantity, "2026-06-01")),
        1 => (0..3_u64).prop_map(|at_least| settings(SettingsPatch {
            brake: Some(Brake { share_percent: 20, at_least }),
            ..SettingsPatch::default()
        })),
        2 => by_a_reviewer(),
        1 => (0..4_u32).prop_map(|held| Intake::Command(Command::ConfirmHeld { held: HeldId(held) }).into()),
        1 => person().prop_map(erased),
    ]
}

fn by_a_reviewer() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (word(), prop::option::of(1..20_i64)).prop_map(|(rule, days)| match days {
            Some(days) => opened_until(rule, days, &POOLS[..2]),
            None => opened(rule, &POOLS[..2]),
        }),
        4 => (0..4_u32, anyone(), word()).prop_map(|(review, who, word)| in_review(review, decided(who, word))),
        1 => (0..4_u32).prop_map(|review| in_review(review, ended())),
        1 => (0..4_u32).prop_map(|review| in_review(review, cancelled())),
    ]
}

fn by_the_outside() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => members(),
        1 => select(vec!["staff", "fleet", "all"]).prop_map(group_deleted),
        6 => (machine(), person(), any::<bool>()).prop_map(|(machine, who, is_report)| {
            if is_report { reported_installed(machine, who) } else { installed(machine, who) }
        }),
        2 => machine().prop_map(|machine| reported_installed(machine, "")),
        4 => (machine(), person()).prop_map(|(machine, who)| uninstalled(machine, who)),
        1 => machine().prop_map(|machine| uninstalled(machine, "")),
        2 => person().prop_map(deactivated),
        1 => person().prop_map(deactivated_with_devices),
        3 => person().prop_map(returned),
        1 => machine().prop_map(retired),
        1 => machine().prop_map(wiped),
        2 => machine().prop_map(|machine| device_put(machine, |_| {})),
        1 => machine().prop_map(|machine| device_put(machine, |facts| facts.os_build = None)),
        2 => (0..5_i64).prop_map(days_pass),
    ]
}

fn by_the_store() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => anyone().prop_map(confirmed),
        1 => anyone().prop_map(grant_refused),
        2 => anyone().prop_map(not_enough),
        3 => anyone().prop_map(release_sent),
        3 => anyone().prop_map(release_confirmed),
        1 => anyone().prop_map(release_refused),
        2 => anyone().prop_map(seen),
        2 => anyone().prop_map(absent),
        1 => Just(store(ProviderReport::Suspended)),
        2 => Just(store(ProviderReport::Resumed)),
    ]
}

/// A sync that takes a while: begun, its items and what it did not see the second time, its end. Whose it is, is found when
/// it is played.
fn by_a_connector(kind: Kind) -> impl Strategy<Value = Step> {
    let lost = prop::collection::vec(anyone(), 0..4);
    let gone = select(vec![vec![], vec![PoolId(0)], vec![PoolId(1)]]);
    let seats = (0..9_u64).prop_map(|seen| SyncSeats { seen, foreign: 1, lost: 0 });
    prop_oneof![
        3 => (any::<bool>(), 0..4_u8).prop_map(move |(is_full, odd)| begun_so(kind, is_full, odd == 0)),
        3 => (stock(kind), gone, lost).prop_map(move |(items, gone, lost)| read(kind, items, &gone, &lost)),
        3 => seats.prop_map(|seats| ended_sync(SyncEnd::Completed { seats })),
        1 => Just(ended_sync(SyncEnd::Failed { reason: "cut".into() })),
    ]
}

pub(super) fn step(kind: Kind) -> impl Strategy<Value = Step> {
    let about_a_pool = prop_oneof![5 => by_an_administrator(), 5 => by_the_outside(), 3 => by_the_store()];
    let spread =
        (about_a_pool, any::<bool>()).prop_map(|(step, other)| if other { step.of_if_it_can(POOLS[1]) } else { step });
    prop_oneof![
        9 => spread,
        1 => (stock(kind), any::<bool>()).prop_map(move |(items, is_complete)| {
            if is_complete { synced(kind, items) } else { told_of(kind, items) }
        }),
        1 => by_a_connector(kind),
    ]
}

fn life() -> impl Strategy<Value = (Kind, Vec<Step>)> {
    select(Kind::ALL.to_vec()).prop_flat_map(|kind| (Just(kind), prop::collection::vec(step(kind), 1..=200)))
}

/// What the rules promise of a state beyond the laws: who waits is covered or was offered the seat, who lapsed is covered,
/// and whoever must have the app has a seat, a place, or lapsed.
fn broken_rule(tenant: &Tenant) -> Option<String> {
    let users = tenant.users.iter().map(|user| Holder::User(user.id));
    let everyone: Vec<Holder> = users.chain(tenant.devices.iter().map(|device| Holder::Device(device.id))).collect();
    let pairs = tenant.pools.iter().flat_map(|pool| everyone.iter().map(move |holder| (pool, *holder)));
    pairs.into_iter().find_map(|(pool, holder)| {
        let coverage = tenant.coverage(pool.id, holder);
        let (waits, lapsed) = (pool.queued.contains_key(&holder), tenant.is_lapsed(pool.id, holder));
        let seat = pool.seats.get(&holder);
        let flagged = seat.is_some_and(|seat| seat.is(SeatMark::RegrantWanted));
        let broken = [
            (waits && !coverage.is_covered() && !is_offered(tenant, pool.id, holder), "waits and may not have it"),
            (waits && pool.state == PoolState::Removed, "waits for an app that is gone"),
            (lapsed && !coverage.is_covered(), "lapsed and is not covered"),
            (lapsed && waits, "lapsed and waits"),
            (
                pool.places_kept.contains_key(&holder) && seat.is_none_or(Seat::is_confirmed),
                "would go back to a place in the queue without a seat that can be refused",
            ),
            (flagged != pool.regrants.values().any(|other| *other == holder), "is flagged in one place"),
            (
                coverage.is_required && seat.is_none() && !waits && !lapsed && pool.state != PoolState::Removed,
                "must have it, and nothing is done about it",
            ),
        ];
        let (_, what) = broken.into_iter().find(|(is_broken, _)| *is_broken)?;
        Some(format!("{}: {holder} {what}", pool.id))
    })
}

fn is_offered(tenant: &Tenant, pool: PoolId, holder: Holder) -> bool {
    match holder {
        Holder::User(user) => tenant.user(user).offered.contains(&pool),
        Holder::Device(_) => false,
    }
}

/// As many cases as PROPTEST_CASES says, and 64 where it says nothing (proptest itself would say 256).
pub(super) fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = if usual.cases == 256 { 64 } else { usual.cases };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 1024, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_laws_hold_whatever_happens((kind, steps) in life()) {
        let mut scenario = Scenario::after(&[
            told_of(kind, vec![item(kind, "office", 3), item(kind, "visio", 2)]),
            people("staff", &["ada", "bob"]),
            machines("fleet", &["laptop", "desk"]),
            group(GroupKind::Mixed, "all", &["cy", "kiosk"]),
        ]);
        for step in steps {
            let step = step.of_what_runs(&scenario.tenant);
            scenario.play(&step);
            prop_assert_eq!(broken_rule(&scenario.tenant), None, "after {:?}", step);
        }
        scenario.assert_the_fold_is_the_state();
    }
}
