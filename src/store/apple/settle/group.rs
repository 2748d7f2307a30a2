//! Seats gathered into calls. A call is of some assets for some holders, every one of these for every one of those, so seats
//! go together where their sides are the same. Pure.

use super::super::limits::AppleLimits;
use super::super::wire::{AssetKey, AssignBody};
use crate::store::terms::StoreHolder;
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Seat = (AssetKey, StoreHolder);

/// One call: each asset for each holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) assets: Vec<AssetKey>,
    pub(super) holders: Vec<StoreHolder>,
}

impl Batch {
    pub(super) fn seats(&self) -> impl Iterator<Item = Seat> {
        self.assets.iter().flat_map(|asset| self.holders.iter().map(|holder| (asset.clone(), holder.clone())))
    }

    pub(super) fn body(&self) -> AssignBody {
        let mut body = AssignBody { assets: self.assets.clone(), client_user_ids: vec![], serial_numbers: vec![] };
        for holder in &self.holders {
            match holder {
                StoreHolder::User(id) => body.client_user_ids.push(id.clone()),
                StoreHolder::Device(serial) => body.serial_numbers.push(serial.clone()),
            }
        }
        body
    }

    /// Two smaller calls, or `None` for a single seat. `is_named` says of which part the store has spoken, where it has.
    pub(super) fn split(&self, is_named: impl Fn(&AssetKey, &StoreHolder) -> bool) -> Option<[Self; 2]> {
        let asset_named = |asset: &AssetKey| self.holders.iter().all(|holder| is_named(asset, holder));
        let holder_named = |holder: &StoreHolder| self.assets.iter().all(|asset| is_named(asset, holder));
        let (bad_assets, assets): (Vec<_>, Vec<_>) = self.assets.iter().cloned().partition(asset_named);
        if !bad_assets.is_empty() && !assets.is_empty() {
            return Some([bad_assets, assets].map(|assets| Self { assets, holders: self.holders.clone() }));
        }
        let (bad_holders, holders): (Vec<_>, Vec<_>) = self.holders.iter().cloned().partition(holder_named);
        if !bad_holders.is_empty() && !holders.is_empty() {
            return Some([bad_holders, holders].map(|holders| Self { assets: self.assets.clone(), holders }));
        }
        if self.assets.len() > 1 {
            let (left, right) = self.assets.split_at(self.assets.len() / 2);
            return Some([left, right].map(|assets| Self { assets: assets.to_vec(), holders: self.holders.clone() }));
        }
        if self.holders.len() > 1 {
            let (left, right) = self.holders.split_at(self.holders.len() / 2);
            return Some([left, right].map(|holders| Self { assets: self.assets.clone(), holders: holders.to_vec() }));
        }
        None
    }
}

/// As few calls as one of two ways of gathering gives, each within the limits.
pub(super) fn batches(seats: &BTreeSet<Seat>, limits: &AppleLimits) -> Vec<Batch> {
    let mut of_asset: BTreeMap<&AssetKey, Vec<&StoreHolder>> = BTreeMap::new();
    let mut of_holder: BTreeMap<&StoreHolder, Vec<&AssetKey>> = BTreeMap::new();
    for (asset, holder) in seats {
        of_asset.entry(asset).or_default().push(holder);
        of_holder.entry(holder).or_default().push(asset);
    }
    let by_asset: Vec<_> = turned(of_asset).into_iter().map(|(holders, assets)| (assets, holders)).collect();
    let by_holder: Vec<_> = turned(of_holder).into_iter().collect();
    let cut = |groups: Vec<(Vec<&AssetKey>, Vec<&StoreHolder>)>| -> Vec<Batch> {
        groups.iter().flat_map(|(assets, holders)| within(assets, holders, limits)).collect()
    };
    let (by_asset, by_holder) = (cut(by_asset), cut(by_holder));
    if by_holder.len() < by_asset.len() { by_holder } else { by_asset }
}

/// Those who have the same list, by that list.
fn turned<'a, A: Ord, B: Ord>(lists: BTreeMap<&'a A, Vec<&'a B>>) -> BTreeMap<Vec<&'a B>, Vec<&'a A>> {
    let mut turned: BTreeMap<Vec<&B>, Vec<&A>> = BTreeMap::new();
    for (of, list) in lists {
        turned.entry(list).or_default().push(of);
    }
    turned
}

