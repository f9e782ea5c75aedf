//! What metadata says of itself, for who has to find out where a node belongs before it can be verified.

use super::NodeError;
use super::metadata::{Metadata, Undecoded};
use crate::node::{Kind, NodeId};
use crate::{Principal, PublicKey};

/// What metadata says. Anybody can say anything: [`verify`](super::verify) tells whether it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The store.
    pub root: Principal,
    /// The node.
    pub node: NodeId,
    /// The directory that it is in; [`NodeId::NONE`] for the root node.
    pub parent: NodeId,
    /// What it is.
    pub kind: Kind,
    /// Its version.
    pub version: u64,
    /// Who signed it.
    pub signer: PublicKey,
}

impl Claim {
    /// Reads metadata, and verifies nothing but its form.
    pub fn read(metadata: &[u8]) -> Result<Claim, NodeError> {
        let (metadata, _) = Metadata::decode(metadata).map_err(|error| match error {
            Undecoded::Metadata(error) => NodeError::Malformed(error),
            Undecoded::Chain(error) => NodeError::Chain(error),
        })?;
        let Metadata { root, node, parent, kind, version, signer, .. } = metadata;
        Ok(Claim { root, node, parent, kind, version, signer })
    }
}
