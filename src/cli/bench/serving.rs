//! The rows that ask a running service: single calls, one app that everybody wants, reads beside a load, calls of many
//! commands, a change of a large group. Not here: how a load is sent, and what it says.

use super::Bench;
use super::load::{self, Run, To};
use super::noop::Noop;
use super::organization::{self, Pairs, path, path_in, to};
use super::raw;
use super::report::Row;
use crate::cli::exit::Failure;
use crate::cli::progress::Progress;
use crate::cli::spawned::Spawned;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Who all want one app.
const ONE_APP_CONNECTIONS: usize = 64;

impl Bench {
    /// A load that goes on beside whatever is asked meanwhile.
    fn beside(&self, to: &To, connections: usize, pairs: &Pairs) -> JoinHandle<Result<Run, Failure>> {
        let (to, lasts, pairs) = (to.clone(), self.lasts(), pairs.clone());
        tokio::spawn(async move { assigning(&to, connections, lasts, &pairs).await })
    }

    pub(super) async fn singles(
        &self,
        service: &Spawned,
        noop: &Noop,
        connections: usize,
        folder: &Path,
        pairs: &Pairs,
    ) -> Result<Vec<Row>, Failure> {
        let ours = to(service, "POST", path("/assignments"), "application/json")?;
        let theirs = noop.instead_of(&ours);
        let (mut a, mut b, mut disk) = (Vec::new(), Vec::new(), Vec::new());
        let progress = Progress::new(&format!("{connections} connections"), u64::from(self.args.rounds));
        for _ in 0..self.args.rounds {
            a.push(assigning(&ours, connections, self.lasts(), pairs).await?);
            b.push(assigning(&theirs, connections, self.lasts(), &Pairs::new(self.args.users)).await?);
            if connections == 1 {
                disk.push(raw::syncs_per_second(folder)?);
            }
            progress.advance(1);
        }
        progress.finish();
        let rates = |runs: &[Run]| runs.iter().map(Run::per_second).collect::<Vec<_>>();
        let row = Row::of_runs(&format!("durable assign over HTTP, {connections} connections"), &a);
        let row = match connections {
            1 => row.beside(&disk, "fdatasync").goal("0.75 of fdatasync"),
            64 => row.beside(&rates(&b), "the no-op").goal("0.80 of the no-op"),
            256 => row.beside(&rates(&b), "the no-op").goal("0.85 of the no-op, p99 3 x its + 5 ms"),
            _ => row.beside(&rates(&b), "the no-op"),
        };
        Ok(vec![row, Row::of_runs(&format!("no-op handler, {connections} connections"), &b)])
    }

    /// People of a tenant of its own, so that there are enough of them for one app.
    pub(super) async fn one_app(&self, service: &Spawned) -> Result<Row, Failure> {
        const TENANT: &str = "bench-one-app";
        organization::found(service.client(), TENANT, self.args.users).await?;
        let ours = to(service, "POST", path_in(TENANT, "/assignments"), "application/json")?;
        let (mut one, mut many) = (Vec::new(), Vec::new());
        // whoever has the app is answered `unchanged`, which costs less: so everybody is asked once
        let (pairs, next) = (Pairs::new(self.args.users), Arc::new(AtomicU64::new(0)));
        let share = self.args.users as u64 / u64::from(self.args.rounds);
        for round in 1..=u64::from(self.args.rounds) {
            next.store((round - 1) * share, Ordering::Relaxed);
            let next = Arc::clone(&next);
            let body = move |_, _| {
                let user = next.fetch_add(1, Ordering::Relaxed);
                let body =
                    json!({"pool": "declared:app0", "target": {"user": format!("u{user}")}, "intent": "required"});
                (user < round * share).then(|| body.to_string())
            };
            one.push(load::run(&ours, ONE_APP_CONNECTIONS, self.lasts(), body).await?);
            let lasts = one.last().map_or(Duration::ZERO, |run| run.elapsed);
            many.push(assigning(&ours, ONE_APP_CONNECTIONS, lasts, &pairs).await?);
        }
        let others: Vec<f64> = many.iter().map(Run::per_second).collect();
        let name = format!("everybody wants one app, {ONE_APP_CONNECTIONS} connections");
        Ok(Row::of_runs(&name, &one).beside(&others, "many apps").goal("0.95 of many apps"))
    }

