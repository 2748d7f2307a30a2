//! The HTTP contract: every route, who may call it, how problems are said. Handlers parse, submit to the ledger and
//! render; nothing is decided here.

mod accept;
mod alarm;
mod answers;
mod arrival;
mod auth;
mod bodies;
mod contract;
mod decisions;
mod docs;
mod door;
mod examples;
mod fields;
mod files;
#[cfg(test)]
mod fixture;
mod frame;
mod front;
mod health;
mod history;
mod inputs;
mod lanes;
mod lines;
mod listener;
mod parameters;
mod past;
mod places;
mod plainly;
mod problem;
mod problem_pages;
mod rate;
mod reading;
mod refs;
mod reply;
pub mod request_id;
mod room;
mod routes;
mod said;
mod sheet;
mod sorted;
mod stop;
mod straight;
#[cfg(test)]
mod tests;
mod traces;
mod wire;

pub use front::Front;
pub use listener::{Answer, Answers, Connection, ListenerLimits, serve};
pub use rate::RateLimits;
pub use stop::Stop;
pub use straight::Opened;

use crate::audit::as_of::AsOf;
use crate::ledger::Ledger;
use crate::store::desk::Stores;
use axum::Extension;
use axum::extract::DefaultBodyLimit;
use contract::Contract;
use metrics_exporter_prometheus::PrometheusHandle;
use problem::Problem;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Bounds of single requests.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    pub body_bytes_max: usize,
    /// Of calls with many commands or decisions, and of those that can't be cut into parts: `POST /inventory` and
    /// `PUT /groups/{group}`.
    pub bulk_bytes_max: usize,
    /// Of what comes in many pieces: between two of them.
    pub pause_max: Duration,
    pub request_max: Duration,
}

/// What all handlers share.
pub struct Service {
    pub(crate) ledger: Ledger,
    pub(crate) as_of: AsOf,
    pub(crate) stores: Stores,
    root_hash: [u8; 32],
    limits: RequestLimits,
    rate: rate::Rate,
    metrics: Option<PrometheusHandle>,
    /// A head that waits longer for its quorum of witnesses is told of.
    quorum_max: Duration,
    /// One token is made at a time: its number stands in it.
    tokens: tokio::sync::Mutex<()>,
    is_stopping: AtomicBool,
    /// Places for event streams, and for exports and backups.
    streams: Arc<places::Places>,
    exports: Arc<places::Places>,
    /// And for what looks back, and for what is long.
    past: past::Turns,
    lengthy: past::Turns,
    /// For bodies of many commands.
    bulk_room: room::Room,
    /// Ends what would go on for ever, as an event stream.
    stopping: tokio_util::sync::CancellationToken,
}

impl Service {
    #[must_use]
    pub fn new(
        ledger: Ledger,
        stores: Stores,
        root_token: &str,
        limits: RequestLimits,
        rate: RateLimits,
        metrics: Option<PrometheusHandle>,
        quorum_max: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            quorum_max,
            ledger,
            stores,
            as_of: AsOf::new(),
            root_hash: Sha256::digest(root_token.as_bytes()).into(),
            limits,
            rate: rate::Rate::new(rate),
            metrics,
            tokens: tokio::sync::Mutex::new(()),
            is_stopping: AtomicBool::new(false),
            streams: places::Places::new(places::STREAMS),
            exports: places::Places::new(places::EXPORTS),
            past: past::Turns::to_look_back(),
            lengthy: past::Turns::at_length(),
            bulk_room: room::Room::new(limits.bulk_bytes_max),
            stopping: tokio_util::sync::CancellationToken::new(),
        })
    }

    /// No new work; what goes on for ever ends.
    pub fn begin_stop(&self) {
        self.is_stopping.store(true, std::sync::atomic::Ordering::SeqCst);
        self.stopping.cancel();
    }
}

