//! What can go wrong, by what the caller can do about it.

use std::fmt;
use std::io;

/// What the store answers.
pub type Outcome<T> = Result<T, StoreError>;

/// Why something was not done.
#[derive(Debug)]
pub enum StoreError {
    /// There is nothing of that name.
    NotFound,
    /// Something has that name already.
    Exists,
    /// A directory was needed.
    NotDirectory,
    /// A file was needed.
    IsDirectory,
    /// The directory is not empty.
    NotEmpty,
    /// The name is none: empty, too long, `.`, `..`, or with `/` or NUL in it.
    BadName,
    /// A directory cannot be moved below itself.
    BelowItself,
    /// Larger than the store can keep, or than one call may bring.
    TooLarge,
    /// It belongs to a snapshot.
    ReadOnly,
    /// The quota of this grant does not allow it.
    Quota {
        /// Whose quota it is.
        grant: u64,
        /// All that it may store.
        quota_bytes: u64,
        /// What was lacking of that.
        short: Shortage,
    },
    /// The disk has no room but what is kept for removals and commits. Nothing is known of how much where the disk itself
    /// says so.
    NoSpace(Option<Shortage>),
    /// There is no such snapshot.
    UnknownSnapshot,
    /// The directory has as many snapshots as it may.
    TooManySnapshots,
    /// What is stored was changed or lost. The text says where; nothing of it is served.
    Damaged(String),
    /// The keys of the node are locked, or cannot be used.
    Keys(KeysError),
    /// A newer version of this program wrote it.
    Newer {
        /// The format that was met.
        format: u32,
    },
    /// Somebody else has the store open. The text names the file that says so.
    Held(String),
    /// Nothing is written until the store is opened anew. The text says why.
    Refusing(String),
    /// The index cannot be used. It is rebuilt when the store is opened anew.
    Index(String),
    /// The file system failed.
    Io(io::Error),
}

/// What was to be stored, and the room that there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What was asked for, with what is stored beside it: the heads of items, seals, and metadata.
    pub asked_bytes: u64,
    /// What was left, without what others have set aside.
    pub left_bytes: u64,
}

/// Why keys were of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysError {
    /// They have to be unlocked first.
    Locked,
    /// The node has none yet.
    None,
    /// What was sealed cannot be opened with them: other bytes, or another key.
    Damaged,
    /// They could not be asked.
    Unreachable(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => out.write_str("there is nothing of that name"),
            Self::Exists => out.write_str("something has that name already"),
            Self::NotDirectory => out.write_str("it is not a directory"),
            Self::IsDirectory => out.write_str("it is a directory"),
            Self::NotEmpty => out.write_str("the directory is not empty"),
            Self::BadName => out.write_str("this cannot be a name"),
            Self::BelowItself => out.write_str("a directory cannot be moved below itself"),
            Self::TooLarge => out.write_str("it is too large"),
            Self::ReadOnly => out.write_str("it belongs to a snapshot"),
            Self::Quota { grant, quota_bytes, short } => write!(
                out,
                "the quota of grant {grant} does not allow it: of its {quota_bytes} bytes {} are left, and this takes {}",
                short.left_bytes, short.asked_bytes
            ),
            Self::NoSpace(None) => out.write_str("the disk is full"),
            Self::NoSpace(Some(short)) => write!(
                out,
                "the disk is full: beside what is kept for removals and commits {} bytes are left, and this takes {}",
                short.left_bytes, short.asked_bytes
            ),
            Self::UnknownSnapshot => out.write_str("there is no such snapshot"),
            Self::TooManySnapshots => out.write_str("the directory has as many snapshots as it may"),
            Self::Damaged(what) => write!(out, "damaged: {what}"),
            Self::Keys(why) => write!(out, "{why}"),
            Self::Newer { format } => write!(
                out,
                "the store is of format {format}, which is newer than this program knows ({}): use a newer one",
                super::format::FORMAT
            ),
            Self::Held(what) => write!(out, "the store is in use by another process, which holds {what}"),
            Self::Refusing(why) => write!(out, "nothing is written until the store is opened anew: {why}"),
            Self::Index(why) => write!(out, "the index cannot be used: {why}"),
            Self::Io(error) => write!(out, "{error}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for KeysError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => out.write_str("the node's keys are locked"),
            Self::None => out.write_str("the node has no keys yet"),
            Self::Damaged => out.write_str("the node's keys do not open it"),
            Self::Unreachable(why) => write!(out, "the node's keys could not be asked: {why}"),
        }
    }
}

impl std::error::Error for KeysError {}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => Self::NoSpace(None),
            _ => Self::Io(error),
        }
    }
}

impl From<KeysError> for StoreError {
    fn from(why: KeysError) -> Self {
        Self::Keys(why)
    }
}
