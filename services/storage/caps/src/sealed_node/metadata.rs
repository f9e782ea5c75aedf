//! A node's metadata as bytes.

use super::attributes::ATTRIBUTES_BYTES;
use super::{SECTOR_BYTES, SECTOR_PLAIN_BYTES, TAG_BYTES};
use crate::decode::{self, DecodeError, Decoder};
use crate::node::{Kind, NodeId};
use crate::readcap::decode_generation;
use crate::reader::{SEALED_KEY_BYTES, SealedKey, decode_sealed};
use crate::sign::{MESSAGE_LIMIT_BYTES, SIGNATURE_BYTES, Signature, Signed};
use crate::writecap::{CHAIN_LIMIT_BYTES, Chain, ChainError};
use crate::{Principal, PublicKey};

const MARK: &[u8; 4] = b"LKsn";

/// A node has at most so many readers of its own (those of the directories above it come beside them). A reader tries each
/// entry, about 50 µs, so it knows within a few hundredths of a second whether it is one of them.
pub const READER_LIMIT: usize = 256;

/// A node has at most so many plain bytes: 1 PiB.
pub const SIZE_LIMIT_BYTES: u64 = 1 << 50;

/// Mark, format, root, node, parent, kind, version, generation, size, salt, content, signer, attributes, number of readers,
/// length of the chain.
const FIXED_BYTES: usize = 4 + 1 + 32 + 16 + 16 + 1 + 8 + 4 + 8 + 32 + 32 + 32 + ATTRIBUTES_BYTES + 2 + 2;

/// The longest metadata.
pub const METADATA_LIMIT_BYTES: usize =
    FIXED_BYTES + READER_LIMIT * SEALED_KEY_BYTES + CHAIN_LIMIT_BYTES + SIGNATURE_BYTES;
const _: () = assert!(METADATA_LIMIT_BYTES + Signed::LONGEST_LABEL_BYTES <= MESSAGE_LIMIT_BYTES, "it is signed whole");

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) root: Principal,
    pub(crate) node: NodeId,
    pub(crate) parent: NodeId,
    pub(crate) kind: Kind,
    pub(crate) version: u64,
    pub(crate) generation: u32,
    pub(crate) size_bytes: u64,
    pub(crate) salt: [u8; 32],
    pub(crate) content: [u8; 32],
    pub(crate) signer: PublicKey,
    pub(crate) attributes: [u8; ATTRIBUTES_BYTES],
    pub(crate) readers: Vec<SealedKey>,
    pub(crate) chain: Option<Chain>,
}

impl Metadata {
    /// What is signed.
    pub(crate) fn body(&self) -> Vec<u8> {
        let chain = self.chain.as_ref().map(Chain::encode).unwrap_or_default();
        let mut bytes = decode::begin(MARK);
        bytes.extend(self.root.0);
        bytes.extend(self.node.0);
        bytes.extend(self.parent.0);
        bytes.push(self.kind.code());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.size_bytes.to_le_bytes());
        bytes.extend(self.salt);
        bytes.extend(self.content);
        bytes.extend(self.signer.0);
        bytes.extend(self.attributes);
        // both fit by READER_LIMIT and CHAIN_LIMIT_BYTES
        bytes.extend((self.readers.len() as u16).to_le_bytes());
        self.readers.iter().for_each(|entry| bytes.extend(entry));
        bytes.extend((chain.len() as u16).to_le_bytes());
        bytes.extend(chain);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<(Metadata, Signature), Undecoded> {
        let mut decoder = Decoder::begin(bytes, MARK, METADATA_LIMIT_BYTES)?;
        let metadata = Metadata {
            root: Principal(decoder.array()?),
            node: NodeId::decode(&mut decoder)?,
            parent: NodeId::decode(&mut decoder)?,
            kind: Kind::decode(&mut decoder)?,
            version: decoder.u64()?,
            generation: decode_generation(&mut decoder)?,
            size_bytes: decoder.u64()?,
            salt: decoder.array()?,
            content: decoder.array()?,
            signer: PublicKey::decode(&mut decoder)?,
            attributes: decoder.array()?,
            readers: decode_readers(&mut decoder)?,
            chain: decode_chain(&mut decoder)?,
        };
        let signature = decoder.array()?;
        decoder.end()?;
        metadata.check()?;
        Ok((metadata, signature))
    }

    fn check(&self) -> Result<(), DecodeError> {
        if self.node == NodeId::NONE || self.node == self.parent {
            return Err(DecodeError::BadValue("node"));
        }
        if self.version == 0 {
            return Err(DecodeError::BadValue("version"));
        }
        if self.size_bytes > SIZE_LIMIT_BYTES {
            return Err(DecodeError::BadValue("size"));
        }
        // the store's own key needs no writecap: with one there would be two ways to say the same
        if self.chain.is_some() && self.is_by_root() {
            return Err(DecodeError::BadValue("chain"));
        }
        Ok(())
    }

