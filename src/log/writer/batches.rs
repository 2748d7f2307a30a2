//! Batches of which each command is judged for itself: part by part, so that nobody has to wait for a long one. Their commands keep
//! their order, those of others come between; a batch is answered as a whole, behind the group of its last part. Not here:
//! batches that are done as a whole (`whole.rs`).

use super::bench::Bench;
use super::draft::{Judgement, Owed};
use super::judge::Verdict;
use super::{GROUP_BYTES_MAX, GROUP_COMMANDS_MAX};
use crate::clock::monotonic;
use crate::domain::ids::TenantId;
use crate::domain::state::LOOK_AHEAD;
use crate::domain::time::Time;
use crate::log::Room;
use crate::log::submission::{Submission, SubmitError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Batches are judged for so long before whoever else waits has a turn.
pub(super) const TURN: Duration = Duration::from_millis(20);
/// What was taken up before the group is full goes on until so many commands are in it: a call's run in one group costs one sync.
pub(super) const COMMANDS_MAX: usize = 2 * GROUP_COMMANDS_MAX;

/// A batch that waits for the judge, or for the rest of its judgement.
pub(super) struct Batch {
    tenant: TenantId,
    left: std::vec::IntoIter<Submission>,
    judged: Vec<Result<Judgement, SubmitError>>,
    reply: oneshot::Sender<Vec<Result<Verdict, SubmitError>>>,
}

impl Batch {
    pub(super) fn new(
        tenant: TenantId,
        batch: Vec<Submission>,
        reply: oneshot::Sender<Vec<Result<Verdict, SubmitError>>>,
    ) -> Self {
        Self { tenant, judged: Vec::with_capacity(batch.len()), left: batch.into_iter(), reply }
    }
}

impl Bench {
    /// Goes on with the batches that wait, until an instant or until the group is full; so many commands may be in it at most.
    /// One after the other, since where all take turns all are answered late; one that took all of the time is the last of
    /// them the next time. Says how many are done.
    pub(super) fn judge_batches(&mut self, commands_max: usize, end: Instant, now: Time, room: Room) -> usize {
        let mut done = 0;
        while !self.is_full()
            && self.takes_more(commands_max, end)
            && let Some(mut batch) = self.batches.pop_front()
        {
            self.go_on(&mut batch, commands_max, end, now, room);
            if batch.left.as_slice().is_empty() {
                self.draft.owed.push(Owed::All(batch.reply, batch.judged));
                done += 1;
            } else if monotonic() < end {
                self.batches.push_front(batch);
            } else {
                self.batches.push_back(batch);
            }
        }
        done
    }

    /// A caller who has gone away has the rest judged, too, as any command that was handed over.
    fn go_on(&mut self, batch: &mut Batch, commands_max: usize, end: Instant, now: Time, room: Room) {
        for at in 0_usize.. {
            if !self.takes_more(commands_max, end) {
                return;
            }
            if at.is_multiple_of(LOOK_AHEAD) {
                self.look_ahead(batch.tenant, batch.left.as_slice().iter().take(LOOK_AHEAD));
            }
            let Some(submission) = batch.left.next() else { return };
            batch.judged.push(self.judge(batch.tenant, submission, now, room));
        }
    }

    fn takes_more(&self, commands_max: usize, end: Instant) -> bool {
        self.draft.commands < commands_max && self.draft.group.bytes() < GROUP_BYTES_MAX && monotonic() < end
    }

    /// Nothing more is judged. What was is answered with the group, and the rest as a job that still waits: a batch of which
    /// nothing was judged goes as one.
    pub(super) fn leave_batches(&mut self) {
        for Batch { left, mut judged, reply, .. } in std::mem::take(&mut self.batches) {
            if !judged.is_empty() {
                judged.extend(left.map(|_| Err(SubmitError::Stopped)));
                self.draft.owed.push(Owed::All(reply, judged));
            }
        }
    }
}
