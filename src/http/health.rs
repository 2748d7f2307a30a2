//! How the service is: alive, ready (with reasons), and its figures for Prometheus.

use super::Service;
use super::problem::Problem;
use crate::domain::facts::Owned;
use crate::domain::state::{Sync, SyncState};
use crate::store::desk::Seen;
use crate::store::terms::Trouble;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use utoipa::ToSchema;

/// Pools whose figures are exported; beyond that a tenant's sums alone.
const POOLS_EXPORTED_MAX: usize = 1000;

#[derive(Serialize, ToSchema)]
pub(super) struct Live {
    alive: bool,
}

/// Whether the service is ready, and why not
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
    /// What keeps it from being ready, or what a person should look at
    reasons: Vec<String>,
    clock: &'static str,
    tenants: u64,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/livez", tag = "health", security(()), responses((status = 200, body = Live)))]
pub(super) async fn livez() -> Response {
    axum::Json(Live { alive: true }).into_response()
}

/// Whether the service takes commands, with the reasons why not.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub(super) async fn readyz(State(service): State<Arc<Service>>) -> Response {
    let health = service.ledger.health();
    let mut reasons = Vec::new();
    let is_stopping = service.is_stopping.load(Ordering::SeqCst);
    let is_ready = !health.is_stopped && !health.is_disk_low && !is_stopping;
    if is_stopping {
        reasons.push("the service is stopping".to_owned());
    }
    if health.is_stopped {
        reasons.push("the log has stopped".to_owned());
    }
    if health.is_disk_low {
        reasons.push("the disk is nearly full: commands are refused with disk-low".to_owned());
    }
    if health.reads_from_journal > 0 {
        reasons.push(
            "the log that is read (folder sled) is damaged: reads take longer until the next start makes it anew"
                .to_owned(),
        );
    }
    if !service.ledger.is_receipts_whole() {
        reasons.push(
            "the index of command ids (folder receipts) is damaged: commands with an id are refused with receipts-not-whole until the next start makes it anew"
                .to_owned(),
        );
    }
    if !service.ledger.is_subjects_whole() {
        reasons.push(
            "the index of subjects (folder subjects) is damaged: reads that look for events by it fail until the next start makes it anew"
                .to_owned(),
        );
    }
    if !service.ledger.is_archive_whole() {
        reasons.push(
            "the archive of past counts (folder archive) is damaged: reads of the past that need it fail until the next start makes it anew"
                .to_owned(),
        );
    }
    if health.scrubbed.damages > 0 {
        reasons.push(format!(
            "places that are not as they were written, by the last walk of the whole log: {}; the service's log names them",
            health.scrubbed.damages
        ));
    }
    if health.is_signing_fallen {
        reasons.push("the thread that signs heads panicked: none is signed by itself until the next start".to_owned());
    }
    if health.is_scrub_fallen {
        reasons.push(
            "the thread that walks the whole log panicked: damage is not looked for until the next start".to_owned(),
        );
    }
    if let Some(jump) = health.jump {
        reasons.push(format!(
            "the clock jumped from {} to {}: timers are stopped until POST /v1/clock/confirm",
            jump.expected, jump.found
        ));
    }
    witnesses(&service, &mut reasons);
    if let Some(heads) = service.ledger.timestamps_waiting() {
        reasons.push(format!("{heads} heads wait for a timestamp; why stands in the service's log"));
    }
    stores(&service, &mut reasons);
    let clock = if health.is_clock_manual { "manual" } else { "system" };
    let body = Ready { ready: is_ready, reasons, clock, tenants: service.ledger.tenants().len() as u64 };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(body)).into_response()
}

/// Commands are taken whatever the witnesses say, so these are for a person to look at. Strangers read them: no tenant is named.
fn witnesses(service: &Service, reasons: &mut Vec<String>) {
    let health = service.ledger.witness_health();
    for (name, tenants) in health.refusing {
        reasons.push(format!(
            "the witness {name} refuses the heads of {tenants} tenants: it may have been shown another history; GET \
             /log/witnesses of a tenant says why"
        ));
    }
    for name in health.silent {
        reasons.push(format!("the witness {name} does not answer"));
    }
    if health.waits > service.quorum_max {
        let (waiting, seconds) = (health.waiting, health.waits.as_secs());
        reasons.push(format!(
            "the heads of {waiting} tenants wait for their quorum of witnesses, the first for {seconds} s"
        ));
    }
}

