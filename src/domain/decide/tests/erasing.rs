//! rules.md §7, personal data: whose names may be erased, and what nobody may do with them afterwards.

use super::scenario::{Scenario, check, check_each, device, holder, user};
use super::steps::*;
use crate::domain::command::{DeviceRef, Observation, UserRef};
use crate::domain::facts::{DeviceFacts, Join};
use crate::domain::ids::{DeviceId, SubjectId, UserId};
use crate::domain::personal::Personal;
use expect_test::expect;

#[test]
fn who_is_here_keeps_their_names() {
    check(
        &[listed(Kind::Declared, 2)],
        erased("ada"),
        expect![[r#"
        command_refused erase ada user_not_departed
        = office: 0 of 2
    "#]],
    );
    check(
        &[listed(Kind::Declared, 2)],
        erased("laptop"),
        expect![[r#"
        command_refused erase laptop device_not_retired
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn names_go_when_every_seat_that_can_be_given_back_is() {
    let all = [Kind::Online, Kind::Offline, Kind::Apple, Kind::Books, Kind::Declared];
    let given = |kind| vec![listed(kind, 2), required("ada"), deactivated("ada")];
    check_each(
        &all,
        given,
        erased("ada"),
        expect![[r#"
        -- Online Apple
        command_refused erase ada seats_still_held held 1
        = office: 1 of 2, 1 releasing
        -- Offline Declared
        names_erased ada subject 0
        = office: 0 of 2
        -- Books
        names_erased ada subject 0
        = office: 1 of 2, 1 reserved
    "#]],
    );
    let given = [listed(Kind::Apple, 2), required("ada"), confirmed("ada"), deactivated("ada")];
    let sent = [&given[..], &[release_sent("ada")]].concat();
    let confirmed = [&sent[..], &[release_confirmed("ada")]].concat();
    check(
        &sent,
        erased("ada"),
        expect![[r#"
        command_refused erase ada seats_still_held held 1
        = office: 1 of 2, 1 releasing
    "#]],
    );
    check(
        &confirmed,
        erased("ada"),
        expect![[r#"
        names_erased ada subject 0
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn while_a_grace_runs_the_seats_are_still_to_be_given_back() {
    let given = [listed(Kind::Declared, 2), grace_of(3), required("ada"), deactivated("ada")];
    check(
        &given,
        erased("ada"),
        expect![[r#"
        command_refused erase ada seats_still_held held 1
        = office: 1 of 2, 1 reserved
    "#]],
    );
    let given = [&given[..], &[days_pass(4)]].concat();
    check(
        &given,
        erased("ada"),
        expect![[r#"
        names_erased ada subject 0
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn a_deleted_user_and_a_retired_device_are_erased_by_id() {
    check(
        &[listed(Kind::Declared, 2), deleted("ada")],
        erased("ada"),
        expect![[r#"
        names_erased ada subject 0
        = office: 0 of 2
    "#]],
    );
    check(
        &[listed(Kind::Declared, 2), retired("laptop")],
        erased("laptop"),
        expect![[r#"
        names_erased laptop subject 100
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn what_was_erased_is_erased_once_and_learns_no_new_names() {
    let given = [listed(Kind::Declared, 2), deactivated("ada"), erased("ada"), retired("laptop"), erased("laptop")];
    check(
        &given,
        erased("ada"),
        expect![[r#"
        command_unchanged erase about user ada
        = office: 0 of 2
    "#]],
    );
    check(
        &given,
        returned("ada"),
        expect![[r#"
        command_refused return names_erased
        = office: 0 of 2
    "#]],
    );
    check(
        &given,
        person_put(UserRef::Id(user("ada")), "zoe"),
        expect![[r#"
        command_refused put_user names_erased
        = office: 0 of 2
    "#]],
    );
    let names = Personal { subject: SubjectId(7), sealed: vec![7], aliases: vec![] };
    let facts = DeviceFacts {
        platform: "any".into(),
        join: Join::Entra,
        is_enrolled: true,
        os_build: Some(1),
        has_serial: true,
    };
    let laptop = DeviceRef::Id(device("laptop"));
    let put = Observation::PutDevice { device: laptop, names, identity: None, facts, primary_user: None };
    check(
        &given,
        observed(put),
        expect![[r#"
        command_refused put_device names_erased
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn nobody_is_found_by_an_erased_name_and_others_may_have_it() {
    let given = [deactivated("ada"), erased("ada"), retired("laptop"), erased("laptop")];
    let mut scenario = Scenario::after(&given);
    let known = |scenario: &Scenario, name: &str| scenario.tenant.names.user(blind(0, name));
    assert_eq!((known(&scenario, "ada"), known(&scenario, "bob")), (None, Some(user("bob"))));
    assert_eq!(scenario.tenant.names.device_by_serial(blind(1, "laptop")), None);
    assert_eq!(scenario.tenant.names.device_by_device_id(blind(2, "laptop")), None);
    for name in ["ada", "laptop"] {
        let stored = scenario.tenant.names.of(holder(name)).expect("it has its place");
        assert!(stored.is_erased() && stored.personal.sealed.is_empty() && stored.aliases.is_empty());
    }
    assert!(!scenario.tenant.names.is_erased(holder("bob")));
    let (people, devices) = (scenario.tenant.users.len(), scenario.tenant.devices.len());
    scenario.play(&person_put(UserRef::Name(blind(0, "ada")), "ada"));
    scenario.play(&device_put("laptop", |_| {}));
    scenario.assert_the_fold_is_the_state();
    assert_eq!(known(&scenario, "ada"), Some(UserId::at(people)));
    assert_eq!(scenario.tenant.names.device_by_serial(blind(1, "laptop")), Some(DeviceId::at(devices)));
    assert!(scenario.tenant.names.is_erased(holder("ada")) && scenario.tenant.names.is_erased(holder("laptop")));
}
