//! Files of format 1, as they were written once (`examples/vectors.rs`): they are opened for ever, and opened as well by who
//! knows nothing but the documentation.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use keys_service::envelope::{self, Kind};
use keys_service::keyring::Keyring;
use keys_service::lock::Lock;
use keys_service::purpose::{Purpose, Signing};

const NODE: &[u8] = include_bytes!("vectors/node");
const BACKUP: &[u8] = include_bytes!("vectors/backup");
const SEALED: &[u8] = include_bytes!("vectors/sealed");
/// The seeds of device, log, author and commits; the key that seals and the one before it.
const SECRETS: &[u8] = include_bytes!("vectors/secrets");
const PASSPHRASE: &[u8] = b"correct horse";

fn open(kind: Kind, bytes: &[u8]) -> Keyring {
    let envelope = envelope::read(kind, bytes).unwrap();
    let Lock::Passphrase(lock) = &envelope.lock else { panic!("another lock") };
    envelope.open(&lock.open(PASSPHRASE).unwrap()).unwrap()
}

#[test]
fn a_file_of_format_1_is_opened() {
    for (kind, bytes) in [(Kind::Node, NODE), (Kind::Backup, BACKUP)] {
        let keyring = open(kind, bytes);
        assert_eq!(keyring.secrets().as_slice(), SECRETS);
        let log = keyring.public().history(Purpose::Signing(Signing::Log));
        assert_eq!(log.iter().map(|key| key.made_at_ms).collect::<Vec<_>>(), [1_795_000_000_000, 1_795_000_001_000]);
        let (secret, current) = keyring.unseal(SEALED, b"context").unwrap();
        assert_eq!((secret.as_slice(), current), (&b"root key"[..], true));
    }
}

/// The next bytes, and what is left.
fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn number(bytes: &mut &[u8]) -> u32 {
    u32::from_le_bytes(take(bytes, 4).try_into().unwrap())
}

fn unseal(key: &[u8; 32], bound: &[u8], sealed: &[u8]) -> Vec<u8> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<24>().unwrap();
    let payload = Payload { msg: ciphertext, aad: bound };
    XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).unwrap()
}

#[test]
fn the_documentation_is_enough_to_open_a_backup() {
    let (covered, checksum) = BACKUP.split_at(BACKUP.len() - 32);
    assert_eq!(blake3::derive_key("latchkey 2026 keyring file checksum", covered), checksum);
    let mut rest = covered;
    assert_eq!(take(&mut rest, 8), b"ltchback");
    assert_eq!(take(&mut rest, 4), [1, 0, 1, 0], "format 1, a passphrase, 0");

    let length = number(&mut rest) as usize;
    let lock = take(&mut rest, length);
    let (mut parameters, wrapped) = lock.split_at(60);
    let bound = parameters;
    let [memory, passes, lanes] = [(); 3].map(|()| number(&mut parameters));
    let salt = take(&mut parameters, 16);
    let mut stretched = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, passes, lanes, Some(32)).unwrap())
        .hash_password_into(PASSPHRASE, salt, &mut stretched)
        .unwrap();
    assert_eq!(blake3::derive_key("latchkey 2026 keyring passphrase check", &stretched), parameters);
    let wrapping = blake3::derive_key("latchkey 2026 keyring passphrase wrap", &stretched);
    let file_key: [u8; 32] = unseal(&wrapping, bound, wrapped).try_into().unwrap();

    let length = number(&mut rest) as usize;
    let mut public = take(&mut rest, length);
    let bound = &covered[..covered.len() - rest.len()];
    let length = number(&mut rest) as usize;
    assert_eq!(rest.len(), length);
    let secrets = unseal(&file_key, bound, rest);
    assert_eq!(secrets, SECRETS);

    // The public key in use is that of the seed.
    for seed in secrets.chunks(32).take(4) {
        let count = u16::from_le_bytes(take(&mut public, 2).try_into().unwrap());
        let generations: Vec<_> = (0..count).map(|_| take(&mut public, 40)).collect();
        let key = ed25519_dalek::SigningKey::from_bytes(seed.try_into().unwrap());
        assert_eq!(generations.last().unwrap()[8..], key.verifying_key().to_bytes());
    }
    assert_eq!(take(&mut public, 2), [2, 0]);
    assert_eq!(public.len(), 2 * 8);

    // And what was sealed for the store is opened by the key in use.
    let key = blake3::derive_key("latchkey 2026 sealing: store", &secrets[128..160]);
    let (head, sealed) = SEALED.split_at(5);
    assert_eq!(head, [1, 2, 0, 0, 0], "format 1, key 2");
    assert_eq!(unseal(&key, &[head, b"context"].concat(), sealed), b"root key");
}
