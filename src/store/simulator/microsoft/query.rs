//! The parameters of a query: names in any case, each at most once but for the repeatable one, and none that the operation
//! does not have. Enum words in any case. Not here: what an operation does with them.

use super::refusal::Refusal;
use crate::domain::key::LicenseType;
use crate::domain::time::Time;
use axum::extract::Query;
use axum::http::Uri;

const PAGE_DEFAULT: usize = 25;
pub(super) const SEATS_PAGE_MAX: usize = 100;
/// The documents give none for the inventory; a page is never longer than this whatever is asked.
const INVENTORY_PAGE_MAX: usize = 1000;
const PARAMETERS_MAX: usize = 32;

/// `maxResults`, and the continuation token as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageAsked {
    pub(super) size: usize,
    pub(super) token: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct InventoryAsked {
    pub(super) page: PageAsked,
    pub(super) modified_since: Option<Time>,
    pub(super) has_online: bool,
    pub(super) has_offline: bool,
    pub(super) has_removed: bool,
}

struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn of(uri: &Uri, known: &[&'static str]) -> Result<Self, Refusal> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(pairs) = pairs.map_err(|error| Refusal::invalid("query", error.body_text()))?;
        if pairs.len() > PARAMETERS_MAX {
            return Err(Refusal::invalid("query", format!("at most {PARAMETERS_MAX} parameters")));
        }
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.iter().any(|k| k.eq_ignore_ascii_case(name))) {
            return Err(Refusal::invalid("query", format!("there is no parameter {name:?}")));
        }
        Ok(Self(pairs))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// An empty value is as good as none.
    fn one(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Refusal::invalid(name, "given more than once"));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn page(&self) -> Result<PageAsked, Refusal> {
        let token = self.one("continuationToken")?.map(str::to_owned);
        let asked = self.one("maxResults")?.map(|text| {
            let number: Option<i32> = text.parse().ok();
            number.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)
        });
        match asked {
            Some(None) => Err(Refusal::invalid("maxResults", "a whole number above 0, of 32 bits")),
            Some(Some(size)) => Ok(PageAsked { size, token }),
            None => Ok(PageAsked { size: PAGE_DEFAULT, token }),
        }
    }

    fn switch(&self, name: &'static str) -> Result<bool, Refusal> {
        match self.one(name)? {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(Refusal::invalid(name, "true or false")),
        }
    }
}

pub(super) fn none(uri: &Uri) -> Result<(), Refusal> {
    Pairs::of(uri, &[]).map(drop)
}

pub(super) fn seats(uri: &Uri) -> Result<PageAsked, Refusal> {
    let page = Pairs::of(uri, &["continuationToken", "maxResults"])?.page()?;
    if page.size > SEATS_PAGE_MAX {
        return Err(Refusal::invalid("maxResults", format!("at most {SEATS_PAGE_MAX}")));
    }
    Ok(page)
}

pub(super) fn inventory(uri: &Uri) -> Result<InventoryAsked, Refusal> {
    let known =
        ["continuationToken", "maxResults", "modifiedSince", "licenseTypes", "IncludeRemoved", "includeSubscription"];
    let pairs = Pairs::of(uri, &known)?;
    let mut page = pairs.page()?;
    page.size = page.size.min(INVENTORY_PAGE_MAX);
    let modified_since = match pairs.one("modifiedSince")? {
        Some(text) => Some(time(text).ok_or_else(|| Refusal::invalid("modifiedSince", "a time with its offset"))?),
        None => None,
    };
    let (mut has_online, mut has_offline) = (false, false);
    for word in pairs.all("licenseTypes") {
        match license_type(word) {
            Some(LicenseType::Online) => has_online = true,
            Some(LicenseType::Offline) => has_offline = true,
            None => return Err(Refusal::invalid("licenseTypes", "Online or Offline")),
        }
    }
    if !has_online && !has_offline {
        (has_online, has_offline) = (true, true);
    }
    let has_removed = pairs.switch("IncludeRemoved")?;
    pairs.switch("includeSubscription")?;
    Ok(InventoryAsked { page, modified_since, has_online, has_offline, has_removed })
}

fn license_type(word: &str) -> Option<LicenseType> {
    if word.eq_ignore_ascii_case("online") {
        Some(LicenseType::Online)
    } else if word.eq_ignore_ascii_case("offline") {
        Some(LicenseType::Offline)
    } else {
        None
    }
}

/// A .NET time: 0 to 7 digits behind the second, and an offset or `Z`.
fn time(text: &str) -> Option<Time> {
    let digits = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits > 7 { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<InventoryAsked, Refusal> {
        inventory(&format!("/V1/Inventory?{query}").parse().expect("a URI"))
    }

    #[test]
    fn names_and_words_are_taken_in_any_case_and_all_else_as_it_stands() {
        let all = asked("").expect("no parameter is required");
        assert_eq!((all.page.size, all.has_online, all.has_offline, all.has_removed), (25, true, true, false));
        let some =
            asked("MAXRESULTS=7&licensetypes=ONLINE&includeremoved=True&continuationToken=abc").expect("all good");
        assert_eq!((some.page.size, some.has_online, some.has_offline, some.has_removed), (7, true, false, true));
        assert_eq!(some.page.token.as_deref(), Some("abc"));
        let both = asked("licenseTypes=Online&licenseTypes=offline").expect("repeatable");
        assert!(both.has_online && both.has_offline);
    }

    #[test]
    fn a_time_has_up_to_seven_digits_and_an_offset() {
        let at = |text: &str| asked(&format!("modifiedSince={text}")).map(|a| a.modified_since.expect("a time").0);
        let second = at("2026-11-01T10:00:00Z").expect("no digits");
        assert_eq!(at("2026-11-01T10:00:00.1234567Z"), Ok(second + 123_456));
        assert_eq!(at("2026-11-01T12:00:00.0%2B02:00"), Ok(second));
        for wrong in ["2026-11-01T12:00:00+02:00", "2026-11-01T10:00:00", "2026-11-01T10:00:00.12345678Z", "yesterday"]
        {
            assert!(at(wrong).is_err(), "{wrong}: an unescaped plus is a blank, and an offset is not to be guessed");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("maxResults=0", "maxResults"),
            ("maxResults=2147483648", "maxResults"),
            ("maxResults=1&MaxResults=2", "maxResults"),
            ("licenseTypes=online,offline", "licenseTypes"),
            ("IncludeRemoved=1", "IncludeRemoved"),
            ("pageSize=5", "query"),
        ];
        for (query, name) in table {
            let found = match asked(query) {
                Err(Refusal::Invalid { parameter, .. }) => parameter,
                other => panic!("{query}: {other:?}"),
            };
            assert_eq!(found, name, "{query}");
        }
        let page = |query: &str| seats(&format!("/x?{query}").parse().expect("a URI"));
        assert!(
            page("maxResults=100").is_ok() && page("maxResults=101").is_err() && page("licenseTypes=online").is_err()
        );
    }
}
