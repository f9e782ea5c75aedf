//! What an error of the store is for callers.

use caps::sealed_node::SealError;
use caps::{NotSigned, readcap, writecap};
use files::problem::{Problem, Word};

use crate::outside::OutsideError;
use crate::store::{KeysError, StoreError};

/// Its word, and its text.
pub(super) fn problem(error: &StoreError) -> Problem {
    let text = error.to_string();
    let text = match error {
        // The word says it already.
        StoreError::Damaged(what) => what.clone(),
        StoreError::Keys(KeysError::Locked) => format!("{text}: unlock them"),
        _ => text,
    };
    Problem::new(word(error), text)
}

fn word(error: &StoreError) -> Word {
    match error {
        StoreError::NotFound => Word::NotFound,
        StoreError::Exists => Word::Exists,
        StoreError::NotDirectory => Word::NotDirectory,
        StoreError::IsDirectory => Word::IsDirectory,
        StoreError::NotEmpty => Word::NotEmpty,
        StoreError::BadName | StoreError::BelowItself => Word::BadPath,
        StoreError::TooLarge | StoreError::TooManySnapshots => Word::TooLarge,
        StoreError::ReadOnly => Word::ReadOnly,
        StoreError::Quota { .. } => Word::Quota,
        StoreError::NoSpace(_) => Word::NoSpace,
        StoreError::UnknownSnapshot => Word::Unknown,
        StoreError::Damaged(_) | StoreError::Keys(KeysError::Damaged) => Word::Damaged,
        // Whoever has the keys may be away for the same reason that they are locked: both pass.
        StoreError::Keys(KeysError::Locked | KeysError::None | KeysError::Unreachable(_)) => Word::Locked,
        StoreError::Newer { .. }
        | StoreError::Held(_)
        | StoreError::Refusing(_)
        | StoreError::Index(_)
        | StoreError::Io(_) => Word::Io,
    }
}

/// The same for what was to leave the store. What the store itself says goes another way.
pub(super) fn outside(error: &OutsideError) -> Problem {
    let word = match error {
        OutsideError::Store(error) => return problem(error),
        OutsideError::WholeStore | OutsideError::Expired | OutsideError::Path(_) => Word::BadPath,
        OutsideError::TooManyReaders | OutsideError::MostlyHole | OutsideError::Directory(_) => Word::TooLarge,
        OutsideError::NoReader => Word::Unknown,
        OutsideError::Note => Word::Damaged,
        OutsideError::Ended | OutsideError::NoEntropy(_) => Word::Io,
        OutsideError::Readcap(readcap::IssueError::NotSigned(why))
        | OutsideError::Writecap(writecap::IssueError::NotSigned(why))
        | OutsideError::Seal(SealError::NotSigned(why)) => not_signed(*why),
        OutsideError::Readcap(readcap::IssueError::BadReader) | OutsideError::Writecap(_) => Word::BadPath,
        OutsideError::Readcap(_) | OutsideError::Seal(_) => Word::Io,
    };
    Problem::new(word, error.to_string())
}

fn not_signed(why: NotSigned) -> Word {
    match why {
        NotSigned::Locked | NotSigned::Unavailable => Word::Locked,
        // It was exchanged meanwhile: asking again works.
        NotSigned::OtherKey => Word::Io,
    }
}
