//! One reading of the store: all pages of the inventory, and for each pool its names, packages and seats. The store has no
//! snapshots: what is seen twice counts once, and what seems to be missing is read again. Not here: what an entry means
//! (`mapping`).

use super::client::{Answered, InventoryAsked, MicrosoftClient, Missing};
use super::connector::{Memory, Remembered};
use super::mapping::{self, Described, Kind};
use super::wire::{InventoryEntry, ProductKey, Seat, read_time, round_trip};
use crate::domain::command::InventoryItem;
use crate::domain::key::{LicenseType, PoolKey};
use crate::domain::time::Time;
use crate::store::terms::{Pass, PassAsked, PassProgress, SeatAtStore, StoreHolder, Trouble};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Pools read at one time.
const PARALLEL: usize = 6;
const ENTRIES_MAX: usize = 100_000;
const SEATS_MAX: usize = 5_000_000;
/// What is wrong with a page after the first one most likely is that its token has become too old.
const TOKEN_GONE: &str = "the store does not know the place any more where its last page ended";

/// After so many troubles one after the other nothing more is asked beside the figures: each takes as long as a call may.
const TROUBLES_MAX: u32 = 20;

/// A pool, read whole.
struct PoolRead {
    item: InventoryItem,
    seats: Vec<SeatAtStore>,
    is_described: bool,
}

/// Who reads, and what for.
struct Reader<'r> {
    client: &'r MicrosoftClient,
    memory: &'r Memory,
    asked: &'r PassAsked,
    progress: &'r PassProgress,
    /// Of calls for what is beside the figures, one after the other.
    troubles: AtomicU32,
}

enum Found {
    Pool(Box<PoolRead>),
    Unsupported(PoolKey, String),
    /// It went while it was being read.
    Gone,
}

pub(super) async fn read(
    client: &MicrosoftClient,
    memory: &Memory,
    asked: &PassAsked,
    progress: &PassProgress,
) -> Result<Pass, Trouble> {
    let since = asked.since.as_deref().filter(|_| !asked.is_full).and_then(read_time);
    let pages_before = progress.pages.load(Ordering::Relaxed);
    let entries = inventory(client, since, progress).await?;
    let newest = entries.iter().filter_map(|entry| entry.last_modified).max();
    let mut pass = Pass {
        items: vec![],
        unsupported: vec![],
        undescribed: BTreeSet::new(),
        seats: vec![],
        pages: 0,
        is_complete: since.is_none(),
        next: newest.map(round_trip).or_else(|| asked.since.clone()),
    };
    if since.is_none() {
        let listed: BTreeSet<&ProductKey> = entries.iter().map(|entry| &entry.key).collect();
        memory.lock().retain(|(key, _), _| listed.contains(key));
    }
    let reader = &Reader { client, memory, asked, progress, troubles: AtomicU32::new(0) };
    let pools = stream::iter(distinct(entries)).map(|(key, entry, kind)| async move {
        let found = pool(reader, key, &entry, kind).await?;
        progress.items.fetch_add(1, Ordering::Relaxed);
        Ok::<Found, Trouble>(found)
    });
    let mut found: Vec<Found> = pools.buffered(PARALLEL).try_collect().await?;
    for found in found.drain(..) {
        match found {
            Found::Pool(read) => {
                pass.undescribed.extend((!read.is_described).then(|| read.item.key.clone()));
                pass.items.push(read.item);
                pass.seats.extend(read.seats);
            }
            Found::Unsupported(key, why) => pass.unsupported.push((key, why)),
            Found::Gone => {}
        }
        if pass.seats.len() > SEATS_MAX {
            return Err(Trouble::Malformed(format!("the store lists more than {SEATS_MAX} seats")));
        }
    }
    let pages = progress.pages.load(Ordering::Relaxed).saturating_sub(pages_before);
    pass.pages = u32::try_from(pages).unwrap_or(u32::MAX);
    Ok(pass)
}

