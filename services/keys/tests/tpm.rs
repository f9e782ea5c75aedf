//! Keys in a TPM: a real one in software (`swtpm`), which the test starts and ends, and the real process, confined, that is
//! given a connection to it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/process.rs"]
mod process;
#[path = "common/swtpm.rs"]
mod swtpm;

use std::os::fd::OwnedFd;
use std::path::Path;

use common::*;
use keys_service::problem::Word;
use keys_service::secret::Key;
use keys_service::tpm::{Tpm, TpmLock};
use keys_service::whole::{ASIDE, FILE};
use process::{Process, state_folder};
use schema::keys_capnp::{Protection, keyring, signer};
use swtpm::{Machine, Running, can_run};
use vat::Peer;
use vat::door::{Resource, ResourceKind};

/// The keys service on that machine.
fn service(folder: &Path, running: &Running) -> Process {
    Process::start_with(folder, vec![resource(running)])
}

fn resource(running: &Running) -> (Resource, OwnedFd) {
    (Resource::new(ResourceKind::File, "tpm"), running.connection().try_clone_to_owned().unwrap())
}

#[test]
fn keys_in_a_tpm_are_unlocked_by_themselves_at_each_start() {
    if !can_run("keys_in_a_tpm_are_unlocked_by_themselves_at_each_start") {
        return;
    }
    let (machine, folder) = (Machine::new(), state_folder());
    let running = machine.start();
    let mut process = service(folder.path(), &running);
    let mut signature = Vec::new();
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        let signer: signer::Client = process.connect("log", Peer::Service);
        assert_eq!(word(protected_create(&keyring, Protection::Tpm, b"x").await), Word::BadInput);
        protected_create(&keyring, Protection::Tpm, b"").await.unwrap();
        signature = sign(&signer, b"message").await.unwrap();
        let told = status(&keyring).await;
        assert_eq!((told.protection, told.unlocked, &told.trouble[..]), (Protection::Tpm, true, ""));
        assert!(told.tpm.starts_with("TPM 2.0 by IBM"), "{}", told.tpm);
        lock(&keyring).await.unwrap();
        assert_eq!(word(sign(&signer, b"message").await), Word::Locked);
        assert_eq!(word(unlock(&keyring, b"x").await), Word::BadInput);
        unlock(&keyring, b"").await.unwrap();
        assert_eq!(sign(&signer, b"message").await.unwrap(), signature);
    })
    .unwrap();
    process.kill();
    for _ in 0..2 {
        // The service alone, as after a fault, then with the machine.
        let mut process = service(folder.path(), &running);
        vat::native::run(async {
            let signer: signer::Client = process.connect("log", Peer::Service);
            assert_eq!(sign(&signer, b"message").await.unwrap(), signature);
        })
        .unwrap();
        process.stop();
    }
    drop(running);
    let running = machine.start();
    let mut process = service(folder.path(), &running);
    vat::native::run(async {
        let signer: signer::Client = process.connect("log", Peer::Service);
        assert_eq!(sign(&signer, b"message").await.unwrap(), signature);
    })
    .unwrap();
    process.stop();
}

#[test]
fn another_tpm_or_a_cleared_one_is_said_and_the_right_one_opens_again() {
    if !can_run("another_tpm_or_a_cleared_one_is_said_and_the_right_one_opens_again") {
        return;
    }
    let (machine, other, folder) = (Machine::new(), Machine::new(), state_folder());
    let (mut signature, mut saved) = (Vec::new(), Vec::new());
    {
        let running = machine.start();
        let mut process = service(folder.path(), &running);
        vat::native::run(async {
            let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
            protected_create(&keyring, Protection::Tpm, b"").await.unwrap();
            signature = sign(&process.connect("log", Peer::Service), b"message").await.unwrap();
            saved = backup(&keyring, b"backup").await.unwrap();
        })
        .unwrap();
        process.stop();
    }
    let is_gone = |running: Option<&Running>| {
        let resources = running.map(resource).into_iter().collect();
        let mut process = Process::start_with(folder.path(), resources);
        vat::native::run(async {
            let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
            let signer: signer::Client = process.connect("log", Peer::Service);
            assert_eq!(word(sign(&signer, b"message").await), Word::ProtectionGone);
            let told = status(&keyring).await;
            assert_eq!((told.protection, told.unlocked, told.keys.len()), (Protection::Tpm, false, 5));
            assert!(
                told.trouble.starts_with("protectionGone: ") && told.trouble.contains("backup"),
                "{}",
                told.trouble
            );
            assert_eq!(word(unlock(&keyring, b"").await), Word::ProtectionGone);
            assert_eq!(word(protected_create(&keyring, Protection::Tpm, b"").await), Word::Exists);
        })
        .unwrap();
        process.stop();
    };
    is_gone(None);
    is_gone(Some(&other.start()));
    {
        let running = machine.start();
        let mut process = service(folder.path(), &running);
        vat::native::run(async {
            let signer: signer::Client = process.connect("log", Peer::Service);
            assert_eq!(sign(&signer, b"message").await.unwrap(), signature, "back in its machine");
        })
        .unwrap();
        process.stop();
    }
    machine.clear();
    let running = machine.start();
    is_gone(Some(&running));
    // A backup takes the place of what is gone, and what is gone is kept.
    let mut process = service(folder.path(), &running);
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        let mut request = keyring.restore_request();
        request.get().set_backup(&saved);
        request.get().set_backup_passphrase(b"backup");
        request.get().set_protection(Protection::Tpm);
        request.send().promise.await.unwrap();
        let signer: signer::Client = process.connect("log", Peer::Service);
        assert_eq!(sign(&signer, b"message").await.unwrap(), signature);
    })
    .unwrap();
    process.stop();
    assert!(folder.path().join(format!("{ASIDE}.1")).exists() && folder.path().join(FILE).exists());
}

