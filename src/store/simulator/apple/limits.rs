//! The limits that the service config tells, and that every call is held to. Not here: who checks.

use serde::{Deserialize, Serialize};

/// As Apple names them. They can change at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    pub max_assets: usize,
    pub max_client_user_ids: usize,
    pub max_serial_numbers: usize,
    pub max_users: usize,
    pub max_revoke_client_user_ids: usize,
    pub max_revoke_serial_numbers: usize,
    pub max_notification_length: usize,
    pub max_mdm_id_length: usize,
    pub max_mdm_name_length: usize,
    pub max_mdm_metadata_length: usize,
    pub max_subscriptions: usize,
    pub max_subscription_client_user_ids: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_assets: 25,
            max_client_user_ids: 1000,
            max_serial_numbers: 1000,
            max_users: 100,
            max_revoke_client_user_ids: 100,
            max_revoke_serial_numbers: 100,
            max_notification_length: 512,
            max_mdm_id_length: 100,
            max_mdm_name_length: 100,
            max_mdm_metadata_length: 255,
            max_subscriptions: 25,
            max_subscription_client_user_ids: 1000,
        }
    }
}
