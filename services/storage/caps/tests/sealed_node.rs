//! Sealed nodes: what is accepted, and all that is not.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use caps::sealed_node::{
    Attributes, ContentSealer, Draft, Expected, NodeError, OpenError, PROOF_SECTORS_LIMIT, Proofs, READER_LIMIT,
    RangeError, SECTOR_BYTES, SECTOR_PLAIN_BYTES, SealError, SealedNode, Verified, finish, seal, verify,
};
use caps::writecap::{Chain, ChainError, ChainFault, Grant, issue_first};
use caps::{DecodeError, Kind, LocalSigner, NEVER_MS, NodeId, Path, Principal, Readable, Rights, Signer};
use common::{ATTRIBUTES, NOW_MS, Seeded, expected, node, path, readable, reader, root, seal_file, signer, verified};

const APPEND: Rights = Rights { read: false, append: true, write: false };

/// Content that is different everywhere.
fn content(bytes: usize) -> Vec<u8> {
    Seeded::named("content").vector(bytes)
}

/// So many plain bytes: nothing, one byte, and around the ends of sectors.
const SIZES: [usize; 8] = [
    0,
    1,
    SECTOR_PLAIN_BYTES - 1,
    SECTOR_PLAIN_BYTES,
    SECTOR_PLAIN_BYTES + 1,
    3 * SECTOR_PLAIN_BYTES,
    5 * SECTOR_PLAIN_BYTES + 777,
    33 * SECTOR_PLAIN_BYTES + 1,
];

fn chain(holder: &LocalSigner, at: &str, rights: Rights) -> Chain {
    let grant = Grant { holder: holder.public_key(), path: path(at), rights, expires_ms: NOW_MS + 1000 };
    issue_first(grant, &signer("root")).unwrap()
}

fn seal_by(by: &LocalSigner, chain: &Chain, of: &Readable, version: u64) -> Result<SealedNode, SealError> {
    let draft =
        Draft { readable: of, kind: Kind::File, version, attributes: ATTRIBUTES, readers: &[], chain: Some(chain) };
    seal(&draft, b"by a writer", by, &mut Seeded::named("by"))
}

fn judge(sealed: &SealedNode, at: &str) -> Result<Verified, NodeError> {
    verify(&sealed.metadata, &expected(&root(), &path(at), None))
}

#[test]
fn what_was_sealed_comes_out_again() {
    let notes = readable("home/notes", 1);
    for size in SIZES {
        let plain = content(size);
        let sealed = seal_file(&notes, 1, &[reader("ada").public()], &plain);
        let verified = verified(&sealed, &path("home/notes"));
        assert_eq!((verified.size_bytes(), verified.sealed_bytes()), (size as u64, sealed.content.len() as u64));
        let checked = verified.check_content(&sealed.content).unwrap();
        let key = verified.find_key(&reader("ada")).unwrap();
        assert!(checked.open(&key).unwrap() == plain, "{size}");
    }
}

#[test]
fn every_range_of_sectors_is_verified_without_a_key_and_opened_with_one() {
    let notes = readable("home/notes", 1);
    for size in SIZES {
        let plain = content(size);
        let sealed = seal_file(&notes, 1, &[], &plain);
        let verified = verified(&sealed, &path("home/notes"));
        let proofs = Proofs::new(&sealed.content);
        let sectors = verified.sectors();
        for first in 0..sectors {
            for end in first + 1..=sectors {
                let proof = proofs.prove(first..end).unwrap();
                let checked = verified.check_range(first..end, &proof).unwrap();
                let at = |sector: u64| (sector as usize * SECTOR_PLAIN_BYTES).min(size);
                let sealed_at = |sector: u64| (sector as usize * SECTOR_BYTES).min(sealed.content.len());
                assert!(checked.sealed() == &sealed.content[sealed_at(first)..sealed_at(end)]);
                if end - first < 3 {
                    assert!(checked.open(&notes).unwrap() == plain[at(first)..at(end)], "{size}: {first}..{end}");
                }
            }
        }
    }
}

