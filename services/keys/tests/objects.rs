//! The objects of `keys.capnp` over a link: what they do, whom they are for, and what they refuse.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::*;
use keys_service::limits::{
    CONTEXT_LIMIT_BYTES, FILE_LIMIT_BYTES, MESSAGE_LIMIT_BYTES, PASSPHRASE_LIMIT_BYTES, SECRET_LIMIT_BYTES,
};
use keys_service::problem::Word;
use schema::keys_capnp::{Protection, Purpose, keyring, signer, unsealer};
use vat::Peer;

const SIGNING: [(&str, Purpose); 4] =
    [("device", Purpose::Device), ("log", Purpose::Log), ("author", Purpose::Author), ("commits", Purpose::Commits)];

#[test]
fn each_signer_signs_for_its_own_purpose() {
    with(async |keys| {
        let keyring = operator(keys);
        create(&keyring, b"right").await.unwrap();
        let status = status(&keyring).await;
        for (name, purpose) in SIGNING {
            let signer = signer(keys, name);
            let (public, generation) = public_key(&signer).await.unwrap();
            assert_eq!(generation, 1);
            assert!(status.keys.iter().any(|key| key.purpose == purpose && key.public == public), "{status:?}");
            let signature = sign(&signer, b"message").await.unwrap();
            for (other, _) in SIGNING {
                assert_eq!(verify(other, b"message", &public, &signature), other == name, "{name} as {other}");
            }
        }
    });
}

#[test]
fn a_node_tells_of_its_keys() {
    with(async |keys| {
        let keyring = operator(keys);
        let none = status(&keyring).await;
        assert_eq!((none.protection, none.unlocked, none.keys.len()), (Protection::None, false, 0));
        create(&keyring, b"right").await.unwrap();
        lock(&keyring).await.unwrap();
        let locked = status(&keyring).await;
        assert_eq!((locked.protection, locked.unlocked), (Protection::Passphrase, false));
        assert_eq!(locked.trouble, "");
        assert!(locked.tpm.contains("given no TPM"), "{}", locked.tpm);
        let purposes: Vec<_> = locked.keys.iter().map(|key| (key.purpose as u16, key.public.len())).collect();
        assert_eq!(purposes, [(0, 32), (1, 32), (2, 32), (3, 32), (4, 0)]);
        assert!(locked.keys.iter().all(|key| key.generation == 1 && key.made_at_ms > 1_600_000_000_000));
    });
}

#[test]
fn every_signer_at_once_works_with_what_is_true_now() {
    with(async |keys| {
        let (keyring, signer, unsealer) = (operator(keys), signer(keys, "log"), unsealer(keys));
        assert_eq!(word(sign(&signer, b"").await), Word::None);
        create(&keyring, b"right").await.unwrap();
        let first = public_key(&signer).await.unwrap();
        lock(&keyring).await.unwrap();
        assert_eq!(word(sign(&signer, b"").await), Word::Locked);
        assert_eq!(word(public_key(&signer).await), Word::Locked);
        assert_eq!(word(seal(&unsealer, b"", b"").await), Word::Locked);
        assert_eq!(word(unlock(&keyring, b"wrong").await), Word::WrongPassphrase);
        unlock(&keyring, b"right").await.unwrap();
        assert_eq!(public_key(&signer).await.unwrap(), first);
        assert_eq!(rotate(&keyring, Purpose::Log).await.unwrap(), 2);
        let second = public_key(&signer).await.unwrap();
        assert!(second.1 == 2 && second.0 != first.0);
        assert!(verify("log", b"message", &second.0, &sign(&signer, b"message").await.unwrap()));
        let history = history(&keyring, Purpose::Log).await.unwrap();
        assert_eq!(history.iter().map(|key| &key.public).collect::<Vec<_>>(), [&first.0, &second.0]);
    });
}

#[test]
fn secrets_of_the_store_are_opened_until_the_rotation_after_the_next() {
    with(async |keys| {
        let (keyring, unsealer) = (operator(keys), unsealer(keys));
        create(&keyring, b"right").await.unwrap();
        let sealed = seal(&unsealer, b"secret", b"context").await.unwrap();
        assert_eq!(unseal(&unsealer, &sealed, b"context").await.unwrap(), (b"secret".to_vec(), true));
        assert_eq!(word(unseal(&unsealer, &sealed, b"other").await), Word::Damaged);
        rotate(&keyring, Purpose::Store).await.unwrap();
        assert_eq!(unseal(&unsealer, &sealed, b"context").await.unwrap(), (b"secret".to_vec(), false));
        assert_eq!(word(rotate(&keyring, Purpose::Store).await), Word::BadInput, "it is still needed");
        let anew = seal(&unsealer, b"secret", b"context").await.unwrap();
        assert_eq!(unseal(&unsealer, &anew, b"context").await.unwrap(), (b"secret".to_vec(), true));
        rotate(&keyring, Purpose::Store).await.unwrap();
        assert!(!unseal(&unsealer, &anew, b"context").await.unwrap().1);
        assert_eq!(word(unseal(&unsealer, &sealed, b"context").await), Word::Damaged);
    });
}

