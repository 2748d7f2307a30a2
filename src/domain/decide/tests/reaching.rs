//! Whom a change reaches, and what reaches whom: the answers that are looked up beside those of a plain walk over every
//! assignment and every device.

use super::anything::{config, step};
use super::scenario::{DEVICES, Scenario, Step, device, user};
use super::steps::*;
use crate::domain::command::{Actor, Door, Envelope, Intake, Observation};
use crate::domain::coverage::Coverage;
use crate::domain::decide::Judge;
use crate::domain::facts::{DeviceFacts, GroupKind, HeldBy, Intent, Join, Licensing};
use crate::domain::ids::{AssignmentId, Holder, PoolId};
use crate::domain::state::{Assignment, InstallKey, Pool, Tenant};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};

type Reached = BTreeMap<(PoolId, Holder), (Coverage, Vec<AssignmentId>)>;

fn everybody(tenant: &Tenant) -> Vec<(PoolId, Holder)> {
    let users = tenant.users.iter().map(|user| Holder::User(user.id));
    let all: Vec<Holder> = users.chain(tenant.devices.iter().map(|device| Holder::Device(device.id))).collect();
    tenant.pools.iter().flat_map(|pool| all.iter().map(|holder| (pool.id, *holder))).collect()
}

fn looked_up(tenant: &Tenant) -> Reached {
    let all = everybody(tenant);
    let together = tenant.coverages(all.iter().copied());
    let answers = all.iter().zip(together).map(|(&(pool, holder), covered)| {
        assert_eq!(tenant.coverage(pool, holder), covered, "{pool} {holder}: by itself and with all others");
        ((pool, holder), (covered, tenant.assignments_of(pool, holder)))
    });
    answers.collect()
}

fn walked(tenant: &Tenant) -> Reached {
    everybody(tenant).into_iter().map(|pair| (pair, walk(tenant, tenant.pool(pair.0), pair.1))).collect()
}

/// Every assignment of the pool is asked whether it reaches the holder, by itself or through any device that there is.
fn walk(tenant: &Tenant, pool: &Pool, holder: Holder) -> (Coverage, Vec<AssignmentId>) {
    let (mut own, mut through) = (BTreeMap::new(), BTreeMap::new());
    for assignment in tenant.assignments.iter().filter(|made| made.pool == pool.id && !made.is_ended) {
        match walked_to(tenant, pool, assignment, holder) {
            (true, _) => own.insert(assignment.id, assignment.intent),
            (false, true) => through.insert(assignment.id, assignment.intent),
            (false, false) => None,
        };
    }
    let says = |of: &BTreeMap<AssignmentId, Intent>, intent| of.values().any(|said| *said == intent);
    let is_either = |intent| says(&own, intent) || says(&through, intent);
    let (is_required, is_available) = (is_either(Intent::Required), is_either(Intent::Available));
    let is_offered_itself = says(&own, Intent::Available);
    let is_uninstall = says(&own, Intent::Uninstall) || (says(&through, Intent::Uninstall) && !is_offered_itself);
    let mut all: Vec<AssignmentId> = own.into_keys().chain(through.into_keys()).collect();
    all.sort_unstable();
    (Coverage { is_required, is_available, is_uninstall }, all)
}

/// Whether it reaches the holder itself, and whether through a device.
fn walked_to(tenant: &Tenant, pool: &Pool, assignment: &Assignment, holder: Holder) -> (bool, bool) {
    let is_user_only = pool.details.held_by == HeldBy::User;
    let goes_to_users = is_user_only || assignment.licensing == Some(Licensing::User);
    let mut devices = tenant.devices.iter().filter(|device| {
        !device.is_retired
            && tenant.target_holds(assignment, device.id.into())
            && tenant.is_eligible(pool, &device.facts, !goes_to_users)
    });
    match holder {
        Holder::User(user) if tenant.user(user).departed.is_some() => (false, false),
        Holder::User(user) => {
            let has_app = |device| is_user_only && pool.installs.contains_key(&InstallKey { device, user: Some(user) });
            let is_theirs = devices.any(|device| device.primary_user == Some(user) || has_app(device.id));
            (tenant.target_holds(assignment, holder), goes_to_users && is_theirs)
        }
        Holder::Device(own) => (!goes_to_users && devices.any(|device| device.id == own), false),
    }
}

/// Whom the rules look at for a change of a device; `None` where the step is about none.
fn looked_at(before: &Tenant, step: &Step, after: &Tenant) -> Option<BTreeSet<(PoolId, Holder)>> {
    let envelope = Envelope {
        recorded_at: after.last_recorded_at,
        occurred_at: None,
        actor: Actor::Root,
        door: Door::Http,
        command_id: None,
        content_hash: 0,
        reason: None,
    };
    let mut tenant = before.clone();
    let judge = Judge::new(&mut tenant, &envelope, None);
    let Intake::Observation(observation) = &step.intake else { return None };
    let reaches = if let Observation::PutDevice { device, facts, primary_user, .. } = observation {
        let device = judge.device_id(*device).ok()?;
        let next_user = primary_user.map(|user| judge.user_id(user)).transpose().ok()?;
        let is_wiped = before.device(device).incarnation != after.device(device).incarnation;
        judge.reaches_of_change(device, facts, next_user, is_wiped)
    } else if let Observation::RetireDevice { device } = observation {
        judge.device_reaches(judge.device_id(*device).ok()?, None, |_| true)
    } else {
        return None;
    };
    Some(reaches.into_iter().map(|reach| (reach.pool, reach.holder)).collect())
}

