//! What an export leaves out, and what it refuses.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::super::Outside;
use super::*;
use crate::store::tests::basic::{open, spoil_entry, spoil_metadata, spoil_sector};

const SECTOR: u64 = 16 << 10;

/// What an export of the whole store leaves out, and how many nodes it has.
fn export(store: &Store, limits: Limits) -> (Vec<(String, String)>, usize) {
    let outside = Outside::new(store.clone(), store.root());
    let mut export = Export::begin_within(limits, store, outside.locate(&[]).unwrap(), (1, 1)).unwrap();
    let (mut left_out, mut nodes) = (Vec::new(), 0);
    loop {
        match export.next_piece().unwrap() {
            Piece::Content(_) => {}
            Piece::Metadata(_) => nodes += 1,
            Piece::LeftOut { path, why } => left_out.push((String::from_utf8(path).unwrap(), why.into_owned())),
            Piece::End => return (left_out, nodes),
        }
    }
}

fn make(store: &Store, name: &str, stored: u64, size: u64) -> Node {
    let file = store.create(&store.root(), name.as_bytes(), Kind::File, &[]).unwrap();
    store.write(&file, 0, &vec![7; usize::try_from(stored).unwrap()], &[]).unwrap();
    store.truncate(&file, size, &[]).unwrap();
    file
}

#[test]
fn a_file_that_is_mostly_a_hole_is_not_exported_by_itself_either() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    make(&store, "hole", SECTOR, 1 << 40);
    make(&store, "whole", SECTOR, 8 * SECTOR);
    let outside = Outside::new(store.clone(), store.root());
    assert!(matches!(outside.export(&[b"hole"], 1), Err(OutsideError::MostlyHole)));
    assert!(outside.export(&[b"whole"], 1).is_ok());
    assert_eq!(store.snapshots(&store.root(), 0, 0).unwrap().len(), 0, "what was refused keeps nothing");
}

#[test]
fn what_was_cut_off_counts_as_a_hole_though_a_snapshot_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let sectors = 2_500;
    let file = make(&store, "a", 0, 0);
    for begin in (0..sectors).step_by(500) {
        store.write(&file, begin * SECTOR, &vec![7; 500 * SECTOR as usize], &[]).unwrap();
    }
    assert_eq!(store.stored_bytes(&file, u64::MAX).unwrap(), sectors * SECTOR, "over more than one page");
    assert_eq!(store.stored_bytes(&file, 3 * SECTOR).unwrap(), 3 * SECTOR);
    store.snapshot(&store.root(), "whole").unwrap();
    store.truncate(&file, 3 * SECTOR, &[]).unwrap();
    store.truncate(&file, sectors * SECTOR, &[]).unwrap();
    assert_eq!(store.stored_bytes(&file, u64::MAX).unwrap(), 3 * SECTOR);
}

#[test]
fn the_holes_of_all_files_count_together() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for name in ["a", "b", "c", "d", "e"] {
        make(&store, name, SECTOR, 40 * SECTOR);
    }
    make(&store, "whole", 5 * SECTOR, 40 * SECTOR);
    let (left_out, nodes) = export(&store, Limits { excess_bytes: 70 * SECTOR, ..LIMITS });
    assert!(left_out.len() == 3 && left_out.iter().all(|(name, why)| name != "whole" && why == TOO_MANY_HOLES));
    assert_eq!(nodes, 4);
    assert_eq!(export(&store, LIMITS), (Vec::new(), 7));
}

#[test]
fn what_is_too_much_is_left_out_and_counted_where_it_is_not_named() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for name in 0..8 {
        make(&store, &name.to_string(), 1, 1);
    }
    let (left_out, nodes) = export(&store, Limits { entries: 2, named: 4, ..LIMITS });
    assert!(left_out[..4].iter().all(|(_, why)| why == TOO_MANY), "{left_out:?}");
    assert_eq!(left_out[4..], [(".".to_owned(), "2 more in it are left out and not named".to_owned())]);
    assert_eq!(nodes, 3);
}

#[test]
fn what_is_damaged_is_left_out_and_all_else_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    make(&store, "whole", 3 * SECTOR, 3 * SECTOR);
    let sector = make(&store, "sector", 3 * SECTOR, 3 * SECTOR);
    let metadata = make(&store, "metadata", 1, 1);
    make(&store, "entry", 1, 1);
    let root = store.root();
    spoil_sector(folder.path(), &store, &sector, 2);
    spoil_metadata(folder.path(), &store, &metadata);
    spoil_entry(folder.path(), &store, &root, b"entry");
    drop((sector, metadata, root));
    let (left_out, nodes) = export(&store, LIMITS);
    let of = |name: &str| left_out.iter().find(|(path, _)| path == name).map(|(_, why)| why.as_str());
    assert_eq!((of("sector"), of("metadata"), of(".")), (Some(DAMAGED), Some(DAMAGED), Some(ENTRY_DAMAGED)));
    assert_eq!((left_out.len(), nodes), (3, 2));
}
