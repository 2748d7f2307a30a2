//! Figures as a table and as JSON: medians with their spread, and the ratio to what HTTP alone allows.

use super::super::output;
use serde_json::{Value, json};

/// One measured thing.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) values: Vec<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) ratio: Option<f64>,
    pub(super) not_2xx: u64,
}

impl Row {
    pub(super) fn of(name: &str, unit: &'static str, values: Vec<f64>) -> Self {
        Self { name: name.to_owned(), unit, values, p99_ms: None, ratio: None, not_2xx: 0 }
    }

    pub(super) fn once(name: &str, unit: &'static str, value: f64) -> Self {
        Self::of(name, unit, vec![value])
    }
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

    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn text(&self) -> String {
        let number = |value: f64| if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let least = |row: &Row| row.values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = |row: &Row| row.values.iter().copied().fold(0.0, f64::max);
        let rows = self.rows.iter().map(|row| {
            vec![
                row.name.clone(),
                format!("{} {}", number(median(row.values.clone())), row.unit),
                if row.values.len() > 1 {
                    format!("{} to {}", number(least(row)), number(most(row)))
                } else {
                    String::new()
                },
                row.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
                row.p99_ms.map_or(String::new(), |ms| format!("{ms:.2} ms")),
                if row.not_2xx > 0 { format!("{} not 2xx", row.not_2xx) } else { String::new() },
            ]
        });
        let table = output::table(&["", "median", "lowest to highest", "of the no-op", "p99", ""], rows.collect(), 1);
        let machine: Vec<String> = self.machine.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{}\n\n{table}", machine.join("; "))
    }

    pub(super) fn json(&self) -> Value {
        let machine: serde_json::Map<String, Value> =
            self.machine.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({"name": row.name, "unit": row.unit, "median": median(row.values.clone()), "values": row.values, "ratio_to_noop": row.ratio, "p99_ms": row.p99_ms, "not_2xx": row.not_2xx}))
            .collect();
        json!({"machine": machine, "rows": rows})
    }
}