/// Strangers read it: no tenant is named, and nothing is said in a store's words or of its credentials.
fn stores(service: &Service, reasons: &mut Vec<String>) {
    let accounts = service.stores.all();
    let shut = accounts.iter().filter(|(_, _, seen)| seen.standing.is_shut()).count();
    if shut > 0 {
        reasons.push(format!(
            "{shut} store accounts can't be written to, and grants of their pools are refused: GET /store-accounts of a tenant says why"
        ));
    }
    let units: usize = accounts.iter().map(|(_, _, seen)| shut_units(seen).count()).sum();
    if units > 0 {
        reasons.push(format!(
            "{units} units of store accounts can't be written to, and grants of their pools are refused: GET /store-accounts of a tenant says why"
        ));
    }
    let resting = accounts.iter().filter(|(_, _, seen)| seen.rests.is_some()).count();
    if resting > 0 {
        reasons.push(format!(
            "the connectors of {resting} store accounts rest, and go on by themselves: GET /store-accounts of a tenant says why"
        ));
    }
    let idle = accounts.iter().filter(|(_, _, seen)| !seen.is_connected && seen.rests.is_none()).count();
    if idle > 0 {
        reasons
            .push(format!("{idle} linked store accounts have no connector: GET /store-accounts of a tenant says why"));
    }
}

/// By their names, with the reason.
fn shut_units(seen: &Seen) -> impl Iterator<Item = (&str, &Trouble)> {
    let units = seen.standing.units.iter().filter(|unit| unit.is_shut());
    units.filter_map(|unit| Some((unit.unit.as_deref()?, unit.trouble.as_ref()?)))
}

