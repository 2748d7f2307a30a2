//! The shapes of Apple's App and Book Management API v2: tolerant in what they read (what is new is left aside, what is
//! missing is the least that it can mean, a number may stand as text and text as a number), strict in what they send.
//!
//! Not here: what any of it means to a ledger (`connector`), and what comes as a notification (`notifications`).

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// What names a holder does not show it.
macro_rules! unshown {
    ($($name:ident),+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        })+
    };
}

unshown!(ErrorInfo, Assignment, User, AssignBody, RevokeBody, UserBody);

/// Free apps without a limit are listed with this count.
pub const UNLIMITED: i64 = 2_147_483_647;
/// What `pricingParam` is where it is left out.
pub const STANDARD_QUALITY: &str = "STDQ";

/// Text, also where a number or nothing stands.
pub fn text<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(TextOrNumber::deserialize(d)?.text())
}

pub fn some_text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Some(text(d)?).filter(|text| !text.is_empty()))
}

/// A whole number, also where it stands as text; what is none is 0.
pub fn number<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    Ok(match TextOrNumber::deserialize(d)? {
        TextOrNumber::Number(number) => number,
        TextOrNumber::Text(text) => text.parse().unwrap_or(0),
        TextOrNumber::Nothing(()) => 0,
    })
}

/// A list, also where nothing stands.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Number(i64),
    Text(String),
    Nothing(()),
}

impl TextOrNumber {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
            Self::Nothing(()) => String::new(),
        }
    }
}

/// An answer is an object, whatever stands in it: a list of values would be taken for the fields of one in their order.
pub(super) struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Object, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        d.deserialize_map(Fields)
    }
}

/// Which tool a unit belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct MdmInfo {
    #[serde(default, deserialize_with = "text")]
    pub id: String,
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    #[serde(default, deserialize_with = "text")]
    pub metadata: String,
}

/// What stands in every answer beside what was asked.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    #[serde(default, deserialize_with = "some_text")]
    pub u_id: Option<String>,
    #[serde(default)]
    pub mdm_info: Option<MdmInfo>,
    #[serde(default, deserialize_with = "some_text")]
    pub token_expiration_date: Option<String>,
    #[serde(default, deserialize_with = "number")]
    pub error_number: i64,
    #[serde(default)]
    pub error_info: Option<ErrorInfo>,
}

/// What an error names, where it does.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorInfo {
    #[serde(default, deserialize_with = "list")]
    pub client_user_ids: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    pub serial_numbers: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    pub assets: Vec<AssetKey>,
    #[serde(default, deserialize_with = "list")]
    pub assignments: Vec<Assignment>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetKey {
    #[serde(deserialize_with = "text")]
    pub adam_id: String,
    #[serde(default = "standard_quality")]
    pub pricing_param: String,
}

fn standard_quality() -> String {
    STANDARD_QUALITY.to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset {
    #[serde(flatten)]
    pub key: AssetKey,
    #[serde(default)]
    pub product_type: String,
    #[serde(default, deserialize_with = "number")]
    pub total_count: i64,
    #[serde(default, deserialize_with = "number")]
    pub assigned_count: i64,
    #[serde(default, deserialize_with = "number")]
    pub retired_count: i64,
    #[serde(default)]
    pub device_assignable: bool,
    /// Left out, it is what its kind is.
    pub revocable: Option<bool>,
}

/// One seat. Neither an id nor a date.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    #[serde(flatten)]
    pub key: AssetKey,
    #[serde(default, deserialize_with = "some_text")]
    pub client_user_id: Option<String>,
    #[serde(default, deserialize_with = "some_text")]
    pub serial_number: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    #[serde(default, deserialize_with = "text")]
    pub client_user_id: String,
    #[serde(default)]
    pub status: String,
}

impl User {
    /// Neither retired nor deleted. One name may stand many times as retired.
    pub fn is_active(&self) -> bool {
        !["retired", "deleted"].iter().any(|word| self.status.eq_ignore_ascii_case(word))
    }
}

/// Where a page stands in its list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Absent on the last page, and that alone says which is the last.
    pub next_page_index: Option<u32>,
    #[serde(default, deserialize_with = "number")]
    pub total_pages: i64,
    #[serde(default, deserialize_with = "some_text")]
    pub version_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetsPage {
    #[serde(default, deserialize_with = "list")]
    pub assets: Vec<Asset>,
    #[serde(default, deserialize_with = "list")]
    pub unlimited_assets: Vec<Asset>,
}

#[derive(Debug, Deserialize)]
pub struct AssignmentsPage {
    #[serde(default, deserialize_with = "list")]
    pub assignments: Vec<Assignment>,
}

