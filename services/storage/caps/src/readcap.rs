//! Readcaps: a node's key, sealed to one reader and signed by whoever gives it.
//!
//! A key that was given cannot be unknown again. The expiry is what honest software keeps to; what takes reading away is a
//! new key for the node and everything below it (the next *generation*), which the one who is removed is not given. From
//! then on nothing that is written can be read with the old key.

use crate::decode::{self, DecodeError, Decoder};
use crate::directory::WrappedKey;
use crate::entropy::{Entropy, NoEntropy};
use crate::node::{Path, PathError};
use crate::reader::{NotSealed, Purpose, SealedKey, decode_sealed, open_key, seal_key};
use crate::sign::{NotSigned, SIGNATURE_BYTES, Signature, Signed, Signer, is_signed, sign};
use crate::{PATH_LIMIT_NODES, Principal, PublicKey, Readable, ReaderPublic, ReaderSecret, SEALED_KEY_BYTES};
use std::fmt;

const MARK: &[u8; 4] = b"LKrc";

/// The longest readcap: mark, format, root, path, generation, expiry, issuer, sealed key, signature.
pub const READCAP_LIMIT_BYTES: usize =
    4 + 1 + 32 + (1 + 16 * PATH_LIMIT_NODES) + 4 + 8 + 32 + SEALED_KEY_BYTES + SIGNATURE_BYTES;

/// A readcap that was read and whose issuer signed it: [`Readcap::verify`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readcap {
    root: Principal,
    path: Path,
    generation: u32,
    expires_ms: u64,
    issuer: PublicKey,
    sealed: SealedKey,
}

/// Why a readcap is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadcapError {
    /// It is no readcap, or one of a later version.
    Malformed(DecodeError),
    /// It was not signed by its issuer, or was changed since.
    Forged,
    /// Its time is over.
    Expired,
    /// It was sealed to somebody else.
    NotForThisReader,
}

/// Why no readcap was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueError {
    /// The reader's public key is none.
    BadReader,
    /// It would last longer than what it comes from.
    WidenedExpiry,
    /// There is no chance to be had.
    NoEntropy,
    /// It was not signed.
    NotSigned(NotSigned),
}

/// Why a node's key does not open what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NarrowError {
    /// The wrapped key is for another directory, node or generation, or was changed.
    OtherKey,
    /// It would lie too deep for a path.
    Path(PathError),
}