fn calls() -> OpenApiRouter<Arc<Service>> {
    use routes::{
        assignments, certificate, commands, devices, directory, events, figures, inventory, log, people, pools,
        reports, reviews, seats, stores, stories, streams, tenants, timestamps, witnesses,
    };
    OpenApiRouter::with_openapi(Contract::openapi())
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(problem_pages::list))
        .routes(routes!(problem_pages::show))
        .routes(routes!(tenants::tenants))
        .routes(routes!(tenants::put_tenant, tenants::tenant))
        .routes(routes!(tenants::settings, tenants::change_settings))
        .routes(routes!(tenants::issue_token, tenants::tokens))
        .routes(routes!(tenants::revoke_token))
        .routes(routes!(tenants::advance_clock))
        .routes(routes!(tenants::confirm_clock))
        .routes(routes!(stores::put_inventory))
        .routes(routes!(stores::link_store_account, inventory::store_account))
        .routes(routes!(inventory::store_accounts))
        .routes(routes!(stores::hear))
        .routes(routes!(stores::put_tool, stores::delete_tool))
        .routes(routes!(inventory::tools))
        .routes(routes!(inventory::apps))
        .routes(routes!(inventory::app))
        .routes(routes!(stores::start_sync, inventory::syncs))
        .routes(routes!(inventory::sync))
        .routes(routes!(inventory::drift))
        .routes(routes!(inventory::held))
        .routes(routes!(stores::confirm_sync))
        .routes(routes!(directory::put_user, people::user))
        .routes(routes!(people::users))
        .routes(routes!(seats::of_user))
        .routes(routes!(directory::depart))
        .routes(routes!(directory::return_user))
        .routes(routes!(directory::erase_user))
        .routes(routes!(directory::put_group, directory::delete_group, people::group))
        .routes(routes!(people::groups))
        .routes(routes!(people::members))
        .routes(routes!(directory::confirm_held))
        .routes(routes!(devices::put_device, people::device))
        .routes(routes!(people::devices))
        .routes(routes!(seats::of_device))
        .routes(routes!(seats::installs_on_device))
        .routes(routes!(devices::retire_device))
        .routes(routes!(devices::erase_device))
        .routes(routes!(assignments::assign, people::assignments))
        .routes(routes!(assignments::unassign, people::assignment))
        .routes(routes!(assignments::install))
        .routes(routes!(assignments::uninstall))
        .routes(routes!(pools::pools))
        .routes(routes!(pools::pool))
        .routes(routes!(seats::of_pool))
        .routes(routes!(seats::seat))
        .routes(routes!(seats::queue))
        .routes(routes!(seats::installs_of_pool))
        .routes(routes!(pools::set_policy))
        .routes(routes!(pools::refund))
        .routes(routes!(pools::issue_offline_license))
        .routes(routes!(pools::deficit_plan))
        .routes(routes!(pools::resolve_deficit))
        .routes(routes!(pools::reclaim))
        .routes(routes!(pools::adopt))
        .routes(routes!(pools::grant))
        .routes(routes!(reviews::open_review, reviews::reviews))
        .routes(routes!(reviews::review))
        .routes(routes!(reviews::review_seats))
        .routes(routes!(reviews::decide_review))
        .routes(routes!(reviews::end_review))
        .routes(routes!(reviews::cancel_review))
        .routes(routes!(commands::commands))
        .routes(routes!(commands::simulate))
        .routes(routes!(events::events))
        .routes(routes!(streams::stream_events))
        .routes(routes!(events::event))
        .routes(routes!(events::refusals))
        .routes(routes!(events::digest))
        .routes(routes!(figures::explain))
        .routes(routes!(figures::timeline))
        .routes(routes!(reports::reports))
        .routes(routes!(certificate::certificate))
        .routes(routes!(reports::report))
        .routes(routes!(reports::diff))
        .routes(routes!(stories::seat_story))
        .routes(routes!(stories::why_not))
        .routes(routes!(streams::export_events))
        .routes(routes!(log::log_checkpoint))
        .routes(routes!(log::log_key))
        .routes(routes!(log::log_keys))
        .routes(routes!(witnesses::log_witnesses))
        .routes(routes!(witnesses::log_policy))
        .routes(routes!(timestamps::log_timestamps))
        .routes(routes!(log::log_tile))
        .routes(routes!(log::log_entries))
        .routes(routes!(log::log_proof))
        .routes(routes!(log::log_consistency))
        .routes(routes!(streams::backup))
}

/// The published contract.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    complete(calls().into_openapi())
}

/// With what holds for many calls alike, and with examples.
fn complete(mut contract: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    contract::tell_repeats_apart(&mut contract);
    examples::add(&mut contract);
    contract
}

/// The same as the file `schemas/openapi.json` has it.
///
/// # Errors
/// If it can't be written as JSON.
pub fn openapi_text() -> Result<String, serde_json::Error> {
    openapi().to_pretty_json().map(|text| text + "\n")
}

/// Everything the service answers.
pub fn front(service: Arc<Service>) -> Front {
    let (router, document) = calls().split_for_parts();
    let parameters = Arc::new(parameters::Parameters::of(&document));
    let frame = frame::Frame { ids: request_id::Source::new(), request_max: service.limits.request_max };
    let router = router
        .merge(docs::router(&complete(document)))
        .fallback(|| async { Problem::new("not-found", "no call has this path") })
        .method_not_allowed_fallback(|| async { Problem::new("method-not-allowed", "this path takes other methods") })
        .layer(DefaultBodyLimit::disable())
        .layer(Extension(parameters))
        .with_state(Arc::clone(&service));
    Front::new(service, frame, router)
}
