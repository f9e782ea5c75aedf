//! The public side of a keyring: which keys there are and were. It is known while the keys are locked.
//!
//! # Encoding
//! For each purpose in the order of the schema (device, log, author, commits, store):
//!
//! | bytes | |
//! | --- | --- |
//! | 2 | how many generations there were, 1 to 1,000; the last is the one in use |
//! | each: 8 | when it was made, in milliseconds since 1970 |
//! | each: 32 | its Ed25519 public key; absent for store, which does not sign |
//!
//! Numbers are little endian. The generation of an entry is its place, counted from 1. Each value has one encoding.

use crate::bytes::{Malformed, Reader};
use crate::limits::GENERATIONS_LIMIT;
use crate::problem::Problem;
use crate::purpose::{Purpose, Signing};
use crate::secret::KEY_BYTES;

/// What a generation of a purpose that signs takes.
pub const GENERATION_BYTES: usize = SEALING_GENERATION_BYTES + KEY_BYTES;
/// What a generation of a purpose that seals takes.
pub const SEALING_GENERATION_BYTES: usize = 8;

/// One key, as everybody may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// How often the purpose has had a new key: 1, 2, …
    pub generation: u32,
    /// Milliseconds since 1970.
    pub made_at_ms: u64,
    /// The public half; nothing where the purpose does not sign.
    pub public: Option<[u8; KEY_BYTES]>,
}

/// One generation of one purpose; nothing of a purpose that seals is public but the time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made<T> {
    at_ms: u64,
    public: T,
}

/// Every key that each purpose has had, the latest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    signing: [Vec<Made<[u8; KEY_BYTES]>>; Signing::ALL.len()],
    store: Vec<Made<()>>,
}

impl Public {
    /// The first generation of each.
    #[must_use]
    pub fn first(keys: [[u8; KEY_BYTES]; Signing::ALL.len()], at_ms: u64) -> Public {
        Public { signing: keys.map(|public| vec![Made { at_ms, public }]), store: vec![Made { at_ms, public: () }] }
    }

    /// A new key takes the place of the one in use.
    ///
    /// # Errors
    /// The purpose has had as many as it can (`badInput`).
    pub fn rotate_signing(&mut self, purpose: Signing, public: [u8; KEY_BYTES], at_ms: u64) -> Result<(), Problem> {
        push(&mut self.signing[purpose.index()], Made { at_ms, public })
    }

    /// The same for the key that seals.
    ///
    /// # Errors
    /// It has had as many as it can (`badInput`).
    pub fn rotate_store(&mut self, at_ms: u64) -> Result<(), Problem> {
        push(&mut self.store, Made { at_ms, public: () })
    }

    /// Every key of a purpose, the latest last.
    #[must_use]
    pub fn history(&self, purpose: Purpose) -> Vec<PublicKey> {
        match purpose {
            Purpose::Signing(signing) => numbered(&self.signing[signing.index()], |public| Some(*public)),
            Purpose::Store => numbered(&self.store, |()| None),
        }
    }

    /// The key of a purpose that is in use.
    #[must_use]
    pub fn current(&self, purpose: Purpose) -> PublicKey {
        let none = PublicKey { generation: 0, made_at_ms: 0, public: None };
        // There is always one, from `first` and from `decode`.
        self.history(purpose).pop().unwrap_or(none)
    }

    /// Adds the encoding.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        for made in &self.signing {
            put_list(bytes, made, |bytes, public| bytes.extend(public));
        }
        put_list(bytes, &self.store, |_, ()| ());
    }

    /// Takes the encoding, whole.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(bytes: &[u8]) -> Result<Public, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut signing = [const { Vec::new() }; Signing::ALL.len()];
        for made in &mut signing {
            *made = list(&mut reader, Reader::array)?;
        }
        let store = list(&mut reader, |_| Ok(()))?;
        reader.end()?;
        Ok(Public { signing, store })
    }
}

fn push<T>(made: &mut Vec<Made<T>>, next: Made<T>) -> Result<(), Problem> {
    if made.len() >= GENERATIONS_LIMIT {
        return Err(Problem::bad_input(format!("a purpose has at most {GENERATIONS_LIMIT} keys in its life")));
    }
    made.push(next);
    Ok(())
}

fn numbered<T>(made: &[Made<T>], public: impl Fn(&T) -> Option<[u8; KEY_BYTES]>) -> Vec<PublicKey> {
    let key = |(generation, made): (u32, &Made<T>)| PublicKey {
        generation,
        made_at_ms: made.at_ms,
        public: public(&made.public),
    };
    (1..).zip(made).map(key).collect()
}

fn put_list<T>(bytes: &mut Vec<u8>, made: &[Made<T>], put: impl Fn(&mut Vec<u8>, &T)) {
    const _: () = assert!(GENERATIONS_LIMIT <= u16::MAX as usize);
    bytes.extend(u16::try_from(made.len()).unwrap_or(u16::MAX).to_le_bytes());
    for made in made {
        bytes.extend(made.at_ms.to_le_bytes());
        put(bytes, &made.public);
    }
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    public: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<Made<T>>, Malformed> {
    let count = usize::from(reader.u16()?);
    if count == 0 || count > GENERATIONS_LIMIT {
        return Err(Malformed);
    }
    (0..count).map(|_| Ok(Made { at_ms: reader.u64()?, public: public(reader)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Public {
        let mut public = Public::first([[1; 32], [2; 32], [3; 32], [4; 32]], 5);
        public.rotate_signing(Signing::Log, [6; 32], 7).unwrap();
        public.rotate_store(8).unwrap();
        public
    }

    fn encoded(public: &Public) -> Vec<u8> {
        let mut bytes = Vec::new();
        public.encode(&mut bytes);
        bytes
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let bytes = encoded(&public());
        assert_eq!(bytes.len(), 5 * 2 + 5 * GENERATION_BYTES + 2 * SEALING_GENERATION_BYTES);
        assert_eq!(Public::decode(&bytes), Ok(public()));
    }

    #[test]
    fn the_latest_key_is_the_one_in_use_and_the_others_are_kept() {
        let log = Purpose::Signing(Signing::Log);
        let second = PublicKey { generation: 2, made_at_ms: 7, public: Some([6; 32]) };
        assert_eq!(public().current(log), second);
        let first = PublicKey { generation: 1, made_at_ms: 5, public: Some([2; 32]) };
        assert_eq!(public().history(log), [first, second]);
        assert_eq!(public().current(Purpose::Store), PublicKey { generation: 2, made_at_ms: 8, public: None });
    }

    #[test]
    fn every_shorter_or_longer_encoding_is_refused() {
        let bytes = encoded(&public());
        for length in 0..bytes.len() {
            assert_eq!(Public::decode(&bytes[..length]), Err(Malformed), "{length} bytes");
        }
        assert_eq!(Public::decode(&[&bytes[..], &[0]].concat()), Err(Malformed));
    }

    #[test]
    fn a_purpose_without_a_key_is_refused() {
        assert_eq!(Public::decode(&[0; 10]), Err(Malformed));
    }

    #[test]
    fn the_history_is_bounded() {
        let mut public = public();
        for _ in 2..GENERATIONS_LIMIT {
            public.rotate_store(9).unwrap();
        }
        assert_eq!(Public::decode(&encoded(&public)), Ok(public.clone()));
        assert!(public.rotate_store(9).is_err());
    }
}
