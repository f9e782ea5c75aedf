//! A file's key under a passphrase: Argon2id makes a key of the passphrase, and that key seals the file's.
//!
//! # Encoding
//!
//! | bytes | |
//! | --- | --- |
//! | 4 | memory in KiB |
//! | 4 | passes |
//! | 4 | lanes |
//! | 16 | salt, random |
//! | 32 | check: BLAKE3 derive_key with [`CHECK_CONTEXT`] over the stretched key; by it a wrong passphrase is told from damage |
//! | 72 | the file's key, sealed (nonce 24, ciphertext 32, tag 16) under BLAKE3 derive_key with [`WRAP_CONTEXT`] over the stretched key, bound to all that stands before it |
//!
//! The stretched key is Argon2id (RFC 9106, version 0x13) of the passphrase, 32 bytes, without secret or associated data.
//! Numbers are little endian.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use crate::bytes::{Malformed, Reader};
use crate::limits::PASSPHRASE_LIMIT_BYTES;
use crate::problem::{Problem, Word};
use crate::sealing;
use crate::secret::{KEY_BYTES, Key, fill_random};

/// See the module.
pub const CHECK_CONTEXT: &str = "latchkey 2026 keyring passphrase check";
/// See the module.
pub const WRAP_CONTEXT: &str = "latchkey 2026 keyring passphrase wrap";

/// RFC 9106 asks for 16 bytes.
const SALT_BYTES: usize = 16;
const CHECK_BYTES: usize = 32;
const WRAPPED_BYTES: usize = KEY_BYTES + sealing::OVERHEAD_BYTES;
/// All before the sealed key.
const HEAD_BYTES: usize = 3 * 4 + SALT_BYTES + CHECK_BYTES;
/// How long the encoding is.
pub const PASSPHRASE_LOCK_BYTES: usize = HEAD_BYTES + WRAPPED_BYTES;

/// How much work it is to try one passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory that it takes, in KiB.
    pub memory_kib: u32,
    /// How often all of that memory is gone over.
    pub passes: u32,
    /// Parts that could be worked on at once. Here one thread does them in turn.
    pub lanes: u32,
}

impl Cost {
    /// Chosen as RFC 9106 says in section 4: memory and lanes of its second recommended option (64 MiB, four lanes), which every
    /// machine that runs a node has; then as many passes as the time allows, here half a second on one core of a small
    /// machine. Three passes, the option's own, took 0.14 s on one core of a server, so eight take 0.4 s there. All are
    /// above the least that OWASP's "Password Storage Cheat Sheet" takes (19 MiB and two passes).
    pub const USUAL: Cost = Cost { memory_kib: 64 << 10, passes: 8, lanes: 4 };

    /// A file that asks for more is not tried: four times the usual memory, passes and lanes, for files of later versions,
    /// which machines will be faster for. So a file that somebody else wrote costs 16 times the usual at most, some seconds,
    /// and 256 MiB.
    pub const LIMIT: Cost = Cost { memory_kib: 256 << 10, passes: 32, lanes: 16 };

    /// Argon2's own bounds, and ours.
    fn parameters(self) -> Option<Params> {
        let limit = Cost::LIMIT;
        if self.memory_kib > limit.memory_kib || self.passes > limit.passes || self.lanes > limit.lanes {
            return None;
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES)).ok()
    }
}

/// How a passphrase locks a file.
#[derive(Clone, PartialEq, Eq)]
pub struct PassphraseLock {
    cost: Cost,
    salt: [u8; SALT_BYTES],
    check: blake3::Hash,
    wrapped: [u8; WRAPPED_BYTES],
}

impl std::fmt::Debug for PassphraseLock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PassphraseLock").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// Whether it can be one.
///
/// # Errors
/// It is empty or too long (`badInput`).
pub fn check_length(passphrase: &[u8]) -> Result<(), Problem> {
    if passphrase.is_empty() || passphrase.len() > PASSPHRASE_LIMIT_BYTES {
        return Err(Problem::bad_input(format!("a passphrase has 1 to {PASSPHRASE_LIMIT_BYTES} bytes")));
    }
    Ok(())
}

