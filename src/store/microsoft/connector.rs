//! The store as the ledger's engine sees it: whose account it is, what it lists, what it is to do, and whether a seat is
//! there. Not here: how each is done (`pass`, `settle`).

use super::client::{Answered, InventoryAsked, MicrosoftClient, Missing};
use super::mapping::Described;
use super::wire::ProductKey;
use super::{MicrosoftSettings, pass, settle};
use crate::domain::key::{LicenseType, PoolKey};
use crate::domain::time::Time;
use crate::store::secret::StoreSecret;
use crate::store::terms::{Account, Pass, PassAsked, PassProgress, Request, Settled, StoreHolder, Trouble};
use crate::store::transport::Transport;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was read of a product, and when the store says that it changed.
pub(super) struct Remembered {
    pub(super) last_modified: Option<Time>,
    pub(super) described: Arc<Described>,
}

/// By product and language.
pub(super) type Memory = Mutex<BTreeMap<(ProductKey, String), Remembered>>;

/// One for a store account.
pub struct MicrosoftConnector {
    client: MicrosoftClient,
    memory: Memory,
}

impl MicrosoftConnector {
    #[must_use]
    pub fn new(settings: &MicrosoftSettings, secret: StoreSecret, transport: Transport) -> Self {
        Self { client: MicrosoftClient::new(settings, secret, transport), memory: Memory::default() }
    }

    /// For what the engine does not ask, as offline licenses.
    #[must_use]
    pub fn client(&self) -> &MicrosoftClient {
        &self.client
    }

    /// That we are let in. The store does not say whose account it is.
    ///
    /// # Errors
    /// When it can't be asked, or does not let us in.
    pub async fn account(&self) -> Result<Account, Trouble> {
        self.client.inventory(&InventoryAsked::default()).await?.good()?;
        Ok(Account { account_id: None, taken_over_by: None, token_expires_at: None })
    }

    /// Reads the inventory and the seats of every pool in it. With `since` in what is asked, and not in full, the pools that
    /// the store says have changed; that is a hint and no proof, so that such a pass is never complete.
    ///
    /// # Errors
    /// When it breaks off.
    pub async fn pass(&self, asked: &PassAsked, progress: &PassProgress) -> Result<Pass, Trouble> {
        pass::read(&self.client, &self.memory, asked, progress).await
    }

    /// Does what is asked, pool by pool, the releases of a pool before its grants, and otherwise in the order given.
    ///
    /// A user that the store does not know is `NotSent`: it may be one whom the directory made a minute ago.
    pub async fn settle(&self, requests: Vec<Request>) -> Vec<(Request, Settled)> {
        settle::all(&self.client, requests).await
    }

    /// Whether the holder has a seat of the pool, now.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn look(&self, pool: &PoolKey, holder: &StoreHolder) -> Result<bool, Trouble> {
        let (Some(key), StoreHolder::User(upn)) = (online(pool), holder) else { return Ok(false) };
        look(&self.client, &key, upn).await
    }
}

/// How the store names a pool that has seats there.
pub(super) fn online(pool: &PoolKey) -> Option<ProductKey> {
    match pool {
        PoolKey::Microsoft { product_id, sku_id, license_type: LicenseType::Online } => {
            Some(ProductKey { product_id: product_id.clone(), sku_id: sku_id.clone() })
        }
        PoolKey::Microsoft { license_type: LicenseType::Offline, .. }
        | PoolKey::Apple { .. }
        | PoolKey::Declared { .. } => None,
    }
}

pub(super) async fn look(client: &MicrosoftClient, key: &ProductKey, upn: &str) -> Result<bool, Trouble> {
    match client.seat(key, upn).await? {
        Answered::Good(seat) => Ok(seat.is_active()),
        Answered::NotFound(Missing::Seat | Missing::User | Missing::Inventory) => Ok(false),
        // it need not be the store that says so
        other @ (Answered::NotFound(Missing::Something) | Answered::Conflict(_) | Answered::Bad) => {
            other.good().map(|seat| seat.is_active())
        }
    }
}
