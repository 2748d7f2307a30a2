//! The forgetful disk as a mounted file system, for real processes on real system calls. After a number of changes that
//! the test chooses it goes dark: that change is lost or done, its answer is lost in any case, and everything after
//! fails until the power is back. Not here: what the disk keeps (`disk.rs`).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;

use super::disk::{About, BLOCK_BYTES, Cut, Disk};

/// The kernel remembers no name and no attribute, so that what it shows is what the disk holds.
const TTL: Duration = Duration::ZERO;

/// When the power goes, counted in changes from now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fuse {
    pub(crate) changes: u64,
    /// Whether the last change still reaches the disk.
    pub(crate) is_last_done: bool,
}

struct Power {
    disk: Disk,
    fuse: Option<Fuse>,
    is_dark: bool,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Power>>);

impl Shared {
    fn look<T>(&self, work: impl FnOnce(&mut Disk) -> Result<T, Errno>) -> Result<T, Errno> {
        let mut power = self.0.lock();
        if power.is_dark { Err(Errno::EIO) } else { work(&mut power.disk) }
    }

    fn change<T>(&self, work: impl FnOnce(&mut Disk) -> Result<T, Errno>) -> Result<T, Errno> {
        let mut power = self.0.lock();
        if power.is_dark {
            return Err(Errno::EIO);
        }
        if let Some(fuse) = &mut power.fuse {
            fuse.changes = fuse.changes.saturating_sub(1);
            if fuse.changes == 0 {
                let is_done = fuse.is_last_done;
                power.is_dark = true;
                if is_done {
                    // the answer does not get through
                    work(&mut power.disk).ok();
                }
                return Err(Errno::EIO);
            }
        }
        work(&mut power.disk)
    }
}

/// The disk, mounted while it has power.
pub(crate) struct PowerDisk {
    shared: Shared,
    place: tempfile::TempDir,
    session: Option<BackgroundSession>,
}

impl PowerDisk {
    /// `None`, and a word on stderr, where this machine mounts no FUSE.
    pub(crate) fn mounted() -> Option<PowerDisk> {
        let power = Power { disk: Disk::new(), fuse: None, is_dark: false };
        let place = tempfile::tempdir().expect("a folder");
        let mut disk = PowerDisk { shared: Shared(Arc::new(Mutex::new(power))), place, session: None };
        match disk.mount() {
            Ok(()) => Some(disk),
            Err(error) => {
                eprintln!("SKIPPED: no FUSE file system can be mounted here: {error}");
                None
            }
        }
    }

    fn mount(&mut self) -> std::io::Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("power-cut".into()), MountOption::NoAtime];
        self.session = Some(fuser::spawn_mount(Mounted(self.shared.clone()), self.place.path(), &config)?);
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The power will go after so many more changes.
    pub(crate) fn arm(&self, fuse: Fuse) {
        self.shared.0.lock().fuse = Some(fuse);
    }

    pub(crate) fn is_dark(&self) -> bool {
        self.shared.0.lock().is_dark
    }

    /// From now on so much fits.
    pub(crate) fn limit(&self, bytes_max: u64) {
        self.shared.0.lock().disk.limit(bytes_max);
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.shared.0.lock().disk.used_bytes()
    }

    /// The power goes, if it is not gone yet, and comes back. No process may use the disk any more.
    pub(crate) fn cut(&mut self, survival_percent: u32, seed: u64) {
        self.unmount();
        {
            let mut power = self.shared.0.lock();
            power.disk.cut(&mut Cut::new(survival_percent, seed));
            power.fuse = None;
            power.is_dark = false;
        }
        self.mount().expect("mounted before, mounted again");
    }

    fn unmount(&mut self) {
        let Some(session) = self.session.take() else { return };
        if let Err(error) = session.umount_and_join() {
            eprintln!("{} could not be unmounted: {error}", self.place.path().display());
            std::process::Command::new("umount").arg("-l").arg(self.place.path()).status().ok();
        }
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// What the kernel talks to.
struct Mounted(Shared);

fn attributes(id: u64, about: &About) -> FileAttr {
    let (kind, nlink) = if about.is_folder { (FileType::Directory, 2) } else { (FileType::RegularFile, 1) };
    let at = UNIX_EPOCH;
    FileAttr {
        ino: INodeNo(id),
        size: about.bytes,
        blocks: about.bytes.div_ceil(512),
        atime: at,
        mtime: at,
        ctime: at,
        crtime: at,
        kind,
        perm: about.mode,
        nlink,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: BLOCK_BYTES as u32,
        flags: 0,
    }
}

fn empty(outcome: Result<(), Errno>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entry(outcome: Result<(u64, About), Errno>, reply: ReplyEntry) {
    match outcome {
        Ok((id, about)) => reply.entry(&TTL, &attributes(id, &about), Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn permissions(mode: u32, umask: u32) -> u16 {
    (mode & !umask & 0o777) as u16
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.look(|disk| {
            let id = disk.lookup(parent.0, name)?;
            Ok((id, disk.about(id)?))
        });
        entry(found, reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.look(|disk| disk.about(ino.0)) {
            Ok(about) => reply.attr(&TTL, &attributes(ino.0, &about)),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let done = self.0.change(|disk| {
            if let Some(mode) = mode {
                disk.set_mode(ino.0, permissions(mode, 0))?;
            }
            if let Some(size) = size {
                disk.set_size(ino.0, size)?;
            }
            disk.about(ino.0)
        });
        match done {
            Ok(about) => reply.attr(&TTL, &attributes(ino.0, &about)),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.0.change(|disk| {
            let id = disk.create(parent.0, name, true, permissions(mode, umask))?;
            Ok((id, disk.about(id)?))
        });
        entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.0.change(|disk| disk.remove(parent.0, name, false)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.0.change(|disk| disk.remove(parent.0, name, true)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        empty(self.0.change(|disk| disk.rename((parent.0, name), (newparent.0, newname))), reply);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // every read and write comes here at once, none stops in the page cache
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: i32, reply: ReplyCreate) {
        let made = self.0.change(|disk| {
            let id = disk.create(parent.0, name, false, permissions(mode, umask))?;
            Ok((id, disk.about(id)?))
        });
        match made {
            Ok((id, about)) => {
                let attributes = attributes(id, &about);
                reply.created(&TTL, &attributes, Generation(0), FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.look(|disk| disk.read(ino.0, offset, size as usize)) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.change(|disk| disk.write(ino.0, offset, data)) {
            Ok(bytes) => reply.written(bytes as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(self.0.change(|disk| disk.sync(ino.0)), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(self.0.change(|disk| disk.sync(ino.0)), reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.0.look(|disk| {
            let mut rows = vec![];
            for (name, id) in disk.list(ino.0)? {
                rows.push((id, disk.about(id)?.is_folder, name));
            }
            Ok(rows)
        });
        match listed {
            Ok(rows) => {
                for (at, (id, is_folder, name)) in (1u64..).zip(rows).skip(offset as usize) {
                    let kind = if is_folder { FileType::Directory } else { FileType::RegularFile };
                    if reply.add(INodeNo(id), at, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match self.0.look(|disk| Ok(disk.free_blocks())) {
            Ok(free) => {
                let (files, block) = (1 << 20, BLOCK_BYTES as u32);
                reply.statfs(1 << 30, free, free, files, files, block, 255, block);
            }
            Err(error) => reply.error(error),
        }
    }
}
