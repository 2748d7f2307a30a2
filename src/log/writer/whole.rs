//! Batches that are done as a whole or not at all. The first one that is refused ends the batch: what it did is taken back,
//! the refusal is data like any other and leaves a record of its own and, under an id, a receipt.

use super::bench::{Begun, Bench};
use super::draft::{FreshReceipts, Judgement};
use super::judge::{Repeat, Verdict};
use crate::domain::command::Envelope;
use crate::domain::decide::{Judged, Undone, refuse_batch};
use crate::domain::event::Event;
use crate::domain::ids::TenantId;
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use crate::log::receipts::Receipt;
use crate::log::record;
use crate::log::submission::{Submission, SubmitError};
use crate::log::{LogReader, Room};
use std::sync::Arc;

/// How everything stood before the batch.
struct Before {
    state: Tenant,
    records: usize,
    receipts: Arc<FreshReceipts>,
}

/// What ended the batch.
enum End {
    Refused(Box<(Envelope, Event)>),
    /// Refused before, under the same id.
    RefusedBefore(Box<Repeat>),
    Failed(SubmitError),
}

impl Bench {
    /// Judges a batch of which all is done or nothing.
    pub(super) fn judge_whole(
        &mut self,
        log: &LogReader,
        tenant: TenantId,
        batch: Vec<Submission>,
        now: Time,
        room: Room,
    ) -> Vec<Result<Judgement, SubmitError>> {
        let commands = batch.len();
        let Some(state) = self.tenant(tenant).cloned() else {
            return batch.iter().map(|_| Err(SubmitError::TenantNotFound)).collect();
        };
        let before = Before { state, records: self.draft.records.len(), receipts: Arc::clone(&self.draft.receipts) };
        let mut done = Vec::with_capacity(commands);
        for submission in batch {
            match self.judge_next(log, tenant, submission, now, room) {
                Ok(judgement) => done.push(Ok(judgement)),
                Err(end) => return self.end_batch(tenant, before, done, commands, end),
            }
        }
        done
    }

    fn judge_next(
        &mut self,
        log: &LogReader,
        tenant: TenantId,
        submission: Submission,
        now: Time,
        room: Room,
    ) -> Result<Judgement, End> {
        match self.begin(tenant, submission, now, room).map_err(End::Failed)? {
            Begun::Repeat(repeat) if self.was_refused(log, tenant, &repeat.receipt) => Err(End::RefusedBefore(repeat)),
            Begun::Repeat(repeat) => Ok(Judgement(Verdict::Repeat(repeat))),
            Begun::Judged { envelope, judged, first_position } => match refusal(&judged) {
                Some(refusal) => Err(End::Refused(Box::new((envelope, refusal)))),
                None => Ok(self.record(tenant, envelope, judged, first_position)),
            },
        }
    }

    /// Undoes the batch, and says what is left of each of its commands.
    fn end_batch(
        &mut self,
        tenant: TenantId,
        before: Before,
        done: Vec<Result<Judgement, SubmitError>>,
        commands: usize,
        end: End,
    ) -> Vec<Result<Judgement, SubmitError>> {
        let place = done.len();
        let first_undone = before.state.next_position;
        let is_older = |judgement: &Judgement| matches!(&judgement.0, Verdict::Repeat(repeat) if repeat.receipt.first_position < first_undone);
        // what was done before this batch stays done
        let mut all: Vec<_> = done
            .into_iter()
            .map(|one| one.and_then(|one| if is_older(&one) { Ok(one) } else { Err(SubmitError::BatchRefused) }))
            .collect();
        if let Some(state) = self.tenants.get_mut(tenant.index()) {
            *state = before.state;
        }
        self.draft.records.truncate(before.records);
        self.draft.group.truncate(before.records);
        self.draft.receipts = before.receipts;
        all.push(match end {
            End::Failed(error) => Err(error),
            End::RefusedBefore(repeat) => Ok(Judgement(Verdict::Repeat(repeat))),
            End::Refused(refused) => {
                let (envelope, refusal) = *refused;
                let size = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
                let undone = Undone { place: size(place), commands: size(commands) };
                self.refuse(tenant, envelope, &refusal, undone)
            }
        });
        all.resize_with(commands, || Err(SubmitError::BatchRefused));
        all
    }

    fn refuse(
        &mut self,
        tenant: TenantId,
        envelope: Envelope,
        refusal: &Event,
        undone: Undone,
    ) -> Result<Judgement, SubmitError> {
        let state = self.tenants.get_mut(tenant.index()).ok_or(SubmitError::TenantNotFound)?;
        let first_position = state.next_position;
        let judged = refuse_batch(state, refusal, undone, &envelope).ok_or(SubmitError::BatchRefused)?;
        Ok(self.record(tenant, envelope, judged, first_position))
    }

    fn was_refused(&self, log: &LogReader, tenant: TenantId, receipt: &Receipt) -> bool {
        let at = receipt.first_position;
        let fresh = self.draft.records.iter().find(|(whose, recorded)| *whose == tenant && recorded.position == at);
        if let Some((_, recorded)) = fresh {
            return is_refusal(&recorded.event);
        }
        let read = log.read(tenant.0, at, 1).map_err(|error| error.to_string());
        let first = read.and_then(|found| found.into_iter().next().ok_or_else(|| "nothing is there".to_owned()));
        match first.and_then(|(at, bytes)| record::decode(at, &bytes).map_err(|error| error.to_string())) {
            Ok(recorded) => is_refusal(&recorded.event),
            Err(error) => {
                tracing::error!(%error, position = at, "the record of an earlier command could not be read");
                true
            }
        }
    }
}

fn is_refusal(event: &Event) -> bool {
    matches!(event, Event::CommandRefused { .. } | Event::BatchRefused { .. })
}

/// The refusal that a judgement is, recorded or not.
fn refusal(judged: &Judged) -> Option<Event> {
    judged.events.first().or(judged.unrecorded.as_deref()).filter(|event| is_refusal(event)).cloned()
}