#[test]
fn ranges_that_are_not_there_are_refused() {
    let sealed = seal_file(&readable("home/notes", 1), 1, &[], &content(3 * SECTOR_PLAIN_BYTES));
    let verified = verified(&sealed, &path("home/notes"));
    let proofs = Proofs::new(&sealed.content);
    #[allow(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let bad = [0..0, 3..3, 2..1, 0..4, 3..4, 0..u64::MAX, u64::MAX - 1..u64::MAX, 0..PROOF_SECTORS_LIMIT + 1];
    for range in bad {
        assert_eq!(proofs.prove(range.clone()).unwrap_err(), RangeError::BadRange, "{range:?}");
        assert_eq!(verified.check_range(range.clone(), &[]).unwrap_err(), RangeError::BadRange, "{range:?}");
    }
}

#[test]
fn a_proof_of_anything_else_is_refused() {
    let notes = readable("home/notes", 1);
    let sealed = seal_file(&notes, 1, &[], &content(9 * SECTOR_PLAIN_BYTES + 5));
    let verified = verified(&sealed, &path("home/notes"));
    let proofs = Proofs::new(&sealed.content);
    let good = proofs.prove(2..5).unwrap();
    let refused = |range, proof: &[u8]| {
        let error = verified.check_range(range, proof).unwrap_err();
        assert_eq!(error, RangeError::Node(NodeError::OtherContent));
    };
    // other sectors than were asked for
    refused(3..6, &good);
    refused(2..4, &good);
    refused(2..6, &good);
    // too short, too long, changed
    (0..good.len()).step_by(97).for_each(|length| refused(2..5, &good[..length]));
    refused(2..5, &[good.as_slice(), &[0]].concat());
    let mut chance = Seeded::from_environment("proof");
    for _ in 0..400 {
        let mut bytes = good.clone();
        let at = chance.below(bytes.len());
        bytes[at] ^= 1 << chance.below(8);
        refused(2..5, &bytes);
    }
    // of another version of the same node, and of content in another order
    let other = seal_file(&notes, 2, &[], &content(9 * SECTOR_PLAIN_BYTES + 5));
    refused(2..5, &Proofs::new(&other.content).prove(2..5).unwrap());
    let mut exchanged = sealed.content.clone();
    exchanged[2 * SECTOR_BYTES..4 * SECTOR_BYTES].rotate_left(SECTOR_BYTES);
    refused(2..5, &Proofs::new(&exchanged).prove(2..5).unwrap());
}

#[test]
fn content_that_was_truncated_reordered_or_exchanged_is_refused() {
    let notes = readable("home/notes", 1);
    let sealed = seal_file(&notes, 1, &[], &content(3 * SECTOR_PLAIN_BYTES));
    let verified = verified(&sealed, &path("home/notes"));
    let refused = |bytes: &[u8]| verified.check_content(bytes).unwrap_err();
    assert_eq!(refused(&sealed.content[..2 * SECTOR_BYTES]), NodeError::OtherLength);
    assert_eq!(refused(&[]), NodeError::OtherLength);
    assert_eq!(refused(&[sealed.content.as_slice(), &[0]].concat()), NodeError::OtherLength);
    let mut reordered = sealed.content.clone();
    reordered.rotate_left(SECTOR_BYTES);
    assert_eq!(refused(&reordered), NodeError::OtherContent);
    // a sector of another version, and of another node with the same content
    for other in [
        seal_file(&notes, 2, &[], &content(3 * SECTOR_PLAIN_BYTES)),
        seal_file(&readable("x", 1), 1, &[], &content(3 * SECTOR_PLAIN_BYTES)),
    ] {
        let mut mixed = sealed.content.clone();
        mixed[..SECTOR_BYTES].copy_from_slice(&other.content[..SECTOR_BYTES]);
        assert_eq!(refused(&mixed), NodeError::OtherContent);
    }
}

/// Content as it comes out of the cipher, with the metadata of somebody who has the root key and no scruples: shows what the
/// seal of the sectors itself holds, also against those who could sign.
fn resigned(sealed: &SealedNode, change: impl FnOnce(&mut Vec<u8>)) -> SealedNode {
    let mut content = sealed.content.clone();
    change(&mut content);
    let mut body = sealed.metadata[..sealed.metadata.len() - 64].to_vec();
    const CONTENT: usize = 4 + 1 + 32 + 16 + 16 + 1 + 8 + 4 + 8 + 32;
    body[CONTENT..CONTENT + 32].copy_from_slice(blake3::hash(&content).as_bytes());
    SealedNode { metadata: signed(&signer("root"), &body), content }
}

