//! The words of the management-tool API as they come over the wire: names and values in any case, unknown ones left out, what
//! may be missing is optional. What we send ourselves is exactly as documented. Not here: what a word means to the ledger.

use crate::domain::time::Time;
use crate::store::terms::Trouble;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Every name of a JSON in lower case. Where two differ by case alone, the last one counts.
pub(super) fn lowered(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), lowered(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(lowered).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// # Errors
/// `Malformed`, with the place and without what stands there.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Trouble> {
    if !value.is_object() {
        return Err(Trouble::Malformed("the answer is no object".into()));
    }
    serde_path_to_error::deserialize(lowered(value))
        .map_err(|error| Trouble::Malformed(format!("it is not of the shape expected at {}", error.path())))
}

/// A pool at the store. Leading zeros of the SKU matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct ProductKey {
    #[serde(rename = "productid")]
    pub product_id: String,
    #[serde(rename = "skuid")]
    pub sku_id: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InventoryPage {
    #[serde(rename = "inventoryentries")]
    pub entries: Vec<InventoryEntry>,
    #[serde(rename = "continuationtoken", default, deserialize_with = "token")]
    pub continuation_token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InventoryEntry {
    #[serde(rename = "productkey")]
    pub key: ProductKey,
    #[serde(rename = "seatcapacity", default)]
    pub seat_capacity: Option<i64>,
    #[serde(rename = "availableseats", default)]
    pub available_seats: Option<i64>,
    #[serde(rename = "lastmodified", default, deserialize_with = "time")]
    pub last_modified: Option<Time>,
    #[serde(rename = "licensetype")]
    pub license_type: String,
    #[serde(rename = "distributionpolicy", default)]
    pub distribution_policy: Option<String>,
    #[serde(default)]
    pub status: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SeatsPage {
    pub seats: Vec<Seat>,
    #[serde(rename = "continuationtoken", default, deserialize_with = "token")]
    pub continuation_token: Option<String>,
}

/// `Debug` hides whose it is.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Seat {
    /// A UPN.
    #[serde(rename = "assignedto")]
    pub assigned_to: String,
    #[serde(rename = "dateassigned", default, deserialize_with = "time")]
    pub date_assigned: Option<Time>,
    #[serde(default)]
    pub state: Option<String>,
    #[serde(rename = "productkey", default)]
    pub key: Option<ProductKey>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("state", &self.state).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Seat {
    /// A seat is there unless it is said to be revoked.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state.as_deref().is_none_or(|state| !state.eq_ignore_ascii_case("revoked"))
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BulkResult {
    #[serde(rename = "seatdetails", default)]
    pub seats: Option<Vec<Seat>>,
    #[serde(rename = "failedseatoperations", default)]
    pub failed: Option<Vec<FailedSeat>>,
}

/// `Debug` hides whose it is.
#[derive(Clone, PartialEq, Deserialize)]
pub struct FailedSeat {
    #[serde(rename = "failurereason", default)]
    pub reason: Option<String>,
    #[serde(rename = "username")]
    pub user_name: String,
}

impl std::fmt::Debug for FailedSeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FailedSeat(..)")
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Product {
    #[serde(rename = "producttype", default)]
    pub product_type: Option<String>,
    #[serde(rename = "publisherid", default)]
    pub publisher_id: Option<String>,
    #[serde(default)]
    pub category: Option<String>,
    #[serde(rename = "packagefamilyname", default)]
    pub package_family_name: Option<String>,
    #[serde(rename = "supportedlanguages", default)]
    pub supported_languages: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Localized {
    /// The one that was used: another than asked for where that is missing.
    #[serde(default)]
    pub language: Option<String>,
    #[serde(rename = "displayname", default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub publisher: Option<Publisher>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Publisher {
    #[serde(rename = "publishername", default)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PackageSet {
    #[serde(rename = "packagesetid", default)]
    pub id: Option<String>,
    #[serde(rename = "productpackages", default)]
    pub packages: Option<Vec<Package>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Package {
    #[serde(rename = "packageid", default)]
    pub id: Option<String>,
    #[serde(rename = "contentid", default)]
    pub content_id: Option<String>,
    #[serde(rename = "packagefullname", default)]
    pub full_name: Option<String>,
    #[serde(rename = "packageidentityname", default)]
    pub identity_name: Option<String>,
    #[serde(rename = "packageformat", default)]
    pub format: Option<String>,
    #[serde(default)]
    pub architectures: Option<Vec<String>>,
    #[serde(default)]
    pub platforms: Option<Vec<Platform>>,
    #[serde(rename = "filesize", default)]
    pub file_bytes: Option<u64>,
    #[serde(rename = "packagerank", default)]
    pub rank: Option<i64>,
    /// Frameworks that it needs.
    #[serde(rename = "frameworkdependencypackages", default)]
    pub dependencies: Option<Vec<Package>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Platform {
    #[serde(rename = "platformname", default)]
    pub name: Option<String>,
    #[serde(rename = "minversion", default)]
    pub min_version: Option<Version>,
    #[serde(rename = "maxtestedversion", default)]
    pub max_tested_version: Option<Version>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Version {
    #[serde(default)]
    pub major: u32,
    #[serde(default)]
    pub minor: u32,
    #[serde(default)]
    pub build: u32,
    #[serde(default)]
    pub revision: u32,
}

/// `Debug` hides the license itself.
#[derive(Clone, PartialEq, Deserialize)]
pub struct OfflineLicense {
    /// Base64.
    #[serde(rename = "licenseblob")]
    pub blob: String,
    #[serde(rename = "licenseinstanceid", default)]
    pub instance_id: Option<String>,
    #[serde(rename = "requestorid", default)]
    pub requestor_id: Option<String>,
    #[serde(rename = "contentid", default)]
    pub content_id: Option<String>,
}

impl std::fmt::Debug for OfflineLicense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfflineLicense").field("instance_id", &self.instance_id).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeatAction {
    Assign,
    Reclaim,
}

/// The body of a bulk call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bulk<'a> {
    pub(super) usernames: &'a [String],
    pub(super) seat_action: SeatAction,
}

/// An empty one is as good as none.
fn token<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.filter(|token| !token.is_empty()))
}

/// What is no time is as good as none: no rule hangs on it.
fn time<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Time>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.and_then(|text| read_time(&text)))
}

/// With 0 to 9 fractional digits and any offset; without an offset it is UTC.
pub(super) fn read_time(text: &str) -> Option<Time> {
    let text = text.trim();
    let local = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(local)?;
    Some(Time(stamp.as_microsecond()))
}

/// As .NET writes it, with seven fractional digits.
pub(super) fn round_trip(time: Time) -> String {
    time.to_string().replace('Z', "0Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_has_0_to_7_digits_and_any_offset() {
        let at = Some(Time(1_559_383_200_000_000));
        let table = [
            ("2019-06-01T10:00:00Z", at),
            ("2019-06-01T10:00:00.0000000Z", at),
            ("2019-06-01T12:00:00.0000000+02:00", at),
            ("2019-06-01T04:30:00-05:30", at),
            ("2019-06-01T10:00:00", at),
            ("2019-06-01T10:00:00.1234567Z", Some(Time(1_559_383_200_123_456))),
            ("0001-01-01T00:00:00", Some(Time(-62_135_596_800_000_000))),
            ("yesterday", None),
            ("", None),
        ];
        for (text, time) in table {
            assert_eq!(read_time(text), time, "{text}");
        }
        assert_eq!(round_trip(Time(1_559_383_200_123_456)), "2019-06-01T10:00:00.1234560Z");
        assert_eq!(round_trip(Time(1_559_383_200_000_000)), "2019-06-01T10:00:00.0000000Z");
    }

    #[test]
    fn names_come_in_any_case_with_more_beside_them_and_nulls() {
        let page = json!({
            "InventoryEntries": [{
                "PRODUCTKEY": { "ProductId": "9W", "skuid": "0016", "more": 1 },
                "seatCapacity": 10, "AvailableSeats": null, "LastModified": "nonsense", "LicenseType": "ONLINE",
                "distributionPolicy": "open", "somethingNew": [1]
            }],
            "ContinuationToken": ""
        });
        let page: InventoryPage = read(page).expect("a page");
        let entry = &page.entries[0];
        assert_eq!((entry.key.sku_id.as_str(), entry.seat_capacity, entry.available_seats), ("0016", Some(10), None));
        assert_eq!((entry.last_modified, entry.status.as_deref(), page.continuation_token), (None, None, None));
    }

    #[test]
    fn what_is_no_page_is_malformed_and_its_text_is_not_repeated() {
        for wrong in [json!([17]), json!({}), json!({ "seats": [{ "assignedTo": 17, "state": "ada@a.example" }] })] {
            let said = read::<SeatsPage>(wrong).expect_err("it is no page");
            assert!(
                matches!(&said, Trouble::Malformed(words) if !words.contains("ada") && !words.contains("17")),
                "{said}"
            );
        }
    }
}