    /// Reads of one pool while others assign, in turn with the no-op's beside the same load.
    pub(super) async fn reads(&self, service: &Spawned, noop: &Noop, pairs: &Pairs) -> Result<Vec<Row>, Failure> {
        const READERS: usize = 16;
        let writes = to(service, "POST", path("/assignments"), "application/json")?;
        let ours = to(service, "GET", path("/pools/declared:app7"), "application/json")?;
        let theirs = noop.instead_of(&ours);
        let (mut a, mut b, mut loads) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.args.rounds {
            for (asked, runs) in [(&ours, &mut a), (&theirs, &mut b)] {
                let load = self.beside(&writes, 64, pairs);
                runs.push(load::run(asked, READERS, self.lasts(), |_, _| Some(String::new())).await?);
                loads.push(joined(load).await?);
            }
        }
        let others: Vec<f64> = b.iter().map(Run::per_second).collect();
        let ours = Row::of_runs(&format!("GET of a pool, {READERS} connections, beside 64 that assign"), &a);
        Ok(vec![
            ours.beside(&others, "the no-op").goal("0.70 of the no-op, p99 10 ms"),
            Row::of_runs("no-op GET beside the same load", &b),
            Row::of_runs("that load: durable assign, 64 connections", &loads),
        ])
    }

    pub(super) async fn bulk(&self, service: &Spawned, lines: u64, pairs: &Pairs) -> Result<Row, Failure> {
        const CONNECTIONS: usize = 8;
        let to = to(service, "POST", path("/commands"), "application/x-ndjson")?;
        let mut runs = Vec::new();
        for _ in 0..self.args.rounds {
            let pairs = pairs.clone();
            let run = load::run(&to, CONNECTIONS, self.lasts(), move |_, _| pairs.lines(lines)).await?;
            runs.push(run.times(lines));
        }
        let name = format!("durable assign in bulk, NDJSON of {lines}, {CONNECTIONS} connections");
        Ok(Row::of_runs(&name, &runs).goal("800,000/s, no gap over 100 ms"))
    }

    /// A change of a group that an assignment targets, while another tenant is at work.
    pub(super) async fn group(&self, service: &Spawned, pairs: &Pairs) -> Result<Vec<Row>, Failure> {
        const MEMBERS: usize = 50_000;
        const OTHERS: &str = "bench-group";
        let client = service.client();
        organization::found(client, OTHERS, MEMBERS).await?;
        let group = path_in(OTHERS, "/groups/all");
        let everybody: Vec<String> = (0..MEMBERS).map(|user| format!("u{user}")).collect();
        client.put(&group, json!({"kind": "users", "members": []}), None).await?;
        let assignment = json!({"pool": "declared:app1", "target": {"group": "all"}, "intent": "available"});
        client.post(&path_in(OTHERS, "/assignments"), assignment, None).await?;
        let ours = to(service, "GET", path("/pools/declared:app7"), "application/json")?;
        let writes = to(service, "POST", path("/assignments"), "application/json")?;
        let quiet = assigning(&writes, 4, self.lasts(), pairs).await?;
        let (mut took, mut beside, mut reads) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..self.args.rounds.min(4) {
            let load = self.beside(&writes, 4, pairs);
            let looks = {
                let (ours, lasts) = (ours.clone(), self.lasts());
                tokio::spawn(async move { load::run(&ours, 4, lasts, |_, _| Some(String::new())).await })
            };
            tokio::time::sleep(self.lasts() / 4).await;
            let members = if round % 2 == 0 { everybody.clone() } else { Vec::new() };
            let begun = crate::clock::monotonic();
            client.put(&group, json!({"kind": "users", "members": members}), None).await?;
            took.push(begun.elapsed().as_secs_f64() * 1e3);
            beside.push(joined(load).await?);
            reads.push(joined(looks).await?);
        }
        let name = format!("a group change of {MEMBERS} members, in and out");
        Ok(vec![
            Row::of(&name, "ms", took).goal("500 ms"),
            Row::of_runs("another tenant's commands meanwhile, 4 connections", &beside),
            Row::of_runs("the same with no such change", &[quiet]),
            Row::of_runs("another tenant's reads meanwhile, 4 connections", &reads),
        ])
    }
}

async fn joined(load: JoinHandle<Result<Run, Failure>>) -> Result<Run, Failure> {
    load.await.map_err(|error| Failure::Unreachable(error.to_string()))?
}

/// One run of single assignments.
pub(super) async fn assigning(to: &To, connections: usize, lasts: Duration, pairs: &Pairs) -> Result<Run, Failure> {
    let pairs = pairs.clone();
    load::run(to, connections, lasts, move |_, _| pairs.call()).await
}
