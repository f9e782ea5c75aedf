//! Readcaps and readers' entries: who can read what, and what cannot be seen of it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use caps::directory::{self, Entry, WrappedKey};
use caps::readcap::{IssueError, NarrowError, Readcap, ReadcapError, issue, narrow};
use caps::sealed_node::{Draft, seal};
use caps::{DecodeError, Kind, NEVER_MS, NodeId, Path, PathError, Readable, ReaderPublic, SealedKey, Signer};
use common::{ATTRIBUTES, NOW_MS, Seeded, expected, node, path, readable, reader, root, seal_file, signer, verified};
use std::collections::HashMap;

const LATER_MS: u64 = NOW_MS + 1000;

fn issue_to(name: &str, of: &Readable, expires_ms: u64) -> Vec<u8> {
    let mut entropy = Seeded::named(&format!("readcap {name} {:?}", of.path));
    issue(of, &reader(name).public(), expires_ms, &signer("root"), &mut entropy).unwrap()
}

/// Everything is the same but the key's own bytes, which only a reader's act can compare.
fn same(one: &Readable, other: &Readable) -> bool {
    let facts = |of: &Readable| (of.root, of.path.clone(), of.generation, *of.key.as_bytes());
    facts(one) == facts(other)
}

#[test]
fn a_reader_opens_what_was_issued_to_it_and_nobody_else_does() {
    let notes = readable("home/notes", 3);
    let bytes = issue_to("ada", &notes, LATER_MS);
    let readcap = Readcap::verify(&bytes, NOW_MS).unwrap();
    assert_eq!((readcap.root(), readcap.path(), readcap.generation()), (root(), &path("home/notes"), 3));
    assert_eq!((readcap.expires_ms(), readcap.issuer()), (LATER_MS, signer("root").public_key()));
    assert!(readcap.is_by_root());
    let opened = readcap.open(&reader("ada")).unwrap();
    assert!(same(&opened, &notes));
    assert_eq!(opened.expires_ms, LATER_MS);
    assert_eq!(readcap.open(&reader("bob")).unwrap_err(), ReadcapError::NotForThisReader);
}

#[test]
fn an_expired_readcap_is_refused_and_none_outlives_what_it_comes_from() {
    let bytes = issue_to("ada", &readable("home", 1), LATER_MS);
    assert!(Readcap::verify(&bytes, LATER_MS - 1).is_ok());
    assert_eq!(Readcap::verify(&bytes, LATER_MS), Err(ReadcapError::Expired));
    let opened = Readcap::verify(&bytes, NOW_MS).unwrap().open(&reader("ada")).unwrap();
    let further = |expires_ms| {
        let mut entropy = Seeded::named("further");
        issue(&opened, &reader("bob").public(), expires_ms, &signer("ada"), &mut entropy)
    };
    assert_eq!(further(LATER_MS + 1).unwrap_err(), IssueError::WidenedExpiry);
    let bob = Readcap::verify(&further(LATER_MS).unwrap(), NOW_MS).unwrap();
    assert!(!bob.is_by_root());
    assert!(same(&bob.open(&reader("bob")).unwrap(), &opened));
}

#[test]
fn any_changed_byte_of_a_readcap_is_refused() {
    let good = issue_to("ada", &readable("home/notes", 1), LATER_MS);
    let mut chance = Seeded::from_environment("readcap");
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << chance.below(8);
        assert!(Readcap::verify(&bytes, NOW_MS).is_err(), "byte {at}");
    }
    for length in 0..good.len() {
        assert_eq!(Readcap::verify(&good[..length], NOW_MS), Err(ReadcapError::Malformed(DecodeError::Truncated)));
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(Readcap::verify(&longer, NOW_MS), Err(ReadcapError::Malformed(DecodeError::TrailingBytes)));
    let mut newer = good;
    newer[4] = 9;
    assert_eq!(Readcap::verify(&newer, NOW_MS), Err(ReadcapError::Malformed(DecodeError::NewerFormat(9))));
}

#[test]
fn the_sealed_key_of_one_readcap_does_not_open_in_another() {
    // mallory, who may sign, puts ada's sealed key into a readcap of their own for another node
    let good = issue_to("ada", &readable("home/notes", 1), NEVER_MS);
    let mut body = good[..good.len() - 64].to_vec();
    let at_issuer = body.len() - 80 - 32;
    body[at_issuer..at_issuer + 32].copy_from_slice(&signer("mallory").public_key().0);
    let message = [b"latchkey caps readcap\0".as_slice(), &body].concat();
    let forged = [body.as_slice(), &signer("mallory").sign(&message).unwrap()].concat();
    let readcap = Readcap::verify(&forged, NOW_MS).unwrap();
    assert_eq!(readcap.issuer(), signer("mallory").public_key());
    assert_eq!(readcap.open(&reader("ada")).unwrap_err(), ReadcapError::NotForThisReader);
}

