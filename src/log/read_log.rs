//! What the log needs of the store that it reads from: a small ordered map of frames, disposable at any time. sled is
//! one implementation (`sled.rs`), the one in memory that fails on demand the other (`memory/`). Not here: feeding it.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Tenant u32 and first position u64, both big-endian, so that byte order is position order.
pub(crate) type Key = [u8; 12];

pub(crate) fn key(tenant: u32, first_position: u64) -> Key {
    let mut key = [0; 12];
    let (high, low) = key.split_at_mut(4);
    high.copy_from_slice(&tenant.to_be_bytes());
    low.copy_from_slice(&first_position.to_be_bytes());
    key
}

pub(crate) fn split_key(key: &[u8]) -> Option<(u32, u64)> {
    let (tenant, rest) = key.split_first_chunk::<4>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    rest.is_empty().then_some((u32::from_be_bytes(*tenant), u64::from_be_bytes(*first)))
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadLogError {
    /// The disk said no; the content is as good as before.
    #[error("{0}")]
    Io(io::Error),
    /// Its files are not what it wrote: set it aside.
    #[error("{0}")]
    Broken(String),
    /// It does not make its writes durable in this build.
    #[error("{0}")]
    NotDurable(String),
}

impl From<ReadLogError> for io::Error {
    fn from(error: ReadLogError) -> io::Error {
        match error {
            ReadLogError::Io(error) => error,
            ReadLogError::Broken(why) | ReadLogError::NotDurable(why) => io::Error::other(why),
        }
    }
}

/// Where a read log lives.
pub(crate) trait ReadLogPlace: Send + Sync {
    fn exists(&self) -> io::Result<bool>;
    /// Opens it, or makes an empty one; what is made is durable as a name before this answers.
    fn open(&self) -> Result<Arc<dyn ReadLog>, ReadLogError>;
    /// Moves it out of the way, for the record, and says where to.
    fn set_aside(&self) -> io::Result<String>;
    /// Removes whatever was set aside.
    fn remove_aside(&self) -> io::Result<()>;
}

/// A key and a value, copied out.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// Sees keys and values go by, and says when it has seen enough.
pub(crate) type Seeing<'s> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 's;

pub(crate) trait ReadLog: Send + Sync {
    /// Puts and removes at once. Durable only after [`ReadLog::flush`] and [`ReadLog::sync`].
    fn change(&self, puts: &[(Key, &[u8])], removes: &[Key]) -> Result<(), ReadLogError>;
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadLogError>;
    /// Goes through `from..to` in key order until told to stop.
    fn scan(&self, from: &Key, to: &Key, visit: &mut Seeing<'_>) -> Result<(), ReadLogError>;
    /// The greatest entry below `key`.
    fn last_before(&self, key: &Key) -> Result<Option<Entry>, ReadLogError>;
    fn flush(&self) -> Result<(), ReadLogError>;
    /// Syncs the files that a flush wrote, and looks that nothing lies where it would not be synced.
    fn sync(&self) -> Result<(), ReadLogError>;
    /// Writes something and looks whether it was made durable.
    fn self_test(&self) -> Result<(), ReadLogError>;
}

/// The key behind every key.
pub(crate) const END: Key = [0xff; 12];

/// The tenants that have an entry.
pub(crate) fn tenants(read_log: &dyn ReadLog) -> Result<Vec<u32>, ReadLogError> {
    let mut tenants = vec![];
    let mut from = key(0, 0);
    loop {
        let mut next = None;
        read_log.scan(&from, &END, &mut |key, _| {
            next = split_key(key);
            ControlFlow::Break(())
        })?;
        let Some((tenant, _)) = next else { return Ok(tenants) };
        tenants.push(tenant);
        let Some(after) = tenant.checked_add(1) else { return Ok(tenants) };
        from = key(after, 0);
    }
}
