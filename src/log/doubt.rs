//! The note that sled is not what was put into it: left by whoever sees that, for the next start, which makes sled anew. A
//! start by itself looks at sled's end only. Not here: seeing it.

use std::io;

use super::medium::{Medium, TOP, read_file, write_whole};

pub(crate) const DOUBT: &str = "sled.doubt";
/// So much of the reason is kept.
const WHY_CHARS_MAX: usize = 500;

pub(crate) fn note(medium: &dyn Medium, why: &str) -> io::Result<()> {
    write_whole(medium, TOP, DOUBT, shortened(why).as_bytes())
}

/// Why sled is not to be believed, if somebody said so.
pub(crate) fn noted(medium: &dyn Medium) -> io::Result<Option<String>> {
    Ok(read_file(medium, DOUBT)?.map(|bytes| shortened(&String::from_utf8_lossy(&bytes))))
}

/// Sled was made anew. A note that comes back after a cut costs another rebuild.
pub(crate) fn settle(medium: &dyn Medium) -> io::Result<()> {
    match medium.remove(DOUBT) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn shortened(why: &str) -> String {
    why.chars().take(WHY_CHARS_MAX).collect()
}