/// The service's figures in the Prometheus text format; for a scraper with the root token.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"), super::contract::ReadProblems))]
pub(super) async fn metrics(root: super::auth::Root) -> Result<Response, Problem> {
    let service = root.service;
    let mut text = service.metrics.as_ref().map(|metrics| metrics.render()).unwrap_or_default();
    gauges(&service, &mut text).map_err(|error| Problem::internal(&error))?;
    units(&service, &mut text).map_err(|error| Problem::internal(&error))?;
    last_syncs(&service, &mut text).map_err(|error| Problem::internal(&error))?;
    pools(&service, &mut text).map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn gauges(service: &Service, text: &mut String) -> std::fmt::Result {
    let health = service.ledger.health();
    let mut gauge = |name: &str, help: &str, value: u64| {
        writeln!(text, "# HELP seatledger_{name} {help}\n# TYPE seatledger_{name} gauge\nseatledger_{name} {value}")
    };
    let witnesses = service.ledger.witness_health();
    let refusing: usize = witnesses.refusing.iter().map(|(_, tenants)| tenants).sum();
    gauge("witness_refusals", "Heads that witnesses refuse now, by tenant and witness.", refusing as u64)?;
    gauge("witnesses_silent", "Witnesses that do not answer.", witnesses.silent.len() as u64)?;
    gauge("quorums_waiting", "Tenants whose last head waits for its quorum of witnesses.", witnesses.waiting as u64)?;
    gauge("quorum_wait_seconds", "How long the first of them has been waiting.", witnesses.waits.as_secs())?;
    let unstamped = service.ledger.timestamps_waiting().unwrap_or(0);
    gauge(
        "timestamps_waiting",
        "Heads that wait for a timestamp since the authority's last answer was none.",
        unstamped as u64,
    )?;
    let (folded, failed) = service.as_of.folds();
    gauge("as_of_folds", "Reads of the past since the start that a whole state was folded for.", folded)?;
    gauge("as_of_parts_failed", "Of them those of which the index failed to tell a part.", failed)?;
    let accounts = service.stores.all();
    let sum = |count: fn(&Seen) -> u64| accounts.iter().map(|(_, _, seen)| count(seen)).sum();
    gauge("store_accounts", "Linked store accounts that have a connector.", sum(|seen| u64::from(seen.is_connected)))?;
    gauge(
        "store_accounts_read_only",
        "Store accounts that can't be written to.",
        sum(|seen| u64::from(seen.standing.is_shut())),
    )?;
    gauge(
        "store_grants_waiting",
        "Reservations that a store has not confirmed.",
        sum(|seen| seen.standing.backlog.grants),
    )?;
    gauge(
        "store_releases_waiting",
        "Releases that a store has not confirmed.",
        sum(|seen| seen.standing.backlog.releases),
    )?;
    let oldest = accounts.iter().filter_map(|(_, _, seen)| seen.standing.backlog.oldest).max().unwrap_or_default();
    gauge("store_wait_seconds", "How long the oldest of them has waited.", oldest.as_secs())?;
    gauge("queue_jobs", "Commands that wait for the writer.", health.jobs_waiting as u64)?;
    gauge("judged_commands", "Commands judged since the start.", health.commands)?;
    gauge("groups", "Commit groups since the start.", health.groups)?;
    gauge("group_commands_max", "The largest commit group since the start.", health.group_commands_max)?;
    gauge("receipts", "Command ids that can be asked for again.", health.receipts)?;
    gauge(
        "reads_from_journal",
        "Reads since the start that sled could not answer; the next start makes it anew.",
        health.reads_from_journal,
    )?;
    let ledger = &service.ledger;
    let are_whole = [ledger.is_receipts_whole(), ledger.is_subjects_whole(), ledger.is_archive_whole()];
    gauge(
        "indexes_damaged",
        "Indexes (of command ids, of subjects, of past counts) in which damage was met; the next start makes them anew.",
        are_whole.into_iter().map(|is_whole| u64::from(!is_whole)).sum(),
    )?;
    gauge("scrubs", "Walks of the whole log since the start.", health.scrubbed.walks)?;
    gauge(
        "scrub_damages",
        "Places that are not as they were written, by the last walk of the whole log.",
        health.scrubbed.damages,
    )?;
    gauge("disk_low", "1 while commands are refused for lack of disk space.", u64::from(health.is_disk_low))?;
    gauge("disk_free_bytes", "Free space on the disk of the data folder.", health.disk_free_bytes)?;
    gauge("log_stopped", "1 once the log has stopped.", u64::from(health.is_stopped))?;
    gauge("clock_jumped", "1 while a jump of the clock waits for confirmation.", u64::from(health.jump.is_some()))
}

/// Which units of store accounts can't be written to: one line each, with the reason, and none where all is well.
fn units(service: &Service, text: &mut String) -> std::fmt::Result {
    writeln!(text, "# HELP seatledger_store_unit_read_only Units of store accounts that can't be written to.")?;
    writeln!(text, "# TYPE seatledger_store_unit_read_only gauge")?;
    for (tenant, provider, seen) in service.stores.all() {
        let Ok(slug) = service.ledger.read(tenant, |view| view.state.slug.clone()) else { continue };
        for (unit, why) in shut_units(&seen) {
            let (provider, unit, why) = (provider.name(), label(unit), label(&why.to_string()));
            writeln!(
                text,
                "seatledger_store_unit_read_only{{tenant=\"{slug}\",provider=\"{provider}\",unit=\"{unit}\",reason=\"{why}\"}} 1"
            )?;
        }
    }
    Ok(())
}

/// How long ago the last sync of each linked account ended that came through and was no trial; none where there was none.
fn last_syncs(service: &Service, text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "# HELP seatledger_store_last_sync_seconds How long ago the last complete sync of a store account ended."
    )?;
    writeln!(text, "# TYPE seatledger_store_last_sync_seconds gauge")?;
    let now = service.ledger.clock().now();
    for (tenant, provider, _) in service.stores.all() {
        let is_one = |sync: &&Sync| {
            sync.provider == provider && sync.state == SyncState::Completed && !sync.is_dry_run && sync.is_of_all()
        };
        let read = service.ledger.read(tenant, |view| {
            let last = view.state.syncs.iter().rev().find(is_one).and_then(|sync| sync.ended_at);
            (view.state.slug.clone(), last)
        });
        let Ok((slug, Some(ended_at))) = read else { continue };
        let (provider, seconds) = (provider.name(), now.0.saturating_sub(ended_at.0).max(0) / 1_000_000);
        writeln!(text, "seatledger_store_last_sync_seconds{{tenant=\"{slug}\",provider=\"{provider}\"}} {seconds}")?;
    }
    Ok(())
}

