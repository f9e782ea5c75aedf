//! Why something that was asked of the powerbox did not happen: what, why, and what to do next, in one text.

use crate::log::LogError;

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Because of what was asked, or of the state of things: the text says what to do next.
    Refused(String),
    /// Too much at once: the same may work later.
    Busy(String),
    /// The powerbox is on its way down.
    Stopping,
}

impl Problem {
    /// A refusal.
    pub fn refused(text: impl Into<String>) -> Self {
        Problem::Refused(text.into())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Problem::Refused(text) | Problem::Busy(text) => formatter.write_str(text),
            Problem::Stopping => formatter.write_str("the node is being stopped. Start it again with `latch up`"),
        }
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for capnp::Error {
    fn from(problem: Problem) -> Self {
        let text = problem.to_string();
        match problem {
            Problem::Refused(_) => capnp::Error::failed(text),
            Problem::Busy(_) => capnp::Error::overloaded(text),
            Problem::Stopping => capnp::Error::disconnected(text),
        }
    }
}

impl From<package::Refusal> for Problem {
    fn from(refusal: package::Refusal) -> Self {
        Problem::Refused(refusal.to_string())
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        Problem::Refused(error.to_string())
    }
}

/// A failed step in the powerbox's own folder.
pub fn on_disk(what: &str) -> impl Fn(std::io::Error) -> Problem + '_ {
    move |error| Problem::Refused(format!("{what}: {error}. Look at the disk and at the state folder's permissions"))
}