fn signed(by: &LocalSigner, body: &[u8]) -> Vec<u8> {
    let message = [b"latchkey caps sealed node\0".as_slice(), body].concat();
    [body, &by.sign(&message).unwrap()].concat()
}

#[test]
fn sectors_cannot_be_exchanged_even_by_who_can_sign() {
    let notes = readable("home/notes", 1);
    let sealed = seal_file(&notes, 1, &[], &content(3 * SECTOR_PLAIN_BYTES));
    let older = seal_file(&notes, 2, &[], &content(3 * SECTOR_PLAIN_BYTES));
    let open = |changed: &SealedNode| {
        let verified = judge(changed, "home/notes").unwrap();
        verified.check_content(&changed.content).unwrap().open(&notes).unwrap_err()
    };
    let reordered = resigned(&sealed, |content| content[SECTOR_BYTES..].rotate_left(SECTOR_BYTES));
    assert_eq!(open(&reordered), OpenError::Sector(1));
    let mixed = resigned(&sealed, |content| {
        content[2 * SECTOR_BYTES..].copy_from_slice(&older.content[2 * SECTOR_BYTES..]);
    });
    assert_eq!(open(&mixed), OpenError::Sector(2));
    let changed = resigned(&sealed, |content| content[5] ^= 1);
    assert_eq!(open(&changed), OpenError::Sector(0));
}

#[test]
fn the_wrong_key_opens_nothing() {
    let notes = readable("home/notes", 1);
    let sealed = seal_file(&notes, 1, &[], b"text");
    let verified = verified(&sealed, &path("home/notes"));
    let checked = verified.check_content(&sealed.content).unwrap();
    let refused = |key: Readable| checked.open(&key).unwrap_err();
    assert_eq!(refused(readable("home/notes", 2)), OpenError::OtherKey);
    assert_eq!(refused(readable("home/other", 1)), OpenError::OtherKey);
    assert_eq!(refused(Readable { root: Principal([7; 32]), ..notes.clone() }), OpenError::OtherKey);
    assert_eq!(refused(Readable { key: readable("home/other", 1).key, ..notes }), OpenError::Sector(0));
}

#[test]
fn attributes_are_for_readers_only() {
    let notes = readable("home/notes", 1);
    let sealed = seal_file(&notes, 1, &[], b"text");
    let found = verified(&sealed, &path("home/notes"));
    assert_eq!(found.attributes(&notes), Ok(ATTRIBUTES));
    assert_eq!(found.attributes(&readable("home/notes", 2)), Err(OpenError::OtherKey));
    let other_key = Readable { key: readable("home/other", 1).key, ..notes.clone() };
    assert_eq!(found.attributes(&other_key), Err(OpenError::Attributes));
    let time = ATTRIBUTES.modified_ns.to_le_bytes();
    assert!(!sealed.metadata.windows(8).any(|eight| eight == time));
    // whoever can sign cannot put in those of another version
    const AT: usize = 4 + 1 + 32 + 16 + 16 + 1 + 8 + 4 + 8 + 32 + 32 + 32;
    let mut body = sealed.metadata[..sealed.metadata.len() - 64].to_vec();
    body[AT..AT + 25].copy_from_slice(&seal_file(&notes, 2, &[], b"text").metadata[AT..AT + 25]);
    let mixed = SealedNode { metadata: signed(&signer("root"), &body), content: vec![] };
    assert_eq!(judge(&mixed, "home/notes").unwrap().attributes(&notes), Err(OpenError::Attributes));
    // before 1970, and nothing
    for attributes in [Attributes { modified_ns: i64::MIN, executable: false }, Attributes::default()] {
        let draft = Draft { readable: &notes, kind: Kind::File, version: 1, attributes, readers: &[], chain: None };
        let sealed = seal(&draft, b"", &signer("root"), &mut Seeded::named("x")).unwrap();
        assert_eq!(verified(&sealed, &path("home/notes")).attributes(&notes), Ok(attributes));
    }
}

