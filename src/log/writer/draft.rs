//! A commit group on its way from the judge to the disk: what was judged, and what is owed to whom once it is durable. Not here:
//! judging, writing.

use super::{Reply, Verdict};
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::log::Group;
use crate::log::receipts::{self, Receipt};
use crate::log::submission::SubmitError;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Of commands in a group.
pub(super) type FreshReceipts = receipts::Table;

/// A judgement that nobody may hear of yet.
pub(super) struct Judgement(pub(super) Verdict);

impl Judgement {
    pub(super) fn into_verdict(self) -> Verdict {
        self.0
    }
}

#[derive(Default)]
pub(super) struct Draft {
    pub(super) group: Group,
    pub(super) records: Vec<(TenantId, Recorded)>,
    /// The judge still reads them while the group is on its way.
    pub(super) receipts: Arc<FreshReceipts>,
    pub(super) commands: usize,
    pub(super) has_new_subjects: bool,
    /// One of the records may say whose names are erased.
    pub(super) has_erasures: bool,
    pub(super) owed: Vec<Owed>,
}

/// What is owed once the group is durable.
pub(super) enum Owed {
    Tenant(Reply<(TenantId, Verdict)>, Result<(TenantId, Judgement), SubmitError>),
    One(Reply<Verdict>, Result<Judgement, SubmitError>),
    All(oneshot::Sender<Vec<Result<Verdict, SubmitError>>>, Vec<Result<Judgement, SubmitError>>),
    Ticked(oneshot::Sender<bool>, bool),
}

impl Draft {
    /// Nothing was judged, and nobody waits.
    pub(super) fn is_clear(&self) -> bool {
        self.commands == 0 && self.group.is_empty() && self.owed.is_empty()
    }

    pub(super) fn note(&mut self, tenant: TenantId, command: [u8; 16], receipt: Receipt) {
        Arc::make_mut(&mut self.receipts).insert((tenant.0, command), receipt);
    }

    /// Everyone who waited hears it now. A caller that went away has its answer in the log.
    pub(super) fn answer(&mut self) {
        for one in self.owed.drain(..) {
            match one {
                Owed::Tenant(reply, judged) => {
                    let _gone = reply.send(judged.map(|(tenant, judgement)| (tenant, judgement.into_verdict())));
                }
                Owed::One(reply, judged) => {
                    let _gone = reply.send(judged.map(Judgement::into_verdict));
                }
                Owed::All(reply, all) => {
                    let _gone = reply.send(all.into_iter().map(|judged| judged.map(Judgement::into_verdict)).collect());
                }
                Owed::Ticked(reply, is_left) => {
                    let _gone = reply.send(is_left);
                }
            }
        }
    }

    /// Keeps the room.
    pub(super) fn clear(&mut self) {
        self.group.clear();
        self.records.clear();
        self.receipts = Arc::default();
        self.commands = 0;
        self.has_new_subjects = false;
        self.has_erasures = false;
    }
}
