//! How sealed nodes fail.

use crate::decode::DecodeError;
use crate::entropy::NoEntropy;
use crate::node::NodeId;
use crate::reader::NotSealed;
use crate::sign::NotSigned;
use crate::writecap::ChainError;
use std::fmt;

/// Why a node's metadata or content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeError {
    /// It is no metadata, or that of a later version.
    Malformed(DecodeError),
    /// It belongs to another store.
    OtherRoot,
    /// It is another node's.
    OtherNode,
    /// It was not signed by its signer, or was changed since.
    Forged,
    /// Who signed it is not the store's key, and brings no writecap.
    NoAuthority,
    /// The writecap is for another than who signed.
    OtherHolder,
    /// The writecap does not allow it.
    Chain(ChainError),
    /// It says that the node is in this directory, which is not where the caller knows it.
    Elsewhere(NodeId),
    /// It is older than what was seen before.
    RolledBack {
        /// The version that was seen.
        seen: u64,
        /// The version that this is.
        found: u64,
    },
    /// It is another one of the very version that was seen before.
    Conflict,
    /// It is newer than what was seen, but has an older key.
    KeyRolledBack,
    /// The content has another length than the metadata says.
    OtherLength,
    /// The content is not what was signed: it was changed, reordered, or is another's.
    OtherContent,
}

/// Why content does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The key is for another node, store or generation.
    OtherKey,
    /// The attributes do not open with the key, or are none that this version knows.
    Attributes,
    /// This sector does not open with the key, though it is what was signed: whoever sealed it used another.
    Sector(u64),
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// One of the readers' public keys is none.
    BadReader,
    /// More than [`READER_LIMIT`](super::READER_LIMIT) readers.
    TooManyReaders,
    /// More than [`SIZE_LIMIT_BYTES`](super::SIZE_LIMIT_BYTES).
    TooLarge,
    /// Versions and generations count from 1.
    BadNumber,
    /// The content was sealed for another draft.
    OtherDraft,
    /// The signer is neither the store's key nor the holder of the writecap.
    NotTheHolder,
    /// The writecap would not allow it.
    Chain(ChainError),
    /// There is no chance to be had.
    NoEntropy,
    /// It was not signed.
    NotSigned(NotSigned),
}

impl From<DecodeError> for NodeError {
    fn from(error: DecodeError) -> NodeError {
        NodeError::Malformed(error)
    }
}

impl From<ChainError> for NodeError {
    fn from(error: ChainError) -> NodeError {
        NodeError::Chain(error)
    }
}

impl From<NotSealed> for SealError {
    fn from(error: NotSealed) -> SealError {
        match error {
            NotSealed::BadReader => SealError::BadReader,
            NotSealed::NoEntropy => SealError::NoEntropy,
        }
    }
}

impl From<NoEntropy> for SealError {
    fn from(_: NoEntropy) -> SealError {
        SealError::NoEntropy
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            NodeError::Malformed(error) => return error.fmt(formatter),
            NodeError::Chain(error) => return error.fmt(formatter),
            NodeError::RolledBack { seen, found } => {
                return write!(formatter, "it has version {found}, and version {seen} was seen before");
            }
            NodeError::Elsewhere(parent) => return write!(formatter, "it says that it is in the directory {parent:?}"),
            NodeError::OtherRoot => "it belongs to another store",
            NodeError::OtherNode => "it is another node's",
            NodeError::Forged => "it was not signed by its signer, or was changed since",
            NodeError::NoAuthority => "who signed it is not the store's key, and brings no writecap",
            NodeError::OtherHolder => "its writecap is for another than who signed",
            NodeError::Conflict => "there are two of this version",
            NodeError::KeyRolledBack => "it has an older key than what was seen before",
            NodeError::OtherLength => "the content has another length than what was signed",
            NodeError::OtherContent => "the content is not what was signed",
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for NodeError {}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::OtherKey => formatter.write_str("the key is for another node or generation"),
            OpenError::Attributes => formatter.write_str("the attributes do not open with the key"),
            OpenError::Sector(sector) => write!(formatter, "sector {sector} does not open with the key"),
        }
    }
}

impl std::error::Error for OpenError {}

impl fmt::Display for SealError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            SealError::Chain(error) => return error.fmt(formatter),
            SealError::NotSigned(error) => return error.fmt(formatter),
            SealError::NoEntropy => return NoEntropy.fmt(formatter),
            SealError::BadReader => "one of the readers' public keys is none",
            SealError::TooManyReaders => "it has too many readers",
            SealError::TooLarge => "it is too large",
            SealError::BadNumber => "its version or generation is not one that it can have",
            SealError::OtherDraft => "the content was sealed for another draft",
            SealError::NotTheHolder => "the signer is neither the store's key nor the holder of the writecap",
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for SealError {}
