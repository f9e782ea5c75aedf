use ed25519_dalek::{Signature, VerifyingKey};

use super::*;

fn keyring() -> Keyring {
    Keyring::generate(1_000).unwrap()
}

fn word<T: std::fmt::Debug>(result: Result<T, Problem>) -> Word {
    result.unwrap_err().word()
}

#[test]
fn a_signature_is_ed25519_over_the_hash_for_its_purpose() {
    let keyring = keyring();
    for purpose in Signing::ALL {
        let public = keyring.public().current(Purpose::Signing(purpose)).public.unwrap();
        let digest = blake3::derive_key(&format!("latchkey 2026 signature: {}", purpose.name()), b"message");
        let signature = Signature::from_bytes(&keyring.sign(purpose, b"message"));
        VerifyingKey::from_bytes(&public).unwrap().verify_strict(&digest, &signature).unwrap();
    }
}

#[test]
fn a_signature_for_one_purpose_is_none_for_another_even_with_one_key() {
    let mut keyring = keyring();
    keyring.signing[Signing::Log.index()] = keyring.signing[Signing::Device.index()].clone();
    assert_ne!(keyring.sign(Signing::Log, b"message"), keyring.sign(Signing::Device, b"message"));
}

#[test]
fn every_purpose_has_a_key_of_its_own() {
    let secrets = keyring().secrets();
    let keys: std::collections::BTreeSet<&[u8]> = secrets.chunks(KEY_BYTES).collect();
    assert_eq!(keys.len(), 5);
}

#[test]
fn what_was_sealed_is_opened_until_the_rotation_after_the_next() {
    let mut keyring = keyring();
    let sealed = keyring.seal(b"secret", b"context").unwrap();
    let (secret, current) = keyring.unseal(&sealed, b"context").unwrap();
    assert_eq!((secret.as_slice(), current), (&b"secret"[..], true));

    keyring.rotate(Purpose::Store, 2_000).unwrap();
    let (secret, current) = keyring.unseal(&sealed, b"context").unwrap();
    assert_eq!((secret.as_slice(), current), (&b"secret"[..], false));
    let anew = keyring.seal(b"secret", b"context").unwrap();

    keyring.rotate(Purpose::Store, 3_000).unwrap();
    assert_eq!(word(keyring.unseal(&sealed, b"context")), Word::Damaged);
    assert!(!keyring.unseal(&anew, b"context").unwrap().1);
}

#[test]
fn another_context_node_or_byte_opens_nothing() {
    let keyring = keyring();
    let sealed = keyring.seal(b"secret", b"context").unwrap();
    assert_eq!(sealed.len(), 6 + SEALED_OVERHEAD_BYTES);
    assert_eq!(word(keyring.unseal(&sealed, b"contexT")), Word::Damaged);
    assert_eq!(word(Keyring::generate(1_000).unwrap().unseal(&sealed, b"context")), Word::Damaged);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 0x80;
        let expected = if at == 0 { Word::NotSupported } else { Word::Damaged };
        assert_eq!(word(keyring.unseal(&changed, b"context")), expected, "byte {at}");
        assert_eq!(word(keyring.unseal(&sealed[..at], b"context")), Word::Damaged, "length {at}");
    }
}

#[test]
fn a_context_cannot_be_moved_into_the_secret_or_out_of_it() {
    let keyring = keyring();
    let sealed = keyring.seal(b"", b"ab").unwrap();
    assert_eq!(word(keyring.unseal(&sealed, b"a")), Word::Damaged);
    assert_eq!(word(keyring.unseal(&sealed, b"")), Word::Damaged);
}

#[test]
fn rotating_one_key_leaves_the_others() {
    let mut keyring = keyring();
    let before = keyring.clone();
    let key = keyring.rotate(Purpose::Signing(Signing::Log), 2_000).unwrap();
    assert_eq!((key.generation, key.made_at_ms), (2, 2_000));
    assert_ne!(keyring.sign(Signing::Log, b""), before.sign(Signing::Log, b""));
    for other in [Signing::Device, Signing::Author, Signing::Commits] {
        assert_eq!(keyring.sign(other, b""), before.sign(other, b""));
    }
    assert_eq!(keyring.public().history(Purpose::Signing(Signing::Log)).len(), 2);
}

#[test]
fn it_is_made_again_of_its_parts_and_of_nothing_else() {
    for rotations in 0..3 {
        let mut keyring = keyring();
        for _ in 0..rotations {
            keyring.rotate(Purpose::Store, 2_000).unwrap();
        }
        let secrets = keyring.secrets();
        assert_eq!(secrets.len(), (5 + rotations.min(1)) * KEY_BYTES);
        let again = Keyring::from_parts(keyring.public().clone(), &secrets).unwrap();
        assert_eq!(again.secrets(), secrets);
        assert!(Keyring::from_parts(keyring.public().clone(), &secrets[1..]).is_none());
        assert!(Keyring::from_parts(keyring.public().clone(), &[&secrets[..], &[0]].concat()).is_none());
        assert!(Keyring::from_parts(self::keyring().public().clone(), &secrets).is_none());
    }
}

#[test]
fn nothing_secret_is_shown() {
    let keyring = keyring();
    let shown = format!("{keyring:?}");
    for secret in keyring.secrets().chunks(KEY_BYTES) {
        assert!(!shown.contains(&format!("{secret:?}")), "{shown}");
    }
}
