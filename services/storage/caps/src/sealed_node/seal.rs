//! Making sealed nodes.

use super::attributes::Attributes;
use super::content::{ContentSealer, SealedContent};
use super::metadata::Metadata;
use super::{READER_LIMIT, SealError};
use crate::entropy::Entropy;
use crate::node::{Kind, Readable};
use crate::reader::{Purpose, SealedKey, seal_key};
use crate::sign::{NotSigned, Signed, Signer, sign};
use crate::writecap::{self, Chain};
use crate::{Act, NodeId, Principal, ReaderPublic};

/// What a sealed node is to be.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// The node and its key.
    pub readable: &'a Readable,
    /// What it is.
    pub kind: Kind,
    /// 1, 2, …: one more than the version before.
    pub version: u64,
    /// What it has beside its content.
    pub attributes: Attributes,
    /// Who can read it, beside those who can read a directory above it. Whoever is left out here and was there before
    /// also needs a new generation of the key.
    pub readers: &'a [ReaderPublic],
    /// What the signer writes by; none: by being the store's own key.
    pub chain: Option<&'a Chain>,
}

/// A node for somebody to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedNode {
    /// Signed; see [`verify`](super::verify).
    pub metadata: Vec<u8>,
    /// The sealed sectors, one after the other.
    pub content: Vec<u8>,
}

/// Seals and signs a node.
pub fn seal(
    draft: &Draft<'_>,
    plain: &[u8],
    signer: &dyn Signer,
    entropy: &mut dyn Entropy,
) -> Result<SealedNode, SealError> {
    let mut content = vec![];
    let mut sealer = ContentSealer::new(draft, entropy)?;
    sealer.push(plain, &mut content)?;
    let sealed = sealer.end(&mut content)?;
    Ok(SealedNode { metadata: finish(draft, &sealed, signer, entropy)?, content })
}

/// Signs the metadata of content that was sealed for this very draft.
pub fn finish(
    draft: &Draft<'_>,
    content: &SealedContent,
    signer: &dyn Signer,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, SealError> {
    let Draft { readable, kind, version, attributes, readers, chain } = *draft;
    let place = &content.place;
    let made_for = (place.root, place.node, place.kind, place.version, place.generation, content.attributes);
    if made_for != (readable.root, readable.path.node(), kind, version, readable.generation, attributes) {
        return Err(SealError::OtherDraft);
    }
    if readers.len() > READER_LIMIT {
        return Err(SealError::TooManyReaders);
    }
    check_authority(draft, signer)?;
    let bound = entry_bound(&readable.root, readable.path.node(), readable.generation);
    let seal = |reader| seal_key(&readable.key, reader, Purpose::Entry, &bound, entropy);
    let mut entries: Vec<SealedKey> = readers.iter().map(seal).collect::<Result<_, _>>()?;
    entries.sort_unstable();
    let metadata = Metadata {
        root: readable.root,
        node: readable.path.node(),
        parent: readable.path.parent(),
        kind,
        version,
        generation: readable.generation,
        size_bytes: content.size_bytes,
        salt: place.salt,
        content: content.hash,
        signer: signer.public_key(),
        attributes: content.sealed_attributes,
        readers: entries,
        chain: chain.cloned(),
    };
    let body = metadata.body();
    let signature = sign(signer, Signed::Node, &body).map_err(SealError::NotSigned)?;
    Ok([body.as_slice(), &signature].concat())
}

/// Nothing is made that everybody would refuse. Only time is for who takes it.
fn check_authority(draft: &Draft<'_>, signer: &dyn Signer) -> Result<(), SealError> {
    let key = signer.public_key();
    let root = &draft.readable.root;
    let Some(chain) = draft.chain else {
        return if key.principal() == *root { Ok(()) } else { Err(SealError::NotTheHolder) };
    };
    if key != chain.holder() || key.principal() == *root {
        return Err(SealError::NotTheHolder);
    }
    let act = act(draft.version);
    writecap::verify(chain, root, &draft.readable.path, act, 0).map(|_| ()).map_err(SealError::Chain)
}

/// What making this version of a node is: only the first one makes a node that was not there.
pub(super) fn act(version: u64) -> Act {
    if version == 1 { Act::Append } else { Act::Write }
}

/// What a reader's entry is bound to.
pub(super) fn entry_bound(root: &Principal, node: NodeId, generation: u32) -> Vec<u8> {
    let mut bytes = root.0.to_vec();
    bytes.extend(node.0);
    bytes.extend(generation.to_le_bytes());
    bytes
}

impl From<NotSigned> for SealError {
    fn from(error: NotSigned) -> SealError {
        SealError::NotSigned(error)
    }
}
