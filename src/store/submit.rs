//! How a connector tells the ledger what it saw: through the one door, as the ledger's own word, patiently while the ledger
//! is busy. Not here: what is told.

use super::names::Reference;
use super::terms::{StoreHolder, Trouble};
use crate::domain::answer::Status;
use crate::domain::command::{Actor, Command, Door, IfMatch, Intake, Observation, PoolRef, ProviderReport};
use crate::domain::ids::{Holder, PoolId, TenantId};
use crate::domain::key::Provider;
use crate::ledger::{Ask, Ledger, Outcome, ReadError, Submission, SubmitError};
use crate::projection::View;
use std::time::Duration;

/// Observations of one batch.
pub const BATCH_MAX: usize = 500;
const BUSY_WAIT: Duration = Duration::from_millis(100);
const TRIES_MAX: u32 = 600;

/// Why something could not be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// It takes nothing more: it has stopped, or its disk is full.
    #[error("the ledger takes nothing: {0}")]
    Stopped(String),
    /// It does not take this, by the name of a rule.
    #[error("the ledger does not take what the store says: {0}")]
    Refused(String),
}

impl From<ReadError> for Untold {
    fn from(error: ReadError) -> Self {
        Self::Stopped(error.to_string())
    }
}

/// One tenant's ledger, for the connector of one of its accounts.
#[derive(Clone)]
pub struct Teller {
    pub ledger: Ledger,
    pub tenant: TenantId,
}

impl Teller {
    /// # Errors
    /// When the tenant is gone.
    pub fn read<R>(&self, look: impl FnOnce(&View) -> R) -> Result<R, Untold> {
        Ok(self.ledger.read(self.tenant, look)?)
    }

    /// Runs what takes a while, or the disk, away from the threads that serve.
    ///
    /// # Errors
    /// What the work says, or that it panicked.
    pub async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, Untold> + Send + 'static,
    ) -> Result<R, Untold> {
        tokio::task::spawn_blocking(work).await.map_err(|error| Untold::Stopped(error.to_string()))?
    }

    /// Who has this name now.
    ///
    /// # Errors
    /// When the tenant is gone.
    pub fn find(&self, name: &StoreHolder) -> Result<Option<Holder>, Untold> {
        let reference = Reference::of(&self.ledger, self.tenant, name);
        self.read(|view| reference.find(&view.state))
    }

    /// A unit that the store names is this tenant's from here on, unless another tenant has it.
    ///
    /// # Errors
    /// In words, when it has; or when the ledger takes nothing more.
    pub async fn link_unit(&self, provider: Provider, unit: &str) -> Result<(), Trouble> {
        let is_ours =
            self.read(|view| view.state.accounts.get(&provider).is_some_and(|account| account.has(provider, unit)));
        if is_ours == Ok(true) {
            return Ok(());
        }
        let elsewhere = || Trouble::Credentials("they are for a unit that another tenant has linked".into());
        // what would be refused each time is not asked each time
        if self.ledger.is_linked_elsewhere(self.tenant, provider, unit) {
            return Err(elsewhere());
        }
        let link = Command::LinkStoreUnit { provider, unit: unit.to_owned(), is_linked_elsewhere: false };
        match self.command(link).await {
            Ok(outcome) if outcome.answer.rejection.is_none() => Ok(()),
            Ok(_) => Err(elsewhere()),
            Err(untold) => Err(Trouble::Unreachable(untold.to_string())),
        }
    }

    /// # Errors
    /// When the ledger takes nothing more.
    pub async fn command(&self, command: Command) -> Result<Outcome, Untold> {
        self.one(Ask::Intake(Intake::Command(command))).await
    }

    /// # Errors
    /// When the ledger takes nothing more, or refuses the observation, which it does only for what it does not know.
    pub async fn observe(&self, observation: Observation) -> Result<Outcome, Untold> {
        let outcome = self.one(Ask::Intake(Intake::Observation(observation))).await?;
        match &outcome.answer.rejection {
            Some(rejection) => Err(Untold::Refused(rejection.name().to_owned())),
            None => Ok(outcome),
        }
    }

    /// What the store says of seats. What the ledger does not know any more is left out, with a line.
    ///
    /// # Errors
    /// When the ledger takes nothing more.
    pub async fn report_all(&self, reports: Vec<(PoolId, ProviderReport)>) -> Result<(), Untold> {
        let ask = |(pool, report): &(PoolId, ProviderReport)| {
            Ask::Intake(Intake::Observation(Observation::Provider { pool: PoolRef::Id(*pool), report: *report }))
        };
        for part in reports.chunks(BATCH_MAX) {
            self.submit_all(part.iter().map(ask).collect()).await?;
        }
        Ok(())
    }

    /// # Errors
    /// When the ledger takes nothing more.
    pub async fn submit_all(&self, asks: Vec<Ask>) -> Result<(), Untold> {
        if asks.is_empty() {
            return Ok(());
        }
        let again = || self.ledger.submit_all(self.tenant, asks.iter().cloned().map(submission).collect(), false);
        for outcome in patiently(again).await? {
            let outcome = outcome.map_err(|error| Untold::Stopped(error.to_string()))?;
            if outcome.answer.status == Status::Refused {
                let rule = outcome.answer.rejection.as_ref().map(|rejection| rejection.name());
                tracing::warn!(rule, "the ledger does not know what the store speaks of");
            }
        }
        Ok(())
    }

    async fn one(&self, ask: Ask) -> Result<Outcome, Untold> {
        patiently(|| self.ledger.submit(self.tenant, submission(ask.clone()))).await
    }
}

/// Asks again while the ledger is busy.
async fn patiently<R, F: Future<Output = Result<R, SubmitError>>>(ask: impl Fn() -> F) -> Result<R, Untold> {
    for _ in 0..TRIES_MAX {
        match ask().await {
            Ok(told) => return Ok(told),
            Err(SubmitError::Busy) => tokio::time::sleep(BUSY_WAIT).await,
            Err(error) => return Err(Untold::Stopped(error.to_string())),
        }
    }
    Err(Untold::Stopped(SubmitError::Busy.to_string()))
}

/// As the ledger's own word. Nobody who is known already is put again by a name alone.
fn submission(ask: Ask) -> Submission {
    let is_introduction = matches!(ask, Ask::PutUser { .. } | Ask::PutDevice { .. });
    Submission {
        actor: Actor::Ledger,
        door: Door::Sync,
        command_id: None,
        content_hash: 0,
        occurred_at: None,
        reason: None,
        if_match: is_introduction.then_some(IfMatch::Nothing),
        ask,
    }
}