    pub(crate) fn is_by_root(&self) -> bool {
        self.signer.principal() == self.root
    }

    pub(crate) fn sectors(&self) -> u64 {
        self.size_bytes.div_ceil(SECTOR_PLAIN_BYTES as u64)
    }

    /// The length of the sealed content. It fits: a size is at most [`SIZE_LIMIT_BYTES`].
    pub(crate) fn sealed_bytes(&self) -> u64 {
        self.size_bytes + self.sectors() * TAG_BYTES as u64
    }

    /// Where in the sealed content these sectors begin and end.
    pub(crate) fn sealed_range(&self, sectors: &std::ops::Range<u64>) -> std::ops::Range<u64> {
        let at = |sector: u64| sector.saturating_mul(SECTOR_BYTES as u64).min(self.sealed_bytes());
        at(sectors.start)..at(sectors.end)
    }
}

/// Why metadata cannot be read: by itself, or for its chain.
pub(crate) enum Undecoded {
    Metadata(DecodeError),
    Chain(ChainError),
}

impl From<DecodeError> for Undecoded {
    fn from(error: DecodeError) -> Undecoded {
        Undecoded::Metadata(error)
    }
}

/// Entries stand in the order of their bytes: one encoding for one set, and nothing about who was added when.
fn decode_readers(decoder: &mut Decoder<'_>) -> Result<Vec<SealedKey>, DecodeError> {
    let count = usize::from(decoder.u16()?);
    if count > READER_LIMIT {
        return Err(DecodeError::BadValue("readers"));
    }
    let readers = (0..count).map(|_| decode_sealed(decoder)).collect::<Result<Vec<_>, _>>()?;
    if readers.is_sorted_by(|one, next| one < next) { Ok(readers) } else { Err(DecodeError::BadValue("readers")) }
}

fn decode_chain(decoder: &mut Decoder<'_>) -> Result<Option<Chain>, Undecoded> {
    let length = usize::from(decoder.u16()?);
    if length == 0 {
        return Ok(None);
    }
    if length > CHAIN_LIMIT_BYTES {
        return Err(DecodeError::BadValue("chain").into());
    }
    Chain::decode(decoder.bytes(length)?).map(Some).map_err(Undecoded::Chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that come again, as many as are asked for.
    fn chance(name: &str) -> blake3::OutputReader {
        let seed = std::env::var("LATCH_SEED").unwrap_or_else(|_| "7".to_owned());
        println!("LATCH_SEED={seed}");
        blake3::Hasher::new().update(name.as_bytes()).update(seed.as_bytes()).finalize_xof()
    }

    fn metadata(readers: usize) -> Metadata {
        let mut readers: Vec<SealedKey> = (0..readers).map(|number| [number as u8; SEALED_KEY_BYTES]).collect();
        readers.sort_unstable();
        Metadata {
            root: Principal([1; 32]),
            node: NodeId([2; 16]),
            parent: NodeId([3; 16]),
            kind: Kind::File,
            version: 4,
            generation: 5,
            size_bytes: 6,
            salt: [7; 32],
            content: [8; 32],
            signer: PublicKey([9; 32]),
            attributes: [11; ATTRIBUTES_BYTES],
            readers,
            chain: None,
        }
    }

    #[test]
    fn whatever_can_be_read_is_written_as_it_was() {
        let mut chance = chance("metadata");
        let mut read = 0;
        for round in 0..40_000 {
            let mut bytes = [metadata(round % 4).body().as_slice(), &[10; SIGNATURE_BYTES]].concat();
            let mut draw = [0; 4];
            chance.fill(&mut draw);
            let at = usize::from(u16::from_le_bytes([draw[0], draw[1]])) % bytes.len();
            match draw[2] % 8 {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, draw[3]),
                2 => bytes.truncate(at),
                _ => bytes[at] = draw[3],
            }
            if let Ok((metadata, signature)) = Metadata::decode(&bytes) {
                read += 1;
                assert_eq!([metadata.body().as_slice(), &signature].concat(), bytes);
            }
        }
        // most bytes are of hashes and keys, which can be anything
        assert!(read > 10_000, "{read}");
    }

    #[test]
    fn the_largest_that_can_be_has_a_length_that_fits() {
        let mut bytes = metadata(READER_LIMIT).body();
        bytes.extend([0; SIGNATURE_BYTES]);
        assert_eq!(bytes.len(), METADATA_LIMIT_BYTES - CHAIN_LIMIT_BYTES);
        assert!(Metadata::decode(&bytes).is_ok());
        let mut more = [&bytes[..211], &257u16.to_le_bytes(), &bytes[213..]].concat();
        more.extend([0; SEALED_KEY_BYTES]);
        assert!(matches!(Metadata::decode(&more), Err(Undecoded::Metadata(DecodeError::BadValue("readers")))));
    }
}