#[test]
fn a_key_that_is_no_key_is_not_sealed_to() {
    let mut entropy = Seeded::named("none");
    let mut to = |public| issue(&readable("home", 1), &ReaderPublic(public), NEVER_MS, &signer("root"), &mut entropy);
    // a point of small order: everybody would know the shared secret
    assert_eq!(to([0; 32]).unwrap_err(), IssueError::BadReader);
}

fn child(of: &Readable, name: &str, generation: u32) -> (Readable, Entry) {
    let below = Readable { path: of.path.child(node(name)).unwrap(), ..readable(name, generation) };
    let mut entropy = Seeded::named(&format!("wrap {name}"));
    let key = WrappedKey::wrap(of, node(name), generation, &below.key, &mut entropy).unwrap();
    (below, Entry { name: name.as_bytes().to_vec(), kind: Kind::File, key })
}

#[test]
fn whoever_reads_a_directory_can_give_on_what_is_in_it_alone() {
    let home = readable("home", 2);
    let (notes, entry) = child(&home, "notes", 5);
    let (_, other) = child(&home, "secret", 1);
    let content = directory::encode(&[other, entry]).unwrap();
    let draft =
        Draft { readable: &home, kind: Kind::Directory, version: 1, attributes: ATTRIBUTES, readers: &[], chain: None };
    let sealed = seal(&draft, &content, &signer("root"), &mut Seeded::named("home")).unwrap();

    // ada has a readcap of the directory
    let ada = Readcap::verify(&issue_to("ada", &home, LATER_MS), NOW_MS).unwrap().open(&reader("ada")).unwrap();
    let verified = verified(&sealed, &path("home"));
    let entries = directory::decode(&verified.check_content(&sealed.content).unwrap().open(&ada).unwrap()).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.name.as_slice()).collect::<Vec<_>>(), [b"notes".as_slice(), b"secret"]);
    let narrowed = narrow(&ada, &entries[0].key).unwrap();
    assert!(same(&narrowed, &notes));
    assert_eq!(narrowed.expires_ms, LATER_MS);

    // and gives bob one of the file, who reads it, and neither the directory nor what is beside
    let cap = issue(&narrowed, &reader("bob").public(), LATER_MS, &signer("ada"), &mut Seeded::named("bob")).unwrap();
    let bob = Readcap::verify(&cap, NOW_MS).unwrap().open(&reader("bob")).unwrap();
    let file = seal_file(&notes, 1, &[], b"what is to be read");
    let file_verified = common::verified(&file, &path("home/notes"));
    assert_eq!(file_verified.check_content(&file.content).unwrap().open(&bob).unwrap(), b"what is to be read");
    assert!(verified.check_content(&sealed.content).unwrap().open(&bob).is_err());
    let as_directory = Readable { path: path("home"), generation: 2, ..bob };
    assert!(verified.check_content(&sealed.content).unwrap().open(&as_directory).is_err());
    assert_eq!(narrow(&as_directory, &entries[1].key).unwrap_err(), NarrowError::OtherKey);
}

#[test]
fn a_wrapped_key_is_of_use_at_its_place_only() {
    let home = readable("home", 2);
    let (_, entry) = child(&home, "notes", 5);
    let refused = |directory: &Readable, key: &WrappedKey| narrow(directory, key).unwrap_err();
    assert!(narrow(&home, &entry.key).is_ok());
    let moved = Readable { path: path("other"), ..home.clone() };
    assert_eq!(refused(&moved, &entry.key), NarrowError::OtherKey);
    assert_eq!(refused(&Readable { generation: 3, ..home.clone() }, &entry.key), NarrowError::OtherKey);
    assert_eq!(refused(&readable("home", 3), &entry.key), NarrowError::OtherKey);
    assert_eq!(refused(&home, &WrappedKey { node: node("x"), ..entry.key.clone() }), NarrowError::OtherKey);
    assert_eq!(refused(&home, &WrappedKey { generation: 6, ..entry.key.clone() }), NarrowError::OtherKey);
    let deep = Readable { path: Path::new(&[node("deep"); 64]).unwrap(), ..home };
    assert_eq!(refused(&deep, &entry.key), NarrowError::Path(PathError::TooDeep));
}

