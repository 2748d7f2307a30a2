//! What HTTP alone costs here: axum handlers that parse the same JSON and answer as much, in a process of their own.

use super::super::exit::{Failure, Finished};
use super::super::output;
use super::load::To;
use super::organization::address;
use axum::Router;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};

#[derive(Deserialize)]
struct Assign {
    pool: String,
    target: Target,
    intent: String,
}

#[derive(Deserialize)]
struct Target {
    user: String,
}

const ANSWER: [(&str, &str); 2] = [("content-type", "application/json"), ("seatledger-position", "1")];

async fn assign(headers: HeaderMap, axum::Json(assign): axum::Json<Assign>) -> Response {
    let is_known = headers.contains_key("authorization");
    let size = assign.pool.len() + assign.target.user.len() + assign.intent.len();
    let body = format!(
        "{{\"assignment\":\"assignment_{size}\",\"position\":{size},\"queued\":0,\"reserved\":1,\"skipped\":[],\"status\":\"{is_known}\"}}"
    );
    (ANSWER, body).into_response()
}

/// As long as a pool's answer is.
async fn pool(headers: HeaderMap) -> Response {
    let is_known = headers.contains_key("authorization");
    (ANSWER, format!("{{\"id\":\"{is_known}\",\"figures\":\"{}\"}}", "7".repeat(900))).into_response()
}

/// Serves until it is killed.
pub(super) async fn serve() -> Result<Finished, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(|error| Failure::File(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| Failure::File(error.to_string()))?;
    output::line(&format!("listening on http://{address}"))?;
    let router = Router::new().route("/noop", post(assign)).route("/noop", get(pool));
    axum::serve(listener, router).await.map_err(|error| Failure::File(error.to_string()))?;
    Ok(Finished::Well)
}

/// The no-op in a process of its own.
pub(super) struct Noop {
    address: std::net::SocketAddr,
    child: tokio::process::Child,
}

impl Noop {
    pub(super) async fn start() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::File(format!("the no-op can't be started: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(["bench", "--noop-server", &std::process::id().to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let out = child.stdout.take().ok_or_else(|| Failure::File("the no-op has no output".into()))?;
        let line = BufReader::new(out).lines().next_line().await.map_err(failed)?.unwrap_or_default();
        Ok(Self { address: address(line.trim_start_matches("listening on "))?, child })
    }

    /// The same request, to the no-op.
    pub(super) fn instead_of(&self, to: &To) -> To {
        To { process: self.child.id().unwrap_or(0), address: self.address, path: "/noop".into(), ..to.clone() }
    }
}
