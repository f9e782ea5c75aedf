//! What went wrong, in the words that `filesystem.capnp` promises to callers.

use std::fmt;

pub use schema::filesystem_word::Word;

/// A refusal or a failure: its word, and what a person reads. Never contains bytes that came from outside.
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
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.word.text(), self.text)
    }
}

impl std::error::Error for Problem {}

/// An exception of kind failed that begins with the word; too much open is of kind overloaded.
impl From<Problem> for capnp::Error {
    fn from(problem: Problem) -> capnp::Error {
        match problem.word {
            Word::Overloaded => capnp::Error::overloaded(problem.to_string()),
            _ => capnp::Error::failed(problem.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_begins_with_its_word() {
        let error = capnp::Error::from(Problem::new(Word::NotFound, "nothing has that name"));
        assert_eq!(error.kind, capnp::ErrorKind::Failed);
        assert!(error.extra.starts_with("notFound: "), "{}", error.extra);
    }
}
