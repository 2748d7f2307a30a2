//! What is certified of a pool, and where two tellings of it differ. Not here: where either of them comes from.

use crate::domain::ids::PoolId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// So many differences are named.
const DIFFERENCES_MAX: usize = 100;

/// One pool in the period. Its figures begin with what was so just before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolFigures {
    pub pool: PoolId,
    pub key: String,
    /// The most that was held at any moment.
    pub held_max: u64,
    /// The position by which it was first so; what was so already, by the last that changed what is held, or owned if none did.
    pub held_max_position: u64,
    /// The fewest that were owned at any moment; nothing where it was without limit all the time.
    pub owned_min: Option<u64>,
    pub grants: u64,
    /// Grants for which no seat was free. By the rules there are none.
    pub grants_above_cap: u64,
    /// Commands that a rule refused (409), with repeats that were counted.
    pub refusals: u64,
    /// How often it was above its cap.
    pub times_over: u64,
    /// Each of them, a line of its own.
    #[serde(skip)]
    pub over: Vec<Over>,
}

/// A time above the cap, as far as it lies in the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Over {
    #[serde(rename = "over")]
    pub pool: PoolId,
    /// The most by which it was above, within the period.
    pub over_by_max: u64,
    /// It may lie before the period.
    pub began_position: u64,
    pub began_at: Time,
    /// The type of the event that began it.
    pub began_by: String,
    /// Why, where that event says it.
    pub cause: Option<String>,
    /// Nothing where it goes on.
    pub ended_position: Option<u64>,
    pub ended_at: Option<Time>,
}

/// A figure that is not what the records say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The pool's id, with the place of a time above its cap behind it; empty for what is said of all.
    pub of: String,
    pub figure: String,
    pub said: Value,
    pub found: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, figure, said, found } = self;
        let of = if of.is_empty() { String::new() } else { format!("{of}: ") };
        write!(f, "{of}{figure} is said to be {said}, and the records say {found}")
    }
}

/// Where things differ, the first ones.
#[derive(Debug, Default)]
pub(super) struct Differences(pub(super) Vec<Difference>);

impl Differences {
    pub(super) fn compare(&mut self, of: &str, figure: &str, said: impl Serialize, found: impl Serialize) {
        let (said, found) = (value(said), value(found));
        if said != found && self.0.len() < DIFFERENCES_MAX {
            self.0.push(Difference { of: of.to_owned(), figure: figure.to_owned(), said, found });
        }
    }

    /// Every figure of one object against the same of another.
    fn compare_all(&mut self, of: &str, said: &impl Serialize, found: &impl Serialize) {
        let (said, found) = (fields(said), fields(found));
        for (figure, said) in &said {
            self.compare(of, figure, said, found.get(figure));
        }
    }

    pub(super) fn compare_pool(&mut self, said: &PoolFigures, found: &PoolFigures) {
        let of = said.pool.to_string();
        self.compare_all(&of, said, found);
        for (place, (said, found)) in said.over.iter().zip(&found.over).enumerate() {
            self.compare_all(&format!("{of}, time {} above its cap", place + 1), said, found);
        }
        self.compare(&of, "lines of times_over", said.over.len(), found.times_over);
    }
}

fn value(figure: impl Serialize) -> Value {
    serde_json::to_value(figure).expect("figures are plain data with text keys")
}

fn fields(object: &impl Serialize) -> Map<String, Value> {
    match value(object) {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