#[test]
fn the_same_text_sealed_twice_has_nothing_in_common() {
    let notes = readable("home/notes", 1);
    let draft =
        Draft { readable: &notes, kind: Kind::File, version: 1, attributes: ATTRIBUTES, readers: &[], chain: None };
    let plain = vec![0; 2 * SECTOR_PLAIN_BYTES];
    let once = |name| seal(&draft, &plain, &signer("root"), &mut Seeded::named(name)).unwrap().content;
    let mut seen = std::collections::HashSet::new();
    for eight in [once("one"), once("two")].concat().chunks_exact(8) {
        assert!(seen.insert(eight.to_vec()));
    }
}

#[test]
fn older_metadata_is_refused_after_newer() {
    let at = path("home/notes");
    let versions: Vec<SealedNode> = [(1, 1), (2, 1), (3, 2)]
        .map(|(version, generation)| seal_file(&readable("home/notes", generation), version, &[], b"text"))
        .into();
    let seen = verified(&versions[1], &at).seen();
    let after = |sealed: &SealedNode| verify(&sealed.metadata, &expected(&root(), &at, Some(&seen)));
    assert_eq!(after(&versions[0]), Err(NodeError::RolledBack { seen: 2, found: 1 }));
    assert!(after(&versions[1]).is_ok());
    let newest = after(&versions[2]).unwrap().seen();
    assert_eq!((newest.version, newest.generation), (3, 2));
    // a newer version under the key of before would be readable to who was removed
    let old_key = seal_file(&readable("home/notes", 1), 4, &[], b"text");
    let error = verify(&old_key.metadata, &expected(&root(), &at, Some(&newest)));
    assert_eq!(error, Err(NodeError::KeyRolledBack));
    // two of one version
    let twin = seal_file(&readable("home/notes", 1), 2, &[], b"another text");
    assert_eq!(after(&twin), Err(NodeError::Conflict));
}

#[test]
fn metadata_of_another_store_node_or_place_is_refused() {
    let sealed = seal_file(&readable("home/notes", 1), 1, &[], b"text");
    let other = Principal([1; 32]);
    let at = path("home/notes");
    assert_eq!(verify(&sealed.metadata, &expected(&other, &at, None)), Err(NodeError::OtherRoot));
    assert_eq!(judge(&sealed, "home/other"), Err(NodeError::OtherNode));
    assert_eq!(judge(&sealed, "elsewhere/notes"), Err(NodeError::Elsewhere(node("home"))));
    let root_node = seal_file(&readable("", 1), 1, &[], b"");
    assert!(judge(&root_node, "").is_ok());
}

#[test]
fn a_writer_writes_where_and_while_the_writecap_allows() {
    let ada = signer("ada");
    let cap = chain(&ada, "home", Rights::ALL);
    let sealed = seal_by(&ada, &cap, &readable("home/notes", 1), 2).unwrap();
    let at = path("home/notes");
    let verified = judge(&sealed, "home/notes").unwrap();
    assert_eq!(verified.signer(), ada.public_key());
    let last = |fault| Err(NodeError::Chain(ChainError { link: Some(0), fault }));
    let (principal, late) = (root(), NOW_MS + 1000);
    let later = verify(&sealed.metadata, &Expected { now_ms: late, ..expected(&principal, &at, None) });
    assert_eq!(later, last(ChainFault::Expired));
    // the same node, where it really is in another's directory: the writecap does not reach there
    let there = Readable { path: path("other/notes"), ..readable("other/notes", 1) };
    assert_eq!(
        seal_by(&ada, &cap, &there, 2).unwrap_err(),
        SealError::Chain(ChainError { link: Some(0), fault: ChainFault::NotCovered })
    );
    let claimed = Readable { path: Path::new(&[node(""), node("home"), node("notes")]).unwrap(), ..there };
    let stolen = seal_by(&ada, &cap, &claimed, 2).unwrap();
    assert_eq!(judge(&stolen, "other/notes").unwrap_err(), last(ChainFault::NotCovered).unwrap_err());
}

#[test]
fn who_may_append_makes_nodes_and_no_new_versions() {
    let ada = signer("ada");
    let cap = chain(&ada, "home", APPEND);
    let first = seal_by(&ada, &cap, &readable("home/notes", 1), 1).unwrap();
    assert!(judge(&first, "home/notes").is_ok());
    let not_allowed = ChainError { link: Some(0), fault: ChainFault::NotAllowed };
    assert_eq!(seal_by(&ada, &cap, &readable("home/notes", 1), 2).unwrap_err(), SealError::Chain(not_allowed));
    // by hand: the version made 2, signed again
    let mut body = first.metadata[..first.metadata.len() - 64].to_vec();
    const VERSION: usize = 4 + 1 + 32 + 16 + 16 + 1;
    body[VERSION] = 2;
    let forged = SealedNode { metadata: signed(&ada, &body), content: first.content };
    assert_eq!(judge(&forged, "home/notes"), Err(NodeError::Chain(not_allowed)));
}

