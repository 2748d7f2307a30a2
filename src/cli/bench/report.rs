//! Figures as a table and as JSON: medians with their spread, the ratio to what HTTP or the disk alone allow in the same
//! run, and the goal beside it. Not here: measuring.

use super::super::output;
use super::load::Run;
use serde_json::{Value, json};

/// One measured thing.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) values: Vec<f64>,
    pub(super) p99_ms: Option<f64>,
    /// The longest time in which nobody was answered.
    pub(super) gap_ms: Option<f64>,
    /// To what stands behind it, pair by pair of rounds.
    pub(super) ratio: Option<(f64, &'static str)>,
    /// Of processor time an answer: the asked process, and whoever asks.
    pub(super) cpu_micros: Option<(f64, f64)>,
    pub(super) goal: &'static str,
    pub(super) not_2xx: u64,
}

impl Row {
    pub(super) fn of(name: &str, unit: &'static str, values: Vec<f64>) -> Self {
        Self { name: name.to_owned(), unit, values, ..Self::default() }
    }

    pub(super) fn once(name: &str, unit: &'static str, value: f64) -> Self {
        Self::of(name, unit, vec![value])
    }

    /// Rounds of the load generator.
    pub(super) fn of_runs(name: &str, runs: &[Run]) -> Self {
        let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
        Self {
            p99_ms: Some(middle(|run| run.percentile_ms(0.99))),
            gap_ms: Some(runs.iter().map(Run::gap_ms).fold(0.0, f64::max)),
            cpu_micros: Some((middle(Run::asked_micros), middle(Run::asking_micros))),
            not_2xx: runs.iter().map(|run| run.not_2xx).sum(),
            ..Self::of(name, "/s", runs.iter().map(Run::per_second).collect())
        }
    }

    /// Beside rounds that were taken in turn with these.
    pub(super) fn beside(self, others: &[f64], whose: &'static str) -> Self {
        let ratios = self.values.iter().zip(others).map(|(ours, theirs)| ours / theirs).collect();
        Self { ratio: Some((median(ratios), whose)), ..self }
    }

    pub(super) fn goal(self, goal: &'static str) -> Self {
        Self { goal, ..self }
    }

    fn cells(&self) -> Vec<String> {
        let least = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.values.iter().copied().fold(0.0, f64::max);
        let ms = |figure: Option<f64>| figure.map_or(String::new(), number);
        vec![
            self.name.clone(),
            format!("{} {}", number(median(self.values.clone())), self.unit),
            if self.values.len() > 1 { format!("{} to {}", number(least), number(most)) } else { String::new() },
            self.ratio.map_or(String::new(), |(ratio, whose)| format!("{ratio:.2} of {whose}")),
            ms(self.p99_ms),
            ms(self.gap_ms),
            self.cpu_micros.map_or(String::new(), |(asked, asking)| format!("{} + {}", number(asked), number(asking))),
            self.goal.to_owned(),
            if self.not_2xx > 0 { format!("{} not 2xx", self.not_2xx) } else { String::new() },
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "unit": self.unit, "median": median(self.values.clone()), "values": self.values,
            "ratio": self.ratio.map(|(ratio, _)| ratio), "ratio_to": self.ratio.map(|(_, whose)| whose),
            "p99_ms": self.p99_ms, "longest_gap_ms": self.gap_ms,
            "cpu_micros_asked": self.cpu_micros.map(|(asked, _)| asked),
            "cpu_micros_asking": self.cpu_micros.map(|(_, asking)| asking),
            "goal": self.goal, "not_2xx": self.not_2xx,
        })
    }
}

fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

pub(super) struct Figures {
    machine: Vec<(&'static str, String)>,
    rows: Vec<Row>,
}

impl Figures {
    pub(super) fn new(machine: Vec<(&'static str, String)>) -> Self {
        Self { machine, rows: Vec::new() }
    }

    /// Keeps a row, and says it at once: a run takes minutes.
    pub(super) fn push(&mut self, row: Row) {
        output::note(&row.cells().into_iter().filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("; "));
        self.rows.push(row);
    }

    pub(super) fn text(&self) -> String {
        let header = [
            "",
            "median",
            "lowest to highest",
            "ratio",
            "p99 ms",
            "longest gap ms",
            "CPU us: asked + asking",
            "goal",
            "",
        ];
        let table = output::table(&header, self.rows.iter().map(Row::cells).collect(), 1);
        let machine: Vec<String> = self.machine.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{}\n\n{table}", machine.join("; "))
    }

    pub(super) fn json(&self) -> Value {
        let machine: serde_json::Map<String, Value> =
            self.machine.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        json!({"machine": machine, "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>()})
    }
}
