//! A chain as bytes.

use crate::decode::{self, DecodeError, Decoder};
use crate::node::Path;
use crate::sign::{SIGNATURE_BYTES, Signature};
use crate::writecap::{ChainError, ChainFault};
use crate::{PATH_LIMIT_NODES, Principal, PublicKey, Rights};

/// A chain has at most so many links: root, an owner's devices, a team, a person, that person's devices, an app, and two to
/// spare. Each costs a verification of a signature (about 50 µs).
pub const LINK_LIMIT: usize = 8;

const MARK: &[u8; 4] = b"LKwc";
/// Mark, format, root key, number of links.
const HEADER_BYTES: usize = 4 + 1 + 32 + 1;
/// Position, the link before, issuer, holder, rights, expiry, number of nodes, nodes, signature.
const LINK_LIMIT_BYTES: usize = 1 + 32 + 32 + 32 + 1 + 8 + 1 + 16 * PATH_LIMIT_NODES + SIGNATURE_BYTES;

/// The longest chain.
pub const CHAIN_LIMIT_BYTES: usize = HEADER_BYTES + LINK_LIMIT * LINK_LIMIT_BYTES;
const _: () = assert!(CHAIN_LIMIT_BYTES <= u16::MAX as usize, "a sealed node has two bytes for its length");

const FIRST_CONTEXT: &str = "latchkey 2026 writecap: before the first link";
const NEXT_CONTEXT: &str = "latchkey 2026 writecap: the link before";

/// One or more links. That it can be read means that it has the right form; [`verify`](crate::writecap::verify) says
/// whether it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub(crate) root: PublicKey,
    pub(crate) links: Vec<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// 0, 1, …
    pub(crate) position: u8,
    /// Hash of all bytes of the link before; of the root key at the first.
    pub(crate) before: [u8; 32],
    pub(crate) issuer: PublicKey,
    pub(crate) holder: PublicKey,
    pub(crate) rights: Rights,
    pub(crate) expires_ms: u64,
    pub(crate) path: Path,
    pub(crate) signature: Signature,
}

impl Chain {
    /// The store that it is about.
    pub fn root(&self) -> Principal {
        self.root.principal()
    }

    /// Who may act by it. Not verified.
    pub fn holder(&self) -> PublicKey {
        self.links.last().map_or(self.root, |link| link.holder)
    }

    /// Where its holder may act; none for a chain without links, which none is. Not verified.
    pub fn path(&self) -> Option<&Path> {
        self.links.last().map(|link| &link.path)
    }

    /// The bytes; see `FORMAT.md`.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = decode::begin(MARK);
        bytes.extend(self.root.0);
        // at most LINK_LIMIT, wherever a chain is made
        bytes.push(self.links.len() as u8);
        self.links.iter().for_each(|link| bytes.extend(link.encode()));
        bytes
    }

    /// Reads what `encode` wrote, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Chain, ChainError> {
        let mut decoder = Decoder::begin(bytes, MARK, CHAIN_LIMIT_BYTES).map_err(ChainError::whole)?;
        let root = PublicKey::decode(&mut decoder).map_err(ChainError::whole)?;
        let count = decoder.byte().map_err(ChainError::whole)?;
        if count == 0 {
            return Err(ChainError::whole(DecodeError::BadValue("links")));
        }
        if usize::from(count) > LINK_LIMIT {
            return Err(ChainError { link: None, fault: ChainFault::TooLong });
        }
        let link = |at| Link::decode(&mut decoder).map_err(|error| ChainError::at(at, error.into()));
        let links = (0..count).map(link).collect::<Result<Vec<_>, _>>()?;
        decoder.end().map_err(ChainError::whole)?;
        Ok(Chain { root, links })
    }
}

impl Link {
    /// What is signed.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut bytes = vec![self.position];
        bytes.extend(self.before);
        bytes.extend(self.issuer.0);
        bytes.extend(self.holder.0);
        bytes.push(self.rights.code());
        bytes.extend(self.expires_ms.to_le_bytes());
        self.path.encode(&mut bytes);
        bytes
    }

    fn encode(&self) -> Vec<u8> {
        [self.body().as_slice(), &self.signature].concat()
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Link, DecodeError> {
        Ok(Link {
            position: decoder.byte()?,
            before: decoder.array()?,
            issuer: PublicKey::decode(decoder)?,
            holder: PublicKey::decode(decoder)?,
            rights: Rights::decode(decoder)?,
            expires_ms: decoder.u64()?,
            path: Path::decode(decoder)?,
            signature: decoder.array()?,
        })
    }
}

/// What a link has to name as the one before it.
pub(crate) fn hash_before(root: &PublicKey, before: Option<&Link>) -> [u8; 32] {
    match before {
        None => blake3::derive_key(FIRST_CONTEXT, &root.0),
        Some(link) => blake3::derive_key(NEXT_CONTEXT, &link.encode()),
    }
}
