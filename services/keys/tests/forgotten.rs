//! What is locked is not in the process's memory any more: looked for there, byte by byte, as only root can.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/process.rs"]
mod process;

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use common::*;
use keys_service::envelope::{self, Kind};
use keys_service::lock::Lock;
use process::{Process, is_root, state_folder};
use schema::keys_capnp::{Purpose, keyring, signer, unsealer};
use vat::Peer;

/// How often each of these stands in the memory of a process.
fn count(process: u32, wanted: &[&[u8]]) -> Vec<usize> {
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut counts = vec![0; wanted.len()];
    for line in std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap().lines() {
        let mut fields = line.split_whitespace();
        let (range, may) = (fields.next().unwrap(), fields.next().unwrap());
        if !may.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        let Ok(length) = memory.read_at(&mut bytes, from) else { continue };
        for (counted, wanted) in counts.iter_mut().zip(wanted) {
            *counted += memchr::memmem::find_iter(&bytes[..length], wanted).count();
        }
    }
    counts
}

#[test]
fn what_is_locked_is_not_in_memory_any_more() {
    let folder = state_folder();
    let mut process = Process::start(folder.path());
    if let Err(error) = File::open(format!("/proc/{}/mem", process.id())) {
        assert!(!is_root() || error.kind() == ErrorKind::PermissionDenied, "{error}");
        println!("skipped: what_is_locked_is_not_in_memory_any_more: nobody may look into the process here: {error}");
        return;
    }
    vat::native::run(async {
        let keyring: keyring::Client = process.connect("keyring", Peer::Shell);
        let signer: signer::Client = process.connect("log", Peer::Service);
        let unsealer: unsealer::Client = process.connect("store", Peer::Service);
        create(&keyring, b"right").await.unwrap();
        rotate(&keyring, Purpose::Store).await.unwrap();
        let backup = backup(&keyring, b"backup").await.unwrap();
        let envelope = envelope::read(Kind::Backup, &backup).unwrap();
        let Lock::Passphrase(lock_of_backup) = &envelope.lock else { panic!("another lock") };
        let secrets = envelope.open(&lock_of_backup.open(b"backup").unwrap()).unwrap().secrets();
        let secrets: Vec<&[u8]> = secrets.chunks(32).collect();
        let sealed = seal(&unsealer, b"secret", b"").await.unwrap();
        unseal(&unsealer, &sealed, b"").await.unwrap();
        sign(&signer, b"message").await.unwrap();
        assert!(count(process.id(), &secrets).iter().all(|count| *count > 0), "they are found where they are");

        lock(&keyring).await.unwrap();
        assert_eq!(count(process.id(), &secrets), [0; 6], "device, log, author, commits, store, and store before");
        unlock(&keyring, b"right").await.unwrap();
        sign(&signer, b"message").await.unwrap();
        lock(&keyring).await.unwrap();
        assert_eq!(count(process.id(), &secrets), [0; 6], "device, log, author, commits, store, and store before");
    })
    .unwrap();
    process.stop();
}