#[test]
fn names_that_are_none_are_in_no_directory() {
    let home = readable("home", 1);
    let named = |name: &[u8]| Entry { name: name.to_vec(), ..child(&home, &format!("{name:?}"), 1).1 };
    for bad in [b"".as_slice(), b".", b"..", b"a/b", b"a\0b", &[b'x'; 256]] {
        assert!(directory::encode(&[named(b"good"), named(bad)]).is_err(), "{bad:?}");
    }
    assert_eq!(
        directory::encode(&[named(b"a"), named(b"b"), named(b"a")]).unwrap_err().to_string(),
        "entry 2 has a name that it cannot have"
    );
    let mut nowhere = named(b"a");
    nowhere.key.node = NodeId::NONE;
    assert_eq!(directory::encode(&[named(b"b"), nowhere]).unwrap_err().to_string(), "entry 1 has no node of its own");
    let twice = Entry { name: b"b".to_vec(), ..named(b"a") };
    let refused = directory::encode(&[named(b"a"), twice]).unwrap_err();
    assert_eq!(refused.to_string(), "entry 1 has no node of its own");
    // by hand: names that cannot be, out of order, twice, and too many to be there
    let good = directory::encode(&[named(b"a"), named(b"b")]).unwrap();
    assert_eq!(directory::decode(&good).unwrap().len(), 2);
    let at_name = |name: u8| good.windows(2).position(|two| two == [1, name]).unwrap() + 1;
    for (from, to) in [(b'a', b'/'), (b'a', b'.'), (b'a', 0), (b'b', b'a'), (b'a', b'c')] {
        let mut bytes = good.clone();
        bytes[at_name(from)] = to;
        assert_eq!(directory::decode(&bytes), Err(DecodeError::BadValue("name")), "{from} to {to}");
    }
    // One node under two names.
    let mut bytes = good.clone();
    let (one, other) = (at_name(b'a') + 2, at_name(b'b') + 2);
    bytes.copy_within(one..one + 16, other);
    assert_eq!(directory::decode(&bytes), Err(DecodeError::BadValue("node")));
    let mut many = good.clone();
    many[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(directory::decode(&many), Err(DecodeError::BadValue("entries")));
    many[5..9].copy_from_slice(&1_000_000u32.to_le_bytes());
    assert_eq!(directory::decode(&many), Err(DecodeError::Truncated));
    many[5..9].copy_from_slice(&1u32.to_le_bytes());
    assert_eq!(directory::decode(&many), Err(DecodeError::TrailingBytes));
}

#[test]
fn a_directory_that_can_be_read_is_written_as_it_was() {
    let home = readable("home", 1);
    let entries: Vec<Entry> = ["a", "bc", "def"].map(|name| child(&home, name, 1).1).into();
    let good = directory::encode(&entries).unwrap();
    let mut chance = Seeded::from_environment("directory canonical");
    let mut read = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        let at = chance.below(bytes.len());
        match chance.below(8) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, chance.below(256) as u8),
            2 => bytes.truncate(at),
            _ => bytes[at] = chance.below(256) as u8,
        }
        if let Ok(entries) = directory::decode(&bytes) {
            read += 1;
            assert_eq!(directory::encode(&entries).unwrap(), bytes);
        }
    }
    assert!(read > 5_000, "{read}");
}

#[test]
fn a_reader_finds_its_own_entry_and_others_find_none() {
    let notes = readable("home/notes", 1);
    let publics: Vec<ReaderPublic> = (0..20).map(|number| reader(&format!("reader {number}")).public()).collect();
    let sealed = seal_file(&notes, 1, &publics, b"text");
    let verified = verified(&sealed, &path("home/notes"));
    assert_eq!(verified.readers().len(), 20);
    for number in 0..20 {
        let found = verified.find_key(&reader(&format!("reader {number}"))).unwrap();
        assert!(same(&found, &notes), "{number}");
    }
    assert!(verified.find_key(&reader("nobody")).is_none());
    // an entry of another node or generation is none here
    let other = common::verified(&seal_file(&readable("home/other", 1), 1, &publics, b""), &path("home/other"));
    assert!(!same(&other.find_key(&reader("reader 0")).unwrap(), &notes));
}

#[test]
fn entries_do_not_show_that_two_are_of_one_reader() {
    // one reader on many nodes, in many generations and versions: no 8 bytes that two entries have in common
    let mut seen: HashMap<[u8; 8], usize> = HashMap::new();
    let mut number = 0;
    for at in 0..60 {
        for (generation, version) in [(1, 1), (1, 2), (2, 3)] {
            let place = format!("node {at}");
            let sealed = seal_file(&readable(&place, generation), version, &[reader("ada").public()], b"");
            for entry in verified(&sealed, &path(&place)).readers() {
                number += 1;
                for eight in entry.windows(8) {
                    let before = seen.insert(eight.try_into().unwrap(), number);
                    assert!(before.is_none_or(|before| before == number), "entries {before:?} and {number}");
                }
            }
        }
    }
    assert_eq!(number, 180);
    // nor is the reader's key in any of them, nor its hash
    let public = reader("ada").public().0;
    let principal = blake3::derive_key("latchkey 2026 principal", &public);
    for secret in [public, principal] {
        assert!(secret.windows(8).all(|eight| !seen.contains_key(eight)));
    }
}

