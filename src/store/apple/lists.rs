//! The three lists - assets, assignments, users - read page by page, at most five at one time. A list may grow and shrink while
//! it is read: the last page is the one that names no next, and a page that is gone begins the list anew.

use super::super::terms::Trouble;
use super::super::transport::Answer;
use super::client::{AppleClient, Refused};
use super::errors::Meaning;
use super::wire::{Asset, AssetsPage, Assignment, AssignmentsPage, Place, UNLIMITED, User, UsersPage};
use futures::future::join_all;
use serde::de::DeserializeOwned;

/// What Apple bears.
const PARALLEL_MAX: u32 = 5;
const PAGES_MAX: u32 = 100_000;
/// Of one list.
const RECORDS_MAX: usize = 5_000_000;
/// Readings of a list that becomes shorter under the reader.
const READINGS_MAX: u32 = 3;

/// A list from its first page to its last. What was put in or taken out meanwhile may stand twice or be missing.
#[derive(Debug)]
pub struct Listed<R> {
    pub records: Vec<R>,
    pub pages: u32,
    /// Of the first page: what comes after it is what the next reading asks for.
    pub version: Option<String>,
}

/// Why a list was not read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListTrouble {
    /// The version that changes were asked from is not known any more: read the whole list.
    StaleVersion,
    Trouble(Trouble),
}

impl From<Trouble> for ListTrouble {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<ListTrouble> for Trouble {
    fn from(trouble: ListTrouble) -> Self {
        match trouble {
            ListTrouble::StaleVersion => Self::Malformed("a version was refused that was not asked for".into()),
            ListTrouble::Trouble(trouble) => trouble,
        }
    }
}

/// What can be asked of `/assignments`.
#[derive(Debug, Clone, Default)]
pub struct AssignmentsAsked {
    pub adam_id: Option<String>,
    pub pricing_param: Option<String>,
    pub client_user_id: Option<String>,
    pub serial_number: Option<String>,
    /// Only what came after it. What went is not told.
    pub since_version: Option<String>,
}

impl AssignmentsAsked {
    fn query(&self) -> Vec<(&'static str, &str)> {
        let fields = [
            ("adamId", &self.adam_id),
            ("pricingParam", &self.pricing_param),
            ("clientUserId", &self.client_user_id),
            ("serialNumber", &self.serial_number),
            ("sinceVersionId", &self.since_version),
        ];
        fields.into_iter().filter_map(|(name, value)| value.as_deref().map(|value| (name, value))).collect()
    }
}

impl AppleClient {
    /// Everything the unit owns, the unlimited among it.
    ///
    /// # Errors
    /// When a page can't be read.
    pub async fn assets(&self, told: impl Fn(usize)) -> Result<Listed<Asset>, Trouble> {
        // they have no count
        let unlimited = |asset| Asset { total_count: UNLIMITED, ..asset };
        let records = |page: AssetsPage| {
            page.assets.into_iter().chain(page.unlimited_assets.into_iter().map(unlimited)).collect()
        };
        Ok(self.list("/assets", &[], records, told).await?)
    }

    /// # Errors
    /// When a page can't be read, or the version is too old.
    pub async fn assignments(
        &self,
        asked: &AssignmentsAsked,
        told: impl Fn(usize),
    ) -> Result<Listed<Assignment>, ListTrouble> {
        self.list("/assignments", &asked.query(), |page: AssignmentsPage| page.assignments, told).await
    }

    /// All users, the retired among them; or those of one name.
    ///
    /// # Errors
    /// When a page can't be read.
    pub async fn users(&self, client_user_id: Option<&str>, told: impl Fn(usize)) -> Result<Listed<User>, Trouble> {
        let query: Vec<_> = client_user_id.map(|id| ("clientUserId", id)).into_iter().collect();
        Ok(self.list("/users", &query, |page: UsersPage| page.users, told).await?)
    }

    async fn list<P: DeserializeOwned, R>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        records: impl Fn(P) -> Vec<R>,
        told: impl Fn(usize),
    ) -> Result<Listed<R>, ListTrouble> {
        for _ in 0..READINGS_MAX {
            match self.list_once(path, query, &records, &told).await? {
                Ok(listed) => return Ok(listed),
                Err(no) if no.error.meaning() == Meaning::NoSuchPage => {}
                Err(no) if no.error.meaning() == Meaning::StaleVersion => return Err(ListTrouble::StaleVersion),
                Err(no) => return Err(no.trouble().into()),
            }
        }
        Err(Trouble::Malformed("a list lost pages each time it was read".into()).into())
    }

    async fn list_once<P: DeserializeOwned, R>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        records: impl Fn(P) -> Vec<R>,
        told: impl Fn(usize),
    ) -> Result<Result<Listed<R>, Refused>, Trouble> {
        let mut listed = Listed { records: vec![], pages: 0, version: None };
        let (mut next, mut total): (Option<u32>, u32) = (Some(0), 1);
        while let Some(from) = next {
            // the store says how many pages there are, and is believed only as far as five
            let until = total.max(from.saturating_add(1)).min(from.saturating_add(PARALLEL_MAX));
            let pages = join_all((from..until).map(|index| self.page::<P>(path, query, index))).await;
            next = None;
            for (index, page) in (from..until).zip(pages) {
                let (place, page) = match page? {
                    Ok(page) => page,
                    Err(no) => return Ok(Err(no)),
                };
                let page = records(page);
                told(page.len());
                listed.records.extend(page);
                listed.pages += 1;
                if index == 0 {
                    listed.version = place.version_id;
                }
                if listed.pages > PAGES_MAX || listed.records.len() > RECORDS_MAX {
                    return Err(Trouble::Malformed("a list has no end".into()));
                }
                total = u32::try_from(place.total_pages).unwrap_or(0);
                next = place.next_page_index;
                match next {
                    Some(next) if next == index + 1 => {}
                    Some(next) if next <= index => {
                        return Err(Trouble::Malformed("a page names one before it as the next".into()));
                    }
                    // what was asked for beyond it is not of this list
                    Some(_) | None => break,
                }
            }
        }
        Ok(Ok(listed))
    }

    async fn page<P: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        index: u32,
    ) -> Result<Result<(Place, P), Refused>, Trouble> {
        let index = index.to_string();
        let query = [query, &[("pageIndex", index.as_str())]].concat();
        let parse = |answer: &Answer| Ok((answer.json::<Place>()?, answer.json::<P>()?));
        self.get(path, &query, parse).await
    }
}
