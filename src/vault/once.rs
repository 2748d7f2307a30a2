//! Making the file of a secret, once. Not here: what is in it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Makes a file for us alone, whole or not at all, and durable. If somebody has made it before, or does so now, theirs
/// stands: two of them must not go on with two secrets.
///
/// # Errors
/// What the disk said.
pub(crate) fn make_once(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut aside = OsString::from(path);
    aside.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&aside)?;
    // whoever comes second waits here, and finds it made
    file.lock()?;
    if path.try_exists()? {
        return match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
    }
    file.set_len(0)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    sync_folder_of(path)
}

/// Makes the file's name durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
