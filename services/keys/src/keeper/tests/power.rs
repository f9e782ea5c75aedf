//! Power that is lost, and a disk that fails, at each step of every change.

use super::disk::{Disk, Operation};
use super::*;
use crate::whole::{BESIDE, FILE};

const LOG: Signing = Signing::Log;

/// A change of a node whose passphrase is "old" and whose log key has had one generation.
type Change = fn(&Keeper) -> Result<(), Problem>;

/// The changes, with the passphrase and the generation of the log key afterwards.
const CHANGES: [(Change, &str, u32); 2] = [
    (|keeper| keeper.rotate(keeper.asked(), Purpose::Signing(LOG)).map(drop), "old", 2),
    (|keeper| keeper.protect(keeper.asked(), &passphrase("new")), "new", 1),
];

fn made() -> (Disk, Keeper) {
    let disk = Disk::default();
    let keeper = keeper(&disk);
    keeper.create(keeper.asked(), &passphrase("old")).unwrap();
    (disk, keeper)
}

/// What a start finds: which passphrase opens it, the generation and the signature of the log key.
fn found(disk: &Disk) -> (&'static str, u32, [u8; 64]) {
    let keeper = keeper(disk);
    assert!(!disk.names().iter().any(|name| name == BESIDE), "what was not finished is removed");
    let opens = |passphrase: &&str| keeper.unlock(keeper.asked(), passphrase.as_bytes()).is_ok();
    let opening: Vec<_> = ["old", "new"].into_iter().filter(opens).collect();
    let [opened] = opening[..] else { panic!("{opening:?} open it") };
    (opened, keeper.public_key(LOG).unwrap().generation, keeper.sign(LOG, b"").unwrap())
}

#[test]
fn a_loss_of_power_at_any_step_leaves_the_old_keys_or_the_new() {
    let mut tried = [0, 0];
    for (change, passphrase, generation) in CHANGES {
        let (disk, keeper) = made();
        let old = ("old", 1, keeper.sign(LOG, b"").unwrap());
        let begun = disk.operations().len();
        change(&keeper).unwrap();
        let ended = disk.operations().len();
        let new = (passphrase, generation, keeper.sign(LOG, b"").unwrap());
        for lost in begun..=ended {
            for left in disk.without_power_after(lost) {
                let found = found(&left);
                assert!(
                    found == new || lost < ended && found == old,
                    "power lost after {:?}",
                    &disk.operations()[..lost]
                );
                tried[usize::from(found == new)] += 1;
            }
        }
    }
    assert!(tried.iter().all(|count| *count > 10), "{tried:?}: both are seen");
}

#[test]
fn a_loss_of_power_while_the_first_keys_are_made_leaves_them_or_none() {
    let disk = Disk::default();
    let made = keeper(&disk);
    let begun = disk.operations().len();
    made.create(made.asked(), &passphrase("old")).unwrap();
    let ended = disk.operations().len();
    for lost in begun..=ended {
        for left in disk.without_power_after(lost) {
            let keeper = keeper(&left);
            match keeper.unlock(keeper.asked(), b"old") {
                Ok(()) => assert_eq!(keeper.sign(LOG, b""), made.sign(LOG, b"")),
                Err(problem) => {
                    assert!(lost < ended, "they were acknowledged");
                    assert_eq!(problem.word(), Word::None, "power lost after {lost}");
                    keeper.create(keeper.asked(), &passphrase("again")).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_loss_of_power_during_a_restore_leaves_the_unusable_keys_or_none_or_the_restored() {
    let (_, other) = made();
    let backup = other.backup(b"backup").unwrap();
    let disk = Disk::default();
    disk.put(FILE, b"no keys at all");
    let restored = keeper(&disk);
    let begun = disk.operations().len();
    restored.restore(restored.asked(), &backup, b"backup", &passphrase("old")).unwrap();
    // How the file came there, so that its every byte is known to the disk.
    let mut operations = vec![
        Operation::Create(FILE.to_owned()),
        Operation::Write(FILE.to_owned(), b"no keys at all".to_vec()),
        Operation::SyncFile(FILE.to_owned()),
        Operation::SyncFolder,
    ];
    let lead = operations.len();
    operations.extend(disk.operations()[begun..].iter().cloned());
    let told = Disk::of(operations);
    let ended = told.operations().len();
    for lost in lead..=ended {
        for left in told.without_power_after(lost) {
            let keeper = keeper(&left);
            match keeper.unlock(keeper.asked(), b"old") {
                Ok(()) => assert_eq!(keeper.sign(LOG, b""), other.sign(LOG, b"")),
                Err(problem) => {
                    assert!(lost < ended, "it was acknowledged");
                    assert!([Word::None, Word::Damaged].contains(&problem.word()), "{problem}");
                    keeper.restore(keeper.asked(), &backup, b"backup", &passphrase("again")).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_disk_that_fails_at_any_step_is_said_and_what_was_is_worked_with() {
    for (change, passphrase, generation) in CHANGES {
        let mut failures = 0;
        for step in 0.. {
            let (disk, keeper) = made();
            let before = keeper.sign(LOG, b"").unwrap();
            disk.fail_at(disk.operations().len() + step);
            let Err(problem) = change(&keeper) else { break };
            assert_eq!(problem.word(), Word::Io);
            assert_eq!(keeper.sign(LOG, b"").unwrap(), before, "step {step}");
            failures += 1;
            // A start now would find the one or the other, and the next change goes through.
            found(&disk);
            change(&keeper).unwrap();
            let found = found(&disk);
            assert_eq!((found.0, found.1), (passphrase, generation), "after step {step}");
            assert_eq!(found.2, keeper.sign(LOG, b"").unwrap());
        }
        assert_eq!(failures, 5, "create, write, sync, rename, sync the folder");
    }
}

#[test]
fn nothing_secret_stands_in_the_file() {
    let (disk, keeper) = made();
    let secrets = keeper.unlocked().unwrap().keyring.secrets();
    let file = disk.contents(FILE);
    for secret in secrets.chunks(8) {
        assert!(!file.windows(8).any(|window| window == secret));
    }
}