impl PassphraseLock {
    /// Locks a file's key under a passphrase. It takes as long as [`Cost`] says.
    ///
    /// # Errors
    /// The passphrase can be none (`badInput`); there is no randomness or not the memory (`io`).
    pub fn make(passphrase: &[u8], cost: Cost, file_key: &Key) -> Result<PassphraseLock, Problem> {
        check_length(passphrase)?;
        let mut salt = [0; SALT_BYTES];
        fill_random(&mut salt)?;
        let stretched = stretch(passphrase, cost, &salt)?;
        let check = check_of(&stretched);
        let sealed = sealing::seal(&stretched.derive(WRAP_CONTEXT), &head(cost, &salt, &check), file_key.as_bytes())?;
        let wrapped = sealed.try_into().map_err(|_| Problem::new(Word::Io, "a key was sealed to another length"))?;
        Ok(PassphraseLock { cost, salt, check, wrapped })
    }

    /// The file's key. It takes as long as [`Cost`] says.
    ///
    /// # Errors
    /// It is another passphrase (`wrongPassphrase`) or can be none (`badInput`); what is locked was changed (`damaged`);
    /// there is not the memory (`io`).
    pub fn open(&self, passphrase: &[u8]) -> Result<Key, Problem> {
        check_length(passphrase)?;
        let stretched = stretch(passphrase, self.cost, &self.salt)?;
        // Compared in constant time.
        if check_of(&stretched) != self.check {
            return Err(Problem::new(Word::WrongPassphrase, "the keys are under another passphrase"));
        }
        let head = head(self.cost, &self.salt, &self.check);
        let opened = sealing::open(&stretched.derive(WRAP_CONTEXT), &head, &self.wrapped);
        opened
            .and_then(|key| Key::from_slice(&key))
            .ok_or_else(|| Problem::damaged("the sealed key of the file was changed"))
    }

    /// Adds the encoding.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(head(self.cost, &self.salt, &self.check));
        bytes.extend(self.wrapped);
    }

    /// Takes the encoding, whole.
    ///
    /// # Errors
    /// It is none, or asks for more work than [`Cost::LIMIT`].
    pub fn decode(bytes: &[u8]) -> Result<PassphraseLock, Malformed> {
        let mut reader = Reader::new(bytes);
        let cost = Cost { memory_kib: reader.u32()?, passes: reader.u32()?, lanes: reader.u32()? };
        cost.parameters().ok_or(Malformed)?;
        let salt = reader.array()?;
        let check = blake3::Hash::from_bytes(reader.array()?);
        let wrapped = reader.array()?;
        reader.end()?;
        Ok(PassphraseLock { cost, salt, check, wrapped })
    }
}

fn head(cost: Cost, salt: &[u8; SALT_BYTES], check: &blake3::Hash) -> Vec<u8> {
    let numbers = [cost.memory_kib, cost.passes, cost.lanes].map(u32::to_le_bytes);
    [numbers.as_flattened(), salt, check.as_bytes()].concat()
}

/// As a hash of BLAKE3, because those are compared in constant time.
fn check_of(stretched: &Key) -> blake3::Hash {
    blake3::Hash::from_bytes(*stretched.derive(CHECK_CONTEXT).as_bytes())
}

fn stretch(passphrase: &[u8], cost: Cost, salt: &[u8]) -> Result<Key, Problem> {
    let beyond = || Problem::bad_input("a passphrase cannot be worked on at that cost");
    let parameters = cost.parameters().ok_or_else(beyond)?;
    let mut memory = Memory::of(parameters.block_count())?;
    let mut stretched = Key::zeros();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into_with_memory(passphrase, salt, stretched.as_mut(), &mut memory.0)
        .map_err(|_| beyond())?;
    Ok(stretched)
}

/// What Argon2 works in, erased afterwards.
struct Memory(Vec<Block>);

