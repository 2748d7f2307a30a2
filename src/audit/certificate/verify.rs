//! Holding a certificate against the records: the signature, the two heads, then every figure, counted again. Needs the file,
//! the log's verifier key and the bundles of records, and no service. One bundle is in memory at a time.

use super::figures::{Difference, Differences};
use super::fold::{Fold, Impossible};
use super::{Certificate, Head, Malformed, decoded};
use crate::ledger::decode_record;
use crate::merkle::{
    BundleError, Checkpoint, CheckpointError, Hash, KeyRange, Peaks, ProofError, StatementError, TILE_WIDTH,
    VerifierKey, check_consistency, entries_in_bundle, open_certificate,
};

/// Where the records come from.
pub trait Bundles {
    /// A bundle of at least so many records (C2SP tlog-tiles), and how many it has.
    ///
    /// # Errors
    /// When it can't be had.
    fn bundle(&mut self, index: u64, width: u16) -> Result<(Vec<u8>, u16), TilesError>;
}

/// Why records could not be had. Nothing is said about the certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TilesError(pub String);

/// Why a certificate is not believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Signature(#[from] StatementError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the certificate speaks of {found}, and the key is that of {expected}")]
    OtherLog { expected: String, found: String },
    #[error(
        "the certificate speaks of {size} records, and the key that signed it signs heads over at most {to_size}: another one \
         took its place there"
    )]
    KeyEnded { size: u64, to_size: u64 },
    #[error("the certificate's period ends before it begins: it is from {from} to {to} records")]
    Reversed { from: u64, to: u64 },
    #[error("the root at {0} records is no hash in base64")]
    Root(u64),
    #[error("the head that the certificate carries: {0}")]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "the head that the certificate carries is of {found} records, and the certificate speaks of {said}, or their roots differ"
    )]
    OtherHead { said: u64, found: u64 },
    #[error("the second head does not go on from the first: {0}")]
    NotConsistent(#[from] ProofError),
    #[error("{0}")]
    Tiles(#[from] TilesError),
    #[error("the bundle of the records from {first} on: {error}")]
    Bundle { first: u64, error: BundleError },
    #[error("position {position}: {what}")]
    Record { position: u64, what: String },
    #[error(transparent)]
    Impossible(#[from] Impossible),
    #[error("the first {size} records make another tree than the certificate says: {found}, not {said}")]
    OtherTree { size: u64, said: String, found: String },
}

/// What was counted.
#[derive(Debug)]
pub struct Verified {
    pub certificate: Certificate,
    /// Figures that are not so. Of a good certificate, none.
    pub differences: Vec<Difference>,
}

impl Verified {
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Checks everything that a certificate says. `keys` are the verifier keys of logs, as they are published for heads, and up to
/// which size each of them signs: an older size may be signed by a newer key, and a newer one not by an older. `progress` hears
/// how many records of how many were counted. Blocking.
///
/// # Errors
/// What keeps its figures from being compared at all.
pub fn verify(
    file: &[u8],
    keys: &[KeyRange],
    bundles: &mut dyn Bundles,
    progress: &dyn Fn(u64, u64),
) -> Result<Verified, VerifyError> {
    let logs: Vec<VerifierKey> = keys.iter().map(|range| range.key.clone()).collect();
    let (lines, key) = open_certificate(file, &logs)?;
    let certificate = Certificate::parse(&lines)?;
    check_key(certificate.scope.to.size, key, keys)?;
    let (from, to) = check_heads(&certificate, key)?;
    let over_said: usize = certificate.pools.iter().map(|pool| pool.over.len()).sum();
    let mut fold = Fold::new(over_said + 1);
    let mut differences = Differences::default();
    let (mut peaks, size) = (Peaks::default(), to.size);
    if from.size == 0 {
        differences.compare("", "from.recorded_at", from.recorded_at, fold.recorded_at);
        fold.begin();
    }
    for index in 0..size.div_ceil(TILE_WIDTH.into()) {
        let first = index * u64::from(TILE_WIDTH);
        let wanted = u16::try_from((size - first).min(TILE_WIDTH.into())).unwrap_or(TILE_WIDTH);
        let (bytes, width) = bundles.bundle(index, wanted)?;
        let records = entries_in_bundle(&bytes, width).map_err(|error| VerifyError::Bundle { first, error })?;
        let records = records.get(..wanted.into()).unwrap_or(&records);
        let before = usize::try_from(from.size.saturating_sub(first)).unwrap_or(usize::MAX).min(records.len());
        let (before, after) = records.split_at(before);
        take(before, &mut peaks, &mut fold)?;
        if !before.is_empty() && peaks.leaves() == from.size {
            check_tree(&peaks, from)?;
            differences.compare("", "from.recorded_at", from.recorded_at, fold.recorded_at);
            fold.begin();
        }
        take(after, &mut peaks, &mut fold)?;
        if peaks.leaves() < first + u64::from(wanted) {
            return Err(VerifyError::Bundle {
                first,
                error: BundleError::Count { width: wanted, found: width.into() },
            });
        }
        progress(peaks.leaves(), size);
    }
    check_tree(&peaks, to)?;
    differences.compare("", "to.recorded_at", to.recorded_at, fold.recorded_at);
    compare(&certificate, fold, &mut differences);
    Ok(Verified { certificate, differences: differences.0 })
}

/// Whether the key signs so many records, as one of its ranges says.
fn check_key(size: u64, key: &VerifierKey, keys: &[KeyRange]) -> Result<(), VerifyError> {
    let ends = keys.iter().filter(|range| range.key == *key).map(|range| range.to_size.unwrap_or(u64::MAX));
    let to_size = ends.max().unwrap_or_default();
    if size <= to_size { Ok(()) } else { Err(VerifyError::KeyEnded { size, to_size }) }
}

/// The heads that a certificate names, if the log signed the second one and it goes on from the first.
fn check_heads<'c>(certificate: &'c Certificate, key: &VerifierKey) -> Result<(&'c Head, &'c Head), VerifyError> {
    let scope = &certificate.scope;
    let (from, to) = (&scope.from, &scope.to);
    if scope.log != key.name() {
        return Err(VerifyError::OtherLog { expected: key.name().to_owned(), found: scope.log.clone() });
    }
    if from.size > to.size || to.size == 0 {
        return Err(VerifyError::Reversed { from: from.size, to: to.size });
    }
    let root = |head: &Head| decoded(&head.root).ok_or(VerifyError::Root(head.size));
    let (old, new) = (root(from)?, root(to)?);
    let (checkpoint, _) = Checkpoint::open(scope.checkpoint.as_bytes(), key)?;
    if (checkpoint.size, checkpoint.root) != (to.size, new) {
        return Err(VerifyError::OtherHead { said: to.size, found: checkpoint.size });
    }
    let path: Option<Vec<Hash>> = scope.consistency.iter().map(|hash| decoded(hash)).collect();
    let path = path.ok_or(ProofError::WrongLength { found: scope.consistency.len() })?;
    check_consistency(from.size, to.size, &path, &old, &new)?;
    Ok((from, to))
}

/// The next records.
fn take(records: &[&[u8]], peaks: &mut Peaks, fold: &mut Fold) -> Result<(), VerifyError> {
    let first = peaks.leaves();
    peaks.extend(records.iter().copied(), |_, _, _| {});
    for (position, record) in (first..).zip(records) {
        let decoded = decode_record(position, record)
            .map_err(|error| VerifyError::Record { position, what: error.to_string() })?;
        fold.take(&decoded)?;
    }
    Ok(())
}

fn check_tree(peaks: &Peaks, head: &Head) -> Result<(), VerifyError> {
    let found = super::encoded(&peaks.root());
    if found == head.root {
        return Ok(());
    }
    Err(VerifyError::OtherTree { size: head.size, said: head.root.clone(), found })
}

fn compare(certificate: &Certificate, fold: Fold, differences: &mut Differences) {
    let Certificate { scope, pools: said } = certificate;
    let mut found = fold.into_figures();
    found.retain(|pool, _| scope.pool.is_none_or(|asked| asked == *pool));
    differences.compare("", "pools", scope.pools, found.len());
    differences.compare("", "lines of pools", said.len(), found.len());
    differences.compare("", "times_over", scope.times_over, found.values().map(|pool| pool.times_over).sum::<u64>());
    for pool in said {
        match found.remove(&pool.pool) {
            Some(found) => differences.compare_pool(pool, &found),
            None => differences.compare(&pool.pool.to_string(), "pool", pool.pool, None::<u64>),
        }
    }
    for pool in found.keys() {
        differences.compare(&pool.to_string(), "pool", None::<u64>, pool);
    }
}