#[test]
fn a_backup_brings_the_keys_to_another_node() {
    with(async |keys| {
        let keyring = operator(keys);
        create(&keyring, b"right").await.unwrap();
        let backup = backup(&keyring, b"backup").await.unwrap();
        with_another(async |other| {
            let (elsewhere, signer) = (operator(other), signer(other, "device"));
            assert_eq!(word(restore(&elsewhere, &backup, b"wrong", b"new").await), Word::WrongPassphrase);
            assert_eq!(word(restore(&elsewhere, &backup[1..], b"backup", b"new").await), Word::Damaged);
            restore(&elsewhere, &backup, b"backup", b"new").await.unwrap();
            assert_eq!(status(&elsewhere).await.keys, status(&keyring).await.keys);
            sign(&signer, b"").await.unwrap();
            assert_eq!(word(restore(&elsewhere, &backup, b"backup", b"new").await), Word::Exists);
        })
        .await;
    });
}

async fn with_another<F: AsyncFnOnce(&keys_service::serve::Keys)>(test: F) {
    let folder = tempfile::tempdir().unwrap();
    test(&node(folder.path())).await;
}

#[test]
fn the_keyring_is_for_operators_only() {
    with(async |keys| {
        for peer in [Peer::App, Peer::Service, Peer::Powerbox] {
            let keyring: keyring::Client = connect(keys, &badge::<keyring::Client>("keyring", peer)).root;
            assert_eq!(word(create(&keyring, b"right").await), Word::BadInput, "{peer:?}");
        }
        assert_eq!(status(&operator(keys)).await.protection, Protection::None);
    });
}

#[test]
fn a_badge_names_an_object_and_its_interface() {
    with(async |keys| {
        create(&operator(keys), b"right").await.unwrap();
        for object in ["", "Device", "device ", "keys", "store"] {
            let signer: signer::Client = connect(keys, &badge::<signer::Client>(object, Peer::Service)).root;
            assert_eq!(word(sign(&signer, b"").await), Word::BadInput, "{object:?}");
        }
        for object in ["keyring", "device"] {
            let unsealer: unsealer::Client = connect(keys, &badge::<unsealer::Client>(object, Peer::Shell)).root;
            assert_eq!(word(seal(&unsealer, b"", b"").await), Word::BadInput, "{object:?}");
        }
        let keyring: keyring::Client = connect(keys, &badge::<keyring::Client>("device", Peer::Shell)).root;
        assert_eq!(word(lock(&keyring).await), Word::BadInput);
    });
}

#[test]
fn what_is_longer_than_the_contract_says_is_refused_and_no_less() {
    with(async |keys| {
        let (keyring, signer, unsealer) = (operator(keys), signer(keys, "log"), unsealer(keys));
        for length in [0, PASSPHRASE_LIMIT_BYTES + 1] {
            assert_eq!(word(create(&keyring, &vec![b'x'; length]).await), Word::BadInput);
        }
        create(&keyring, &[b'x'; PASSPHRASE_LIMIT_BYTES]).await.unwrap();
        assert_eq!(word(unlock(&keyring, b"").await), Word::BadInput);
        assert_eq!(word(backup(&keyring, b"").await), Word::BadInput);

        sign(&signer, &[7; MESSAGE_LIMIT_BYTES]).await.unwrap();
        assert_eq!(word(sign(&signer, &[7; MESSAGE_LIMIT_BYTES + 1]).await), Word::BadInput);

        let (secret, context) = ([7; SECRET_LIMIT_BYTES], [8; CONTEXT_LIMIT_BYTES]);
        let sealed = seal(&unsealer, &secret, &context).await.unwrap();
        assert_eq!(unseal(&unsealer, &sealed, &context).await.unwrap().0, secret);
        assert_eq!(word(seal(&unsealer, &[7; SECRET_LIMIT_BYTES + 1], b"").await), Word::BadInput);
        assert_eq!(word(seal(&unsealer, b"", &[7; CONTEXT_LIMIT_BYTES + 1]).await), Word::BadInput);
        let longer = [&sealed[..], &[0]].concat();
        assert_eq!(word(unseal(&unsealer, &longer, &context).await), Word::BadInput);

        with_another(async |other| {
            let elsewhere = operator(other);
            let long = vec![0; FILE_LIMIT_BYTES + 1];
            assert_eq!(word(restore(&elsewhere, &long, b"x", b"x").await), Word::BadInput);
            assert_eq!(word(restore(&elsewhere, &long[1..], b"x", b"x").await), Word::Damaged);
        })
        .await;
    });
}

