//! Subscriptions: which of them a unit has, so that a sync can say that they are there and not counted.
//!
//! Their seats end by the calendar, and the ledger has no calendar of renewals yet: each is told as `unsupported-type`. So the
//! list alone is read. The store's other calls (`/subscriptions/assignments`, `/admins`, `/enable`, `/disable`, `/associate`,
//! `/disassociate`) have no use here until the ledger holds such seats, and are not made.

use super::super::terms::Trouble;
use super::super::transport::Answer;
use super::client::AppleClient;
use super::errors::Meaning;
use super::wire::{Subscription, SubscriptionsPage};
use crate::domain::key::PoolKey;
use std::collections::BTreeSet;

/// In place of a price: no asset has it.
const AS_PRICING_PARAM: &str = "subscription";
const PAGES_MAX: usize = 10_000;
/// Readings of a list whose cursor is not known any more.
const READINGS_MAX: u32 = 3;

/// What a sync says of a subscription.
pub(super) fn skipped(unit: &str, subscription: &Subscription) -> (PoolKey, String) {
    let key = PoolKey::Apple {
        unit_id: unit.to_owned(),
        adam_id: subscription.adam_id.clone(),
        pricing_param: AS_PRICING_PARAM.to_owned(),
    };
    (key, "Subscription".to_owned())
}

impl AppleClient {
    /// Every subscription of the unit, those that have ended among them. One page after the other: a cursor is good for the
    /// next page alone. A unit that has no subscriptions at all, or whose store knows of none, has an empty list.
    ///
    /// # Errors
    /// When a page can't be read.
    pub async fn subscriptions(&self, told: impl Fn(usize)) -> Result<Vec<Subscription>, Trouble> {
        for _ in 0..READINGS_MAX {
            if let Some(listed) = self.subscriptions_once(&told).await? {
                return Ok(listed);
            }
        }
        Err(Trouble::Malformed("a cursor was refused each time the list was read".into()))
    }

    /// `None` where the cursor is not known any more.
    async fn subscriptions_once(&self, told: impl Fn(usize)) -> Result<Option<Vec<Subscription>>, Trouble> {
        let (mut listed, mut cursor) = (BTreeSet::new(), None::<String>);
        let mut seen = BTreeSet::new();
        for _ in 0..PAGES_MAX {
            let query: Vec<_> = cursor.as_deref().map(|cursor| ("cursor", cursor)).into_iter().collect();
            let page: SubscriptionsPage = match self.get("/subscriptions", &query, Answer::json).await? {
                Ok(page) => page,
                Err(no) if no.error.meaning() == Meaning::StaleCursor => return Ok(None),
                Err(no) if no.error.is_of_a_part() => return Ok(Some(vec![])),
                Err(no) => return Err(no.trouble()),
            };
            told(page.subscriptions.len());
            listed.extend(page.subscriptions.into_iter().filter(|it| !it.adam_id.is_empty()));
            cursor = page.next_cursor;
            match &cursor {
                None => return Ok(Some(listed.into_iter().collect())),
                Some(next) if !seen.insert(next.clone()) => break,
                Some(_) => {}
            }
        }
        Err(Trouble::Malformed("the list of subscriptions has no end".into()))
    }
}
