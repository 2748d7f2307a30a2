//! How a page of a list is made: on whose thread, and of which state. Not here: what stands on it.

use super::place::{Cursor, Place};
use super::{Page, Reading, seen};
use crate::audit::hindsight::Moment;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::projection::View;
use axum::response::Response;
use serde::Serialize;

/// Where a page of what is so now is made. That of a past needs a place to look back whatever its size.
pub(super) enum On {
    /// The thread that serves the caller: of what takes little.
    Here,
    AnyThread,
    /// A thread, once there is a place for what takes long.
    APlace,
}

/// A page to be made: what is looked at, and how that is shown once nobody waits for the state.
pub(super) struct Making<L, S> {
    pub(super) reading: Reading,
    pub(super) place: Place,
    pub(super) look: L,
    pub(super) show: S,
}

impl<L: Send + 'static, S: Send + 'static> Making<L, S> {
    pub(super) async fn made<I, T>(self, on: On) -> Result<Response, Problem>
    where
        I: 'static,
        T: Serialize + 'static,
        L: FnOnce(&View, Option<&str>, usize) -> Result<Page<I>, Problem>,
        S: Fn(&Caller, I) -> Result<T, Problem>,
    {
        let caller = self.reading.caller.clone();
        let made = if self.reading.is_past() && self.place.cursor.is_none() {
            Err(Box::new(self))
        } else {
            match on {
                On::Here => self.of_now(),
                On::AnyThread => {
                    let made = tokio::task::spawn_blocking(move || self.of_now());
                    made.await.map_err(|error| Problem::internal(&error))?
                }
                On::APlace => caller.at_length(move || Ok(self.of_now())).await?,
            }
        };
        match made {
            Ok(response) => response,
            Err(of_a_past) => caller.look_back(move || of_a_past.of_then()).await,
        }
    }

    /// Of what is so now; nothing is made where that has moved on from the first page of the list.
    fn of_now<I, T>(self) -> Result<Result<Response, Problem>, Box<Self>>
    where
        T: Serialize,
        L: FnOnce(&View, Option<&str>, usize) -> Result<Page<I>, Problem>,
        S: Fn(&Caller, I) -> Result<T, Problem>,
    {
        let Self { reading, place, look, show } = self;
        let (caller, limit) = (&reading.caller, place.limit);
        let found = caller.service.ledger.read(caller.tenant, |view| {
            let Some(Cursor { moment, after }) = &place.cursor else {
                let first = seen(view, |view| look(view, None, limit));
                return Ok(first.map(|(page, position)| (page, Moment::at(position))));
            };
            // most pages follow at once: then the state is still the one of the first page
            if moment.known.is_some() || view.state.next_position != moment.position + 1 {
                return Err(look);
            }
            Ok(seen(view, |view| look(view, Some(after), limit)).map(|(page, _)| (page, *moment)))
        });
        match found {
            Err(error) => Ok(Err(error.into())),
            Ok(Err(look)) => Err(Box::new(Self { reading, place, look, show })),
            Ok(Ok(found)) => Ok(found.and_then(|(page, moment)| shown(caller, &place, page, moment, show))),
        }
    }

    /// Of the moment that is asked for, or is that of the first page. Blocking.
    fn of_then<I, T>(self) -> Result<Response, Problem>
    where
        T: Serialize,
        L: FnOnce(&View, Option<&str>, usize) -> Result<Page<I>, Problem>,
        S: Fn(&Caller, I) -> Result<T, Problem>,
    {
        let Self { reading, place, look, show } = self;
        let (asked, after) = place.cursor().unzip();
        let moment = asked.map_or_else(|| reading.moment(), Ok)?;
        let view = reading.caller.view_of(moment, &reading.wanted.on_page(after, place.limit))?;
        let (page, _) = seen(&view, |view| look(view, after, place.limit))?;
        shown(&reading.caller, &place, page, moment, show)
    }
}

fn shown<I, T: Serialize>(
    caller: &Caller,
    place: &Place,
    Page { items, next }: Page<I>,
    moment: Moment,
    show: impl Fn(&Caller, I) -> Result<T, Problem>,
) -> Result<Response, Problem> {
    let items = items.into_iter().map(|item| show(caller, item)).collect::<Result<Vec<T>, Problem>>()?;
    place.listed(items, next, moment)
}

#[cfg(test)]
mod tests {
    use crate::domain::command::{Actor, Door};
    use crate::http::fixture::{done, router, service};
    use serde_json::{Value, json};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(30);
    const LISTS: [&str; 7] = ["pools", "users", "devices", "groups", "assignments", "syncs", "apps"];

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_long_waits_for_its_place_and_says_the_same_as_what_is_short() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path(), 2000);
        let (tenant, _) = service.ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        let router = router(&service);
        let own = async |owned: u32| {
            let item = json!({"sku": "office", "license_type": "offline", "name": "Office", "owned": owned,
                "distribution_policy": "restricted"});
            done(&router, "POST", "inventory", json!({"complete": true, "items": [item]})).await
        };
        own(3).await;
        for user in ["ada", "bob", "eve"] {
            done(&router, "PUT", &format!("users/{user}"), json!({"user_name": user})).await;
            let asked = json!({"pool": "declared:office", "target": {"user": user}, "intent": "required"});
            done(&router, "POST", "assignments", asked).await;
        }
        own(1).await;
        let plan = async || done(&router, "POST", "pools/pool_0/deficit/plan", json!({})).await;
        let list =
            async |name: &str, limit: u32| done(&router, "GET", &format!("{name}?limit={limit}"), Value::Null).await;

        let held = service.lengthy.place(tenant, &service.stopping).await.ok().unwrap();
        let waits = Duration::from_millis(20);
        let mut short = Vec::new();
        for name in LISTS {
            short.push(tokio::time::timeout(PATIENCE, list(name, 100)).await.expect(name));
            assert!(tokio::time::timeout(waits, list(name, 1000)).await.is_err(), "{name}");
        }
        assert!(tokio::time::timeout(waits, plan()).await.is_err());
        drop(held);
        for (name, short) in LISTS.into_iter().zip(short) {
            assert_eq!(list(name, 1000).await, short, "{name}");
        }
        let plan = plan().await;
        assert_eq!((plan["over_by"].as_u64(), plan["seats"].as_array().map(Vec::len)), (Some(2), Some(2)), "{plan}");
    }
}
