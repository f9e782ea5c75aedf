//! Content that is checked and opened piece by piece, and what metadata says of itself.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use caps::Readable;
use caps::sealed_node::{
    Claim, ContentReader, NodeError, OpenError, SECTOR_BYTES, SECTOR_PLAIN_BYTES, SealedNode, StreamError, Verified,
};
use common::{Seeded, node, path, readable, root, seal_file, signer, verified};

use caps::Signer as _;

fn sealed(size: usize) -> (Readable, Vec<u8>, SealedNode) {
    let notes = readable("home/notes", 1);
    let plain = Seeded::named("content").vector(size);
    let sealed = seal_file(&notes, 3, &[], &plain);
    (notes, plain, sealed)
}

/// Takes the content in pieces of that length.
fn read(mut reader: ContentReader<'_>, content: &[u8], piece: usize) -> Result<Vec<u8>, StreamError> {
    let mut plain = vec![];
    for piece in content.chunks(piece) {
        reader.push(piece, &mut plain)?;
    }
    reader.end(&mut plain)?;
    Ok(plain)
}

fn open(verified: &Verified, key: &Readable, content: &[u8], piece: usize) -> Result<Vec<u8>, StreamError> {
    read(ContentReader::opening(verified, key).unwrap(), content, piece)
}

fn check(verified: &Verified, content: &[u8]) -> Result<(), StreamError> {
    read(ContentReader::checking(verified), content, 1000).map(|plain| assert!(plain.is_empty()))
}

#[test]
fn pieces_of_any_length_come_out_as_they_went_in() {
    for size in [0, 1, SECTOR_PLAIN_BYTES, 2 * SECTOR_PLAIN_BYTES + 7] {
        let (notes, plain, sealed) = sealed(size);
        let verified = verified(&sealed, &path("home/notes"));
        for piece in [1, 1000, SECTOR_BYTES, SECTOR_BYTES + 1, 1 << 20] {
            assert!(open(&verified, &notes, &sealed.content, piece).unwrap() == plain, "{size} {piece}");
        }
        check(&verified, &sealed.content).unwrap();
    }
}

#[test]
fn what_was_changed_cut_or_extended_is_refused() {
    let (notes, _, sealed) = sealed(2 * SECTOR_PLAIN_BYTES + 7);
    let verified = verified(&sealed, &path("home/notes"));
    let content = &sealed.content;
    let refused = |bytes: &[u8], error| {
        assert_eq!(check(&verified, bytes), Err(StreamError::Node(error)));
        assert_eq!(open(&verified, &notes, bytes, 999), Err(StreamError::Node(error)));
    };
    for at in [0, SECTOR_BYTES, content.len() - 1] {
        let mut changed = content.clone();
        changed[at] ^= 1;
        refused(&changed, NodeError::OtherContent);
    }
    refused(&content[..content.len() - 1], NodeError::OtherLength);
    refused(&[], NodeError::OtherLength);
    refused(&[content.as_slice(), &[0]].concat(), NodeError::OtherLength);
    let (first, second) = (&content[..SECTOR_BYTES], &content[SECTOR_BYTES..2 * SECTOR_BYTES]);
    refused(&[second, first, &content[2 * SECTOR_BYTES..]].concat(), NodeError::OtherContent);
}

#[test]
fn another_key_opens_nothing_and_is_told_from_changed_content() {
    let (notes, _, sealed) = sealed(SECTOR_PLAIN_BYTES + 1);
    let verified = verified(&sealed, &path("home/notes"));
    let other = Readable { key: readable("home/other", 1).key, ..notes };
    let opened = open(&verified, &other, &sealed.content, 5000);
    assert_eq!(opened, Err(StreamError::Open(OpenError::Sector(0))));
    let older = Readable { generation: 2, ..other };
    assert_eq!(ContentReader::opening(&verified, &older).err(), Some(OpenError::OtherKey));
}

#[test]
fn metadata_says_where_it_belongs() {
    let (_, _, sealed) = sealed(1);
    let claim = Claim::read(&sealed.metadata).unwrap();
    assert_eq!((claim.root, claim.node, claim.parent), (root(), node("notes"), node("home")));
    assert_eq!((claim.version, claim.signer), (3, signer("root").public_key()));
    for length in 0..sealed.metadata.len() {
        assert!(Claim::read(&sealed.metadata[..length]).is_err(), "{length}");
    }
}
