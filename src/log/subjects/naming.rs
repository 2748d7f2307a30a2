//! From events to entries: what each names, and rows of events that name the same put down as one. Not here: which number
//! stands for what.

use super::code::{Marks, code, longer, stamp_and_row};
use super::table::Table;
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::domain::subject::{Subject, name_subjects};

/// What the last event named; its room is used again.
#[derive(Default)]
pub(super) struct Naming {
    named: Vec<Subject>,
    codes: Vec<u64>,
    /// Rows that the next event may make longer, in the order of their codes.
    rows: Vec<(u64, u64)>,
    still: Vec<(u64, u64)>,
}

impl Naming {
    /// Puts down what events name, in their order.
    pub(super) fn take(&mut self, records: &[(TenantId, Recorded)], fresh: &mut Table) {
        let mut before: Option<(TenantId, u64)> = None;
        for (tenant, recorded) in records {
            if let Some((of, position)) = before
                && (of, position + 1) != (*tenant, recorded.position)
            {
                self.end_rows(of, fresh);
            }
            self.name(*tenant, recorded, fresh);
            before = Some((*tenant, recorded.position));
        }
        if let Some((of, _)) = before {
            self.end_rows(of, fresh);
        }
    }

    /// Puts down what an event names, but for what the next one may name again.
    fn name(&mut self, tenant: TenantId, recorded: &Recorded, fresh: &mut Table) {
        name_subjects(recorded, &mut self.named);
        self.codes.clear();
        self.codes.extend(self.named.iter().map(|subject| code(*subject)));
        // numbers are compared faster than subjects
        self.codes.sort_unstable();
        self.codes.dedup();
        let marks = Marks::of(recorded);
        let mut rows = self.rows.as_slice();
        for code in self.codes.iter().copied() {
            let (new, row_max) = stamp_and_row(code, recorded.position, marks);
            if row_max == 1 {
                fresh.push((tenant.0, code), new);
                continue;
            }
            while let Some(((ended, row), rest)) = rows.split_first().filter(|((of, _), _)| *of < code) {
                fresh.push((tenant.0, *ended), *row);
                rows = rest;
            }
            let known = rows.split_first().filter(|((of, _), _)| *of == code);
            let goes_on = known.and_then(|((_, row), _)| longer(*row, row_max));
            self.still.push((code, goes_on.unwrap_or(new)));
            if let Some(((_, row), rest)) = known {
                rows = rest;
                if goes_on.is_none() {
                    fresh.push((tenant.0, code), *row);
                }
            }
        }
        rows.iter().for_each(|(ended, row)| fresh.push((tenant.0, *ended), *row));
        self.rows.clear();
        std::mem::swap(&mut self.rows, &mut self.still);
    }

    fn end_rows(&mut self, of: TenantId, fresh: &mut Table) {
        self.rows.drain(..).for_each(|(ended, row)| fresh.push((of.0, ended), row));
    }
}
