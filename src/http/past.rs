//! Places for what takes long. A read of the past may fold the history, and waits for its turn to do so on a thread: without a
//! bound, those of one caller would take every thread there is, and keep it when the caller has gone. So it comes to a thread
//! only with a place, of which a tenant has a few, and waits for that as a task: no longer than a request may take, and not
//! once the service stops. What is long of what is so now, as a large page is, has places of its own: it keeps a core busy, and
//! most calls are served by as many threads as there are cores. Not here: folding (`audit::as_of`).

use super::auth::Caller;
use super::places::{Bounds, LONG, Places, WAITING};
use super::problem::Problem;
use crate::domain::ids::TenantId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Of all tenants together: far fewer than there may be threads.
const PLACES: usize = 48;
const TENANT_PLACES: usize = 8;
/// For what is long: a tenant has one, and of all there are as many as cores, as far as these go.
const TENANT_LONG: usize = 1;
const LONG_MIN: usize = 2;
const LONG_MAX: usize = 8;

pub(super) struct Turns {
    all: Arc<Semaphore>,
    of_tenant: usize,
    /// Those that ever had one.
    tenants: Mutex<BTreeMap<TenantId, Arc<Semaphore>>>,
    waiting: Arc<Places>,
}

/// Leave to begin.
pub(super) struct Place {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn to_look_back() -> Self {
        Self::new(PLACES, TENANT_PLACES, WAITING)
    }

    pub(super) fn at_length() -> Self {
        let cores = std::thread::available_parallelism().map_or(LONG_MIN, std::num::NonZero::get);
        Self::new(cores.clamp(LONG_MIN, LONG_MAX), TENANT_LONG, LONG)
    }

    fn new(all: usize, of_tenant: usize, waiting: Bounds) -> Self {
        let (all, waiting) = (Arc::new(Semaphore::new(all)), Places::new(waiting));
        Self { all, of_tenant, tenants: Mutex::default(), waiting }
    }

    /// Waits for a place. A tenant's own come first, so that its many wait for each other and not for everybody's.
    pub(super) async fn place(&self, tenant: TenantId, stopping: &CancellationToken) -> Result<Place, Problem> {
        let places = self.of(tenant);
        let _waiting = self.waiting.take(Some(tenant))?;
        let both = async {
            let of_tenant = places.acquire_owned().await?;
            let of_all = Arc::clone(&self.all).acquire_owned().await?;
            Ok(Place { _of_tenant: of_tenant, _of_all: of_all })
        };
        tokio::select! {
            biased;
            place = both => place.map_err(|closed: AcquireError| Problem::internal(&closed)),
            () = stopping.cancelled() => Err(Problem::new("shutting-down", "the service is stopping")),
        }
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let new = || Arc::new(Semaphore::new(self.of_tenant));
        Arc::clone(self.tenants.lock().entry(tenant).or_insert_with(new))
    }
}

impl Caller {
    /// Does what looks back, and blocks, once there is a place for it.
    pub(super) async fn look_back<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.take_turn(&self.service.past, look).await
    }

    /// Does what takes long, of what is so now, once there is a place for it.
    pub(super) async fn at_length<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.take_turn(&self.service.lengthy, look).await
    }

    async fn take_turn<T: Send + 'static>(
        &self,
        turns: &Turns,
        look: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = turns.place(self.tenant, &self.service.stopping).await?;
        let with_place = move || {
            let _place = place;
            look()
        };
        tokio::task::spawn_blocking(with_place).await.map_err(|error| Problem::internal(&error))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Actor, Door};
    use crate::http::fixture::service;
    use crate::http::listener::routed;
    use crate::http::parameters::Parameters;
    use axum::Extension;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use futures::FutureExt as _;
    use std::net::SocketAddr;
    use std::pin::pin;
    use std::time::Duration;

    const MANY: TenantId = TenantId(0);
    const OTHER: TenantId = TenantId(1);

    #[test]
    fn a_tenant_with_many_waits_for_its_own_and_others_do_not() {
        let (past, stopping) = (Turns::to_look_back(), CancellationToken::new());
        let at_once = |tenant| past.place(tenant, &stopping).now_or_never().and_then(Result::ok);
        let mut held: Vec<Place> = (0..TENANT_PLACES).map(|_| at_once(MANY).unwrap()).collect();
        let mut waiting: Vec<_> = (0..WAITING.of_one_max).map(|_| Box::pin(past.place(MANY, &stopping))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        let refused = past.place(MANY, &stopping).now_or_never().unwrap().err().unwrap();
        assert_eq!(refused.to_json()["type"], "/problems/overloaded");
        assert!(at_once(OTHER).is_some());
        // whoever goes away leaves nothing behind
        let mut last = waiting.pop().unwrap();
        waiting.truncate(1);
        held.pop();
        let next = waiting.pop().unwrap().now_or_never().unwrap();
        assert!(next.is_ok() && last.as_mut().now_or_never().is_none());
        stopping.cancel();
        assert!(last.now_or_never().is_some_and(|place| place.is_err()), "nobody waits when the service stops");
    }

    #[test]
    fn all_tenants_together_leave_most_threads_to_others() {
        let (past, stopping) = (Turns::to_look_back(), CancellationToken::new());
        let at_once = |tenant| past.place(TenantId(tenant), &stopping).now_or_never().and_then(Result::ok);
        let mut held: Vec<Place> = (0..).take(PLACES).filter_map(at_once).collect();
        assert_eq!(held.len(), PLACES);
        assert!(at_once(99).is_none());
        held.pop();
        assert!(at_once(99).is_some());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_trial_copies_a_state_and_waits_for_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path(), 2000);
        let (acme, _) = service.ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        let (router, document) = crate::http::calls().split_for_parts();
        let parameters = Arc::new(Parameters::of(&document));
        let router = router.layer(Extension(parameters)).with_state(Arc::clone(&service));
        let asked = Request::post("/v1/tenants/acme/simulations");
        let asked = asked.header("authorization", "Bearer root").header("content-type", "application/json");
        let asked = asked.body(Body::from(r#"[{"type":"put_user","user":"ada","user_name":"ada"}]"#)).unwrap();
        let at_once = || service.past.place(acme, &service.stopping).now_or_never().and_then(Result::ok);
        let held: Vec<Place> = (0..TENANT_PLACES).filter_map(|_| at_once()).collect();
        assert_eq!(held.len(), TENANT_PLACES);
        let mut trial = pin!(routed(&router, asked, SocketAddr::from(([127, 0, 0, 1], 9))));
        assert!(tokio::time::timeout(Duration::from_millis(300), trial.as_mut()).await.is_err());
        drop(held);
        let Ok(answer) = trial.await;
        assert_eq!(answer.status(), StatusCode::OK);
        service.ledger.stop().await;
    }

    #[test]
    fn a_tenant_takes_one_place_for_what_is_long_and_another_finds_the_next() {
        let (long, stopping) = (Turns::at_length(), CancellationToken::new());
        let at_once = |tenant| long.place(tenant, &stopping).now_or_never().and_then(Result::ok);
        let held = at_once(MANY).unwrap();
        assert!(at_once(MANY).is_none());
        assert!(at_once(OTHER).is_some());
        drop(held);
        assert!(at_once(MANY).is_some());
    }
}
