//! How chains fail.

use crate::decode::DecodeError;
use crate::sign::NotSigned;
use std::fmt;

/// A chain that does not allow what it should: which link, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainError {
    /// The first link that is wrong, counted from 0; none: the chain as a whole.
    pub link: Option<u8>,
    /// What is wrong with it.
    pub fault: ChainFault,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// It is no chain.
    Malformed(DecodeError),
    /// It is of a format of later versions.
    NewerFormat(u8),
    /// It has more links than a chain may have.
    TooLong,
    /// It begins with another store's key.
    OtherRoot,
    /// The link stands at another place than it was made for: links were reordered or dropped.
    OutOfOrder,
    /// The link was made to follow another link than the one before it: two chains were mixed.
    OtherChain,
    /// Its issuer is not the holder of the link before.
    WrongIssuer,
    /// It was not signed by its issuer, or was changed since.
    Forged,
    /// Its place is not within that of the link before.
    WidenedPath,
    /// It allows what the link before does not.
    WidenedRights,
    /// It lasts longer than the link before.
    WidenedExpiry,
    /// Its time is over.
    Expired,
    /// What was to be done is elsewhere.
    NotCovered,
    /// What was to be done is not among its rights.
    NotAllowed,
}

impl ChainError {
    pub(crate) fn whole(error: DecodeError) -> ChainError {
        ChainError { link: None, fault: error.into() }
    }

    pub(crate) fn at(link: u8, fault: ChainFault) -> ChainError {
        ChainError { link: Some(link), fault }
    }
}

impl From<DecodeError> for ChainFault {
    fn from(error: DecodeError) -> ChainFault {
        match error {
            DecodeError::NewerFormat(format) => ChainFault::NewerFormat(format),
            DecodeError::TooLong => ChainFault::TooLong,
            other => ChainFault::Malformed(other),
        }
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.link {
            Some(link) => write!(formatter, "link {link} of the chain: {}", self.fault),
            None => write!(formatter, "the chain: {}", self.fault),
        }
    }
}

impl fmt::Display for ChainFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ChainFault::Malformed(error) => return error.fmt(formatter),
            ChainFault::NewerFormat(format) => return DecodeError::NewerFormat(*format).fmt(formatter),
            ChainFault::TooLong => "it is longer than a chain may be",
            ChainFault::OtherRoot => "it begins with another store's key",
            ChainFault::OutOfOrder => "it stands at another place than it was made for",
            ChainFault::OtherChain => "it was made to follow another link",
            ChainFault::WrongIssuer => "its issuer is not the holder of the link before",
            ChainFault::Forged => "it was not signed by its issuer, or was changed since",
            ChainFault::WidenedPath => "its place is not within that of the link before",
            ChainFault::WidenedRights => "it allows what the link before does not",
            ChainFault::WidenedExpiry => "it lasts longer than the link before",
            ChainFault::Expired => "its time is over",
            ChainFault::NotCovered => "it is for another place",
            ChainFault::NotAllowed => "it does not allow this",
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for ChainError {}

/// Why no link was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueError {
    /// The signer is not who could issue it: the root key for a first link, else the holder of the chain.
    NotTheHolder,
    /// It would not be narrower, or the chain has no room for it; the fault is what a verifier would say.
    Refused(ChainFault),
    /// It was not signed.
    NotSigned(NotSigned),
}

impl From<NotSigned> for IssueError {
    fn from(error: NotSigned) -> IssueError {
        IssueError::NotSigned(error)
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IssueError::NotTheHolder => formatter.write_str("only the holder of the chain can add to it"),
            IssueError::Refused(fault) => write!(formatter, "the new link: {fault}"),
            IssueError::NotSigned(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for IssueError {}
