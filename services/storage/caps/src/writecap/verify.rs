//! What a chain allows.

use crate::node::Path;
use crate::sign::{Signed, is_signed};
use crate::writecap::chain::{Chain, Link, hash_before};
use crate::writecap::{ChainError, ChainFault};
use crate::{Act, Principal, PublicKey, Rights};

/// What a verified chain says. Whoever relies on it makes sure that the one who acts has the holder's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Who may act.
    pub holder: PublicKey,
    /// Where.
    pub path: Path,
    /// What.
    pub rights: Rights,
    /// Until when.
    pub expires_ms: u64,
}

/// Verifies that the chain lets its holder do this act at this place of this store at this time (milliseconds since
/// 1970). Every link is looked at, from the first on, and the first fault is told.
pub fn verify(chain: &Chain, root: &Principal, path: &Path, act: Act, now_ms: u64) -> Result<Authority, ChainError> {
    if chain.root() != *root {
        return Err(ChainError { link: None, fault: ChainFault::OtherRoot });
    }
    let mut before: Option<&Link> = None;
    for (at, link) in (0..).zip(&chain.links) {
        verify_link(&chain.root, at, before, link, now_ms).map_err(|fault| ChainError::at(at, fault))?;
        before = Some(link);
    }
    let last = before.ok_or(ChainError { link: None, fault: ChainFault::NotAllowed })?;
    let refused = |fault| Err(ChainError::at(last.position, fault));
    if !last.path.covers(path) {
        return refused(ChainFault::NotCovered);
    }
    if !last.rights.allow(act) {
        return refused(ChainFault::NotAllowed);
    }
    Ok(Authority { holder: last.holder, path: last.path.clone(), rights: last.rights, expires_ms: last.expires_ms })
}

fn verify_link(root: &PublicKey, at: u8, before: Option<&Link>, link: &Link, now_ms: u64) -> Result<(), ChainFault> {
    if link.position != at {
        return Err(ChainFault::OutOfOrder);
    }
    if link.before != hash_before(root, before) {
        return Err(ChainFault::OtherChain);
    }
    if link.issuer != before.map_or(*root, |before| before.holder) {
        return Err(ChainFault::WrongIssuer);
    }
    if !is_signed(&link.issuer, Signed::WritecapLink, &link.body(), &link.signature) {
        return Err(ChainFault::Forged);
    }
    before.map_or(Ok(()), |before| narrows(before, link))?;
    if now_ms >= link.expires_ms && link.expires_ms != crate::NEVER_MS {
        return Err(ChainFault::Expired);
    }
    Ok(())
}

/// Whether a link gives no more than the one before it.
pub(crate) fn narrows(before: &Link, link: &Link) -> Result<(), ChainFault> {
    if !before.path.covers(&link.path) {
        return Err(ChainFault::WidenedPath);
    }
    if !before.rights.cover(link.rights) {
        return Err(ChainFault::WidenedRights);
    }
    if link.expires_ms > before.expires_ms {
        return Err(ChainFault::WidenedExpiry);
    }
    Ok(())
}
