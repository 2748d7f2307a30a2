//! The names of columns in lists that come out of Intune and out of Jamf Pro: each of them is named by the source beside
//! it, and a name that no source gives is not here. Not here: Snipe-IT's names and the usual ones (`columns`).
//!
//! What heads the columns when Intune's page "App licenses" or Jamf's table of volume content is exported was found on no
//! page of either maker, and among the reports of Intune's export API, whose columns are published, none is of licenses
//! (<https://learn.microsoft.com/en-us/mem/intune/fundamentals/reports-export-graph-available-reports>, as its source of
//! December 2021 has it); what both publish are the properties of the same records in their APIs, which is what a script
//! writes as header. A list with other names is read with `--map`.
//!
//! Join types, Apple's builds ("23F79") and Windows versions of four parts are not taken: the ledger's own words for them
//! would be guessed.

use super::columns::List;

/// A field and the columns that may hold it, the best first.
type Names = (&'static str, &'static [&'static str]);

/// Licenses: `iosVppApp` and `macOsVppApp` of Microsoft Graph, as Intune's list of apps gives them
/// (<https://learn.microsoft.com/graph/api/resources/intune-apps-iosvppapp>, `vppTokenId` in the beta version). An app that
/// runs on two platforms stands there twice with the same counts, an app that two tokens bought once per token.
/// People: "Download users" of Entra, whose people Intune's are
/// (<https://learn.microsoft.com/entra/identity/users/users-bulk-download>; `id` is the newer name of `objectId`).
/// Devices: the report `Devices` of the export API
/// (<https://learn.microsoft.com/en-us/mem/intune/fundamentals/reports-export-graph-available-reports>), and the same columns
/// as Devices > All devices > Export of the portal heads them ("Serial number", "Primary user UPN"): those no page of
/// Microsoft's lists, they are what several public programs read in that file, one as another.
pub(super) fn intune(list: List) -> &'static [Names] {
    match list {
        List::Licenses => &[
            ("item", &["displayName"]),
            ("serial", &["bundleId"]),
            ("account", &["vppTokenId", "vppTokenAppleId"]),
            ("seats", &["totalLicenseCount"]),
            ("used", &["usedLicenseCount"]),
            ("publisher", &["publisher"]),
        ],
        List::People => &[
            ("user_name", &["userPrincipalName"]),
            ("first_name", &["givenName"]),
            ("last_name", &["surname"]),
            ("full_name", &["displayName"]),
            ("email", &["mail"]),
            ("active", &["accountEnabled"]),
            ("external_id", &["objectId", "id"]),
        ],
        List::Devices => &[
            ("device_id", &["Device ID"]),
            ("serial", &["Serial number"]),
            ("model", &["Model"]),
            ("platform", &["OS"]),
            ("user_name", &["Primary user UPN", "UPN"]),
            ("full_name", &["Primary user display name"]),
            ("email", &["Primary user email address", "UserEmail"]),
        ],
    }
}

/// Licenses: `VolumePurchasingContent`, the content of one location
/// (<https://developer.jamf.com/jamf-pro/reference/get_v1-volume-purchasing-locations-id-content>). Apple sells one id at
/// two prices (`pricingParam`) as two things. The location is in no column: a list of a second one needs a column that names
/// it, and `--map licenses.account=COLUMN`, or it states the first one's pools anew.
/// People: the fields of a user, and of the file with which users are uploaded
/// (<https://docs.jamf.com/10.28.0/jamf-pro/administrator-guide/User_Inventory_Information_Reference.html>).
/// Devices: exports of the inventory of computers and of mobile devices, with the header of Jamf Pro 11.28 as the fixtures
/// `jamf1128_computers_builtin.csv` and `jamf1128_mobile_builtin.csv` of `tonyyo11/jamf-reports-community` keep it. Jamf's own
/// numbers are left out: a computer and a tablet may have the same one, and each has a serial number.
pub(super) fn jamf(list: List) -> &'static [Names] {
    match list {
        List::Licenses => &[
            ("item", &["name"]),
            ("serial", &["adamId"]),
            ("account", &["pricingParam"]),
            ("seats", &["licenseCountTotal"]),
            ("used", &["licenseCountInUse"]),
        ],
        List::People => &[("user_name", &["Username"]), ("full_name", &["Full Name"]), ("email", &["Email Address"])],
        List::Devices => &[
            ("device_id", &["Asset Tag"]),
            ("serial", &["Serial Number"]),
            ("model", &["Model"]),
            ("platform", &["Operating System Name", "Operating System"]),
            ("user_name", &["Username"]),
            ("full_name", &["Full Name"]),
            ("email", &["Email Address"]),
        ],
    }
}

/// The columns for one field; none where the maker's lists have no such thing.
pub(super) fn of_field(names: &'static [Names], field: &str) -> &'static [&'static str] {
    names.iter().find(|(name, _)| *name == field).map_or(&[], |(_, columns)| columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_makers_is_a_field_that_is_read() {
        for names in [intune, jamf] {
            for list in [List::Licenses, List::People, List::Devices] {
                for (field, columns) in names(list) {
                    assert!(list.has(field), "{} has no {field}", list.name());
                    assert!(!columns.is_empty(), "{field}");
                }
            }
        }
    }
}
