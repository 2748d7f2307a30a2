//! Many commands in one call: judged in their order, or only tried.

use crate::audit::simulate::{self, SimulateError};
use crate::domain::command::Door as Through;
use crate::domain::facts::Role;
use crate::http::auth::Caller;
use crate::http::bodies::commands::{BulkBody, CommandsBody, PoolOutlookBody, SimulationBody};
use crate::http::contract::{BulkHeaders, CommandProblems};
use crate::http::door::{Tally, submission};
use crate::http::inputs::Asked;
use crate::http::lines::{Form, Line, Lines, Results};
use crate::http::problem::Problem;
use crate::http::wire::Wire;
use crate::http::wire::kind::Kind;
use crate::ledger::{Outcome, Submission, SubmitError};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

/// So many commands are handed to the writer at once: others get their turn between two runs.
const RUN_COMMANDS_MAX: usize = 2000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct CommandsQuery {
    /// All of the commands or none
    #[serde(default)]
    atomic: bool,
}

/// Commands of many kinds, judged in their order; a line that can't be read or is refused leaves the others alone.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/commands", tag = "commands",
    params(("tenant" = String, Path), CommandsQuery, BulkHeaders),
    request_body(content((CommandsBody = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 200, content((BulkBody = "application/json"), (String = "application/x-ndjson"))), CommandProblems))]
pub(in crate::http) async fn commands(
    caller: Caller,
    Asked(query): Asked<CommandsQuery>,
    lines: Lines,
) -> Result<Response, Problem> {
    caller.must_be(&[Role::Operator, Role::Connector, Role::Directory])?;
    let form = lines.form;
    let (lines, _room) = {
        let caller = caller.clone();
        let read = move || lines.read(&caller, |kind| caller.must_be(kind.roles()));
        tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))??
    };
    let is_hopeless = query.atomic && lines.iter().any(|line| line.read.is_err());
    let run = if query.atomic { lines.len().max(1) } else { RUN_COMMANDS_MAX };
    let (mut results, mut tally) = (Results::new(form), Tally::default());
    let mut lines = lines.into_iter().peekable();
    let mut is_first = true;
    while lines.peek().is_some() {
        let part: Vec<Line> = lines.by_ref().take(run).collect();
        let (part, batch) = asked(&caller, part, is_hopeless);
        let count = batch.len();
        let judged = match caller.service.ledger.submit_all(caller.tenant, batch, query.atomic).await {
            Ok(judged) => judged,
            // nothing was judged yet: the call as a whole can be sent again
            Err(error) if is_first => return Err(error.into()),
            Err(error) => vec![Err(error); count],
        };
        is_first = false;
        render(&mut results, &mut tally, part, judged);
        // others that this thread serves have waited for the rendering
        tokio::task::yield_now().await;
    }
    let head = caller.service.ledger.head(caller.tenant)?;
    tally.say(head);
    let rest = Map::from_iter([("position".to_owned(), Value::from(head))]);
    let mut response = results.finish(&rest).into_response();
    response.headers_mut().insert("seatledger-position", HeaderValue::from(head));
    Ok(response)
}

/// A line whose command is with the judge, or that goes no further.
struct Pending {
    id: Option<String>,
    read: Result<(Kind, Vec<String>), Problem>,
}

fn asked(caller: &Caller, lines: Vec<Line>, is_hopeless: bool) -> (Vec<Pending>, Vec<Submission>) {
    let mut batch = Vec::with_capacity(lines.len());
    let pending = lines
        .into_iter()
        .map(|Line { id, read }| {
            let read = match read {
                Ok(_) if is_hopeless => Err(SubmitError::BatchRefused.into()),
                Ok(wire) => Ok((wire.kind, handed(caller, wire, id.clone(), &mut batch))),
                Err(problem) => Err(problem),
            };
            Pending { id, read }
        })
        .collect();
    (pending, batch)
}

fn handed(caller: &Caller, mut wire: Wire, id: Option<String>, batch: &mut Vec<Submission>) -> Vec<String> {
    let members = std::mem::take(&mut wire.members);
    batch.push(submission(caller, wire, id, None, Through::Bulk));
    members
}

fn render(results: &mut Results, tally: &mut Tally, lines: Vec<Pending>, judged: Vec<Result<Outcome, SubmitError>>) {
    let mut judged = judged.into_iter();
    for Pending { id, read } in lines {
        let (kind, members) = match read {
            Ok(read) => read,
            Err(problem) => {
                results.refused(id, &problem);
                continue;
            }
        };
        match tally.note(kind, judged.next().unwrap_or(Err(SubmitError::Stopped)), true) {
            Ok(outcome) => results.judged(id, kind, &outcome, true, &members),
            Err(error) => results.refused(id, &error.into()),
        }
    }
}

/// What commands would do: each judged on what its predecessors would leave. Nothing is written.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/simulations", tag = "commands",
    params(("tenant" = String, Path)),
    request_body(content((CommandsBody = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 200, body = SimulationBody), CommandProblems))]
pub(in crate::http) async fn simulate(caller: Caller, lines: Lines) -> Result<Response, Problem> {
    let (lines, _room) = {
        let caller = caller.clone();
        // asking what a command would do takes no leave to send it
        let read = move || lines.read(&caller, |_| Ok(()));
        tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))??
    };
    let (lines, batch) = asked(&caller, lines, false);
    let simulation = simulate::simulate(&caller.service.ledger, caller.tenant, batch).await?;
    let mut results = Results::new(Form::Array);
    let mut answers = simulation.answers.into_iter();
    for Pending { id, read } in lines {
        match (read, &mut answers) {
            (Err(problem), _) => results.refused(id, &problem),
            (Ok((kind, members)), answers) => {
                let answer =
                    answers.next().ok_or_else(|| Problem::internal(&"a trial has fewer answers than lines"))?;
                let outcome = Outcome { position: simulation.position, answer, is_repeat: false };
                results.judged(id, kind, &outcome, false, &members);
            }
        }
    }
    let pools: Vec<PoolOutlookBody> = simulation.pools.iter().map(PoolOutlookBody::of).collect();
    let rest =
        Map::from_iter([("position".to_owned(), Value::from(simulation.position)), ("pools".to_owned(), json!(pools))]);
    let mut response = results.finish(&rest).into_response();
    response.headers_mut().insert("seatledger-position", HeaderValue::from(simulation.position));
    Ok(response)
}

impl From<SimulateError> for Problem {
    fn from(error: SimulateError) -> Self {
        let said = error.to_string();
        match error {
            SimulateError::Read(error) => error.into(),
            SimulateError::TooMany(_) => Self::new("too-large", said).with("commands_max", simulate::SUBMISSIONS_MAX),
            SimulateError::Broken => Self::internal(&said),
        }
    }
}
