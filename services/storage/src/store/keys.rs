//! The keys that the store does not have itself, and those that it derives.

use zeroize::Zeroizing;

use super::error::KeysError;

/// A key, or something to derive keys from.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// The node's keys, which another process has.
pub trait Keys: Send + Sync {
    /// Opens what [`seal_root`](Self::seal_root) sealed with the same context; and whether it was sealed by the key that
    /// seals now.
    fn unseal_root(&self, sealed: &[u8], context: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), KeysError>;
    /// Seals a secret.
    fn seal_root(&self, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, KeysError>;
    /// Signs, with Ed25519, the BLAKE3 hash of the message in the mode `derive_key` with [`SIGNATURE_CONTEXT`].
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeysError>;
    /// What [`sign`](Self::sign) signs with.
    fn public_key(&self) -> Result<[u8; 32], KeysError>;
    /// All that it ever signed with, the latest last. They can be had while the keys are locked, too.
    fn public_keys(&self) -> Result<Vec<[u8; 32]>, KeysError>;
}

/// What is signed is derived from the message by this.
pub const SIGNATURE_CONTEXT: &str = "latchkey 2026 signature: commits";

const METADATA_CONTEXT: &str = "latchkey 2026 store metadata v1";
const ENTRIES_CONTEXT: &str = "latchkey 2026 store entries v1";
const CONTENT_CONTEXT: &str = "latchkey 2026 store content v1";
const OUTSIDE_CONTEXT: &str = "latchkey 2026 store outside v1";
const NAMES_CONTEXT: &str = "latchkey 2026 store names v1";
const FRAME_CONTEXT: &str = "latchkey 2026 store frame tag v1";
const SEGMENT_CONTEXT: &str = "latchkey 2026 store segment tag v1";
const SYNCED_CONTEXT: &str = "latchkey 2026 store synced v1";
const LOSSES_CONTEXT: &str = "latchkey 2026 store losses v1";
const ROW_CONTEXT: &str = "latchkey 2026 store index row v1";
const POSITION_CONTEXT: &str = "latchkey 2026 store index position v1";
const MARKER_CONTEXT: &str = "latchkey 2026 store index marker v1";

/// How long the tag of a frame is. To guess one takes 2^128 tries, each of them an opening of the store.
pub(crate) const TAG_BYTES: usize = 16;

/// By these the store knows its own hand: nobody without them writes a segment's head, a frame, a note of what was made sure
/// of, a row of the index or its marker that counts.
/// They come from one secret, which is never exchanged.
#[derive(Clone)]
pub(crate) struct OwnKeys {
    frame: Secret,
    segment: Secret,
    synced: Secret,
    /// Seals what was lost.
    pub(crate) losses: Secret,
    row: Secret,
    /// Seals how far the index goes.
    pub(crate) position: Secret,
    /// Of the hash of all files of the index.
    pub(crate) marker: Secret,
}

impl OwnKeys {
    pub(crate) fn derive(secret: &Secret) -> Self {
        Self {
            frame: derive(FRAME_CONTEXT, secret),
            segment: derive(SEGMENT_CONTEXT, secret),
            synced: derive(SYNCED_CONTEXT, secret),
            losses: derive(LOSSES_CONTEXT, secret),
            row: derive(ROW_CONTEXT, secret),
            position: derive(POSITION_CONTEXT, secret),
            marker: derive(MARKER_CONTEXT, secret),
        }
    }

    /// The tag of the frame after which the chain is this.
    pub(crate) fn tag(&self, chain: &[u8; 32]) -> [u8; TAG_BYTES] {
        tag(&self.frame, chain)
    }

    /// The tag of the head of a segment that has this hash.
    pub(crate) fn segment_tag(&self, hash: &[u8; 32]) -> [u8; TAG_BYTES] {
        tag(&self.segment, hash)
    }

    /// The tag of the note that says up to which frame the disk was made sure of.
    pub(crate) fn synced_tag(&self, sequence: u64) -> [u8; TAG_BYTES] {
        tag(&self.synced, &sequence.to_le_bytes())
    }

    /// The hash of a row of the index.
    pub(crate) fn row_hash(&self, key: &[u8], value: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.row);
        hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
        *hasher.finalize().as_bytes()
    }
}

fn tag(key: &Secret, of: &[u8]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&blake3::keyed_hash(key, of).as_bytes()[..TAG_BYTES]);
    tag
}

/// The secrets of a node as of one generation.
#[derive(Clone)]
pub(crate) struct NodeKeys {
    pub(crate) generation: u32,
    /// What all that is sealed for the node is sealed under, by way of a key for each purpose.
    pub(crate) key: Secret,
    /// What names in it are hashed under. It stays the same when the key is exchanged, because entries are found by it.
    pub(crate) names: Secret,
}

impl NodeKeys {
    /// New ones, by chance.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        Ok(Self { generation: 0, key: random_secret()?, names: random_secret()? })
    }

    /// The hash by which a name is found in the directory.
    pub(crate) fn name_hash(&self, name: &[u8]) -> [u8; 16] {
        let key = derive(NAMES_CONTEXT, &self.names);
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::keyed_hash(&key, name).as_bytes()[..16]);
        hash
    }
}

/// The key that seals metadata.
pub(crate) fn metadata_key(key: &Secret) -> Secret {
    derive(METADATA_CONTEXT, key)
}

/// The key that seals the entries of a directory.
pub(crate) fn entries_key(key: &Secret) -> Secret {
    derive(ENTRIES_CONTEXT, key)
}

/// The key that seals the sectors of a file.
pub(crate) fn content_key(key: &Secret) -> Secret {
    derive(CONTENT_CONTEXT, key)
}

/// The key that a node is read with elsewhere. Nothing that is kept here opens with it.
pub(crate) fn outside_key(key: &Secret) -> Secret {
    derive(OUTSIDE_CONTEXT, key)
}

fn derive(context: &str, key: &Secret) -> Secret {
    Zeroizing::new(blake3::derive_key(context, key.as_slice()))
}

/// 32 bytes by chance.
pub(crate) fn random_secret() -> Result<Secret, getrandom::Error> {
    let mut secret = Secret::default();
    getrandom::fill(secret.as_mut_slice())?;
    Ok(secret)
}