#[test]
fn a_protection_that_cannot_be_is_refused() {
    with(async |keys| {
        let keyring = operator(keys);
        assert_eq!(word(protected_create(&keyring, Protection::None, b"x").await), Word::BadInput);
        assert_eq!(word(protected_create(&keyring, Protection::Tpm, b"x").await), Word::BadInput);
        assert_eq!(word(protected_create(&keyring, Protection::Tpm, b"").await), Word::NotSupported);
        create(&keyring, b"right").await.unwrap();
        assert_eq!(word(protect(&keyring, Protection::Tpm, b"").await), Word::NotSupported);
        assert_eq!(word(protect(&keyring, Protection::Passphrase, b"").await), Word::BadInput);
        protect(&keyring, Protection::Passphrase, b"new").await.unwrap();
        assert_eq!(word(unlock(&keyring, b"right").await), Word::WrongPassphrase);
        unlock(&keyring, b"new").await.unwrap();
    });
}

#[test]
fn what_is_slow_holds_up_nobody_and_a_lock_does_not_wait_for_it() {
    with_gate(async |keys, gate| {
        let (keyring, signer) = (operator(keys), signer(keys, "log"));
        create(&keyring, b"right").await.unwrap();
        let first = public_key(&signer).await.unwrap();
        let (is_there, open) = gate.close();
        let mut request = keyring.rotate_request();
        request.get().set_purpose(Purpose::Log);
        let mut rotating = request.send().promise;
        let mut request = keyring.unlock_request();
        request.get().set_passphrase(b"right");
        let mut unlocking = request.send().promise;
        is_there.await.unwrap();
        assert_eq!(public_key(&signer).await.unwrap(), first, "the new key is used when it is on the disk");
        sign(&signer, b"message").await.unwrap();
        lock(&keyring).await.unwrap();
        assert_eq!(word(sign(&signer, b"").await), Word::Locked);
        assert!(futures::poll!(&mut rotating).is_pending() && futures::poll!(&mut unlocking).is_pending());
        drop(open);
        rotating.await.unwrap();
        assert_eq!(word(unlocking.await), Word::Locked, "the lock came later than this");
        assert!(!status(&keyring).await.unlocked);
        unlock(&keyring, b"right").await.unwrap();
        assert_eq!(public_key(&signer).await.unwrap().1, 2);
    });
}

#[test]
fn who_uses_a_key_waits_for_the_start_and_who_looks_does_not() {
    with_slow_start(async |keys, let_go| {
        let (keyring, signer) = (operator(keys), signer(keys, "log"));
        let mut signing = signer.sign_request().send().promise;
        let mut creating = Box::pin(create(&keyring, b"right"));
        assert!(futures::poll!(&mut creating).is_pending());
        assert_eq!(status(&keyring).await.tpm, "it has not answered yet");
        lock(&keyring).await.unwrap();
        assert!(futures::poll!(&mut signing).is_pending() && futures::poll!(&mut creating).is_pending());
        drop(let_go);
        assert_eq!(word(signing.await), Word::None);
        creating.await.unwrap();
        let after = status(&keyring).await;
        assert_eq!((after.protection, after.unlocked), (Protection::Passphrase, false), "the lock came later");
    });
}

#[test]
fn work_of_a_link_that_was_cut_does_not_begin() {
    with_gate(async |keys, gate| {
        let keyring = operator(keys);
        create(&keyring, b"right").await.unwrap();
        let (is_there, open) = gate.close();
        let mut request = keyring.rotate_request();
        request.get().set_purpose(Purpose::Log);
        let working = request.send().promise;
        is_there.await.unwrap();
        let other = connect::<keyring::Client>(keys, &badge::<keyring::Client>("keyring", Peer::Shell));
        let mut request = other.root.rotate_request();
        request.get().set_purpose(Purpose::Log);
        let waiting = request.send().promise;
        // Whatever is behind it on its link has been answered, so it has come.
        status(&other.root).await;
        other.cutter.cut();
        other.ended.await.unwrap();
        assert_eq!(waiting.await.err().unwrap().kind, capnp::ErrorKind::Disconnected);
        drop(open);
        working.await.unwrap();
        // Whatever waited would have had its turn before this.
        assert_eq!(rotate(&keyring, Purpose::Log).await.unwrap(), 3);
    });
}

#[test]
fn operators_that_change_keys_at_once_change_them_in_turn() {
    with(async |keys| {
        let keyring = operator(keys);
        create(&keyring, b"right").await.unwrap();
        let others: Vec<_> = (0..8).map(|_| operator(keys)).collect();
        let rotated = futures::future::join_all(others.iter().map(|other| rotate(other, Purpose::Author))).await;
        let mut generations: Vec<u32> = rotated.into_iter().map(Result::unwrap).collect();
        generations.sort_unstable();
        assert_eq!(generations, (2..10).collect::<Vec<_>>());
        assert_eq!(history(&keyring, Purpose::Author).await.unwrap().len(), 9);
    });
}