impl Memory {
    fn of(blocks: usize) -> Result<Memory, Problem> {
        let mut memory = Vec::new();
        let none =
            |_| Problem::new(Word::Io, format!("there are no {} MiB of memory for the passphrase", blocks >> 10));
        memory.try_reserve_exact(blocks).map_err(none)?;
        memory.resize(blocks, Block::default());
        Ok(Memory(memory))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// A passphrase on its way to another thread.
pub type Passphrase = Zeroizing<Vec<u8>>;

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    fn encoded(lock: &PassphraseLock) -> Vec<u8> {
        let mut bytes = Vec::new();
        lock.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_right_passphrase_opens_and_a_wrong_one_is_told_from_damage() {
        let key = Key::random().unwrap();
        let lock = PassphraseLock::make(b"right", CHEAP, &key).unwrap();
        assert_eq!(lock.open(b"right").unwrap().as_bytes(), key.as_bytes());
        assert_eq!(lock.open(b"wrong").unwrap_err().word(), Word::WrongPassphrase);
        let mut damaged = lock.clone();
        damaged.wrapped[30] ^= 1;
        assert_eq!(damaged.open(b"right").unwrap_err().word(), Word::Damaged);
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let lock = PassphraseLock::make(b"right", CHEAP, &Key::random().unwrap()).unwrap();
        let bytes = encoded(&lock);
        assert_eq!(bytes.len(), PASSPHRASE_LOCK_BYTES);
        assert!(PassphraseLock::decode(&bytes) == Ok(lock));
        for length in 0..bytes.len() {
            assert!(PassphraseLock::decode(&bytes[..length]).is_err());
        }
        assert!(PassphraseLock::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn any_changed_byte_opens_nothing() {
        let lock = PassphraseLock::make(b"right", CHEAP, &Key::random().unwrap()).unwrap();
        let bytes = encoded(&lock);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let Ok(lock) = PassphraseLock::decode(&changed) else { continue };
            let word = lock.open(b"right").unwrap_err().word();
            assert_eq!(word, if at < HEAD_BYTES { Word::WrongPassphrase } else { Word::Damaged }, "byte {at}");
        }
    }

    #[test]
    fn a_file_cannot_ask_for_work_without_end() {
        let bytes = encoded(&PassphraseLock::make(b"right", CHEAP, &Key::random().unwrap()).unwrap());
        let limits = [Cost::LIMIT.memory_kib, Cost::LIMIT.passes, Cost::LIMIT.lanes];
        for (index, limit) in limits.into_iter().enumerate() {
            for value in [limit + 1, u32::MAX, 0] {
                let mut changed = bytes.clone();
                changed[4 * index..][..4].copy_from_slice(&value.to_le_bytes());
                assert!(PassphraseLock::decode(&changed).is_err(), "number {index} is {value}");
            }
        }
    }

    #[test]
    fn the_usual_cost_is_possible_and_within_the_limit() {
        assert!(Cost::USUAL.parameters().is_some() && Cost::LIMIT.parameters().is_some());
    }

    #[test]
    fn a_passphrase_has_1_to_1024_bytes() {
        let key = Key::random().unwrap();
        for length in [0, 1_025] {
            let refused = PassphraseLock::make(&vec![b'x'; length], CHEAP, &key).unwrap_err();
            assert_eq!(refused.word(), Word::BadInput);
        }
        let lock = PassphraseLock::make(&[b'x'; 1_024], CHEAP, &key).unwrap();
        assert_eq!(lock.open(&[b'x'; 1_024]).unwrap().as_bytes(), key.as_bytes());
        assert_eq!(lock.open(&[b'x'; 1_023]).unwrap_err().word(), Word::WrongPassphrase);
    }

    /// What the reference implementation's own tests expect (`hashtest` of its `test.c`, Argon2id, version 0x13).
    #[test]
    fn a_passphrase_is_stretched_as_the_reference_implementation_does() {
        let stretched = |lanes, memory_kib| {
            let key = stretch(b"password", Cost { memory_kib, passes: 2, lanes }, b"somesalt").unwrap();
            blake3::Hash::from_bytes(*key.as_bytes()).to_string()
        };
        assert_eq!(stretched(1, 256), "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe");
        assert_eq!(stretched(2, 256), "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037");
    }
}
