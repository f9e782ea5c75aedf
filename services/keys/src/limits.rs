//! Every bound of this service, with its derivation.

use crate::keyring::SECRETS_LIMIT_BYTES;
use crate::lock::LOCK_LIMIT_BYTES;
use crate::public::{GENERATION_BYTES, SEALING_GENERATION_BYTES};
use crate::purpose::Signing;
use crate::sealing::OVERHEAD_BYTES;

/// What is signed: the contract's 64 KiB.
pub const MESSAGE_LIMIT_BYTES: usize = 64 << 10;

/// A secret to seal: the contract's 4 KiB.
pub const SECRET_LIMIT_BYTES: usize = 4 << 10;

/// What a secret is bound to: the contract's 1 KiB.
pub const CONTEXT_LIMIT_BYTES: usize = 1 << 10;

/// A passphrase: the contract's 1,024 bytes.
pub const PASSPHRASE_LIMIT_BYTES: usize = 1_024;

/// How many keys a purpose can have had. All of them are kept, since old signatures are checked by them; a key that is
/// rotated every week reaches this after 19 years.
pub const GENERATIONS_LIMIT: usize = 1_000;

/// The longest keyring file or backup, term by term as [`crate::envelope`] lays it out: magic, format and kind of lock;
/// the lock with its length; the public part with its length, at the limit of generations; the sealed part with its length;
/// the checksum.
pub const FILE_LIMIT_BYTES: usize = 8
    + 4
    + (4 + LOCK_LIMIT_BYTES)
    + (4 + Signing::ALL.len() * (2 + GENERATIONS_LIMIT * GENERATION_BYTES)
        + 2
        + GENERATIONS_LIMIT * SEALING_GENERATION_BYTES)
    + (4 + OVERHEAD_BYTES + SECRETS_LIMIT_BYTES)
    + 32;

// A backup travels in one message, of which what a service lets through is far larger.
const _: () = assert!(2 * FILE_LIMIT_BYTES <= vat::bounds::SERVICE_MESSAGE_BYTES);