#[test]
fn a_node_is_moved_only_by_who_may_write_at_both_places() {
    let ada = signer("ada");
    let moved = Readable { path: path("new/notes"), ..readable("home/notes", 1) };
    let (from, to, principal) = (path("home/notes"), path("new/notes"), root());
    let judge = |sealed: &SealedNode| {
        let seen = verified(&seal_file(&readable("home/notes", 1), 1, &[], b""), &from).seen();
        let expected = Expected { moved_from: Some(&from), ..expected(&principal, &to, Some(&seen)) };
        verify(&sealed.metadata, &expected).map(|_| ())
    };
    let not_covered = Err(NodeError::Chain(ChainError { link: Some(0), fault: ChainFault::NotCovered }));
    let only_there = seal_by(&ada, &chain(&ada, "new", Rights::ALL), &moved, 2).unwrap();
    assert_eq!(judge(&only_there), not_covered);
    let both = seal_by(&ada, &chain(&ada, "", Rights::ALL), &moved, 2).unwrap();
    assert_eq!(judge(&both), Ok(()));
    assert_eq!(judge(&seal_file(&moved, 2, &[], b"")), Ok(()));
}

#[test]
fn nobody_else_signs_a_node() {
    let (ada, mallory) = (signer("ada"), signer("mallory"));
    let cap = chain(&ada, "home", Rights::ALL);
    let notes = readable("home/notes", 1);
    assert_eq!(seal_by(&mallory, &cap, &notes, 1).unwrap_err(), SealError::NotTheHolder);
    let draft =
        Draft { readable: &notes, kind: Kind::File, version: 1, attributes: ATTRIBUTES, readers: &[], chain: None };
    let by_mallory = seal(&draft, b"", &mallory, &mut Seeded::named("x"));
    assert_eq!(by_mallory.unwrap_err(), SealError::NotTheHolder);
    // by hand: signed by mallory, with ada's writecap, with none, and in another's name
    let good = seal_by(&ada, &cap, &notes, 1).unwrap();
    let body = &good.metadata[..good.metadata.len() - 64];
    const SIGNER: usize = 4 + 1 + 32 + 16 + 16 + 1 + 8 + 4 + 8 + 32 + 32;
    let mut named = body.to_vec();
    named[SIGNER..SIGNER + 32].copy_from_slice(&mallory.public_key().0);
    let with = |metadata: Vec<u8>| judge(&SealedNode { metadata, content: vec![] }, "home/notes").unwrap_err();
    assert_eq!(with(signed(&mallory, &named)), NodeError::OtherHolder);
    assert_eq!(with(signed(&mallory, body)), NodeError::Forged);
    let mut without = named[..SIGNER + 32 + 25].to_vec();
    without.extend([0; 4]);
    assert_eq!(with(signed(&mallory, &without)), NodeError::NoAuthority);
    // the store's own key brings no writecap
    let mut both = body.to_vec();
    both[SIGNER..SIGNER + 32].copy_from_slice(&signer("root").public_key().0);
    assert_eq!(with(signed(&signer("root"), &both)), NodeError::Malformed(DecodeError::BadValue("chain")));
}

#[test]
fn a_signature_for_something_else_is_none_for_a_node() {
    let sealed = seal_file(&readable("home/notes", 1), 1, &[], b"text");
    let body = &sealed.metadata[..sealed.metadata.len() - 64];
    for label in [b"latchkey caps readcap\0".as_slice(), b"latchkey caps writecap link\0", b""] {
        let signature = signer("root").sign(&[label, body].concat()).unwrap();
        let forged = SealedNode { metadata: [body, &signature].concat(), content: vec![] };
        assert_eq!(judge(&forged, "home/notes"), Err(NodeError::Forged));
    }
}

