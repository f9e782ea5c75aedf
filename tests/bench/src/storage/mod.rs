//! What the rows of the store share: a node with a store and a folder beside it, the calls of a client that holds both,
//! and the same work without Latchkey.

pub(crate) mod alone;
pub(crate) mod cache;
pub(crate) mod calls;
pub(crate) mod cipher;
pub(crate) mod plain;
mod scene;

pub(crate) use scene::Scene;

/// One write of a stream, and what a plain file is written and read by.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// What is read and written at random places.
pub(crate) const BLOCK_BYTES: usize = 4 << 10;

/// Bytes of which none are like their neighbours.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    let mut numbers = crate::peer::calls::Numbers::new(3);
    (0..count).map(|_| numbers.below(256) as u8).collect()
}
