//! Many commands and what came of them, for the published contract; and pools as a trial leaves them.

use crate::audit::simulate::PoolOutlook;
use crate::http::problem::{ProblemBody, owned_json};
use crate::http::wire::kind::BulkKind;
use crate::http::wire::text::OwnedWord;
use crate::projection::figures::Figures;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One command: its type, its id, and the fields of the call, those of the call's path among them
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct BulkCommand {
    #[serde(rename = "type")]
    kind: BulkKind,
    /// The command's idempotency key
    #[schema(min_length = 1, max_length = 64, pattern = "^[ -~]{1,64}$")]
    id: Option<String>,
    #[serde(flatten)]
    fields: BTreeMap<String, Value>,
}

/// An array of commands, or an object that has it under `commands`; at most 10 000
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the contract; lines.rs reads the body")]
pub(in crate::http) enum CommandsBody {
    Array(Vec<BulkCommand>),
    Object { commands: Vec<BulkCommand> },
}

/// What came of one command; the fields of the call's own answer stand beside these
#[derive(Serialize, ToSchema)]
struct BulkResult {
    #[schema(required)]
    id: Option<String>,
    /// `done`, `unchanged` or `refused`
    status: String,
    /// Null for what was not judged
    #[schema(required)]
    position: Option<u64>,
    #[schema(required)]
    problem: Option<ProblemBody>,
    /// Stands here, as true, where the command was judged before and this is its first answer again
    repeated: Option<bool>,
    #[serde(flatten)]
    answer: BTreeMap<String, Value>,
}

/// One result a command, in order
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct BulkBody {
    results: Vec<BulkResult>,
    position: u64,
}

/// Verdicts as they would be at `position`, and the pools that would change
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SimulationBody {
    results: Vec<BulkResult>,
    pools: Vec<PoolOutlookBody>,
    position: u64,
}

/// A pool before and after; `before` is null for one that would be listed
#[derive(Serialize, ToSchema)]
#[schema(as = PoolOutlook)]
pub(in crate::http) struct PoolOutlookBody {
    pool: String,
    #[schema(required)]
    before: Option<FiguresBody>,
    after: FiguresBody,
}

impl PoolOutlookBody {
    pub(in crate::http) fn of(outlook: &PoolOutlook) -> Self {
        let PoolOutlook { pool, before, after } = outlook;
        Self { pool: pool.to_string(), before: before.as_ref().map(FiguresBody::of), after: FiguresBody::of(after) }
    }
}

/// A pool's counts
#[derive(Serialize, ToSchema)]
#[schema(as = Figures)]
pub(in crate::http) struct FiguresBody {
    #[schema(value_type = OwnedWord)]
    owned: Value,
    held: u64,
    reserved: u64,
    in_use: u64,
    releasing: u64,
    foreign: u64,
    #[schema(value_type = OwnedWord)]
    free: Value,
    over_by: u64,
    queued: u64,
    installed: u64,
    unlicensed: u64,
    refused: u64,
}

impl FiguresBody {
    pub(in crate::http) fn of(figures: &Figures) -> Self {
        let Figures {
            owned,
            held,
            reserved,
            in_use,
            releasing,
            foreign,
            free,
            over_by,
            queued,
            installed,
            unlicensed,
            refused,
        } = *figures;
        Self {
            owned: owned_json(owned),
            held,
            reserved,
            in_use,
            releasing,
            foreign,
            free: owned_json(free),
            over_by,
            queued,
            installed,
            unlicensed,
            refused,
        }
    }
}
