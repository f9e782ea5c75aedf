//! What the tests share: chance from a seed, people with keys, and links written by hand.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test uses a part of it")]

pub mod raw;
pub mod vectors;

use caps::sealed_node::{Attributes, Draft, Expected, SealedNode, Seen, Verified, seal, verify};
use caps::{
    Entropy, Kind, LocalSigner, NEVER_MS, NoEntropy, NodeId, NodeKey, Path, Principal, Readable, ReaderPublic,
    ReaderSecret, Signer,
};

/// A time in 2026, in milliseconds since 1970.
pub const NOW_MS: u64 = 1_780_000_000_000;

/// What nodes of tests have.
pub const ATTRIBUTES: Attributes = Attributes { modified_ns: 1_780_000_000_123_456_789, executable: true };

const DEFAULT_SEED: u64 = 0x6c61_7463_686b_6579;

/// Chance that comes again: BLAKE3's output of any length, over a name.
pub struct Seeded(blake3::OutputReader);

impl Seeded {
    pub fn named(name: &str) -> Seeded {
        Seeded(blake3::Hasher::new_derive_key("latchkey caps tests").update(name.as_bytes()).finalize_xof())
    }

    /// By `$LATCH_SEED`, else always the same. The mark keeps the draws of tests apart.
    pub fn from_environment(mark: &str) -> Seeded {
        let seed = std::env::var("LATCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_SEED);
        println!("LATCH_SEED={seed}");
        Seeded::named(&format!("{seed} {mark}"))
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (u64::from_le_bytes(self.bytes()) % limit as u64) as usize
    }

    pub fn vector(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill(&mut bytes);
        bytes
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.0.fill(bytes);
        Ok(())
    }
}

pub fn signer(name: &str) -> LocalSigner {
    LocalSigner::from_seed(&Seeded::named(&format!("signer {name}")).bytes())
}

pub fn reader(name: &str) -> ReaderSecret {
    ReaderSecret::from_bytes(Seeded::named(&format!("reader {name}")).bytes())
}

pub fn node(name: &str) -> NodeId {
    NodeId(Seeded::named(&format!("node {name}")).bytes())
}

pub fn root() -> Principal {
    signer("root").public_key().principal()
}

/// "home/notes" is the node "notes" in the node "home" in the root node.
pub fn path(text: &str) -> Path {
    let below = text.split('/').filter(|name| !name.is_empty()).map(node);
    Path::new(&std::iter::once(node("")).chain(below).collect::<Vec<_>>()).unwrap()
}

pub fn readable(at: &str, generation: u32) -> Readable {
    let key = NodeKey::from_bytes(Seeded::named(&format!("key {at} {generation}")).bytes());
    Readable { root: root(), path: path(at), generation, key, expires_ms: NEVER_MS }
}

pub fn expected<'a>(root: &'a Principal, path: &'a Path, seen: Option<&'a Seen>) -> Expected<'a> {
    Expected { root, path, moved_from: None, seen, now_ms: NOW_MS }
}

/// A file's node, sealed and signed by the store's own key.
pub fn seal_file(readable: &Readable, version: u64, readers: &[ReaderPublic], plain: &[u8]) -> SealedNode {
    let draft = Draft { readable, kind: Kind::File, version, attributes: ATTRIBUTES, readers, chain: None };
    let mut entropy = Seeded::named(&format!("file {:?} {version} {}", readable.path, readable.generation));
    seal(&draft, plain, &signer("root"), &mut entropy).unwrap()
}

pub fn verified(sealed: &SealedNode, at: &Path) -> Verified {
    verify(&sealed.metadata, &expected(&root(), at, None)).unwrap()
}
