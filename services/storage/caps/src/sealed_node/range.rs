//! Ranges of sectors that are verified without the rest: BLAKE3's own tree over the sealed content, in the combined
//! encoding of Bao with groups of 16 chunks, by the crate `bao-tree`.

use super::verify::{Told, Verified};
use super::{NodeError, SECTOR_BYTES};
use bao_tree::io::BaoContentItem;
use bao_tree::io::outboard::PreOrderMemOutboard;
use bao_tree::io::sync::{DecodeResponseIter, encode_ranges_validated};
use bao_tree::{BaoTree, BlockSize, ChunkNum, ChunkRanges};
use std::fmt;
use std::io::Cursor;
use std::ops::Range;

/// A group has 2⁴ chunks of 1 KiB: one sector.
const GROUP: BlockSize = BlockSize::from_chunk_log(4);
const CHUNKS_PER_SECTOR: u64 = 16;
const _: () = assert!(CHUNKS_PER_SECTOR as usize * 1024 == SECTOR_BYTES);

/// At most so many sectors at once, 16 MiB: both sides hold them in memory.
pub const PROOF_SECTORS_LIMIT: u64 = 1024;

/// Why there is no such range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// It is empty, ends past the content, or has more than [`PROOF_SECTORS_LIMIT`] sectors.
    BadRange,
    /// The proof does not fit what was signed: it or the content was changed, or is another's.
    Node(NodeError),
}

impl fmt::Display for RangeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RangeError::BadRange => formatter.write_str("there are no such sectors"),
            RangeError::Node(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for RangeError {}

/// What a host makes proofs with. It needs no key.
pub struct Proofs<'a> {
    sealed: &'a [u8],
    tree: PreOrderMemOutboard,
}

impl<'a> Proofs<'a> {
    /// Hashes the sealed content: 64 bytes are kept for each sector.
    pub fn new(sealed: &'a [u8]) -> Proofs<'a> {
        Proofs { sealed, tree: PreOrderMemOutboard::create(sealed, GROUP) }
    }

    /// These sectors with what is needed to verify them: the sealed bytes, and 64 bytes for each step of the tree.
    pub fn prove(&self, sectors: Range<u64>) -> Result<Vec<u8>, RangeError> {
        let count = (self.sealed.len() as u64).div_ceil(SECTOR_BYTES as u64);
        check(&sectors, count)?;
        let mut proof = vec![];
        encode_ranges_validated(self.sealed, &self.tree, &chunks(&sectors), &mut proof)
            .map_err(|_| RangeError::Node(NodeError::OtherContent))?;
        Ok(proof)
    }
}

impl Verified {
    /// Checks that the proof shows these sectors of the sealed content. What is allocated is bounded by the proof's length.
    pub fn check_range(&self, sectors: Range<u64>, proof: &[u8]) -> Result<Told<'_>, RangeError> {
        check(&sectors, self.sectors())?;
        let wrong = RangeError::Node(NodeError::OtherContent);
        let range = self.metadata.sealed_range(&sectors);
        let tree = BaoTree::new(self.sealed_bytes(), GROUP);
        let root = blake3::Hash::from_bytes(self.metadata.content);
        let (chunks, mut proof) = (chunks(&sectors), Cursor::new(proof));
        let mut sealed = vec![];
        for item in DecodeResponseIter::new(root, tree, &mut proof, &chunks) {
            if let BaoContentItem::Leaf(leaf) = item.map_err(|_| wrong)? {
                if leaf.offset != range.start + sealed.len() as u64 {
                    return Err(wrong);
                }
                sealed.extend(leaf.data);
            }
        }
        let is_whole = sealed.len() as u64 == range.end - range.start;
        if !is_whole || proof.position() != proof.get_ref().len() as u64 {
            return Err(wrong);
        }
        Ok(self.checked(sectors.start, sealed))
    }
}

fn check(sectors: &Range<u64>, count: u64) -> Result<(), RangeError> {
    let is_there = sectors.start < sectors.end && sectors.end <= count;
    if is_there && sectors.end - sectors.start <= PROOF_SECTORS_LIMIT { Ok(()) } else { Err(RangeError::BadRange) }
}

fn chunks(sectors: &Range<u64>) -> ChunkRanges {
    let at = |sector: u64| ChunkNum(sector * CHUNKS_PER_SECTOR);
    ChunkRanges::from(at(sectors.start)..at(sectors.end))
}
