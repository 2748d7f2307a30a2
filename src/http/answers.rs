//! What a judged command answers, by its kind. A function of the outcome alone, so that a repeat says the same.

pub(super) mod quick;

use super::auth::Caller;
use super::bodies::syncs::{SkippedBody, SyncBody};
use super::problem::Problem;
use super::wire::kind::Kind;
use crate::domain::answer::{Answer, Status};
use crate::domain::asked::About;
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::rejection::Rejection;
use crate::domain::state::Sync;
use crate::ledger::{EventQuery, Outcome};
use serde_json::{Map, Value, json};

/// Pages of a sync's skipped items end here; the events hold the rest.
const SKIPPED_MAX: usize = 1000;

/// # Errors
/// The problem that a refusal is.
pub(super) async fn of(
    caller: &Caller,
    kind: Kind,
    outcome: &Outcome,
    members: &[String],
) -> Result<Map<String, Value>, Problem> {
    if let Some(rejection) = &outcome.answer.rejection {
        return Err(refused(rejection, outcome.position, members));
    }
    let mut body = said(kind, &outcome.answer);
    if let (Kind::PutInventory, Some(sync)) = (kind, outcome.answer.sync) {
        let caller = caller.clone();
        let read = tokio::task::spawn_blocking(move || {
            let found =
                caller.service.ledger.read(caller.tenant, |view| view.state.syncs.get(sync.index()).cloned())?;
            found.map(|sync| sync_json(&caller, &sync)).transpose()
        });
        body.extend(read.await.map_err(|error| Problem::internal(&error))??.unwrap_or_default());
    }
    Ok(body)
}

pub(super) fn refused(rejection: &Rejection, position: u64, members: &[String]) -> Problem {
    let problem = Problem::of_rejection(rejection, position);
    let named = |places: &[u32]| -> Vec<String> {
        places.iter().filter_map(|place| members.get(usize::try_from(*place).ok()?).cloned()).collect()
    };
    if let Rejection::UnknownMembers { places } = rejection {
        return problem.with("unknown", named(places));
    }
    if let Rejection::MemberKindMismatch { places } = rejection {
        return problem.with("mismatched", named(places));
    }
    problem
}

pub(super) fn said(kind: Kind, answer: &Answer) -> Map<String, Value> {
    let status = match answer.status {
        Status::Done => "done",
        Status::Unchanged => "unchanged",
        Status::Refused => "refused",
    };
    let held = answer.held.map(|held| json!({"id": held, "seats": answer.held_seats}));
    let (pool, holder) = seat(answer.about);
    let skipped = || -> Vec<Value> {
        answer.skipped.iter().map(|(holder, reason)| json!({"holder": holder, "reason": reason})).collect()
    };
    let fields = match kind {
        Kind::Assign => {
            json!({"assignment": answer.assignment, "reserved": answer.reserved, "queued": answer.queued, "skipped": skipped()})
        }
        Kind::Unassign => json!({"released": answer.released, "queued": answer.queued, "held": held}),
        Kind::Install => match (&answer.install, answer.about) {
            (Some(install), _) => json!({
                "pool": install.pool, "device": install.device, "user": install.user, "seat": install.seat,
                "licensed": install.seat.is_some(),
            }),
            (None, Some(About::Install { pool, device, user })) => {
                json!({"pool": pool, "device": device, "user": user})
            }
            (None, _) => json!({}),
        },
        Kind::Uninstall => match answer.about {
            Some(About::Install { pool, device, user }) => {
                json!({"pool": pool, "device": device, "user": user, "released": answer.released})
            }
            _ => json!({"released": answer.released}),
        },
        Kind::Depart => {
            json!({"user": answer.user, "seats_released": answer.released, "kept": answer.kept, "held": held})
        }
        Kind::Return => {
            json!({"user": answer.user, "regranted": answer.reserved, "queued": answer.queued, "offered": answer.offered})
        }
        Kind::Refund => json!({"pool": pool}),
        Kind::Reclaim | Kind::Adopt | Kind::Grant => {
            json!({"pool": pool, "holder": holder, "reserved": answer.reserved, "queued": answer.queued, "released": answer.released})
        }
        Kind::SetPolicy => json!({"pool": pool, "released": answer.released}),
        Kind::ResolveDeficit => {
            let seats: Vec<Value> =
                answer.released_seats.iter().map(|(pool, holder)| json!({"pool": pool, "holder": holder})).collect();
            json!({"released": answer.released, "seats": seats})
        }
        Kind::PutUser => json!({"user": answer.user}),
        Kind::PutGroup | Kind::DeleteGroup => json!({
            "group": answer.group, "reserved": answer.reserved, "queued": answer.queued, "released": answer.released,
            "held": held, "skipped": skipped(),
        }),
        Kind::PutDevice | Kind::RetireDevice => {
            json!({"device": answer.device, "reserved": answer.reserved, "queued": answer.queued, "released": answer.released})
        }
        Kind::Erase => json!({"user": answer.user, "device": answer.device}),
        Kind::IssueOfflineLicense => json!({"pool": pool, "holder": holder}),
        Kind::ConfirmSync | Kind::ConfirmHeld => json!({"released": answer.released}),
        Kind::PutInventory | Kind::StartSync => json!({"sync": answer.sync, "released": answer.released, "held": held}),
        Kind::OpenReview => json!({"review": answer.review, "state": answer.review_state}),
        Kind::DecideReview => json!({"review": answer.review, "pool": pool, "holder": holder}),
        Kind::EndReview | Kind::CancelReview => {
            json!({"review": answer.review, "state": answer.review_state, "released": answer.released, "queued": answer.queued})
        }
        Kind::RevokeToken => json!({"token_id": answer.token}),
        Kind::ChangeSettings | Kind::LinkStoreAccount | Kind::PutTool | Kind::DeleteTool => json!({}),
    };
    let mut body = fields_of(fields);
    body.insert("status".into(), status.into());
    body
}

