//! What a trial works on: a copy of a state, and what the writer would hand to the judge. Not here: judging (`audit::simulate`).

use super::{Ledger, ReadError};
use crate::domain::command::Intake;
use crate::domain::ids::TenantId;
use crate::domain::key::Provider;
use crate::domain::state::Tenant;
use crate::log::submission::Ask;
use crate::log::writer::trial_intake;

impl Ledger {
    /// A copy of the tenant's durable state, to try commands on. One is made at a time: a commit waits for one of them at most.
    /// Blocking, a moment for a large tenant.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn copy(&self, tenant: TenantId) -> Result<Tenant, ReadError> {
        let _alone = self.0.copying.lock();
        self.read(tenant, |view| view.state.clone())
    }

    /// What the writer would hand to the judge, for a trial on a copy of the state: nothing is written, no key is made.
    #[must_use]
    pub fn trial_intake(&self, tenant: TenantId, state: &Tenant, ask: Ask) -> Intake {
        let is_linked_elsewhere = |provider: Provider, name: &str| self.is_linked_elsewhere(tenant, provider, name);
        trial_intake(&self.0.vault, tenant, state, is_linked_elsewhere, ask)
    }
}
