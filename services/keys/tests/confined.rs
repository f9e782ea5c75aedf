//! The real process under its real profile: born with a door and a folder of its own, it does all that it should.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "../../../kernel/vat/tests/common/mutate.rs"]
mod mutate;
#[path = "common/process.rs"]
mod process;

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use common::*;
use keys_service::passphrase::Cost;
use keys_service::problem::Word;
use keys_service::whole::{BESIDE, FILE};
use mutate::Mutator;
use process::{OWNER, Process, is_root, state_folder};
use schema::keys_capnp::{Protection, Purpose, keyring, signer, unsealer};
use vat::Peer;
use vat::door::{Resource, ResourceKind};

#[test]
fn everything_works_inside_the_confinement() {
    let folder = state_folder();
    let mut process = Process::start(folder.path());
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        let signer: signer::Client = process.connect("commits", Peer::Service);
        let unsealer: unsealer::Client = process.connect("store", Peer::Service);
        assert_eq!(word(sign(&signer, b"").await), Word::None);
        create(&keyring, b"right").await.unwrap();
        let (public, _) = public_key(&signer).await.unwrap();
        assert!(verify("commits", b"message", &public, &sign(&signer, b"message").await.unwrap()));
        let sealed = seal(&unsealer, b"secret", b"context").await.unwrap();
        rotate(&keyring, Purpose::Store).await.unwrap();
        assert_eq!(unseal(&unsealer, &sealed, b"context").await.unwrap(), (b"secret".to_vec(), false));
        rotate(&keyring, Purpose::Log).await.unwrap();
        protect(&keyring, Protection::Passphrase, b"new").await.unwrap();
        lock(&keyring).await.unwrap();
        assert_eq!(word(unlock(&keyring, b"right").await), Word::WrongPassphrase);
        unlock(&keyring, b"new").await.unwrap();
        let backup = backup(&keyring, b"backup").await.unwrap();
        assert_eq!(word(restore(&keyring, &backup, b"backup", b"x").await), Word::Exists);
        assert_eq!(history(&keyring, Purpose::Log).await.unwrap().len(), 2);
        assert!(status(&keyring).await.unlocked);

        let elsewhere = state_folder();
        let mut other = Process::start(elsewhere.path());
        let restored: keyring::Client = other.connect("keyring", Peer::Shell);
        restore(&restored, &backup, b"backup", b"other").await.unwrap();
        assert_eq!(status(&restored).await.keys, status(&keyring).await.keys);
        other.stop();
    })
    .unwrap();
    process.stop();
    let file = folder.path().join(FILE).metadata().unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    if is_root() {
        assert_eq!(file.uid(), OWNER);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_process_that_is_started_again_is_locked_and_has_the_same_keys() {
    let folder = state_folder();
    let mut process = Process::start(folder.path());
    let (mut signature, mut sealed) = (Vec::new(), Vec::new());
    vat::native::run(async {
        create(&process.connect("keyring", Peer::Shell), b"right").await.unwrap();
        signature = sign(&process.connect("device", Peer::Service), b"message").await.unwrap();
        sealed = seal(&process.connect("store", Peer::Service), b"secret", b"").await.unwrap();
    })
    .unwrap();
    process.kill();
    // As one that was killed while it wrote leaves it.
    std::fs::write(folder.path().join(BESIDE), b"torn").unwrap();

    let mut process = Process::start(folder.path());
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        let signer: signer::Client = process.connect("device", Peer::Service);
        let unsealer: unsealer::Client = process.connect("store", Peer::Service);
        assert_eq!(word(sign(&signer, b"message").await), Word::Locked);
        assert_eq!(status(&keyring).await.keys.len(), 5);
        assert_eq!(word(unlock(&keyring, b"wrong").await), Word::WrongPassphrase);
        unlock(&keyring, b"right").await.unwrap();
        assert_eq!(sign(&signer, b"message").await.unwrap(), signature);
        assert_eq!(unseal(&unsealer, &sealed, b"").await.unwrap().0, b"secret");
    })
    .unwrap();
    assert!(!folder.path().join(BESIDE).exists());
    process.stop();
}