#[test]
fn keys_go_from_a_passphrase_into_a_tpm_and_back() {
    if !can_run("keys_go_from_a_passphrase_into_a_tpm_and_back") {
        return;
    }
    let (machine, folder) = (Machine::new(), state_folder());
    let running = machine.start();
    let mut process = service(folder.path(), &running);
    let mut signature = Vec::new();
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        create(&keyring, b"right").await.unwrap();
        signature = sign(&process.connect("log", Peer::Service), b"message").await.unwrap();
        protect(&keyring, Protection::Tpm, b"").await.unwrap();
        assert_eq!(word(unlock(&keyring, b"right").await), Word::BadInput);
        protect(&keyring, Protection::Passphrase, b"new").await.unwrap();
        protect(&keyring, Protection::Tpm, b"").await.unwrap();
    })
    .unwrap();
    process.kill();
    let mut process = service(folder.path(), &running);
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        let signer: signer::Client = process.connect("log", Peer::Service);
        assert_eq!(sign(&signer, b"message").await.unwrap(), signature);
        protect(&keyring, Protection::Passphrase, b"last").await.unwrap();
        lock(&keyring).await.unwrap();
        unlock(&keyring, b"last").await.unwrap();
        assert_eq!(sign(&signer, b"message").await.unwrap(), signature);
    })
    .unwrap();
    process.stop();
}

#[test]
fn a_tpm_that_goes_away_takes_nothing_along_that_is_unlocked() {
    if !can_run("a_tpm_that_goes_away_takes_nothing_along_that_is_unlocked") {
        return;
    }
    let (machine, folder) = (Machine::new(), state_folder());
    let running = machine.start();
    let mut process = service(folder.path(), &running);
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        let signer: signer::Client = process.connect("log", Peer::Service);
        protected_create(&keyring, Protection::Tpm, b"").await.unwrap();
        drop(running);
        assert_eq!(word(protect(&keyring, Protection::Tpm, b"").await), Word::Io);
        sign(&signer, b"message").await.unwrap();
        lock(&keyring).await.unwrap();
        assert_eq!(word(unlock(&keyring, b"").await), Word::Io);
        assert_eq!(word(sign(&signer, b"message").await), Word::Io, "locked, and why it stays so");
    })
    .unwrap();
    process.stop();
    let running = machine.start();
    let mut process = service(folder.path(), &running);
    vat::native::run(async {
        sign(&process.connect("log", Peer::Service), b"message").await.unwrap();
    })
    .unwrap();
    process.stop();
}

#[test]
fn nothing_is_left_in_the_tpm_and_no_changed_object_is_opened() {
    if !can_run("nothing_is_left_in_the_tpm_and_no_changed_object_is_opened") {
        return;
    }
    let machine = Machine::new();
    let running = machine.start();
    let mut tpm = running.tpm();
    let key = Key::random().unwrap();
    let lock = tpm.seal(&key).unwrap();
    // It has room for three objects at once.
    for _ in 0..4 {
        assert_eq!(tpm.open(&lock).unwrap().as_bytes(), key.as_bytes());
    }
    let (public, private) = (lock.public(), lock.private());
    for at in 0..public.len() + private.len() {
        let (mut public, mut private) = (public.to_vec(), private.to_vec());
        match at.checked_sub(public.len()) {
            None => public[at] ^= 1,
            Some(at) => private[at] ^= 1,
        }
        let changed = TpmLock::new(public, private).unwrap();
        let word = tpm.open(&changed).unwrap_err().word();
        assert!([Word::ProtectionGone, Word::Damaged].contains(&word), "byte {at}: {word:?}");
    }
    assert_eq!(tpm.open(&lock).unwrap().as_bytes(), key.as_bytes());
    assert_eq!(machine_word(&Machine::new(), &lock), Word::ProtectionGone);
}

/// What another machine says of it.
fn machine_word(machine: &Machine, lock: &TpmLock) -> Word {
    machine.start().tpm().open(lock).unwrap_err().word()
}