/// Seals a node's key to a reader: the bytes of a readcap. `expires_ms` is at most that of `readable`.
pub fn issue(
    readable: &Readable,
    reader: &ReaderPublic,
    expires_ms: u64,
    issuer: &dyn Signer,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, IssueError> {
    if expires_ms > readable.expires_ms {
        return Err(IssueError::WidenedExpiry);
    }
    let clear = clear(&readable.root, &readable.path, readable.generation, expires_ms, &issuer.public_key());
    let sealed = seal_key(&readable.key, reader, Purpose::Readcap, &clear, entropy)?;
    let body = [clear.as_slice(), &sealed].concat();
    let signature = sign(issuer, Signed::Readcap, &body).map_err(IssueError::NotSigned)?;
    Ok([body.as_slice(), &signature].concat())
}

/// The key of what is in a directory, from the directory's: with it, a readcap for that node alone can be issued. It
/// expires when the directory's does.
pub fn narrow(directory: &Readable, child: &WrappedKey) -> Result<Readable, NarrowError> {
    Ok(Readable {
        root: directory.root,
        path: directory.path.child(child.node).map_err(NarrowError::Path)?,
        generation: child.generation,
        key: child.unwrap(directory).ok_or(NarrowError::OtherKey)?,
        expires_ms: directory.expires_ms,
    })
}

impl Readcap {
    /// Reads a readcap and verifies that its issuer signed it and that its time is not over (`now_ms`: milliseconds since
    /// 1970). Whether the issuer is to be believed is for the caller: the issuer may be the root key or anybody who could
    /// read the node.
    pub fn verify(bytes: &[u8], now_ms: u64) -> Result<Readcap, ReadcapError> {
        let (readcap, signature) = Readcap::decode(bytes)?;
        if !is_signed(&readcap.issuer, Signed::Readcap, &readcap.body(), &signature) {
            return Err(ReadcapError::Forged);
        }
        if now_ms >= readcap.expires_ms && readcap.expires_ms != crate::NEVER_MS {
            return Err(ReadcapError::Expired);
        }
        Ok(readcap)
    }

    /// Opens it for the reader that it is for.
    pub fn open(&self, reader: &ReaderSecret) -> Result<Readable, ReadcapError> {
        let key =
            open_key(&self.sealed, reader, Purpose::Readcap, &self.clear()).ok_or(ReadcapError::NotForThisReader)?;
        Ok(Readable {
            root: self.root,
            path: self.path.clone(),
            generation: self.generation,
            key,
            expires_ms: self.expires_ms,
        })
    }

    /// The store.
    pub fn root(&self) -> Principal {
        self.root
    }

    /// The node, and where it was when this was issued.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The generation of the key.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// In milliseconds since 1970, or [`NEVER_MS`](crate::NEVER_MS).
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// Who signed it.
    pub fn issuer(&self) -> PublicKey {
        self.issuer
    }

    /// Whether the store's own key signed it.
    pub fn is_by_root(&self) -> bool {
        self.issuer.principal() == self.root
    }

    fn decode(bytes: &[u8]) -> Result<(Readcap, Signature), ReadcapError> {
        let mut decoder = Decoder::begin(bytes, MARK, READCAP_LIMIT_BYTES)?;
        let readcap = Readcap {
            root: Principal(decoder.array()?),
            path: Path::decode(&mut decoder)?,
            generation: decode_generation(&mut decoder)?,
            expires_ms: decoder.u64()?,
            issuer: PublicKey::decode(&mut decoder)?,
            sealed: decode_sealed(&mut decoder)?,
        };
        let signature = decoder.array()?;
        decoder.end()?;
        Ok((readcap, signature))
    }

    fn clear(&self) -> Vec<u8> {
        clear(&self.root, &self.path, self.generation, self.expires_ms, &self.issuer)
    }

    fn body(&self) -> Vec<u8> {
        [self.clear().as_slice(), &self.sealed].concat()
    }
}

/// Everything before the sealed key, which is bound to it.
fn clear(root: &Principal, path: &Path, generation: u32, expires_ms: u64, issuer: &PublicKey) -> Vec<u8> {
    let mut bytes = decode::begin(MARK);
    bytes.extend(root.0);
    path.encode(&mut bytes);
    bytes.extend(generation.to_le_bytes());
    bytes.extend(expires_ms.to_le_bytes());
    bytes.extend(issuer.0);
    bytes
}

/// Generations count from 1.
pub(crate) fn decode_generation(decoder: &mut Decoder<'_>) -> Result<u32, DecodeError> {
    match decoder.u32()? {
        0 => Err(DecodeError::BadValue("generation")),
        generation => Ok(generation),
    }
}

impl From<DecodeError> for ReadcapError {
    fn from(error: DecodeError) -> ReadcapError {
        ReadcapError::Malformed(error)
    }
}

impl From<NotSealed> for IssueError {
    fn from(error: NotSealed) -> IssueError {
        match error {
            NotSealed::BadReader => IssueError::BadReader,
            NotSealed::NoEntropy => IssueError::NoEntropy,
        }
    }
}

impl fmt::Display for ReadcapError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadcapError::Malformed(error) => write!(formatter, "the readcap: {error}"),
            ReadcapError::Forged => {
                formatter.write_str("the readcap was not signed by its issuer, or was changed since")
            }
            ReadcapError::Expired => formatter.write_str("the readcap's time is over"),
            ReadcapError::NotForThisReader => formatter.write_str("the readcap is for another reader"),
        }
    }
}

impl std::error::Error for ReadcapError {}

impl fmt::Display for IssueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IssueError::BadReader => formatter.write_str("the reader's public key is none"),
            IssueError::WidenedExpiry => formatter.write_str("it would last longer than what it comes from"),
            IssueError::NoEntropy => NoEntropy.fmt(formatter),
            IssueError::NotSigned(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for IssueError {}

impl fmt::Display for NarrowError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NarrowError::OtherKey => formatter.write_str("the directory's key does not open the key of what is in it"),
            NarrowError::Path(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for NarrowError {}
