//! What each operation does, and what it refuses.

use super::disk::Disk;
use super::*;
use crate::secret::Key;
use crate::tpm::{Tpm, TpmLock};
use crate::whole::{ASIDE, BESIDE, FILE};

const DEVICE: Signing = Signing::Device;

fn created() -> (Disk, Keeper) {
    let disk = Disk::default();
    let keeper = keeper(&disk);
    keeper.create(keeper.asked(), &passphrase("right")).unwrap();
    (disk, keeper)
}

#[test]
fn without_keys_everything_says_so() {
    let keeper = keeper(&Disk::default());
    assert_eq!(word(keeper.sign(DEVICE, b"")), Word::None);
    assert_eq!(word(keeper.public_key(DEVICE)), Word::None);
    assert_eq!(word(keeper.seal(b"", b"")), Word::None);
    assert_eq!(word(keeper.unlock(keeper.asked(), b"x")), Word::None);
    assert_eq!(word(keeper.rotate(keeper.asked(), Purpose::Store)), Word::None);
    assert_eq!(word(keeper.protect(keeper.asked(), &passphrase("x"))), Word::None);
    assert_eq!(word(keeper.backup(b"x")), Word::None);
    assert_eq!(word(keeper.history(Purpose::Store)), Word::None);
    let status = keeper.status();
    assert_eq!((status.protected, status.unlocked, status.keys.len()), (Protected::No, false, 0));
    assert!(status.trouble.is_none() && status.tpm.contains("none"));
}

#[test]
fn new_keys_are_unlocked_and_found_again_by_their_passphrase() {
    let (disk, made) = created();
    assert!(made.status().unlocked);
    let found = keeper(&disk);
    assert_eq!(found.status().protected, Protected::Passphrase);
    assert!(!found.status().unlocked);
    assert_eq!(found.status().keys, made.status().keys, "what is public is known while it is locked");
    assert_eq!(found.history(Purpose::Signing(DEVICE)), made.history(Purpose::Signing(DEVICE)));
    assert_eq!(word(found.sign(DEVICE, b"")), Word::Locked);
    assert_eq!(word(found.unlock(found.asked(), b"wrong")), Word::WrongPassphrase);
    assert_eq!(word(found.sign(DEVICE, b"")), Word::Locked, "a mistyped passphrase changes nothing");
    found.unlock(found.asked(), b"right").unwrap();
    assert_eq!(found.sign(DEVICE, b"message"), made.sign(DEVICE, b"message"));
}

#[test]
fn keys_are_made_once() {
    let (_, keeper) = created();
    let before = keeper.sign(DEVICE, b"").unwrap();
    assert_eq!(word(keeper.create(keeper.asked(), &passphrase("right"))), Word::Exists);
    keeper.lock();
    assert_eq!(word(keeper.create(keeper.asked(), &passphrase("right"))), Word::Exists);
    keeper.unlock(keeper.asked(), b"right").unwrap();
    assert_eq!(keeper.sign(DEVICE, b"").unwrap(), before);
}

#[test]
fn what_is_locked_does_nothing_until_it_is_unlocked() {
    let (_, keeper) = created();
    let sealed = keeper.seal(b"secret", b"").unwrap();
    keeper.lock();
    assert!(!keeper.status().unlocked);
    assert_eq!(word(keeper.sign(DEVICE, b"")), Word::Locked);
    assert_eq!(word(keeper.unseal(&sealed, b"")), Word::Locked);
    assert_eq!(word(keeper.rotate(keeper.asked(), Purpose::Store)), Word::Locked);
    assert_eq!(word(keeper.protect(keeper.asked(), &passphrase("x"))), Word::Locked);
    assert_eq!(word(keeper.backup(b"x")), Word::Locked);
    keeper.unlock(keeper.asked(), b"right").unwrap();
    assert_eq!(keeper.unseal(&sealed, b"").unwrap().0.as_slice(), b"secret");
}

#[test]
fn who_unlocks_what_is_unlocked_learns_whether_the_passphrase_is_right() {
    let (_, keeper) = created();
    assert_eq!(word(keeper.unlock(keeper.asked(), b"wrong")), Word::WrongPassphrase);
    assert!(keeper.status().unlocked, "a mistyped passphrase locks nothing");
    keeper.unlock(keeper.asked(), b"right").unwrap();
}

