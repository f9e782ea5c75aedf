//! What an error of the store is for callers.

use files::problem::{Problem, Word};

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
        StoreError::NoSpace => Word::NoSpace,
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