#[derive(Debug, Deserialize)]
pub struct UsersPage {
    #[serde(default, deserialize_with = "list")]
    pub users: Vec<User>,
}

/// A page of a list that is read by cursor.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionsPage {
    #[serde(default, deserialize_with = "list")]
    pub subscriptions: Vec<Subscription>,
    /// Absent, null or empty on the last page.
    #[serde(default, deserialize_with = "some_text")]
    pub next_cursor: Option<String>,
}

/// Their ids are numbers, where those of assets are text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    #[serde(default, deserialize_with = "text")]
    pub adam_id: String,
}

/// Associate, disassociate.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignBody {
    pub assets: Vec<AssetKey>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_user_ids: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serial_numbers: Vec<String>,
}

/// Revoke: every revocable asset of these holders.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeBody {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_user_ids: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serial_numbers: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct UsersBody {
    pub users: Vec<UserBody>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserBody {
    pub client_user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_apple_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    #[serde(deserialize_with = "text")]
    pub event_id: String,
}

/// How far an event is. FAILED does not say that nothing happened.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventStatus {
    #[serde(default)]
    pub event_status: String,
    #[serde(default, deserialize_with = "number")]
    pub num_requested: i64,
    #[serde(default, deserialize_with = "number")]
    pub num_completed: i64,
    #[serde(default, deserialize_with = "list")]
    pub failures: Vec<Failure>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    #[serde(default, deserialize_with = "number")]
    pub error_number: i64,
    #[serde(default)]
    pub error_info: Option<ErrorInfo>,
}

/// It holds the bearer, so it is not shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientConfigBody<'a> {
    pub mdm_info: &'a MdmInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_auth_token: Option<&'a str>,
    /// An empty list ends what was subscribed to; none leaves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_types: Option<Vec<&'a str>>,
}

/// What the store says of a unit: who claims it, and whom it tells of changes. It may hold the bearer, so it is not shown.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientConfig {
    #[serde(default)]
    pub mdm_info: Option<MdmInfo>,
    #[serde(default, deserialize_with = "some_text")]
    pub notification_url: Option<String>,
    /// Apple's example shows it; the store may keep it to itself.
    #[serde(default, deserialize_with = "some_text")]
    pub notification_auth_token: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub subscribed_notification_types: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_read_may_be_more_or_less_or_of_another_kind() {
        let asset: Asset = serde_json::from_value(json!({
            "adamId": 361309726, "totalCount": "12", "assignedCount": null, "new": {"x": []}
        }))
        .expect("an asset");
        assert_eq!((asset.key.adam_id.as_str(), asset.key.pricing_param.as_str()), ("361309726", "STDQ"));
        assert_eq!((asset.total_count, asset.assigned_count, asset.revocable), (12, 0, None));
        let page: AssignmentsPage = serde_json::from_value(json!({"assignments": null})).expect("a page");
        assert!(page.assignments.is_empty());
        let place: Place = serde_json::from_value(json!({"currentPageIndex": 0, "size": 3})).expect("a place");
        assert_eq!((place.next_page_index, place.total_pages), (None, 0));
    }

    #[test]
    fn a_list_is_no_answer() {
        let is_object = |text: &str| serde_json::from_str::<Object>(text).is_ok();
        assert!(is_object("{}") && is_object(r#"{"uId": [1], "x": {"y": 2}}"#));
        assert!(!is_object("[17]") && !is_object("17") && !is_object("null") && !is_object(r#"{"uId""#));
    }

    #[test]
    fn what_is_sent_holds_nothing_that_is_empty() {
        let body = AssignBody {
            assets: vec![AssetKey { adam_id: "1".into(), pricing_param: "PLUS".into() }],
            client_user_ids: vec!["ada".into()],
            serial_numbers: vec![],
        };
        let expected = json!({"assets": [{"adamId": "1", "pricingParam": "PLUS"}], "clientUserIds": ["ada"]});
        assert_eq!(serde_json::to_value(body).expect("JSON"), expected);
        let user = UserBody { client_user_id: "ada".into(), email: None, managed_apple_id: None };
        assert_eq!(serde_json::to_value(&user).expect("JSON"), json!({"clientUserId": "ada"}));
        assert_eq!(format!("{user:?}"), "UserBody(..)");
    }

    #[test]
    fn who_is_retired_or_deleted_is_no_user_any_more() {
        let is_active = |status: &str| {
            let user: User = serde_json::from_value(json!({"clientUserId": "ada", "status": status})).expect("a user");
            user.is_active()
        };
        assert!(is_active("Registered") && is_active("Associated") && is_active(""));
        assert!(!is_active("Retired") && !is_active("DELETED"));
    }
}
