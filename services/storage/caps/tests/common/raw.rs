//! Chains written by hand from the description of the format, so that they can be as wrong as needed.

use caps::{LocalSigner, NodeId, PublicKey, Signer};

#[derive(Clone)]
pub struct RawLink {
    pub position: u8,
    pub before: [u8; 32],
    pub issuer: PublicKey,
    pub holder: PublicKey,
    pub rights: u8,
    pub expires_ms: u64,
    pub path: Vec<NodeId>,
    pub signature: [u8; 64],
}

impl RawLink {
    pub fn body(&self) -> Vec<u8> {
        let mut bytes = vec![self.position];
        bytes.extend(self.before);
        bytes.extend(self.issuer.0);
        bytes.extend(self.holder.0);
        bytes.push(self.rights);
        bytes.extend(self.expires_ms.to_le_bytes());
        bytes.push(self.path.len() as u8);
        self.path.iter().for_each(|node| bytes.extend(node.0));
        bytes
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.body().as_slice(), &self.signature].concat()
    }

    pub fn signed(mut self, by: &LocalSigner) -> RawLink {
        let message = [b"latchkey caps writecap link\0".as_slice(), &self.body()].concat();
        self.signature = by.sign(&message).unwrap();
        self
    }
}

/// A chain that is built link by link.
#[derive(Clone)]
pub struct RawChain {
    pub root: PublicKey,
    pub links: Vec<RawLink>,
}

impl RawChain {
    pub fn new(root: &LocalSigner) -> RawChain {
        RawChain { root: root.public_key(), links: vec![] }
    }

    /// A link that follows rightly, for the caller to change and to sign.
    pub fn next(&self, holder: &LocalSigner, rights: u8, expires_ms: u64, path: &caps::Path) -> RawLink {
        let before = match self.links.last() {
            None => blake3::derive_key("latchkey 2026 writecap: before the first link", &self.root.0),
            Some(link) => blake3::derive_key("latchkey 2026 writecap: the link before", &link.bytes()),
        };
        RawLink {
            position: self.links.len() as u8,
            before,
            issuer: self.links.last().map_or(self.root, |link| link.holder),
            holder: holder.public_key(),
            rights,
            expires_ms,
            path: path.nodes().to_vec(),
            signature: [0; 64],
        }
    }

    pub fn with(mut self, link: RawLink) -> RawChain {
        self.links.push(link);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"LKwc\x01".to_vec();
        bytes.extend(self.root.0);
        bytes.push(self.links.len() as u8);
        self.links.iter().for_each(|link| bytes.extend(link.bytes()));
        bytes
    }
}
