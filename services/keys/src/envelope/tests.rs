use super::*;
use crate::passphrase::{Cost, PassphraseLock};
use crate::purpose::Purpose;

const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

fn keyring() -> Keyring {
    let mut keyring = Keyring::generate(1_000).unwrap();
    keyring.rotate(Purpose::Store, 2_000).unwrap();
    keyring
}

fn written(kind: Kind, keyring: &Keyring) -> Vec<u8> {
    let file_key = Key::random().unwrap();
    let lock = Lock::Passphrase(PassphraseLock::make(b"right", CHEAP, &file_key).unwrap());
    write(kind, &lock, &file_key, keyring).unwrap()
}

/// Opens it as whoever knows the passphrase does.
fn open(kind: Kind, bytes: &[u8]) -> Result<Keyring, Problem> {
    let envelope = read(kind, bytes)?;
    let Lock::Passphrase(lock) = &envelope.lock else { return Err(Problem::damaged("another lock")) };
    envelope.open(&lock.open(b"right")?)
}

/// As somebody does it who changes it on purpose.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let covered = bytes.len() - CHECKSUM_BYTES;
    let checksum = blake3::derive_key(CHECKSUM_CONTEXT, &bytes[..covered]);
    bytes[covered..].copy_from_slice(&checksum);
    bytes
}

#[test]
fn it_is_opened_as_it_was_written_and_what_is_public_is_read_without() {
    for kind in [Kind::Node, Kind::Backup] {
        let keyring = keyring();
        let bytes = written(kind, &keyring);
        assert_eq!(&read(kind, &bytes).unwrap().public, keyring.public());
        assert_eq!(open(kind, &bytes).unwrap().secrets(), keyring.secrets());
    }
}

#[test]
fn a_backup_is_no_file_of_a_node_nor_the_other_way_round() {
    let keyring = keyring();
    assert_eq!(read(Kind::Backup, &written(Kind::Node, &keyring)).unwrap_err().word(), Word::Damaged);
    let mut renamed = written(Kind::Backup, &keyring);
    renamed[..8].copy_from_slice(Kind::Node.magic());
    assert_eq!(open(Kind::Node, &with_checksum(renamed)).unwrap_err().word(), Word::Damaged);
}

#[test]
fn any_flipped_bit_or_shorter_file_is_damage() {
    for kind in [Kind::Node, Kind::Backup] {
        let bytes = written(kind, &keyring());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(read(kind, &changed).unwrap_err().word(), Word::Damaged, "byte {at}, bit {bit}");
            }
            assert_eq!(read(kind, &bytes[..at]).unwrap_err().word(), Word::Damaged, "length {at}");
        }
        assert_eq!(read(kind, &[&bytes[..], &[0]].concat()).unwrap_err().word(), Word::Damaged);
    }
}

#[test]
fn whoever_makes_the_checksum_anew_gives_nobody_a_wrong_key() {
    let bytes = written(Kind::Node, &keyring());
    for at in 0..bytes.len() - CHECKSUM_BYTES {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let word = open(Kind::Node, &with_checksum(changed)).unwrap_err().word();
        let expected = match at {
            8 | 9 => &[Word::NotSupported][..],
            // The lock's parameters: the passphrase gives another key, or more is asked for than is done.
            _ => &[Word::Damaged, Word::WrongPassphrase],
        };
        assert!(expected.contains(&word), "byte {at}: {word:?}");
    }
}

#[test]
fn parts_of_two_files_do_not_go_together() {
    let file_key = Key::random().unwrap();
    let lock = Lock::Passphrase(PassphraseLock::make(b"right", CHEAP, &file_key).unwrap());
    let (one, other) = (keyring(), keyring());
    let mut mixed = write(Kind::Node, &lock, &file_key, &one).unwrap();
    let other = write(Kind::Node, &lock, &file_key, &other).unwrap();
    // What is sealed of the other, under the same key, behind what is public of the one.
    let sealed = mixed.len() - CHECKSUM_BYTES - SECRETS_LIMIT_BYTES - sealing::OVERHEAD_BYTES;
    mixed[sealed..].copy_from_slice(&other[sealed..]);
    assert_eq!(open(Kind::Node, &with_checksum(mixed)).unwrap_err().word(), Word::Damaged);
}

#[test]
fn the_longest_file_is_as_long_as_its_limit_says() {
    let mut keyring = keyring();
    for purpose in Purpose::ALL {
        while keyring.rotate(purpose, 3_000).is_ok() {}
    }
    let bytes = written(Kind::Node, &keyring);
    assert_eq!(bytes.len() - crate::passphrase::PASSPHRASE_LOCK_BYTES, FILE_LIMIT_BYTES - LOCK_LIMIT_BYTES);
    assert_eq!(open(Kind::Node, &bytes).unwrap().secrets(), keyring.secrets());
}
