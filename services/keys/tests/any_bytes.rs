//! Bytes as somebody hostile writes them into the file or hands them in as a backup: random ones, and good ones changed at
//! random. Nothing of them is taken for keys, and nothing panics. The seed is printed, and set by `LATCH_SEED`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../../../kernel/vat/tests/common/mutate.rs"]
mod mutate;

use keys_service::envelope::{self, CHECKSUM_CONTEXT, Kind};
use keys_service::keyring::Keyring;
use keys_service::lock::Lock;
use keys_service::passphrase::{Cost, PassphraseLock};
use keys_service::problem::Word;
use keys_service::public::Public;
use keys_service::purpose::{Purpose, Signing};
use keys_service::secret::Key;
use keys_service::tpm::TpmLock;
use mutate::Mutator;

const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
const ROUNDS: usize = 20_000;

fn keyring(rotations: usize) -> Keyring {
    let mut keyring = Keyring::generate(1_000).unwrap();
    for _ in 0..rotations {
        keyring.rotate(Purpose::Store, 2_000).unwrap();
        keyring.rotate(Purpose::Signing(Signing::Log), 2_000).unwrap();
    }
    keyring
}

fn good(kind: Kind) -> Vec<Vec<u8>> {
    let file = |rotations| {
        let file_key = Key::random().unwrap();
        let lock = Lock::Passphrase(PassphraseLock::make(b"right", CHEAP, &file_key).unwrap());
        envelope::write(kind, &lock, &file_key, &keyring(rotations)).unwrap()
    };
    vec![file(0), file(1), file(5)]
}

/// As somebody does it who changes it on purpose.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(covered) = bytes.len().checked_sub(32) {
        let checksum = blake3::derive_key(CHECKSUM_CONTEXT, &bytes[..covered]);
        bytes[covered..].copy_from_slice(&checksum);
    }
    bytes
}

#[test]
fn changed_files_are_no_keys() {
    let mut mutator = Mutator::new();
    let (mut read, mut opened) = (0, 0);
    for kind in [Kind::Node, Kind::Backup] {
        let good = good(kind);
        for _ in 0..ROUNDS {
            let bytes = with_checksum(mutator.change(&good));
            let envelope = match envelope::read(kind, &bytes) {
                Ok(envelope) => envelope,
                Err(problem) => {
                    assert!([Word::Damaged, Word::NotSupported].contains(&problem.word()), "{problem}");
                    continue;
                }
            };
            read += 1;
            let Lock::Passphrase(lock) = &envelope.lock else { continue };
            // What asks for much work is tested by its limits; here it would only take long.
            let mut parameters = Vec::new();
            lock.encode(&mut parameters);
            if parameters[..12] != [8, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0] {
                continue;
            }
            match lock.open(b"right").and_then(|key| envelope.open(&key)) {
                Ok(_) => {
                    assert!(good.contains(&bytes), "changed and yet opened");
                    opened += 1;
                }
                Err(problem) => {
                    assert!([Word::Damaged, Word::WrongPassphrase].contains(&problem.word()), "{problem}");
                }
            }
        }
    }
    println!("{read} of {} could be read, {opened} were as they had been", 2 * ROUNDS);
    assert!(read > ROUNDS / 100, "changes so rough that nothing behind the first look is reached");
}

#[test]
fn random_bytes_are_nothing() {
    let mut mutator = Mutator::new();
    for _ in 0..ROUNDS {
        let length = mutator.below(400);
        let mut bytes: Vec<u8> = (0..length).map(|_| mutator.below(256) as u8).collect();
        assert!(TpmLock::decode(&bytes).is_err() && PassphraseLock::decode(&bytes).is_err());
        // Small counts now and then, so that lists are begun.
        if mutator.below(2) == 0 {
            bytes.splice(..bytes.len().min(2), [1, 0]);
        }
        assert!(Public::decode(&bytes).is_err());
        let keyring = keyring(0);
        assert_eq!(keyring.unseal(&bytes, b"").unwrap_err().word(), word_of_sealed(&bytes));
        bytes.splice(..bytes.len().min(10), *b"latchkey\x01\x00");
        assert_eq!(envelope::read(Kind::Node, &with_checksum(bytes)).unwrap_err().word(), Word::Damaged);
    }
}

/// What is sealed says its format first.
fn word_of_sealed(bytes: &[u8]) -> Word {
    if bytes.len() >= 5 && bytes[0] != 1 { Word::NotSupported } else { Word::Damaged }
}