#[test]
fn an_entry_is_of_no_use_in_other_metadata() {
    // whoever can sign puts ada's entry into metadata of another generation, and of another node
    let sealed = seal_file(&readable("home/notes", 1), 1, &[reader("ada").public()], b"text");
    let found = |at: usize, bytes: &[u8], place: &str| {
        let mut body = sealed.metadata[..sealed.metadata.len() - 64].to_vec();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        let forged = SealedNode { metadata: signed(&signer("root"), &body), content: vec![] };
        judge(&forged, place).unwrap().find_key(&reader("ada")).is_some()
    };
    const NODE: usize = 4 + 1 + 32;
    assert!(found(0, b"LKsn", "home/notes"));
    assert!(!found(NODE + 41, &2u32.to_le_bytes(), "home/notes"));
    assert!(!found(NODE, &node("other").0, "home/other"));
}

#[test]
fn any_changed_byte_of_metadata_is_refused() {
    let ada = signer("ada");
    let notes = readable("home/notes", 1);
    let readers = [reader("ada").public(), reader("bob").public()];
    let cap = chain(&ada, "home", Rights::ALL);
    let draft = Draft {
        readable: &notes,
        kind: Kind::File,
        version: 1,
        attributes: ATTRIBUTES,
        readers: &readers,
        chain: Some(&cap),
    };
    let good = seal(&draft, b"text", &ada, &mut Seeded::named("good")).unwrap();
    assert!(judge(&good, "home/notes").is_ok());
    let mut chance = Seeded::from_environment("metadata");
    for at in 0..good.metadata.len() {
        let mut metadata = good.metadata.clone();
        metadata[at] ^= 1 << chance.below(8);
        assert!(judge(&SealedNode { metadata, content: vec![] }, "home/notes").is_err(), "byte {at}");
    }
    for length in 0..good.metadata.len() {
        let metadata = good.metadata[..length].to_vec();
        assert!(judge(&SealedNode { metadata, content: vec![] }, "home/notes").is_err(), "{length}");
    }
    let mut metadata = good.metadata;
    metadata.push(0);
    let longer = judge(&SealedNode { metadata, content: vec![] }, "home/notes");
    assert_eq!(longer, Err(NodeError::Malformed(DecodeError::TrailingBytes)));
}

#[test]
fn fields_that_cannot_be_are_refused_though_they_are_signed() {
    let sealed = seal_file(&readable("home/notes", 1), 1, &[reader("a").public(), reader("b").public()], b"text");
    let body = &sealed.metadata[..sealed.metadata.len() - 64];
    let with = |at: usize, bytes: &[u8]| {
        let mut body = body.to_vec();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        judge(&SealedNode { metadata: signed(&signer("root"), &body), content: vec![] }, "home/notes").unwrap_err()
    };
    let bad = |field| NodeError::Malformed(DecodeError::BadValue(field));
    const NODE: usize = 4 + 1 + 32;
    const READERS: usize = NODE + 16 + 16 + 1 + 8 + 4 + 8 + 32 + 32 + 32 + 25;
    assert_eq!(with(0, b"LKrc"), NodeError::Malformed(DecodeError::OtherKind));
    assert_eq!(with(4, &[2]), NodeError::Malformed(DecodeError::NewerFormat(2)));
    assert_eq!(with(NODE, &NodeId::NONE.0), bad("node"));
    assert_eq!(with(NODE + 16, &node("notes").0), bad("node"));
    assert_eq!(with(NODE + 32, &[3]), bad("kind"));
    assert_eq!(with(NODE + 33, &[0; 8]), bad("version"));
    assert_eq!(with(NODE + 41, &[0; 4]), bad("generation"));
    assert_eq!(with(NODE + 45, &[255; 8]), bad("size"));
    assert_eq!(with(READERS, &[1, 1]), bad("readers"));
    // readers in another order, and one of them twice
    let (one, two) = (&body[READERS + 2..READERS + 82], &body[READERS + 82..READERS + 162]);
    assert_eq!(with(READERS + 2, &[two, one].concat()), bad("readers"));
    assert_eq!(with(READERS + 2, &[one, one].concat()), bad("readers"));
    // the largest size that can be is only a number
    let huge = with_size(body, 1 << 50);
    let verified = judge(&huge, "home/notes").unwrap();
    assert_eq!(verified.check_content(&[]).unwrap_err(), NodeError::OtherLength);
    let last = verified.sectors() - 1;
    let error = verified.check_range(last..last + 1, &[0; 1 << 16]).unwrap_err();
    assert_eq!(error, RangeError::Node(NodeError::OtherContent));
}

