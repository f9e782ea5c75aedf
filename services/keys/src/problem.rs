//! What went wrong, in the words that `keys.capnp` promises to callers.

use std::fmt;
use std::io;

pub use schema::keys_word::Word;

/// A refusal or a failure: its word, and what a person reads. Never contains anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    word: Word,
    text: String,
}

impl Problem {
    /// With a text for people.
    pub fn new(word: Word, text: impl Into<String>) -> Problem {
        Problem { word, text: text.into() }
    }

    /// Which of the schema's words it is.
    #[must_use]
    pub fn word(&self) -> Word {
        self.word
    }

    /// What a person reads, without the word.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn bad_input(text: impl Into<String>) -> Problem {
        Problem::new(Word::BadInput, text)
    }

    pub(crate) fn damaged(text: impl Into<String>) -> Problem {
        Problem::new(Word::Damaged, text)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.word.text(), self.text)
    }
}

impl std::error::Error for Problem {}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        Problem::new(Word::Io, error.to_string())
    }
}

/// An exception of kind failed that begins with the word.
impl From<Problem> for capnp::Error {
    fn from(problem: Problem) -> capnp::Error {
        capnp::Error::failed(problem.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_begins_with_its_word() {
        let error = capnp::Error::from(Problem::new(Word::WrongPassphrase, "it is another"));
        assert_eq!(error.kind, capnp::ErrorKind::Failed);
        assert_eq!(error.extra, "wrongPassphrase: it is another");
    }
}
