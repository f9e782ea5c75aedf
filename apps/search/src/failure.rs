//! How a search fails as a whole, in words and as an exit code.

use crate::search::{Stop, Tally};
use crate::{EXIT_CUT, EXIT_ERROR};
use sdk::{Error, ErrorKind};
use std::fmt;

/// Why there is no complete result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A pattern or a glob is wrong.
    Usage(String),
    /// The folder was not given.
    NoFolder(Error),
    /// It came to an early end; so much was done.
    Stopped(Stop, Tally),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::NoFolder(error) if error.is_refusal() || error.is_cut() => EXIT_CUT,
            Failure::Stopped(Stop::Cut(_), _) => EXIT_CUT,
            Failure::Usage(_) | Failure::NoFolder(_) | Failure::Stopped(Stop::Output(_), _) => EXIT_ERROR,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) => formatter.write_str(text),
            Failure::NoFolder(error) => write!(formatter, "there is no folder to search in: {error}"),
            Failure::Stopped(Stop::Output(error), _) => write!(formatter, "writing the results failed: {error}"),
            Failure::Stopped(Stop::Cut(error), Tally { files, matches, .. }) => {
                let what = if error.kind() == ErrorKind::Revoked { "was taken back" } else { "is gone" };
                write!(formatter, "the folder {what}: {error}; {files} files searched, {matches} matches so far")
            }
        }
    }
}