fn within(assets: &[&AssetKey], holders: &[&StoreHolder], limits: &AppleLimits) -> Vec<Batch> {
    let is_user = |holder: &&StoreHolder| match holder {
        StoreHolder::User(_) => true,
        StoreHolder::Device(_) => false,
    };
    let (users, devices): (Vec<&StoreHolder>, Vec<&StoreHolder>) = holders.iter().copied().partition(is_user);
    let users: Vec<_> = users.chunks(limits.client_user_ids.max(1)).collect();
    let devices: Vec<_> = devices.chunks(limits.serial_numbers.max(1)).collect();
    let of = |at: usize, chunks: &[&[&StoreHolder]]| -> Vec<StoreHolder> {
        chunks.get(at).into_iter().flat_map(|chunk| chunk.iter().map(|holder| (*holder).clone())).collect()
    };
    let mut batches = vec![];
    for assets in assets.chunks(limits.assets.max(1)) {
        for at in 0..users.len().max(devices.len()) {
            let assets = assets.iter().map(|asset| (*asset).clone()).collect();
            batches.push(Batch { assets, holders: [of(at, &users), of(at, &devices)].concat() });
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::super::super::limits::ServiceConfig;
    use super::*;
    use proptest::prelude::*;

    fn asset(number: u32) -> AssetKey {
        AssetKey { adam_id: number.to_string(), pricing_param: "STDQ".into() }
    }

    fn user(number: u32) -> StoreHolder {
        StoreHolder::User(format!("user{number:04}"))
    }

    fn usual() -> AppleLimits {
        ServiceConfig::default().limits()
    }

    fn count(seats: impl IntoIterator<Item = (u32, u32)>) -> usize {
        batches(&seats.into_iter().map(|(a, u)| (asset(a), user(u))).collect(), &usual()).len()
    }

    #[test]
    fn seats_go_together_where_a_side_is_the_same() {
        assert_eq!(count((0..1000).map(|u| (1, u))), 1, "one app for a thousand");
        assert_eq!(count((0..1001).map(|u| (1, u))), 2);
        assert_eq!(count((0..25).map(|a| (a, 1))), 1, "one who comes and gets 25 apps");
        assert_eq!(count((0..26).map(|a| (a, 1))), 2);
        assert_eq!(count((0..25).flat_map(|a| (0..1000).map(move |u| (a, u)))), 1, "25 for a thousand");
        // two departments with apps of their own and one that both have: three by app, two by person
        assert_eq!(count((0..10).flat_map(|u| [(1, u), (2, u + 10), (3, u), (3, u + 10)])), 2);
    }

    #[test]
    fn users_and_devices_have_limits_of_their_own() {
        let limits = AppleLimits { client_user_ids: 2, serial_numbers: 3, ..usual() };
        let device = |n: u32| StoreHolder::Device(format!("C{n}"));
        let seats = (0..4).map(|n| (asset(1), user(n))).chain((0..4).map(|n| (asset(1), device(n)))).collect();
        let sizes: Vec<_> = batches(&seats, &limits)
            .iter()
            .map(|batch| (batch.body().client_user_ids.len(), batch.body().serial_numbers.len()))
            .collect();
        assert_eq!(sizes, [(2, 3), (2, 1)]);
    }

    #[test]
    fn a_call_is_split_where_the_store_says_and_else_in_the_middle() {
        let batch = Batch { assets: vec![asset(1), asset(2)], holders: vec![user(1), user(2), user(3)] };
        let [bad, good] = batch.split(|asset, _| asset.adam_id == "2").expect("two");
        assert_eq!((bad.assets, good.assets), (vec![asset(2)], vec![asset(1)]));
        let [bad, good] = batch.split(|_, holder| *holder == user(3)).expect("two");
        assert_eq!((bad.holders, good.holders), (vec![user(3)], vec![user(1), user(2)]));
        let [left, right] = batch.split(|_, _| false).expect("two");
        assert_eq!((left.assets.len(), right.assets.len()), (1, 1));
        let [left, right] = left.split(|_, _| true).expect("two");
        assert_eq!((left.holders.len(), right.holders.len()), (1, 2));
        assert!(left.split(|_, _| true).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_seat_is_in_one_call_and_no_other_is(
            seats in prop::collection::btree_set((0_u32..6, 0_u32..12), 0..60), assets in 1_usize..5, users in 1_usize..5,
        ) {
            let limits = AppleLimits { assets, client_user_ids: users, ..usual() };
            let seats: BTreeSet<Seat> = seats.into_iter().map(|(a, u)| (asset(a), user(u))).collect();
            let calls = batches(&seats, &limits);
            let sent: Vec<Seat> = calls.iter().flat_map(Batch::seats).collect();
            prop_assert_eq!(sent.len(), seats.len());
            prop_assert_eq!(sent.into_iter().collect::<BTreeSet<_>>(), seats);
            prop_assert!(calls.iter().all(|call| call.assets.len() <= assets && call.holders.len() <= users));
        }
    }
}