fn seat(about: Option<About>) -> (Value, Value) {
    match about {
        Some(About::Seat { pool, holder }) => (json!(pool), json!(holder)),
        Some(About::Pool(pool)) => (json!(pool), Value::Null),
        _ => (Value::Null, Value::Null),
    }
}

/// What a sync skipped and why, as far as a page goes. Blocking.
pub(super) fn skipped_by(caller: &Caller, sync: &Sync) -> Result<Vec<SkippedBody>, Problem> {
    let (from, end) = (sync.started_position, sync.ended_position.unwrap_or(sync.started_position));
    let (to, types) = (Some(end.saturating_add(1)), vec![EventType::ItemSkipped]);
    let mut query = EventQuery { from, to, types, limit: SKIPPED_MAX, ..EventQuery::default() };
    let mut skipped = Vec::new();
    let wanted = usize::try_from(sync.counts.skipped).map_or(SKIPPED_MAX, |all| all.min(SKIPPED_MAX));
    while skipped.len() < wanted {
        let page = caller.service.ledger.query(caller.tenant, &query)?;
        skipped.extend(page.events.into_iter().filter_map(|recorded| {
            let Event::ItemSkipped { sync: of, key, reason } = recorded.event else { return None };
            (of == sync.id).then(|| SkippedBody::of(&key, reason))
        }));
        let Some(next) = page.next else { break };
        query.from = next;
    }
    skipped.truncate(SKIPPED_MAX);
    Ok(skipped)
}

/// A sync's result as the answer to the inventory that it was. Blocking.
fn sync_json(caller: &Caller, sync: &Sync) -> Result<Map<String, Value>, Problem> {
    let skipped = skipped_by(caller, sync)?;
    let mut fields = fields_of(json!(SyncBody::of(sync)));
    fields.remove("id");
    fields.insert("skipped".into(), json!(skipped));
    Ok(fields)
}

/// The fields of a value that was written as an object.
pub(super) fn fields_of(value: Value) -> Map<String, Value> {
    if let Value::Object(fields) = value { fields } else { Map::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Actor, Door};
    use crate::http::fixture::{done, router, service};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sync_has_skipped_what_is_its_own_also_where_another_one_lies_within_it() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path(), 2000);
        let (tenant, _) = service.ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        let router = router(&service);
        for sku in ["draw", "paint"] {
            let item = json!({"sku": sku, "license_type": "offline", "name": sku, "owned": 1,
                "distribution_policy": "restricted", "encrypted": true});
            let told = done(&router, "POST", "inventory", json!({"complete": false, "items": [item]})).await;
            let skipped = json!([{"key": format!("declared:{sku}"), "reason": "encrypted-package"}]);
            assert_eq!(told["skipped"], skipped, "{told}");
        }
        let syncs = service.ledger.read(tenant, |view| view.state.syncs.clone()).unwrap();
        let [draw, paint] = syncs.iter().collect::<Vec<_>>()[..] else { panic!("{syncs:?}") };
        let over_both = Sync { ended_position: paint.ended_position, ..draw.clone() };
        let caller = Caller { service, tenant, actor: Actor::Root, role: None };
        let skipped = json!(skipped_by(&caller, &over_both).unwrap());
        assert_eq!(skipped, json!([{"key": "declared:draw", "reason": "encrypted-package"}]));
    }
}