#[test]
fn a_lock_that_came_meanwhile_counts() {
    let (_, keeper) = created();
    let asked = keeper.asked();
    keeper.lock();
    assert_eq!(word(keeper.unlock(asked, b"right")), Word::Locked);
    assert!(!keeper.status().unlocked);
    keeper.unlock(keeper.asked(), b"right").unwrap();
    // What has begun to change the keys ends after the lock: it is done, and they stay locked.
    let (asked, unlocked) = (keeper.asked(), keeper.unlocked().unwrap());
    let lock = keeper.state().envelope().unwrap().lock.clone();
    keeper.lock();
    let changed = Unlocked { keyring: unlocked.keyring.clone(), file_key: unlocked.file_key.clone() };
    keeper.write(&keeper.means(), asked, &lock, changed).unwrap();
    assert!(!keeper.status().unlocked);
}

#[test]
fn another_passphrase_protects_the_same_keys() {
    let (disk, made) = created();
    made.protect(made.asked(), &passphrase("new")).unwrap();
    assert_eq!(word(made.unlock(made.asked(), b"right")), Word::WrongPassphrase);
    let found = keeper(&disk);
    assert_eq!(word(found.unlock(found.asked(), b"right")), Word::WrongPassphrase);
    found.unlock(found.asked(), b"new").unwrap();
    assert_eq!(found.sign(DEVICE, b""), made.sign(DEVICE, b""));
}

#[test]
fn a_rotated_key_is_kept_by_the_next_start_with_its_history() {
    let (disk, made) = created();
    let first = made.public_key(DEVICE).unwrap();
    let second = made.rotate(made.asked(), Purpose::Signing(DEVICE)).unwrap();
    assert_eq!((first.generation, second.generation), (1, 2));
    assert_eq!(made.public_key(DEVICE).unwrap(), second);
    let found = keeper(&disk);
    assert_eq!(found.history(Purpose::Signing(DEVICE)).unwrap(), [first, second]);
    found.unlock(found.asked(), b"right").unwrap();
    assert_eq!(found.sign(DEVICE, b""), made.sign(DEVICE, b""));
}

#[test]
fn the_key_of_the_store_is_not_forgotten_before_the_store_has_taken_up_the_next() {
    let (disk, made) = created();
    let rotate = |keeper: &Keeper| keeper.rotate(keeper.asked(), Purpose::Store).map(drop);
    let first = made.seal(b"root", b"").unwrap();
    rotate(&made).unwrap();
    assert_eq!(word(rotate(&made)), Word::BadInput);
    assert!(!made.unseal(&first, b"").unwrap().1);
    let second = made.seal(b"root", b"").unwrap();
    assert_eq!(word(rotate(&made)), Word::BadInput, "nobody knows whether it was kept");
    assert!(made.unseal(&second, b"").unwrap().1);
    rotate(&made).unwrap();
    assert_eq!(word(rotate(&made)), Word::BadInput);
    // A start knows nothing of what the store has, until it comes.
    let found = keeper(&disk);
    found.unlock(found.asked(), b"right").unwrap();
    assert_eq!(word(rotate(&found)), Word::BadInput);
    let third = found.seal(b"root", b"").unwrap();
    found.unseal(&third, b"").unwrap();
    rotate(&found).unwrap();
}

#[test]
fn a_backup_brings_the_keys_to_another_node() {
    let (_, made) = created();
    made.rotate(made.asked(), Purpose::Store).unwrap();
    let sealed = made.seal(b"secret", b"").unwrap();
    let backup = made.backup(b"backup").unwrap();
    let disk = Disk::default();
    let other = keeper(&disk);
    assert_eq!(word(other.restore(other.asked(), &backup, b"wrong", &passphrase("other"))), Word::WrongPassphrase);
    assert!(disk.names().is_empty());
    other.restore(other.asked(), &backup, b"backup", &passphrase("other")).unwrap();
    assert_eq!(other.unseal(&sealed, b"").unwrap().0.as_slice(), b"secret");
    assert_eq!(other.status().keys, made.status().keys);
    let found = keeper(&disk);
    found.unlock(found.asked(), b"other").unwrap();
    assert_eq!(found.sign(DEVICE, b""), made.sign(DEVICE, b""));
}

