//! Many commands in one call: judged in their order, or only tried.

use crate::audit::simulate::{self, SimulateError};
use crate::domain::facts::Role;
use crate::http::auth::Caller;
use crate::http::bodies::commands::{BulkBody, CommandsBody, PoolOutlookBody, SimulationBody};
use crate::http::contract::{BulkHeaders, CommandProblems};
use crate::http::door::Tally;
use crate::http::inputs;
use crate::http::lines::{Asked, Form, Line, Results, UnreadLines};
use crate::http::problem::Problem;
use crate::ledger::{Outcome, SubmitError};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

/// So many commands are handed to the writer at once, and their answers come together.
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
    inputs::Asked(query): inputs::Asked<CommandsQuery>,
    lines: UnreadLines,
) -> Result<Response, Problem> {
    caller.must_be(&[Role::Operator, Role::Connector, Role::Directory])?;
    let lines = lines.whole(&caller.service).await?;
    let form = lines.form;
    let run_max = if query.atomic { usize::MAX } else { RUN_COMMANDS_MAX };
    let mut read = {
        let caller = caller.clone();
        let read = move || lines.read(&caller, run_max, |kind| caller.must_be(kind.roles()));
        tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))??
    };
    let is_hopeless = query.atomic && read.lines.iter().any(|line| line.read.is_err());
    if is_hopeless {
        read.runs.clear();
    }
    // why lines that no run reaches are not judged
    let mut unreached: Problem = if is_hopeless { SubmitError::BatchRefused } else { SubmitError::Stopped }.into();
    let (mut results, mut tally) = (Results::new(form), Tally::default());
    let mut lines = read.lines.into_iter();
    let mut is_first = true;
    for run in read.runs {
        if let Err(problem) = caller.must_be_good() {
            if is_first {
                return Err(problem);
            }
            unreached = problem;
            break;
        }
        let count = run.len();
        let judged = match caller.service.ledger.submit_all(caller.tenant, run, query.atomic).await {
            Ok(judged) => judged,
            // nothing was judged yet: the call as a whole can be sent again
            Err(error) if is_first => return Err(error.into()),
            Err(error) => vec![Err(error); count],
        };
        is_first = false;
        judged.into_iter().for_each(|judged| render(&mut results, &mut tally, &mut lines, judged));
        // others that this thread serves have waited for the rendering
        tokio::task::yield_now().await;
    }
    for Line { id, read } in lines {
        results.refused(id, read.as_ref().err().unwrap_or(&unreached));
    }
    let head = caller.service.ledger.head(caller.tenant)?;
    tally.say(head);
    let rest = Map::from_iter([("position".to_owned(), Value::from(head))]);
    let mut response = results.finish(&rest).into_response();
    response.headers_mut().insert("seatledger-position", HeaderValue::from(head));
    Ok(response)
}

/// The results of the lines up to the next command, which was judged; those before it could not be read.
fn render(
    results: &mut Results,
    tally: &mut Tally,
    lines: &mut std::vec::IntoIter<Line>,
    judged: Result<Outcome, SubmitError>,
) {
    for Line { id, read } in lines {
        match read {
            Err(problem) => results.refused(id, &problem),
            Ok(Asked { kind, members }) => {
                return match tally.note(kind, judged, true) {
                    Ok(outcome) => results.judged(id, kind, &outcome, true, &members),
                    Err(error) => results.refused(id, &error.into()),
                };
            }
        }
    }
}

/// What commands would do: each judged on what its predecessors would leave. Nothing is written.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/simulations", tag = "commands",
    params(("tenant" = String, Path)),
    request_body(content((CommandsBody = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 200, body = SimulationBody), CommandProblems))]
pub(in crate::http) async fn simulate(caller: Caller, lines: UnreadLines) -> Result<Response, Problem> {
    let lines = lines.whole(&caller.service).await?;
    let mut read = {
        let caller = caller.clone();
        // asking what a command would do takes no leave to send it
        let read = move || lines.read(&caller, usize::MAX, |_| Ok(()));
        tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))??
    };
    caller.must_be_good()?;
    let commands = read.runs.pop().unwrap_or_default();
    let trial = {
        let caller = caller.clone();
        move || Ok(simulate::simulate(&caller.service.ledger, caller.tenant, commands)?)
    };
    // a copy of the state each: with a place, as what looks back
    let simulation = caller.look_back(trial).await?;
    let mut results = Results::new(Form::Array);
    let mut answers = simulation.answers.into_iter();
    for Line { id, read } in read.lines {
        match (read, &mut answers) {
            (Err(problem), _) => results.refused(id, &problem),
            (Ok(Asked { kind, members }), answers) => {
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
        }
    }
}