fn machine() -> impl Strategy<Value = &'static str> {
    select(DEVICES.map(|(name, ..)| name).to_vec())
}

/// A device changes hands, becomes another one or learns something; ada has many.
fn device_changed() -> impl Strategy<Value = Step> {
    let owner = select(vec![None, Some("ada"), Some("ada"), Some("ada"), Some("bob")]);
    let facts =
        (any::<bool>(), any::<bool>(), any::<bool>(), select(vec![None, Some(10_240), Some(10_586), Some(19_045)]));
    (machine(), owner, facts, 0..5_u8).prop_map(|(name, owner, (is_joined, is_enrolled, has_serial, os_build), odd)| {
        let join = if is_joined { Join::Entra } else { Join::None };
        let identity = if odd == 0 { format!("{name}2") } else { name.to_owned() };
        let facts = DeviceFacts { platform: "any".into(), join, is_enrolled, os_build, has_serial };
        enrolled(name, &identity, facts, owner)
    })
}

fn assigned() -> impl Strategy<Value = Step> {
    let target = prop_oneof![1 => Just("ada"), 3 => machine(), 3 => select(vec!["staff", "fleet", "all", "spare"])];
    (target, 0..6_u8).prop_map(|(target, odd)| match odd {
        0 => required_as_far_as_it_goes(target),
        1 => required_as_far_as_it_goes(target).licensed_to(Licensing::User),
        2 => available(target).licensed_to(Licensing::User),
        3 => to_be_uninstalled(target).licensed_to(Licensing::User),
        4 => to_be_uninstalled(target),
        5.. => available(target),
    })
}

fn life() -> impl Strategy<Value = (Kind, Vec<Step>)> {
    select(Kind::ALL.to_vec()).prop_flat_map(|kind| {
        let one = prop_oneof![
            4 => step(kind),
            3 => device_changed(),
            3 => assigned(),
            2 => (machine(), select(vec!["ada", "bob"])).prop_map(|(machine, who)| reported_installed(machine, who)),
            1 => machine().prop_map(retired),
        ];
        (Just(kind), prop::collection::vec(one, 1..=60))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_looked_up_is_what_a_plain_walk_finds((kind, steps) in life()) {
        let mut scenario = Scenario::after(&[
            told_of(kind, vec![item(kind, "office", 3), item(kind, "visio", 2)]),
            people("staff", &["ada", "bob"]),
            machines("fleet", &["laptop", "desk"]),
            machines("spare", &["tablet"]),
            group(GroupKind::Mixed, "all", &["cy", "kiosk"]),
        ]);
        let mut was = walked(&scenario.tenant);
        for step in steps {
            let step = step.of_what_runs(&scenario.tenant);
            let before = scenario.tenant.clone();
            scenario.play(&step);
            let is = walked(&scenario.tenant);
            prop_assert_eq!(&looked_up(&scenario.tenant), &is, "after {:?}", step);
            if let Some(looked_at) = looked_at(&before, &step, &scenario.tenant) {
                for (pair, (covered, _)) in &is {
                    let changes = was.get(pair).is_some_and(|(before, _)| before != covered);
                    prop_assert!(!changes || looked_at.contains(pair), "{:?} is not looked at: {:?}", pair, step);
                }
            }
            was = is;
        }
    }
}

/// A step, and who is looked at for it.
fn looked_at_for(given: &[Step], step: &Step) -> Vec<Holder> {
    let mut scenario = Scenario::after(given);
    let before = scenario.tenant.clone();
    scenario.play(step);
    let all = looked_at(&before, step, &scenario.tenant).expect("a step about a device");
    all.into_iter().map(|(_, holder)| holder).collect()
}

#[test]
fn nobody_is_looked_at_whom_a_change_of_a_device_can_not_reach() {
    let (laptop, ada) = (Holder::Device(device("laptop")), Holder::User(user("ada")));
    let given = |kind| [listed(kind, 5), machines("fleet", &["laptop", "tablet"]), required("fleet")];
    let of_build = |build| device_put("laptop", |facts| facts.os_build = Some(build));
    // as eligible as before
    for kind in Kind::ALL {
        assert_eq!(looked_at_for(&given(kind), &of_build(10_586)), [], "{kind:?}");
    }
    assert_eq!(looked_at_for(&given(Kind::Declared), &of_build(10_240)), []);
    // seats of its own
    for kind in [Kind::Offline, Kind::Apple, Kind::Declared] {
        assert_eq!(looked_at_for(&given(kind), &retired("laptop")), [laptop], "{kind:?}");
    }
    assert_eq!(looked_at_for(&given(Kind::Offline), &of_build(10_240)), [laptop]);
    // seats of its user
    assert_eq!(looked_at_for(&given(Kind::Online), &of_build(10_240)), [ada, laptop]);
    assert_eq!(looked_at_for(&given(Kind::Online), &retired("laptop")), [ada, laptop]);
    // covered through another device, whatever becomes of this one
    let elsewhere =
        [listed(Kind::Online, 5), machines("fleet", &["tablet"]), required("fleet"), installed("laptop", "ada")];
    assert_eq!(looked_at_for(&elsewhere, &retired("laptop")), [laptop]);
}
