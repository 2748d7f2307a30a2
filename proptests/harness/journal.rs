//! The journal of a simulated store as a judge: who was given a seat, and how often.

use seatledger::store::simulator::journal::{Deed, Entry};
use std::collections::BTreeMap;

/// How often each was given a seat, by pool and holder.
///
/// # Panics
/// When somebody was given one twice without having been taken it in between.
#[track_caller]
pub(crate) fn grants_in(journal: Vec<Entry>) -> BTreeMap<(String, String), u32> {
    let (mut grants, mut has) = (BTreeMap::new(), BTreeMap::new());
    for Entry { pool, holder, deed, number, .. } in journal {
        // user names are told apart without regard to case
        let who = (pool, holder.to_lowercase());
        match deed {
            Deed::Granted => {
                assert_ne!(
                    has.insert(who.clone(), true),
                    Some(true),
                    "entry {number}: {who:?} was given a second seat"
                );
                *grants.entry(who).or_default() += 1;
            }
            Deed::Released => drop(has.insert(who, false)),
            Deed::GrantedAlready | Deed::GrantRefused | Deed::ReleasedAlready | Deed::ReleaseRefused => {}
        }
    }
    grants
}
