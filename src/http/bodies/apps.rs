//! An app: the pools that belong together, with what is contained in them.

use super::pools::{PoolBody, plain_name};
use crate::domain::facts::PoolState;
use crate::domain::ids::{AppId, PoolId};
use crate::domain::key::Provider;
use crate::domain::state::Pool;
use crate::http::wire::words;
use crate::projection::View;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

/// What an administrator sees as one app
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = App)]
pub(in crate::http) struct AppBody {
    /// Of the oldest of its pools; an id that merged into an older one redirects to it
    #[schema(value_type = String)]
    id: AppId,
    name: String,
    publisher: Option<String>,
    #[schema(value_type = Option<words::Provider>)]
    provider: Option<Provider>,
    related_set: Option<String>,
    pools: Vec<PoolBody>,
    /// What the pools contain, as their provider describes it
    #[schema(value_type = Vec<Object>)]
    #[serde(serialize_with = "read")]
    packages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

impl AppBody {
    pub(in crate::http) fn of(view: &View, app: AppId, pools: &[PoolId]) -> Self {
        let state = &view.state;
        let pools: Vec<&Pool> = pools.iter().map(|pool| state.pool(*pool)).collect();
        // named by the oldest pool that is still there
        let speaker = pools.iter().find(|pool| pool.state != PoolState::Removed).or(pools.first()).copied();
        let named = speaker.and_then(|pool| super::pools::named(state, pool));
        let packages = pools.iter().flat_map(|pool| &pool.packages);
        Self {
            id: app,
            name: speaker.map(|pool| plain_name(state, pool)).unwrap_or_default(),
            publisher: named.and_then(|named| named.publisher.clone()),
            provider: speaker.map(|pool| pool.key.provider()),
            related_set: pools.iter().find_map(|pool| pool.details.related_set.clone()),
            packages: packages.cloned().collect(),
            pools: pools.into_iter().map(|pool| PoolBody::of(view, pool)).collect(),
            position: None,
        }
    }
}

/// Read where they are written, so that nobody waits for the state meanwhile.
fn read<S: Serializer>(packages: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(packages.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok()))
}