#[test]
fn a_backup_does_not_replace_keys_that_can_be_used() {
    let (_, made) = created();
    let backup = made.backup(b"backup").unwrap();
    assert_eq!(word(made.restore(made.asked(), &backup, b"backup", &passphrase("x"))), Word::Exists);
    made.lock();
    assert_eq!(word(made.restore(made.asked(), &backup, b"backup", &passphrase("x"))), Word::Exists);
}

#[test]
fn a_changed_backup_is_refused_whole() {
    let (_, made) = created();
    let backup = made.backup(b"backup").unwrap();
    for at in 0..backup.len() {
        let (disk, mut changed) = (Disk::default(), backup.clone());
        changed[at] ^= 1;
        assert_eq!(
            word(keeper(&disk).restore(Asked(0), &changed, b"backup", &passphrase("x"))),
            Word::Damaged,
            "byte {at}"
        );
        assert!(disk.names().is_empty());
    }
}

#[test]
fn a_damaged_file_is_said_and_a_backup_takes_its_place() {
    let (disk, made) = created();
    let backup = made.backup(b"backup").unwrap();
    let mut file = disk.contents(FILE);
    *file.last_mut().unwrap() ^= 1;
    disk.put(FILE, &file);
    let found = keeper(&disk);
    assert_eq!(found.status().trouble.unwrap().word(), Word::Damaged);
    assert_eq!(word(found.sign(DEVICE, b"")), Word::Damaged);
    assert_eq!(word(found.unlock(found.asked(), b"right")), Word::Damaged);
    assert_eq!(word(found.create(found.asked(), &passphrase("x"))), Word::Exists, "nobody is led to throw keys away");
    found.restore(found.asked(), &backup, b"backup", &passphrase("x")).unwrap();
    assert_eq!(found.sign(DEVICE, b""), made.sign(DEVICE, b""));
    assert_eq!(disk.contents(&format!("{ASIDE}.1")), file, "what was there is kept");
    assert!(found.status().trouble.is_none());
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let (disk, made) = created();
    let backup = made.backup(b"backup").unwrap();
    let mut file = disk.contents(FILE);
    file[8] = 2;
    let covered = file.len() - 32;
    let checksum = blake3::derive_key(envelope::CHECKSUM_CONTEXT, &file[..covered]);
    file[covered..].copy_from_slice(&checksum);
    disk.put(FILE, &file);
    let found = keeper(&disk);
    assert_eq!(word(found.sign(DEVICE, b"")), Word::NotSupported);
    assert_eq!(word(found.restore(found.asked(), &backup, b"backup", &passphrase("x"))), Word::Exists);
    assert_eq!(disk.contents(FILE), file);
}

#[test]
fn what_was_not_finished_is_removed_at_the_start() {
    let (disk, _) = created();
    disk.put(BESIDE, b"torn");
    keeper(&disk);
    assert_eq!(disk.names(), [FILE]);
}

#[test]
fn a_tpm_that_is_not_there_protects_nothing() {
    let disk = Disk::default();
    let none = keeper(&disk);
    assert_eq!(word(none.create(none.asked(), &Protection::Tpm)), Word::NotSupported);
    assert!(disk.names().is_empty());
    let (_, made) = created();
    assert_eq!(word(made.protect(made.asked(), &Protection::Tpm)), Word::NotSupported);
    made.unlock(made.asked(), b"right").unwrap();
}

/// It seals, and opens something else.
struct FalseTpm;

impl Tpm for FalseTpm {
    fn describe(&mut self) -> String {
        "false".to_owned()
    }

    fn seal(&mut self, _: &Key) -> Result<TpmLock, Problem> {
        Ok(TpmLock::new(vec![1; 48], vec![2; 8]).unwrap())
    }

    fn open(&mut self, _: &TpmLock) -> Result<Key, Problem> {
        Key::random()
    }
}

#[test]
fn a_tpm_that_does_not_open_what_it_sealed_takes_no_keys() {
    let (disk, _) = created();
    let keeper = Keeper::new(Box::new(disk.clone()), Box::new(FalseTpm), CHEAP).unwrap();
    keeper.start();
    keeper.unlock(keeper.asked(), b"right").unwrap();
    let before = (disk.names(), disk.contents("keyring"));
    assert_eq!(word(keeper.protect(keeper.asked(), &Protection::Tpm)), Word::Io);
    assert!((disk.names(), disk.contents("keyring")) == before, "the keys are as they were");
}
