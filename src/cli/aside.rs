//! A file that is written aside and gets its name once it is whole, so that nobody takes a cut one for it, and the same command
//! works again. Not here: what stands in it.

use super::exit::{self, Failure};
use super::stopping::remove_when_stopped;
use std::fs::Permissions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Of one file, where transfer after transfer breaks off.
const PARTS_MAX: u32 = 100;

/// Dropped without [`Aside::publish`], it goes.
pub(super) struct Aside {
    file: NamedTempFile,
    to: PathBuf,
}

impl Aside {
    /// Of a file that must not exist yet. Told before there is anything to write.
    pub(super) fn of(to: &Path) -> Result<Self, Failure> {
        if to.symlink_metadata().is_ok() {
            return Err(exit::file(to, "can't be made", "it exists"));
        }
        let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // as any file of who calls us
        let made = tempfile::Builder::new()
            .prefix(".seatledger-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder);
        let file = made.map_err(|error| exit::file(to, "can't be made", error))?;
        remove_when_stopped(file.path())?;
        Ok(Self { file, to: to.to_path_buf() })
    }

    /// Errors of it name the file.
    pub(super) fn writer(&self) -> Result<Box<dyn Write + Send>, Failure> {
        let out = self.file.reopen().map_err(|error| exit::file(&self.to, "can't be written", error))?;
        Ok(Box::new(BufWriter::new(Named { out, to: self.to.clone() })))
    }

    pub(super) fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = self.writer()?;
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| super::output::gone(&error))?;
        self.publish()
    }

    pub(super) fn publish(self) -> Result<(), Failure> {
        let failed = |error| exit::file(&self.to, "can't be written", error);
        self.file.as_file().sync_all().map_err(failed)?;
        self.file.persist_noclobber(&self.to).map(|_| ()).map_err(|error| failed(error.error))
    }

    /// Keeps what came, under a name that says that it is not all and that no other part has: where, if anything came at all.
    pub(super) fn keep_part(self) -> Option<PathBuf> {
        let mut file = self.file;
        let came = file.as_file().metadata().is_ok_and(|file| file.len() > 0);
        for part in (1..=PARTS_MAX).filter(|_| came) {
            let mut name = self.to.clone().into_os_string();
            name.push(if part == 1 { ".part".to_owned() } else { format!(".part{part}") });
            match file.persist_noclobber(&name) {
                Ok(_) => return Some(name.into()),
                Err(error) => file = error.file,
            }
        }
        None
    }
}

/// A file that says in its errors which it is.
struct Named<W> {
    out: W,
    to: PathBuf,
}

impl<W> Named<W> {
    fn told<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| io::Error::new(error.kind(), format!("{}: can't be written: {error}", self.to.display())))
    }
}

impl<W: Write> Write for Named<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.told(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.told(flushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_an_error_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("f");
        Aside::of(&to).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let cut = Aside::of(&to).unwrap();
        let mut out = cut.writer().unwrap();
        out.write_all(b"half").unwrap();
        out.flush().unwrap();
        assert!(!to.exists());
        assert_eq!(std::fs::read(cut.keep_part().unwrap()).unwrap(), b"half");
        let rest = Aside::of(&to).unwrap();
        rest.file.as_file().write_all(b"rest").unwrap();
        let rest = rest.keep_part().unwrap();
        assert_eq!((std::fs::read(&rest).unwrap(), rest), (b"rest".to_vec(), dir.path().join("f.part2")));
        Aside::of(&to).unwrap().write(b"whole").unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"whole");
        assert!(Aside::of(&to).err().unwrap().to_string().contains("can't be made: it exists"));
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let error = Named { out: full, to }.write(b"x").unwrap_err();
        let said = super::super::output::gone(&error).to_string();
        assert!(said.contains("/f: can't be written") && !said.contains("standard output"), "{said}");
    }
}
