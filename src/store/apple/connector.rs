//! What an engine calls of a unit: whom the store takes us for, one reading, seats to be settled, one seat looked at. Not here:
//! how a call is made (`client`), and how seats are settled (`settle`).

use super::super::terms::{Account, Pass, PassAsked, PassProgress, StoreHolder, Trouble};
use super::super::transport::TransportLimits;
use super::client::{AppleClient, AppleSettings};
use super::lists::AssignmentsAsked;
use super::pass::holder;
use super::settle::{KnownUsers, OpenGrants};
use super::wire::AssetKey;
use crate::clock::monotonic;
use crate::domain::key::PoolKey;
use parking_lot::Mutex;
use reqwest::Client;
use std::time::Instant;

/// One organizational unit with its token.
#[derive(Debug)]
pub struct AppleConnector {
    client: AppleClient,
    pub(super) known: Mutex<KnownUsers>,
    pub(super) open: Mutex<OpenGrants>,
    pub(super) begun_at: Instant,
}

impl AppleConnector {
    #[must_use]
    pub fn new(http: Client, limits: TransportLimits, settings: AppleSettings) -> Self {
        let client = AppleClient::new(http, limits, settings);
        Self { client, known: Mutex::default(), open: Mutex::default(), begun_at: monotonic() }
    }

    /// Every call there is, for who wants more than a ledger does.
    #[must_use]
    pub fn client(&self) -> &AppleClient {
        &self.client
    }

    /// Whom the store takes us for. Nothing is written.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn account(&self) -> Result<Account, Trouble> {
        self.client.account().await
    }

    /// Tells the store who we are and where it may tell of changes, where it does not know. A unit that another tool has is left
    /// alone.
    ///
    /// # Errors
    /// When another tool has it, the store can't be asked, or it refuses our name.
    pub async fn enter(&self) -> Result<(), Trouble> {
        self.client.enter().await
    }

    /// Takes the unit, also from another tool: an operator's word, never the engine's own.
    ///
    /// # Errors
    /// When the store can't be asked, or refuses.
    pub async fn claim(&self) -> Result<(), Trouble> {
        self.client.claim().await
    }

    /// # Errors
    /// When a page can't be read: what was read until then is nothing.
    pub async fn pass(&self, asked: &PassAsked, progress: &PassProgress) -> Result<Pass, Trouble> {
        self.client.pass(asked, progress).await
    }

    /// Whether the holder has a seat in the pool, by a reading of now.
    ///
    /// # Errors
    /// When the store can't be asked, or the pool is not of this unit.
    pub async fn look(&self, pool: &PoolKey, who: &StoreHolder) -> Result<bool, Trouble> {
        let unit = self.unit().await?;
        let asset = asset_of(&unit, pool).ok_or_else(not_ours)?;
        let listed = self.client.assignments(&of_holder(Some(&asset), who), |_| ()).await?;
        let is_it = |a: &super::wire::Assignment| a.key == asset && holder(a).as_ref() == Some(who);
        let is_there = listed.records.iter().any(is_it);
        if is_there {
            self.open.lock().seen(&(asset, who.clone()));
        }
        Ok(is_there)
    }

    /// The unit, asked for where no answer has said it yet.
    pub(super) async fn unit(&self) -> Result<String, Trouble> {
        if let Some(unit) = self.client.unit_id() {
            return Ok(unit);
        }
        let account = self.account().await?;
        account.account_id.ok_or_else(|| Trouble::Malformed("no answer names the unit".into()))
    }
}

/// The asset that a pool of this unit is.
pub(super) fn asset_of(unit: &str, pool: &PoolKey) -> Option<AssetKey> {
    match pool {
        PoolKey::Apple { unit_id, adam_id, pricing_param } if unit_id == unit => {
            Some(AssetKey { adam_id: adam_id.clone(), pricing_param: pricing_param.clone() })
        }
        PoolKey::Apple { .. } | PoolKey::Microsoft { .. } | PoolKey::Declared { .. } => None,
    }
}

/// Said of a pool that this unit can have no seats in.
pub(super) fn not_ours() -> Trouble {
    Trouble::Refused { status: 400, words: "the pool is not of this unit".into() }
}

pub(super) fn of_holder(asset: Option<&AssetKey>, who: &StoreHolder) -> AssignmentsAsked {
    let (client_user_id, serial_number) = match who {
        StoreHolder::User(id) => (Some(id.clone()), None),
        StoreHolder::Device(serial) => (None, Some(serial.clone())),
    };
    AssignmentsAsked {
        adam_id: asset.map(|asset| asset.adam_id.clone()),
        pricing_param: asset.map(|asset| asset.pricing_param.clone()),
        client_user_id,
        serial_number,
        since_version: None,
    }
}