/// As the text format has it between quotes.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Per pool up to a bound, so that a scrape stays small; conservation is a number that must be 0.
fn pools(service: &Service, text: &mut String) -> std::fmt::Result {
    let tenants = service.ledger.tenants();
    let mut left = POOLS_EXPORTED_MAX;
    let mut broken = 0_u64;
    for name in ["position", "seats_held"] {
        writeln!(text, "# TYPE seatledger_{name} gauge")?;
    }
    for name in ["owned", "held", "free", "over_by"] {
        writeln!(text, "# TYPE seatledger_pool_{name} gauge")?;
    }
    for (tenant, slug) in tenants {
        let read = service.ledger.read(tenant, |view| -> std::fmt::Result {
            let state = &view.state;
            writeln!(text, "seatledger_position{{tenant=\"{slug}\"}} {}", state.next_position.saturating_sub(1))?;
            writeln!(text, "seatledger_seats_held{{tenant=\"{slug}\"}} {}", state.seats_held)?;
            for pool in &state.pools {
                let parts = pool.reserved + pool.in_use + pool.releasing + pool.foreign;
                let balance = match (pool.cap(), pool.free()) {
                    (Some(cap), Owned::Count(free)) => {
                        i128::from(cap) + i128::from(pool.over_by()) - i128::from(parts) - i128::from(free)
                    }
                    _ => 0,
                };
                broken += u64::from(balance != 0 || parts != pool.seats.len() as u64);
                if left == 0 {
                    continue;
                }
                left -= 1;
                let id = pool.id;
                for (name, value) in [("held", pool.held()), ("over_by", pool.over_by())] {
                    writeln!(text, "seatledger_pool_{name}{{tenant=\"{slug}\",pool=\"{id}\"}} {value}")?;
                }
                for (name, value) in [("owned", pool.owned), ("free", pool.free())] {
                    if let Owned::Count(count) = value {
                        writeln!(text, "seatledger_pool_{name}{{tenant=\"{slug}\",pool=\"{id}\"}} {count}")?;
                    }
                }
            }
            Ok(())
        });
        read.unwrap_or(Ok(()))?;
    }
    writeln!(text, "# HELP seatledger_conservation_broken Pools whose figures contradict their seats: 0, always.")?;
    writeln!(text, "# TYPE seatledger_conservation_broken gauge\nseatledger_conservation_broken {broken}")
}

#[cfg(test)]
mod tests {
    use crate::http::fixture;
    use axum::extract::State;
    use axum::http::StatusCode;

    #[tokio::test]
    async fn a_thread_that_panicked_is_a_reason_and_commands_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let service = fixture::service(dir.path(), 2000);
        for is_fallen in [false, true] {
            let answer = super::readyz(State(service.clone())).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(text.contains("the thread that signs heads panicked"), is_fallen, "{text}");
            service.ledger.let_signing_fall();
        }
    }

    #[tokio::test]
    async fn a_damaged_index_is_a_reason_and_a_figure_and_commands_without_an_id_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let service = fixture::service(dir.path(), 2000);
        for is_damaged in [false, true] {
            let answer = super::readyz(State(service.clone())).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            for folder in ["receipts", "subjects", "archive"] {
                assert_eq!(text.contains(&format!("(folder {folder}) is damaged")), is_damaged, "{text}");
            }
            let mut figures = String::new();
            super::gauges(&service, &mut figures).unwrap();
            let figure = format!("\nseatledger_indexes_damaged {}\n", if is_damaged { 3 } else { 0 });
            assert!(figures.contains(&figure), "{figures}");
            service.ledger.let_indexes_rot();
        }
        let ledger = &service.ledger;
        let (actor, door) = (crate::domain::command::Actor::Root, crate::domain::command::Door::Http);
        ledger.create_tenant(actor, door, "acme", "Acme").await.unwrap();
    }
}
