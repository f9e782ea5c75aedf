//! Readcaps and writecaps: what may be read and written of a store elsewhere, as data.
//!
//! A store is a tree of nodes under a *root principal*, the hash of an Ed25519 key. Each node has a random id and a key
//! of its own. What leaves the machine is:
//!
//! - a [sealed node](sealed_node): signed metadata and sealed content, which somebody without any key can hold and verify,
//! - a [readcap]: a node's key, sealed to one reader,
//! - a [writecap] chain: who may write where and until when, from the root on.
//!
//! Everything is plain data over plain functions: there is no clock (time is an argument), no input or output, and no
//! private key of a signer: signing goes through [`Signer`], because those keys live in another process. Chance comes
//! from [`Entropy`]. Every byte is described in `FORMAT.md` beside this crate; the vectors under `tests/vectors/caps`
//! at the top of the project show it.
#![forbid(unsafe_code)]

mod decode;
pub mod directory;
mod entropy;
mod node;
mod principal;
pub mod readcap;
mod reader;
mod rights;
pub mod sealed_node;
mod sign;
pub mod writecap;

pub use decode::DecodeError;
pub use entropy::{Entropy, NoEntropy, SystemEntropy};
pub use node::{Kind, NodeId, NodeKey, PATH_LIMIT_NODES, Path, PathError, Readable};
pub use principal::{Principal, PublicKey};
pub use reader::{ReaderPublic, ReaderSecret, SEALED_KEY_BYTES, SealedKey};
pub use rights::{Act, Rights};
pub use sign::{LocalSigner, NotSigned, Signature, Signer};

/// The expiry of what does not expire. The largest number, so that "only narrows" is "never grows".
pub const NEVER_MS: u64 = u64::MAX;

/// The only format that this crate writes and reads.
pub const FORMAT: u8 = 1;
