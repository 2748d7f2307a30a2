//! Continuation tokens: opaque to who holds one, bound to the list and the query that it came from, and naming the last
//! thing of its page, so that what is put in or taken out between two pages moves nothing else. A fault makes pages drift.

use super::super::faults::{Fault, Faults};
use super::refusal::Refusal;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

const TOKEN_BYTES_MAX: usize = 4096;
const SEAL_BYTES: usize = 16;

/// A list under one query.
pub(super) struct List<'a> {
    pub(super) seed: u64,
    /// Whatever of the query decides what is in the list, and where it stands.
    pub(super) what: &'a str,
}

impl List<'_> {
    fn seal(&self, last: &str) -> Vec<u8> {
        let text = format!("{}\n{}\n{last}", self.seed, self.what);
        digest(&SHA256, text.as_bytes()).as_ref().iter().take(SEAL_BYTES).copied().collect()
    }

    /// The token of the page behind `last`.
    pub(super) fn token(&self, last: &str) -> String {
        let mut bytes = self.seal(last);
        bytes.extend_from_slice(last.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What the page before ended with.
    pub(super) fn last(&self, token: Option<&str>) -> Result<Option<String>, Refusal> {
        let Some(token) = token else { return Ok(None) };
        let wrong = || Refusal::invalid("continuationToken", "not one of this list");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(wrong());
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
        let (seal, last) = bytes.split_at_checked(SEAL_BYTES).ok_or_else(wrong)?;
        let last = std::str::from_utf8(last).map_err(|_| wrong())?;
        if self.seal(last) == seal { Ok(Some(last.to_owned())) } else { Err(wrong()) }
    }

    /// Cuts a page out of what lies behind the last one, which comes with the key of each thing. `before` is the end of
    /// the last page; pages drift by showing it again, or by leaving out what would come first.
    pub(super) fn page<T: Clone>(
        &self,
        size: usize,
        behind: impl Iterator<Item = (String, T)>,
        before: Option<(String, T)>,
        drift: Option<Drift>,
    ) -> Page<T> {
        let skip = usize::from(drift == Some(Drift::LeavesOut));
        let again = before.filter(|_| drift == Some(Drift::ShowsAgain));
        let mut listed: Vec<(String, T)> = again.into_iter().chain(behind.skip(skip)).take(size + 1).collect();
        let has_more = listed.len() > size;
        listed.truncate(size);
        let token = listed.last().filter(|_| has_more).map(|(last, _)| self.token(last));
        Page { things: listed.into_iter().map(|(_, thing)| thing).collect(), token }
    }
}

/// How a page misses the place where the last one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drift {
    ShowsAgain,
    LeavesOut,
}

impl Drift {
    /// Only a page that follows another can drift.
    pub(super) fn draw(faults: &Faults, operation: &str, is_first: bool) -> Option<Self> {
        if is_first || !faults.strikes(operation, Fault::PageDrift) {
            return None;
        }
        Some(if faults.below(operation, 2) == 0 { Self::ShowsAgain } else { Self::LeavesOut })
    }
}

pub(super) struct Page<T> {
    pub(super) things: Vec<T>,
    pub(super) token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_list_alone() {
        let list = List { seed: 1, what: "seats of A" };
        let token = list.token("ada@contoso.example");
        assert_eq!(list.last(Some(&token)), Ok(Some("ada@contoso.example".into())));
        assert_eq!(list.last(None), Ok(None));
        for other in [List { seed: 1, what: "seats of B" }, List { seed: 2, what: "seats of A" }] {
            assert!(other.last(Some(&token)).is_err());
        }
        let mut bent = token.clone();
        bent.replace_range(..1, if token.starts_with('A') { "B" } else { "A" });
        for wrong in [bent.as_str(), "", "!!", &token[..10], &"A".repeat(5000)] {
            assert!(list.last(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_that_drifts_shows_one_twice_or_none() {
        let list = List { seed: 1, what: "letters" };
        let of = |drift| {
            let behind = "cdef".chars().map(|c| (c.to_string(), c));
            let page = list.page(2, behind, Some(("b".into(), 'b')), drift);
            (page.things.into_iter().collect::<String>(), page.token.is_some())
        };
        assert_eq!(of(None), ("cd".into(), true));
        assert_eq!(of(Some(Drift::ShowsAgain)), ("bc".into(), true));
        assert_eq!(of(Some(Drift::LeavesOut)), ("de".into(), true));
    }
}
