//! Writecaps: who may write where and until when, as a chain of signed links from the root key on. Whoever is the last
//! link's holder can add another link for somebody else, for the same or less, and needs nobody for it.
//!
//! A writecap says nothing about what can be read: that takes a key. It cannot be taken back before it expires; keep it
//! short, and give it again.

mod chain;
mod error;
mod issue;
mod verify;

pub use chain::{CHAIN_LIMIT_BYTES, Chain, LINK_LIMIT};
pub use error::{ChainError, ChainFault, IssueError};
pub use issue::{Grant, issue, issue_first};
pub use verify::{Authority, verify};
