//! What the system says about a file without reading it.

use files::metadata::Metadata;
use rustix::fs::{FileType, RawMode, Stat, Statx};
use schema::filesystem_capnp::Kind;

/// Which file it is, while it exists: the same for all of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of what was looked at.
    #[must_use]
    pub fn of(stat: &Stat) -> Identity {
        Identity { device: stat.st_dev, inode: stat.st_ino }
    }

    /// As one number. The device is spread over all bits, so that files of two mounts inside one folder, whose inode
    /// numbers are both small, hardly ever meet; one file's names always do.
    #[must_use]
    pub fn number(self) -> u64 {
        // The finalizer of MurmurHash3 (public domain): a bijection of 64 bits.
        let mut spread = self.device;
        for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
            spread = (spread ^ (spread >> 33)).wrapping_mul(factor);
        }
        self.inode ^ (spread ^ (spread >> 33))
    }
}

/// From what the system says.
#[must_use]
pub fn of(stat: &Stat) -> Metadata {
    let modified_ns = nanoseconds(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0));
    let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
    new(stat.st_mode, size_bytes, modified_ns, Identity::of(stat))
}

/// The same of an entry that was looked at where it is listed.
#[must_use]
pub fn of_entry(stat: &Statx) -> Metadata {
    let modified_ns = nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into());
    let device = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
    let identity = Identity { device, inode: stat.stx_ino };
    new(stat.stx_mode.into(), stat.stx_size, modified_ns, identity)
}

/// Of an entry that can be listed and not looked at (its directory lets nobody pass).
#[must_use]
pub fn of_unseen(file_type: FileType, inode: u64) -> Metadata {
    Metadata { kind: kind(file_type), size_bytes: 0, modified_ns: 0, executable: false, identity: inode }
}

fn new(mode: RawMode, size_bytes: u64, modified_ns: i64, identity: Identity) -> Metadata {
    let kind = kind(FileType::from_raw_mode(mode));
    let regular = kind == Kind::File;
    Metadata {
        kind,
        size_bytes: if regular { size_bytes } else { 0 },
        modified_ns,
        executable: regular && mode & 0o111 != 0,
        identity: identity.number(),
    }
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}

/// A time of any age: what 64 bits of nanoseconds cannot say (before 1677, after 2262) becomes the nearest they can.
fn nanoseconds(seconds: i64, rest_ns: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_saturate() {
        assert_eq!(nanoseconds(1, 5), 1_000_000_005);
        assert_eq!(nanoseconds(-1, 999_999_999), -1);
        assert_eq!(nanoseconds(i64::MAX, 1), i64::MAX);
        assert_eq!(nanoseconds(i64::MIN, 1), i64::MIN + 1);
    }

    #[test]
    fn identity_tells_mounts_apart() {
        let number = |device, inode| Identity { device, inode }.number();
        assert_ne!(number(1, 7), number(2, 7));
        assert_ne!(number(1, 7), number(1, 8));
        assert_eq!(number(3, 9), number(3, 9));
    }
}
