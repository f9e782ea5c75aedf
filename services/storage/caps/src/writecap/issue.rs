//! Making links.

use crate::node::Path;
use crate::sign::{Signed, Signer, sign};
use crate::writecap::chain::{Chain, LINK_LIMIT, Link, hash_before};
use crate::writecap::verify::narrows;
use crate::writecap::{ChainFault, IssueError};
use crate::{DecodeError, PublicKey, Rights};

/// What a link gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// To whom: the key that this one will sign with.
    pub holder: PublicKey,
    /// Where: this node and all that is below it.
    pub path: Path,
    /// What may be done there.
    pub rights: Rights,
    /// Until when, in milliseconds since 1970, or [`NEVER_MS`](crate::NEVER_MS). At this very millisecond it is over.
    pub expires_ms: u64,
}

/// A chain of one link, by the root key of a store.
pub fn issue_first(grant: Grant, root: &dyn Signer) -> Result<Chain, IssueError> {
    let empty = Chain { root: root.public_key(), links: vec![] };
    issue(&empty, grant, root)
}

/// The chain with one more link, by the holder of the chain. The chain itself is not verified; that is for who takes it.
pub fn issue(chain: &Chain, grant: Grant, issuer: &dyn Signer) -> Result<Chain, IssueError> {
    if issuer.public_key() != chain.holder() {
        return Err(IssueError::NotTheHolder);
    }
    let before = chain.links.last();
    let position = u8::try_from(chain.links.len()).ok().filter(|at| usize::from(*at) < LINK_LIMIT);
    let mut link = Link {
        position: position.ok_or(IssueError::Refused(ChainFault::TooLong))?,
        before: hash_before(&chain.root, before),
        issuer: issuer.public_key(),
        holder: grant.holder,
        rights: grant.rights.complete(),
        expires_ms: grant.expires_ms,
        path: grant.path,
        signature: [0; 64],
    };
    if link.rights.code() == 0 {
        return Err(IssueError::Refused(ChainFault::Malformed(DecodeError::BadValue("rights"))));
    }
    before.map_or(Ok(()), |before| narrows(before, &link)).map_err(IssueError::Refused)?;
    link.signature = sign(issuer, Signed::WritecapLink, &link.body())?;
    Ok(Chain { root: chain.root, links: [chain.links.as_slice(), &[link]].concat() })
}
