//! How letting something out of the store fails.

use std::fmt;

use caps::directory::DirectoryError;
use caps::sealed_node::SealError;
use caps::{NoEntropy, PathError, readcap, writecap};

use crate::store::{KeysError, StoreError};

/// Why nothing left.
#[derive(Debug)]
pub enum OutsideError {
    /// What the store says.
    Store(StoreError),
    /// The readers of the root could not be removed again: its key cannot be exchanged.
    WholeStore,
    /// Its time would be over at once.
    Expired,
    /// The node has as many readers as it may.
    TooManyReaders,
    /// They are no reader of it.
    NoReader,
    /// It lies deeper than a path outside can say.
    Path(PathError),
    /// A file that is to be exported by itself would be zeros for the most part.
    MostlyHole,
    /// The note of a node is none that this version knows.
    Note,
    /// An export that has ended, or is asked by two at once.
    Ended,
    /// Why a readcap was not made.
    Readcap(readcap::IssueError),
    /// Why a writecap was not made.
    Writecap(writecap::IssueError),
    /// Why a node was not sealed.
    Seal(SealError),
    /// A directory has what none can have outside.
    Directory(DirectoryError),
    /// There is no chance to be had.
    NoEntropy(NoEntropy),
}

impl fmt::Display for OutsideError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(out),
            Self::WholeStore => {
                out.write_str("the whole store has no readers, because they could not be removed: name what is in it")
            }
            Self::Expired => out.write_str("its time would be over at once"),
            Self::TooManyReaders => write!(out, "it has {} readers, which is as many as it may", super::READER_LIMIT),
            Self::NoReader => out.write_str("this key is no reader of it"),
            Self::Path(error) => error.fmt(out),
            Self::MostlyHole => out.write_str(super::export::MOSTLY_HOLE),
            Self::Note => out.write_str("what is noted of its readers is of another version"),
            Self::Ended => out.write_str("this export has ended, or is being asked already"),
            Self::Readcap(error) => error.fmt(out),
            Self::Writecap(error) => error.fmt(out),
            Self::Seal(error) => error.fmt(out),
            Self::Directory(error) => error.fmt(out),
            Self::NoEntropy(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for OutsideError {}

/// Each as the variant that holds it.
macro_rules! from {
    ($($error:ty => $variant:ident),* $(,)?) => {
        $(impl From<$error> for OutsideError {
            fn from(error: $error) -> OutsideError {
                OutsideError::$variant(error)
            }
        })*
    };
}

from! {
    StoreError => Store,
    PathError => Path,
    readcap::IssueError => Readcap,
    writecap::IssueError => Writecap,
    SealError => Seal,
    DirectoryError => Directory,
    NoEntropy => NoEntropy,
}

impl From<KeysError> for OutsideError {
    fn from(error: KeysError) -> OutsideError {
        OutsideError::Store(StoreError::Keys(error))
    }
}
