//! From events to entries: what each names, and rows of events that name the same put down as one. Not here: which number
//! stands for what.

use super::code::{Marks, code, longer, row_max, stamp};
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
        let mut rows = self.rows.drain(..).peekable();
        for code in self.codes.iter().copied() {
            while let Some((ended, row)) = rows.next_if(|(of, _)| *of < code) {
                fresh.push((tenant.0, ended), row);
            }
            let new = stamp(code, recorded.position, marks);
            if row_max(code) == 1 {
                fresh.push((tenant.0, code), new);
                continue;
            }
            let row = rows.next_if(|(of, _)| *of == code).map(|(_, row)| row);
            let goes_on = row.and_then(|row| longer(code, row));
            if let Some(full) = row.filter(|_| goes_on.is_none()) {
                fresh.push((tenant.0, code), full);
            }
            self.still.push((code, goes_on.unwrap_or(new)));
        }
        rows.for_each(|(ended, row)| fresh.push((tenant.0, ended), row));
        std::mem::swap(&mut self.rows, &mut self.still);
    }

    fn end_rows(&mut self, of: TenantId, fresh: &mut Table) {
        self.rows.drain(..).for_each(|(ended, row)| fresh.push((of.0, ended), row));
    }
}