#[test]
fn a_rotation_that_was_acknowledged_outlives_a_kill_at_any_moment() {
    const KILLS: usize = 6;
    let folder = state_folder();
    let mut mutator = Mutator::new();
    let mut known: Vec<Key> = Vec::new();
    for kill in 0..KILLS {
        let mut process = Process::start(folder.path());
        vat::native::run(async {
            let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
            if kill == 0 {
                create(&keyring, b"right").await.unwrap();
            } else {
                unlock(&keyring, b"right").await.unwrap();
            }
            let found = history(&keyring, Purpose::Log).await.unwrap();
            assert!(found.starts_with(&known), "what was acknowledged is there");
            let signer: signer::Client = process.connect("log", Peer::Service);
            let signature = sign(&signer, b"message").await.unwrap();
            assert!(verify("log", b"message", &found.last().unwrap().public, &signature), "and it is what signs");
            // Some are acknowledged, and others under way when it is killed.
            let (acknowledged, under_way) = (mutator.below(4), 1 + mutator.below(4));
            for _ in 0..acknowledged {
                rotate(&keyring, Purpose::Log).await.unwrap();
            }
            known = history(&keyring, Purpose::Log).await.unwrap();
            assert_eq!(known.len(), found.len() + acknowledged);
            let mut rotating: Vec<_> = (0..under_way).map(|_| Box::pin(rotate(&keyring, Purpose::Log))).collect();
            for rotating in &mut rotating {
                assert!(futures::poll!(rotating).is_pending());
            }
            // The next answer on another link says that it has come so far.
            status(&process.connect("keyring", Peer::Shell)).await;
            process.kill();
        })
        .unwrap();
    }
}

#[test]
fn an_app_that_is_linked_to_the_keyring_by_mistake_gets_nothing() {
    let folder = state_folder();
    let mut process = Process::start(folder.path());
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::App);
        assert_eq!(word(create(&keyring, b"right").await), Word::BadInput);
    })
    .unwrap();
    process.stop();
    assert!(!folder.path().join(FILE).exists());
}

/// What a node should give it: the usual cost of a passphrase, and half as much for all else.
const ENOUGH_KIB: u64 = Cost::USUAL.memory_kib as u64 * 3 / 2;

#[test]
fn a_passphrase_takes_no_more_memory_than_a_node_gives() {
    let folder = state_folder();
    let mut process = Process::start_within(folder.path(), ENOUGH_KIB);
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        create(&keyring, b"right").await.unwrap();
        // One at a time, however many ask.
        let asking: Vec<_> = (0..4).map(|_| unlock(&keyring, b"right")).collect();
        assert!(futures::future::join_all(asking).await.iter().all(Result::is_ok));
    })
    .unwrap();
    process.stop();
}

#[test]
fn where_memory_is_short_a_call_fails_and_the_process_goes_on() {
    let folder = state_folder();
    let mut process = Process::start_within(folder.path(), Cost::USUAL.memory_kib.into());
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        assert_eq!(word(create(&keyring, b"right").await), Word::Io);
        assert_eq!(status(&keyring).await.protection, Protection::None);
    })
    .unwrap();
    process.stop();
}

#[test]
fn a_process_without_its_folder_says_so_and_exits() {
    let word = Process::last_word(&[]);
    assert!(word.contains("state"), "{word}");
}

#[test]
fn a_process_whose_folder_another_has_says_so_and_exits() {
    let folder = state_folder();
    let process = Process::start(folder.path());
    let state = (Resource::new(ResourceKind::Folder, "state"), File::open(folder.path()).unwrap());
    let word = Process::last_word(&[state]);
    assert!(word.contains("another process has this folder"), "{word}");
    process.stop();
}