async fn inventory(
    client: &MicrosoftClient,
    modified_since: Option<Time>,
    progress: &PassProgress,
) -> Result<Vec<InventoryEntry>, Trouble> {
    let mut entries = vec![];
    let mut asked = InventoryAsked { modified_since, continuation_token: None };
    let mut tokens = BTreeSet::new();
    loop {
        let answered = client.inventory(&asked).await?;
        if answered == Answered::Bad && asked.continuation_token.is_some() {
            return Err(Trouble::Malformed(TOKEN_GONE.into()));
        }
        let page = answered.good()?;
        progress.page();
        entries.extend(page.entries);
        if entries.len() > ENTRIES_MAX {
            return Err(Trouble::Malformed(format!("the store lists more than {ENTRIES_MAX} entries")));
        }
        let Some(token) = page.continuation_token else { return Ok(entries) };
        asked.continuation_token = Some(next_token(token, &mut tokens)?);
    }
}

/// A place that was passed already leads round and round.
fn next_token(token: String, passed: &mut BTreeSet<String>) -> Result<String, Trouble> {
    if passed.insert(token.clone()) {
        return Ok(token);
    }
    Err(Trouble::Malformed("the store's pages lead back to one that was read".into()))
}

/// Each key once: of two entries the one that is there goes before the one that was removed, then the one read later.
fn distinct(entries: Vec<InventoryEntry>) -> Vec<(PoolKey, InventoryEntry, Kind)> {
    let mut known: BTreeMap<PoolKey, (InventoryEntry, Kind)> = BTreeMap::new();
    let mut unsupported = vec![];
    for entry in entries {
        let kind = mapping::kind(&entry);
        match &kind {
            Kind::Pool { license_type, .. } => {
                known.insert(mapping::pool_key(&entry.key, *license_type), (entry, kind));
            }
            Kind::Removed(license_type) => {
                known.entry(mapping::pool_key(&entry.key, *license_type)).or_insert((entry, kind));
            }
            Kind::Unsupported(license_type, _) => {
                let either = [LicenseType::Online, LicenseType::Offline].into_iter();
                let keys = either.filter(|it| license_type.is_none_or(|only| only == *it));
                unsupported.extend(keys.map(|it| (mapping::pool_key(&entry.key, it), entry.clone(), kind.clone())));
            }
        }
    }
    let known: Vec<_> = known.into_iter().map(|(key, (entry, kind))| (key, entry, kind)).collect();
    // one after the other, whatever stood between them
    unsupported.sort_by(|one: &(PoolKey, InventoryEntry, Kind), other| one.0.cmp(&other.0));
    unsupported.retain(|(key, _, _)| known.binary_search_by(|(known, _, _)| known.cmp(key)).is_err());
    unsupported.dedup_by(|one, other| one.0 == other.0);
    known.into_iter().chain(unsupported).collect()
}

async fn pool(reader: &Reader<'_>, key: PoolKey, entry: &InventoryEntry, kind: Kind) -> Result<Found, Trouble> {
    let (client, progress) = (reader.client, reader.progress);
    let (license_type, policy, owned, used) = match kind {
        Kind::Pool { license_type, policy, owned, used } => (license_type, policy, owned, used),
        Kind::Removed(_) => return Ok(Found::Gone),
        Kind::Unsupported(_, why) => return Ok(Found::Unsupported(key, why)),
    };
    let described = describe(reader, entry).await?;
    let is_described = described.is_some();
    let described = described.unwrap_or_default();
    if let Some(why) = &described.not_an_app {
        return Ok(Found::Unsupported(key, why.clone()));
    }
    let item = mapping::item(key.clone(), &entry.key, (license_type, policy), (owned, used), &described);
    if license_type == LicenseType::Offline || item.is_encrypted {
        return Ok(Found::Pool(Box::new(PoolRead { item, seats: vec![], is_described })));
    }
    let Some(mut seats) = seats(client, &entry.key, progress).await? else { return Ok(Found::Gone) };
    if used.is_some_and(|used| used != seats.len() as u64) {
        // a page may have begun behind where the last one ended: what either reading shows is there
        let Some(again) = self::seats(client, &entry.key, progress).await? else { return Ok(Found::Gone) };
        seats.extend(again);
    }
    let at_store = |(_, seat): (String, Seat)| SeatAtStore {
        pool: key.clone(),
        since: seat.date_assigned,
        holder: StoreHolder::User(seat.assigned_to),
    };
    let seats = seats.into_iter().map(at_store).collect();
    Ok(Found::Pool(Box::new(PoolRead { item, seats, is_described })))
}

