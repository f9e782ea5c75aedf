//! What an opening begins with: the root, without which nothing of the store can be judged, and whether there is a store at all.

use std::io;
use std::sync::Arc;

use super::super::commit::{NOTE_BYTES, SYNCED, read_note};
use super::super::error::{Outcome, StoreError};
use super::super::files::{Files, StoreFile};
use super::super::format::{SEGMENT_HEAD_BYTES, file_name};
use super::super::keys::{Keys, OwnKeys};
use super::super::marker::MARKER;
use super::super::root::{self, Root};
use super::super::scan::{FoundSegment, find_segments};
use super::super::segments::{LOST, move_to_lost, read};
use super::listed;
use super::plan::holds_anything;

/// What there is.
pub(super) struct Beginning {
    pub(super) root: Root,
    pub(super) own: OwnKeys,
    /// With heads of this store's own hand only.
    pub(super) found: Vec<FoundSegment>,
    pub(super) note: Arc<dyn StoreFile>,
    /// How far the disk was made sure of, as the note says.
    pub(super) noted: u64,
    /// There was no store.
    pub(super) created: bool,
    /// What was moved out of its way.
    pub(super) moved: Option<String>,
}

/// Finds the store's root, or makes one where there is no store.
pub(super) fn begin(files: &dyn Files, keys: &dyn Keys) -> Outcome<Beginning> {
    // First, because where there is one this fails for as long as the keys are locked.
    let kept = match Root::kept(files, keys) {
        Err(error @ StoreError::Keys(_)) => return Err(error),
        kept => kept,
    };
    let mut found = find_segments(files)?;
    let note_bytes = read_synced(files)?;
    let has_marker = exists(files, MARKER)?;
    let root = find_root(files, keys, kept, &found)?;
    if root.is_none() && (!found.is_empty() || has_marker || !note_bytes.is_empty()) {
        return Err(no_root());
    }
    let (mut root, made) = match root {
        Some(root) => (root, false),
        None => (Root::make(files, keys)?, true),
    };
    let mut own = root.own_keys();
    found.iter_mut().for_each(|segment| segment.believe(&root.store, &own));
    let mut noted = read_note(&note_bytes, &own);
    let created = !holds_anything(files, &found, &own)?;
    let mut moved = None;
    if created {
        // Before a note or a marker is left, a commit was on the disk. A note that cannot be read is one all the same.
        if noted > 0 || has_marker || (!note_bytes.is_empty() && !found.is_empty()) {
            return Err(all_gone());
        }
        moved = give_up(files, &mut found)?;
        if !made {
            // What was begun once and is not there may come back: it must not pass for what is written now.
            root = Root::make(files, keys)?;
            own = root.own_keys();
            noted = 0;
        }
    }
    let note = match files.open(SYNCED) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let note = files.create(SYNCED)?;
            files.sync_folder("")?;
            note
        }
        note => note?,
    };
    Ok(Beginning { root, own, found, note, noted, created, moved })
}

/// What is in the file of the note; nothing where there is none.
fn read_synced(files: &dyn Files) -> Outcome<Vec<u8>> {
    let file = match files.open(SYNCED) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut bytes = vec![0; NOTE_BYTES];
    let got = read(file.as_ref(), 0, &mut bytes)?;
    bytes.truncate(got);
    Ok(bytes)
}

fn exists(files: &dyn Files, name: &str) -> Outcome<bool> {
    Ok(files.list("")?.iter().any(|there| there == name))
}

/// The root of this store: from its file, if what is stored is of that root, or else from what is stored.
fn find_root(
    files: &dyn Files,
    keys: &dyn Keys,
    kept: Outcome<Option<Root>>,
    found: &[FoundSegment],
) -> Outcome<Option<Root>> {
    let is_of_store = |root: &Root| {
        let own = root.own_keys();
        let mut believed = found.to_vec();
        believed.iter_mut().for_each(|segment| segment.believe(&root.store, &own));
        holds_anything(files, &believed, &own)
    };
    if let Ok(Some(root)) = &kept
        && is_of_store(root)?
    {
        return kept;
    }
    match Root::search(files, keys, found, is_of_store)? {
        Some(root) => Ok(Some(root)),
        None => kept.map_err(|error| match error {
            StoreError::Io(error) => {
                StoreError::Io(io::Error::new(error.kind(), format!("the file {}: {error}", root::FILE)))
            }
            other => other,
        }),
    }
}

fn all_gone() -> StoreError {
    StoreError::Damaged(
        "nothing that this store wrote is in its segments, and there was something. Put them back; to begin with an empty store, \
         stop the node and move the store's folder away"
            .into(),
    )
}

fn no_root() -> StoreError {
    StoreError::Damaged(
        "no key of its root opens with the node's keys. Restore the backup of the keys that it was made with, or put the file \
         `root` back"
            .into(),
    )
}

/// Nothing was ever made sure of, and no segment holds anything of the store's hand: a store begins anew. What may be more than the
/// torn beginning of one is kept for people to look at; says what.
fn give_up(files: &dyn Files, found: &mut Vec<FoundSegment>) -> Outcome<Option<String>> {
    let mut kept = Vec::new();
    for segment in found.drain(..) {
        let name = file_name(segment.number);
        if segment.length <= SEGMENT_HEAD_BYTES as u64 {
            files.remove(&name)?;
        } else {
            kept.push(segment.number);
        }
    }
    let names: Vec<String> = kept.iter().map(|number| file_name(*number)).collect();
    move_to_lost(files, &kept)?;
    let told = || {
        format!("nothing of {} could be read: moved to the folder {LOST}, and an empty store was begun", listed(&names))
    };
    Ok((!kept.is_empty()).then(told))
}