fn with_size(body: &[u8], size: u64) -> SealedNode {
    let mut body = body.to_vec();
    const SIZE: usize = 4 + 1 + 32 + 16 + 16 + 1 + 8 + 4;
    body[SIZE..SIZE + 8].copy_from_slice(&size.to_le_bytes());
    SealedNode { metadata: signed(&signer("root"), &body), content: vec![] }
}

#[test]
fn random_bytes_are_errors_everywhere() {
    let mut chance = Seeded::from_environment("random");
    for round in 0..20_000 {
        let length = chance.below(400);
        let mut bytes = chance.vector(length);
        // half of them begin as they should, so that more than the first test is met
        let mark = [b"LKsn\x01", b"LKrc\x01", b"LKwc\x01", b"LKdi\x01"][round % 4];
        if round % 8 < 4 && bytes.len() >= 5 {
            bytes[..5].copy_from_slice(mark);
        }
        assert!(judge(&SealedNode { metadata: bytes.clone(), content: vec![] }, "home").is_err());
        assert!(caps::readcap::Readcap::verify(&bytes, NOW_MS).is_err());
        assert!(Chain::decode(&bytes).is_err());
        let is_empty_directory = bytes.len() == 9 && bytes[5..] == [0; 4];
        assert!(is_empty_directory || caps::directory::decode(&bytes).is_err());
    }
}

#[test]
fn content_in_pieces_is_the_same_as_whole() {
    let notes = readable("home/notes", 1);
    let draft =
        Draft { readable: &notes, kind: Kind::File, version: 1, attributes: ATTRIBUTES, readers: &[], chain: None };
    let plain = content(4 * SECTOR_PLAIN_BYTES + 99);
    let whole = seal(&draft, &plain, &signer("root"), &mut Seeded::named("pieces")).unwrap();
    let mut chance = Seeded::from_environment("pieces");
    let mut entropy = Seeded::named("pieces");
    let mut sealer = ContentSealer::new(&draft, &mut entropy).unwrap();
    let (mut sealed, mut rest) = (vec![], plain.as_slice());
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(chance.below(rest.len().min(40_000)) + 1);
        sealer.push(piece, &mut sealed).unwrap();
        rest = more;
    }
    let ended = sealer.end(&mut sealed).unwrap();
    assert!(sealed == whole.content);
    assert_eq!(finish(&draft, &ended, &signer("root"), &mut entropy).unwrap(), whole.metadata);
    // what was sealed for one draft is not signed for another
    let earlier = Attributes { modified_ns: -1, ..ATTRIBUTES };
    for other in [Draft { version: 2, ..draft }, Draft { attributes: earlier, ..draft }] {
        assert_eq!(finish(&other, &ended, &signer("root"), &mut entropy).unwrap_err(), SealError::OtherDraft);
    }
}

#[test]
fn there_are_limits_on_what_is_sealed() {
    let notes = readable("home/notes", 1);
    let many = vec![reader("ada").public(); READER_LIMIT + 1];
    let draft =
        Draft { readable: &notes, kind: Kind::File, version: 1, attributes: ATTRIBUTES, readers: &many, chain: None };
    let sealed = |draft: &Draft<'_>| seal(draft, b"", &signer("root"), &mut Seeded::named("x"));
    assert_eq!(sealed(&draft).unwrap_err(), SealError::TooManyReaders);
    let most = sealed(&Draft { attributes: ATTRIBUTES, readers: &many[1..], ..draft }).unwrap();
    let verified = judge(&most, "home/notes").unwrap();
    assert!(verified.find_key(&reader("bob")).is_none());
    assert!(verified.find_key(&reader("ada")).is_some());
    assert_eq!(
        sealed(&Draft { version: 0, attributes: ATTRIBUTES, readers: &[], ..draft }).unwrap_err(),
        SealError::BadNumber
    );
    let zero = Readable { generation: 0, expires_ms: NEVER_MS, ..notes.clone() };
    assert_eq!(
        sealed(&Draft { readable: &zero, attributes: ATTRIBUTES, readers: &[], ..draft }).unwrap_err(),
        SealError::BadNumber
    );
}
