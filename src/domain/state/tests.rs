//! What a copy of a state shares with it.

use super::{Meta, Names, Tenant};
use crate::domain::command::Actor;
use crate::domain::event::Event;
use crate::domain::facts::{DeviceFacts, GroupKind, Join, ReleaseCause};
use crate::domain::ids::{DeviceId, GroupId, HeldId, PoolId, SubjectId, UserId};
use crate::domain::personal::{Alias, AliasKind, Blind, Personal};
use crate::domain::time::Time;
use std::sync::Arc;

const MANY: u32 = 60;

fn take(tenant: &mut Tenant, event: &Event) {
    let position = tenant.next_position;
    tenant.evolve(event, &Meta { position, recorded_at: Time(5), actor: Actor::Root });
}

fn named(kind: AliasKind, number: u32) -> Personal {
    let mut blind = [0; 16];
    blind[..4].copy_from_slice(&number.to_le_bytes());
    Personal { subject: SubjectId(number.into()), sealed: vec![1], aliases: vec![Alias { kind, blind: Blind(blind) }] }
}

/// Many people, each with a device and a group, and something that the brake holds.
fn crowd() -> Tenant {
    let mut tenant = Tenant { slug: "crowd".into(), seats_held: 7, ..Tenant::default() };
    for n in 0..MANY {
        let (user, device) = (UserId(n), DeviceId(n));
        take(&mut tenant, &Event::UserAdded { user, profile: named(AliasKind::UserName, n) });
        let facts = DeviceFacts {
            platform: String::new(),
            join: Join::None,
            is_enrolled: true,
            os_build: None,
            has_serial: true,
        };
        let names = named(AliasKind::Serial, n);
        take(&mut tenant, &Event::DeviceAdded { device, names, facts, primary_user: Some(user) });
        let (group, external_id) = (GroupId(n), format!("group{n}"));
        take(&mut tenant, &Event::GroupAdded { group, external_id, kind: GroupKind::Mixed });
    }
    let seats = vec![(PoolId(0), UserId(3).into())];
    take(&mut tenant, &Event::EndingsHeld { held: HeldId(0), sync: None, cause: ReleaseCause::Lost, seats });
    tenant
}

/// Of users, devices, groups and sealed names: how many pieces two states do not share.
fn apart(one: &Tenant, other: &Tenant) -> [usize; 4] {
    [
        one.users.pieces_apart(&other.users),
        one.devices.pieces_apart(&other.devices),
        one.groups.pieces_apart(&other.groups),
        one.names.pieces_apart(&other.names),
    ]
}

#[test]
fn a_copy_of_a_state_has_of_its_own_only_the_pieces_that_were_changed_since() {
    let tenant = crowd();
    let mut copy = tenant.clone();
    assert_eq!(apart(&tenant, &copy), [0; 4]);
    assert!(Arc::ptr_eq(&tenant.held[&HeldId(0)], &copy.held[&HeldId(0)]));
    copy.user_mut(UserId(17)).etag = 1_000;
    assert_eq!(apart(&tenant, &copy), [1, 0, 0, 0]);
    let own: Vec<usize> = (0..MANY as usize)
        .filter(|at| !Arc::ptr_eq(tenant.users.get(*at).unwrap(), copy.users.get(*at).unwrap()))
        .collect();
    assert_eq!(own, [17], "of a piece that is copied, who was not changed is shared");
    assert_ne!(tenant.user(UserId(17)).etag, 1_000);
    copy.device_mut(DeviceId(MANY - 1)).etag = 1_000;
    copy.group_mut(GroupId(0)).etag = 1_000;
    copy.names.erase(DeviceId(8).into());
    assert_eq!(apart(&tenant, &copy), [1; 4]);
    copy.links_mut(UserId(17).into()).seats.insert(PoolId(0));
    assert_eq!(apart(&tenant, &copy), [1; 4], "what is its own already is not copied again");
    take(&mut copy, &Event::UserAdded { user: UserId(MANY), profile: named(AliasKind::UserName, MANY) });
    assert_eq!(apart(&tenant, &copy), [2, 1, 1, 2]);
    assert_eq!((tenant.users.len(), copy.users.len()), (MANY as usize, MANY as usize + 1));
    let held = Event::EndingsHeld {
        held: HeldId(0),
        sync: None,
        cause: ReleaseCause::Lost,
        seats: vec![(PoolId(0), UserId(4).into())],
    };
    take(&mut copy, &held);
    assert_eq!((tenant.held[&HeldId(0)].seats.len(), copy.held[&HeldId(0)].seats.len()), (1, 2));
}

#[test]
fn without_names_a_state_has_everything_else() {
    let mut tenant = crowd();
    let bare = tenant.without_names();
    assert_eq!(apart(&tenant, &bare)[..3], [0; 3]);
    assert_eq!(bare.names.holders().count(), 0);
    tenant.names = Names::default();
    assert_eq!(format!("{bare:#?}"), format!("{tenant:#?}"));
}
