//! How a command fails, in words and as an exit code.

use crate::arguments::UsageError;
use crate::notebook::NOTE_LIMIT_BYTES;
use crate::{EXIT_CUT, EXIT_ERROR, EXIT_NONE};
use sdk::{Error, ErrorKind};
use std::fmt;
use std::io;

/// Why it was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(UsageError),
    /// No name can be made from this title.
    NoName(String),
    /// Standard input cannot be read.
    Input(io::Error),
    /// It is not UTF-8.
    NotText,
    /// It is longer than a note may be.
    TooLong,
    /// The directory was not given.
    NoDirectory(Error),
    /// There is a note of that name already.
    Exists(String),
    /// There is no note of that name, or was none in that version.
    NoNote { name: String, at: Option<u64> },
    /// There is no such version.
    NoVersion(u64),
    /// The directory could not do it.
    Directory(Error),
    /// The note was changed, and then something went wrong before that was in a version.
    NotKept { name: String, error: Error },
    /// Nobody reads what is printed.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::NoDirectory(error) if error.is_refusal() || error.is_cut() => EXIT_CUT,
            Failure::Directory(error) | Failure::NotKept { error, .. } if error.is_cut() => EXIT_CUT,
            Failure::NoNote { .. } | Failure::NoVersion(_) => EXIT_NONE,
            _ => EXIT_ERROR,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Directory(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(error) => write!(formatter, "{error}\nTry: notes --help"),
            Failure::NoName(title) => write!(formatter, "a title needs a letter or a digit: '{title}' has none"),
            Failure::Input(error) => write!(formatter, "reading the text failed: {error}"),
            Failure::NotText => formatter.write_str("the text is not UTF-8"),
            Failure::TooLong => write!(formatter, "the text is longer than {} MiB", NOTE_LIMIT_BYTES >> 20),
            Failure::NoDirectory(error) => write!(formatter, "there is no directory for the notes: {error}"),
            Failure::Exists(name) => {
                write!(formatter, "there is a note '{name}' already. Change it with: notes edit {name} TEXT")
            }
            Failure::NoNote { name, at: None } => {
                write!(formatter, "there is no note '{name}'; 'notes list' shows those that there are")
            }
            Failure::NoNote { name, at: Some(version) } => {
                write!(formatter, "there was no note '{name}' in version {version}; see: notes history {name}")
            }
            Failure::NoVersion(version) => write!(formatter, "there is no version {version}, or no longer"),
            Failure::Directory(error) if error.kind() == ErrorKind::Revoked => {
                write!(formatter, "the directory was taken back: {error}")
            }
            Failure::Directory(error) => error.fmt(formatter),
            Failure::NotKept { name, error } => write!(
                formatter,
                "'{name}' was changed, but the change is not in a version yet, and may not be on the disk: {error}"
            ),
            Failure::Output(error) => write!(formatter, "writing the answer failed: {error}"),
        }
    }
}