/// Names and packages: as they were read before, unless the store says that something changed since, and can tell what.
/// `None` where nothing is known of them.
async fn describe(reader: &Reader<'_>, entry: &InventoryEntry) -> Result<Option<Arc<Described>>, Trouble> {
    let Reader { client, memory, asked, troubles, .. } = reader;
    let place = (entry.key.clone(), asked.language.clone());
    let before = |is_good: &dyn Fn(&Remembered) -> bool| {
        memory.lock().get(&place).filter(|known| is_good(known)).map(|known| Arc::clone(&known.described))
    };
    if !asked.rereads_details
        && let Some(known) = before(&|known| known.last_modified == entry.last_modified)
    {
        return Ok(Some(known));
    }
    if troubles.load(Ordering::Relaxed) >= TROUBLES_MAX {
        return Ok(before(&|_| true));
    }
    let (product, named, packages) = futures::join!(
        client.product(&entry.key),
        client.localized(&entry.key, &asked.language),
        client.packages(&entry.key)
    );
    let met = [product.as_ref().err(), named.as_ref().err(), packages.as_ref().err()];
    let met: Vec<Trouble> = met.into_iter().flatten().map(|failed| failed.trouble.clone()).collect();
    if let Some(trouble) = met.iter().find(|trouble| trouble.shuts_the_account()) {
        return Err(trouble.clone());
    }
    if let Some(trouble) = met.first() {
        // what is counted does not hang on it
        if troubles.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(%trouble, "names and packages can't be read: those that are known stand");
        }
        return Ok(before(&|_| true));
    }
    troubles.store(0, Ordering::Relaxed);
    let described = Arc::new(mapping::described(known(product?), known(named?), known(packages?)));
    let remembered = Remembered { last_modified: entry.last_modified, described: Arc::clone(&described) };
    memory.lock().insert(place, remembered);
    Ok(Some(described))
}

/// What the store has nothing to say of is not known, and no trouble.
fn known<T>(answered: Answered<T>) -> Option<T> {
    match answered {
        Answered::Good(said) => Some(said),
        Answered::NotFound(_) | Answered::Conflict(_) | Answered::Bad => None,
    }
}

/// Active seats by the name in lower case; `None` where the pool is not there any more.
async fn seats(
    client: &MicrosoftClient,
    key: &ProductKey,
    progress: &PassProgress,
) -> Result<Option<BTreeMap<String, Seat>>, Trouble> {
    let (mut seats, mut tokens) = (BTreeMap::new(), BTreeSet::new());
    let mut continuation = None;
    loop {
        let answered = client.seats(key, continuation.as_deref()).await?;
        if answered == Answered::NotFound(Missing::Inventory) {
            return Ok(None);
        }
        if answered == Answered::Bad && continuation.is_some() {
            return Err(Trouble::Malformed(TOKEN_GONE.into()));
        }
        let page = answered.good()?;
        progress.page();
        let before = seats.len();
        let active = page.seats.into_iter().filter(Seat::is_active);
        seats.extend(active.map(|seat| (seat.assigned_to.to_ascii_lowercase(), seat)));
        progress.seats.fetch_add((seats.len() - before) as u64, Ordering::Relaxed);
        if seats.len() > SEATS_MAX {
            return Err(Trouble::Malformed(format!("a pool has more than {SEATS_MAX} seats")));
        }
        let Some(token) = page.continuation_token else { return Ok(Some(seats)) };
        continuation = Some(next_token(token, &mut tokens)?);
    }
}
