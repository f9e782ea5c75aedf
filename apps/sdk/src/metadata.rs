//! What is known of a file or a folder without opening it.

use schema::filesystem_capnp::{self as wire, metadata};
use std::time::{Duration, SystemTime};

/// What something in a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Something else: a device, a pipe, a socket. It can be listed and removed, not opened.
    Other,
}

/// What is known of a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    kind: Kind,
    size_bytes: u64,
    modified_ns: i64,
    executable: bool,
    identity: u64,
}

impl Metadata {
    pub(crate) fn read_from(reader: metadata::Reader<'_>) -> Metadata {
        let kind = match reader.get_kind() {
            Ok(wire::Kind::File) => Kind::File,
            Ok(wire::Kind::Directory) => Kind::Folder,
            Ok(wire::Kind::Symlink) => Kind::Link,
            // a kind that this SDK does not know cannot be opened by it either
            Ok(wire::Kind::Other) | Err(_) => Kind::Other,
        };
        Metadata {
            kind,
            size_bytes: reader.get_size(),
            modified_ns: reader.get_modified_ns(),
            executable: reader.get_executable(),
            identity: reader.get_identity(),
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }

    /// The size of a file in bytes; 0 for anything else.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size_bytes
    }

    /// When it was changed last.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        let distance = Duration::from_nanos(self.modified_ns.unsigned_abs());
        let time = if self.modified_ns < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(distance)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Whether it may be executed as a program.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.executable
    }

    /// A number that two names of the same file share, while both exist.
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.identity
    }
}