#[test]
fn the_sealed_keys_of_readcaps_do_not_show_it_either() {
    let mut seen: HashMap<[u8; 8], usize> = HashMap::new();
    for at in 0..100 {
        let bytes = issue_to("ada", &readable(&format!("node {at}"), 1), NEVER_MS);
        let sealed: SealedKey = bytes[bytes.len() - 64 - 80..bytes.len() - 64].try_into().unwrap();
        for eight in sealed.windows(8) {
            assert!(seen.insert(eight.try_into().unwrap(), at).is_none_or(|before| before == at));
        }
    }
}

#[test]
fn the_order_of_entries_does_not_show_the_order_of_readers() {
    let publics: Vec<ReaderPublic> = (0..16).map(|number| reader(&format!("reader {number}")).public()).collect();
    for at in 0..8 {
        let place = format!("node {at}");
        let verified = verified(&seal_file(&readable(&place, 1), 1, &publics, b""), &path(&place));
        // entries begin with fresh keys, so that their own order is chance
        assert!(verified.readers().is_sorted());
    }
}

#[test]
fn a_removed_reader_reads_nothing_that_is_written_after() {
    let (ada, bob) = (reader("ada").public(), reader("bob").public());
    let before = readable("home/notes", 1);
    let first = seal_file(&before, 1, &[ada, bob], b"for ada and bob");
    let first_verified = verified(&first, &path("home/notes"));
    let bobs = first_verified.find_key(&reader("bob")).unwrap();
    assert_eq!(first_verified.check_content(&first.content).unwrap().open(&bobs).unwrap(), b"for ada and bob");

    // bob is removed: a new key, and no entry for him
    let after = readable("home/notes", 2);
    let second = seal_file(&after, 2, &[ada], b"for ada alone");
    let at = path("home/notes");
    let second_verified =
        caps::sealed_node::verify(&second.metadata, &expected(&root(), &at, Some(&first_verified.seen()))).unwrap();
    let content = second_verified.check_content(&second.content).unwrap();
    assert!(second_verified.find_key(&reader("bob")).is_none());
    assert!(content.open(&bobs).is_err());
    // also not by claiming that his key is of the new generation
    assert!(content.open(&Readable { generation: 2, ..bobs.clone() }).is_err());
    // nor through his old readcap, or the directory's entry of before
    let cap = Readcap::verify(&issue_to("bob", &before, NEVER_MS), NOW_MS).unwrap().open(&reader("bob")).unwrap();
    assert!(content.open(&cap).is_err() && content.open(&Readable { generation: 2, ..cap }).is_err());
    // the plain text is nowhere in what he holds
    let all = [second.metadata.as_slice(), &second.content].concat();
    assert!(!all.windows(5).any(|five| b"alone".starts_with(five)));
    let adas = second_verified.find_key(&reader("ada")).unwrap();
    assert_eq!(content.open(&adas).unwrap(), b"for ada alone");
    // what was written before stays readable to him: nothing can change that
    assert!(first_verified.check_content(&first.content).unwrap().open(&bobs).is_ok());
}

#[test]
fn a_reader_removed_from_a_directory_reads_nothing_new_below_it() {
    // bob had the directory's key, and through it the file's; both are new now
    let (home, new_home) = (readable("home", 1), readable("home", 2));
    let (_, old_entry) = child(&home, "notes", 1);
    let (new_notes, new_entry) = child(&new_home, "notes", 2);
    let bobs_file = narrow(&home, &old_entry.key).unwrap();
    let file = seal_file(&new_notes, 2, &[], b"new");
    let verified = verified(&file, &new_notes.path);
    let content = verified.check_content(&file.content).unwrap();
    assert!(content.open(&bobs_file).is_err());
    assert!(content.open(&Readable { generation: 2, ..bobs_file }).is_err());
    assert_eq!(narrow(&home, &new_entry.key).unwrap_err(), NarrowError::OtherKey);
    assert_eq!(narrow(&Readable { generation: 2, ..home }, &new_entry.key).unwrap_err(), NarrowError::OtherKey);
    assert_eq!(content.open(&narrow(&new_home, &new_entry.key).unwrap()).unwrap(), b"new");
}

#[test]
fn no_secret_is_shown_by_debug() {
    let notes = readable("home/notes", 1);
    let shown = format!("{notes:?} {:?}", reader("ada"));
    let hexadecimal = notes.key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(shown.contains("NodeKey(…)") && shown.contains("ReaderSecret(…)") && !shown.contains(&hexadecimal));
    assert_ne!(NodeId::NONE, notes.path.node());
}
