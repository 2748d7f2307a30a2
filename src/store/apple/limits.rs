//! What the service config says a request may hold. It changes without notice, so it is read again every five minutes. Its
//! addresses are not followed: a token goes to the host that was given with it and to no other.

use super::wire::number;
use serde::Deserialize;

/// What one call may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppleLimits {
    pub assets: usize,
    pub client_user_ids: usize,
    pub serial_numbers: usize,
    pub users: usize,
    pub revoke_client_user_ids: usize,
    pub revoke_serial_numbers: usize,
    pub notification_chars: usize,
    pub mdm_id_chars: usize,
    pub mdm_name_chars: usize,
    pub mdm_metadata_chars: usize,
    pub subscriptions: usize,
    pub subscription_client_user_ids: usize,
}

/// No limit is believed beyond it.
const LIMIT_MAX: i64 = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceConfig {
    #[serde(default)]
    limits: LimitsRead,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LimitsRead {
    #[serde(deserialize_with = "number")]
    max_assets: i64,
    #[serde(deserialize_with = "number")]
    max_client_user_ids: i64,
    #[serde(deserialize_with = "number")]
    max_serial_numbers: i64,
    #[serde(deserialize_with = "number")]
    max_users: i64,
    #[serde(deserialize_with = "number")]
    max_revoke_client_user_ids: i64,
    #[serde(deserialize_with = "number")]
    max_revoke_serial_numbers: i64,
    #[serde(deserialize_with = "number")]
    max_notification_length: i64,
    #[serde(deserialize_with = "number")]
    max_mdm_id_length: i64,
    #[serde(deserialize_with = "number")]
    max_mdm_name_length: i64,
    #[serde(deserialize_with = "number")]
    max_mdm_metadata_length: i64,
    #[serde(deserialize_with = "number")]
    max_subscriptions: i64,
    #[serde(deserialize_with = "number")]
    max_subscription_client_user_ids: i64,
}

impl ServiceConfig {
    /// A limit that is not named is the one of the documents.
    pub(super) fn limits(&self) -> AppleLimits {
        let read = &self.limits;
        let limit = |said: i64, usual: usize| match said {
            1.. => usize::try_from(said.min(LIMIT_MAX)).unwrap_or(usual),
            _ => usual,
        };
        AppleLimits {
            assets: limit(read.max_assets, 25),
            client_user_ids: limit(read.max_client_user_ids, 1000),
            serial_numbers: limit(read.max_serial_numbers, 1000),
            users: limit(read.max_users, 100),
            revoke_client_user_ids: limit(read.max_revoke_client_user_ids, 100),
            revoke_serial_numbers: limit(read.max_revoke_serial_numbers, 100),
            notification_chars: limit(read.max_notification_length, 512),
            mdm_id_chars: limit(read.max_mdm_id_length, 100),
            mdm_name_chars: limit(read.max_mdm_name_length, 100),
            mdm_metadata_chars: limit(read.max_mdm_metadata_length, 255),
            subscriptions: limit(read.max_subscriptions, 25),
            subscription_client_user_ids: limit(read.max_subscription_client_user_ids, 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_limit_is_the_one_said_or_the_usual_and_never_without_end() {
        let config: ServiceConfig = serde_json::from_value(json!({
            "urls": {"getAssets": "https://elsewhere.example"},
            "limits": {"maxAssets": 10, "maxUsers": 0, "maxSerialNumbers": 2_000_000_000, "maxNew": 1},
            "notificationTypes": ["ASSET_COUNT"], "errorCodes": [{"errorNumber": 9600}],
        }))
        .expect("a config");
        let limits = config.limits();
        assert_eq!((limits.assets, limits.users, limits.serial_numbers), (10, 100, 10_000));
        let empty: ServiceConfig = serde_json::from_value(json!({})).expect("a config");
        assert_eq!((empty.limits().assets, empty.limits().mdm_metadata_chars), (25, 255));
    }
}
