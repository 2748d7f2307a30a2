//! What stays of a batch that had to be whole and was not: the refusal that stopped it. Not here: taking the batch back.

use super::{CountedRefusal, Judged};
use crate::domain::command::Envelope;
use crate::domain::event::{Event, Target};
use crate::domain::ids::{GroupId, Holder};
use crate::domain::rejection::RejectionClass;
use crate::domain::state::{Meta, RefusalKey, Tenant};
use crate::domain::time::HOUR_MICROS;

/// The place of what was refused in its batch, from 0, and how many commands the batch had.
#[derive(Debug, Clone, Copy)]
pub struct Undone {
    pub place: u32,
    pub commands: u32,
}

/// Takes the refusal of one command into the state in which nothing of its batch happened. It keeps the figures that it was
/// judged by; who came into the ledger only with the batch is not named, because there is nobody of that id now. Without
/// an id it is counted where an equal one is less than an hour old, and no record is left of what is no conflict.
///
/// `None` if the fact is no refusal.
pub fn refuse_batch(tenant: &mut Tenant, refusal: &Event, undone: Undone, envelope: &Envelope) -> Option<Judged> {
    let Event::CommandRefused { command, pool, holder, target, rejection } = refusal else { return None };
    let pool = pool.filter(|pool| pool.index() < tenant.pools.len());
    let holder = holder.filter(|holder| has_holder(tenant, *holder));
    let target = target.filter(|target| has_target(tenant, *target));
    let (command, rejection, Undone { place, commands }) = (*command, rejection.clone(), undone);
    let recorded_at = envelope.recorded_at.max(tenant.last_recorded_at);
    let (actor, rule) = (envelope.actor, rejection.name().to_owned());
    let is_conflict = rejection.class() == RejectionClass::Conflict;
    let event = Event::BatchRefused { place, commands, command, pool, holder, target, rejection };
    if envelope.command_id.is_none() {
        let key = RefusalKey { actor, command, pool, holder, target, rule, is_of_batch: true };
        let equal = tenant.refusals.seen(&key).filter(|seen| recorded_at.0 - seen.at.0 < HOUR_MICROS);
        let counts_at = equal.map(|seen| CountedRefusal { position: seen.position, actor, pool });
        if counts_at.is_some() || !is_conflict {
            return Some(Judged { events: Vec::new(), unrecorded: Some(Box::new(event)), counts_at });
        }
    }
    tenant.evolve(&event, &Meta { position: tenant.next_position, recorded_at, actor });
    Some(Judged { events: vec![event], unrecorded: None, counts_at: None })
}

fn has_holder(tenant: &Tenant, holder: Holder) -> bool {
    match holder {
        Holder::User(user) => user.index() < tenant.users.len(),
        Holder::Device(device) => device.index() < tenant.devices.len(),
    }
}

fn has_target(tenant: &Tenant, target: Target) -> bool {
    match target {
        Target::User(user) => user.index() < tenant.users.len(),
        Target::Device(device) => device.index() < tenant.devices.len(),
        Target::Group { group, exclude } => {
            let has = |group: GroupId| group.index() < tenant.groups.len();
            has(group) && exclude.is_none_or(has)
        }
    }
}
