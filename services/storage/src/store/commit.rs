//! Commits: a signature over everything before, then the disk is made sure of. Who waits for one shares it with all
//! others who wait.

use std::sync::PoisonError;

use vat::fault;

use ed25519_dalek::{Signature, VerifyingKey};

use super::error::{Outcome, StoreError};
use super::format::{Hash, Id, ItemHead, ItemKind, Take};
use super::index::{Index, Sum};
use super::keys::{OwnKeys, SIGNATURE_CONTEXT, TAG_BYTES};
use super::log::{Broken, ChainStart, Draft, Touched};
use super::scan::Expected;
use super::shared::{Committing, Shared};

/// The file that says how far the disk was made sure of.
pub(crate) const SYNCED: &str = "synced";
/// After so many changes of nodes a commit is made by itself, so that the list of them stays near 7 MiB of the 12 MiB
/// that a frame may have: 131,072 times 56 bytes.
pub(crate) const TOUCHED_LIMIT: usize = 1 << 17;

/// A segment, as a commit names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) number: u32,
    /// Its first frame, and the chain before it.
    pub(crate) begin: Expected,
    /// The frame after its last, and the chain before that; nothing while it is written to.
    pub(crate) end: Option<Expected>,
}

/// How nothing is written where a segment's end is.
const NO_END: Expected = Expected { sequence: 0, chain: [0; 32] };

/// What a commit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The last frame that is signed.
    pub(crate) sequence: u64,
    /// The chain after it.
    pub(crate) chain: Hash,
    pub(crate) public_key: [u8; 32],
    pub(crate) signature: [u8; 64],
    /// The sum over all versions of nodes before the frame that this is in.
    pub(crate) versions: Sum,
    pub(crate) commits: u64,
    /// The list is complete for the frames from this one to `sequence`.
    pub(crate) listed_from: u64,
    /// The last frame before that changed anything, and the beginning of the chain after it; nothing where there is none.
    pub(crate) anchor: Option<(u64, ChainStart)>,
    pub(crate) touched: Vec<Touched>,
    /// All segments, where they changed.
    pub(crate) segments: Option<Vec<Listed>>,
}

impl Commit {
    /// What is signed.
    pub(crate) fn message(&self, store: &Id) -> Vec<u8> {
        let mut message = b"latchkey store commit v1".to_vec();
        message.extend_from_slice(store);
        message.extend_from_slice(&self.sequence.to_le_bytes());
        message.extend_from_slice(&self.chain);
        message.extend_from_slice(blake3::hash(&self.lists()).as_bytes());
        message
    }

    fn lists(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.touched.len() * 56);
        bytes.extend_from_slice(&self.commits.to_le_bytes());
        bytes.extend_from_slice(&self.listed_from.to_le_bytes());
        let anchor = self.anchor.unwrap_or_default();
        bytes.extend_from_slice(&anchor.0.to_le_bytes());
        bytes.extend_from_slice(&anchor.1);
        bytes.extend_from_slice(&(self.touched.len() as u64).to_le_bytes());
        for touched in &self.touched {
            bytes.extend_from_slice(&touched.sequence.to_le_bytes());
            bytes.extend_from_slice(&touched.chain);
            bytes.extend_from_slice(&touched.node);
            bytes.extend_from_slice(&touched.entry);
            bytes.extend_from_slice(&touched.version.to_le_bytes());
        }
        // 0: as before; else one more than how many there are.
        let count = self.segments.as_ref().map_or(0, |segments| segments.len() as u64 + 1);
        bytes.extend_from_slice(&count.to_le_bytes());
        for segment in self.segments.iter().flatten() {
            bytes.extend_from_slice(&u64::from(segment.number).to_le_bytes());
            for place in [segment.begin, segment.end.unwrap_or(NO_END)] {
                bytes.extend_from_slice(&place.sequence.to_le_bytes());
                bytes.extend_from_slice(&place.chain);
            }
        }
        bytes
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.chain);
        bytes.extend_from_slice(&self.public_key);
        bytes.extend_from_slice(&self.signature);
        bytes.extend_from_slice(&self.versions.to_bytes());
        bytes.extend_from_slice(&self.lists());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut take = Take(bytes);
        let (sequence, chain) = (take.u64()?, take.array()?);
        let (public_key, signature) = (take.array()?, take.array()?);
        let (versions, commits) = (Sum::from_bytes(&take.array()?), take.u64()?);
        let listed_from = take.u64()?;
        let anchor = Some((take.u64()?, take.array()?)).filter(|(sequence, _)| *sequence > 0);
        let mut touched = Vec::new();
        for _ in 0..take.u64()? {
            let (sequence, chain, node) = (take.u64()?, take.array()?, take.array()?);
            touched.push(Touched { sequence, chain, node, entry: take.array()?, version: take.u64()? });
        }
        let mut segments = None;
        if let Some(count) = take.u64()?.checked_sub(1) {
            let mut list = Vec::new();
            for _ in 0..count {
                let number = u32::try_from(take.u64()?).ok()?;
                let mut place = || Some(Expected { sequence: take.u64()?, chain: take.array()? });
                let (begin, end) = (place()?, place()?);
                list.push(Listed { number, begin, end: (end != NO_END).then_some(end) });
            }
            segments = Some(list);
        }
        take.end()?;
        Some(Self { sequence, chain, public_key, signature, versions, commits, listed_from, anchor, touched, segments })
    }

    /// Whether the signature is its key's.
    pub(crate) fn is_signed(&self, store: &Id) -> bool {
        let digest = blake3::derive_key(SIGNATURE_CONTEXT, &self.message(store));
        VerifyingKey::from_bytes(&self.public_key)
            .is_ok_and(|key| key.verify_strict(&digest, &Signature::from_bytes(&self.signature)).is_ok())
    }
}

impl Shared {
    /// Returns when all that was written before is signed and on the disk.
    pub(crate) fn sync(&self) -> Outcome<()> {
        let wanted = self.lock_log().sequence;
        self.sync_until(wanted)
    }

    /// Makes a commit even if no frame was written since the last, because the segments are others.
    pub(crate) fn commit_segments(&self) -> Outcome<()> {
        self.lock_log().list_dirty = true;
        self.sync_until(u64::MAX)
    }

    fn sync_until(&self, wanted: u64) -> Outcome<()> {
        let mut committing = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if committing.done >= wanted {
                return Ok(());
            }
            if !committing.busy {
                break;
            }
            let round = committing.round;
            committing = self
                .committed
                .wait_while(committing, |now| now.busy && now.round == round)
                .unwrap_or_else(PoisonError::into_inner);
        }
        committing.busy = true;
        drop(committing);
        let outcome = self.commit();
        let mut committing = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        *committing = Committing {
            busy: false,
            round: committing.round + 1,
            done: outcome.as_ref().map_or(committing.done, |done| *done),
        };
        drop(committing);
        self.committed.notify_all();
        outcome.map(drop)
    }

    /// One commit; the sequence up to which everything is on the disk then.
    fn commit(&self) -> Outcome<u64> {
        let mut lists = false;
        let outcome = self.commit_with(&mut lists);
        if lists && outcome.is_err() {
            self.lock_log().list_dirty = true;
        }
        outcome
    }

    /// The same; whether it was to list the segments is told also where it fails.
    fn commit_with(&self, lists: &mut bool) -> Outcome<u64> {
        let public_key = self.keys.public_key()?;
        let (mut commit, listed_active) = {
            let mut log = self.lock_log();
            log.usable()?;
            if log.sequence == log.committed && log.dirty.is_empty() && !log.list_dirty {
                return Ok(log.sequence);
            }
            // What changes the segments from here on is for the next commit to say.
            *lists = std::mem::take(&mut log.list_dirty);
            let segments = lists.then(|| {
                let listed = |(number, segment): (u32, super::segments::Segment)| Listed {
                    number,
                    begin: Expected::at_begin_of(&segment.head),
                    end: (number != log.active).then_some(segment.end),
                };
                let mut all: Vec<_> = self.segments.all().into_iter().map(listed).chain(log.missing.clone()).collect();
                all.sort_unstable_by_key(|one| one.number);
                all
            });
            let (listed_from, anchor, touched) = log.list_touched();
            let commit = Commit {
                sequence: log.sequence,
                chain: log.chain,
                public_key,
                signature: [0; 64],
                versions: Sum::default(),
                commits: log.commits + 1,
                listed_from,
                anchor,
                touched,
                segments,
            };
            (commit, log.active)
        };
        commit.signature = self.keys.sign(&commit.message(&self.store_id))?;
        fault::point("commit.signed");
        let (covered, dirty, folder_dirty) = {
            let mut log = self.lock_log();
            log.usable()?;
            commit.versions = self.read_index(|index: &Index| Ok(index.position.versions))?;
            let sequence = log.sequence + 1;
            let mut draft = Draft::new(sequence, 256);
            let none = [0; 16];
            draft.push(ItemHead::new(ItemKind::Commit, none, none, sequence), &commit.encode())?;
            self.repeat_root(&mut log, &mut draft);
            self.write_frame(&mut log, draft)?;
            log.committed = commit.sequence;
            log.commits += 1;
            log.summarised = listed_active;
            log.forget_touched(&self.segments);
            (sequence, std::mem::take(&mut log.dirty), std::mem::take(&mut log.folder_dirty))
        };
        fault::point("commit.written");
        let made_sure = dirty.values().try_for_each(|file| file.sync());
        let made_sure =
            made_sure.and_then(|()| if folder_dirty { self.segments.files.sync_folder("segments") } else { Ok(()) });
        if let Err(error) = made_sure {
            // What the cache holds after that need not be what the disk holds: nothing is built on it.
            let why = format!("the disk could not be made sure of: {error}");
            self.lock_log().broken = Some(Broken::Disk(why.clone()));
            return Err(StoreError::Refusing(why));
        }
        fault::point("commit.synced");
        // Best effort: an older note is true as well.
        let _ = self.note.write_at(0, &note(covered, &self.own));
        fault::point("commit.noted");
        Ok(covered)
    }
}

/// A sequence, and its tag.
pub(crate) const NOTE_BYTES: usize = 8 + TAG_BYTES;

/// The note of how far the disk was made sure of.
pub(crate) fn note(sequence: u64, keys: &OwnKeys) -> [u8; NOTE_BYTES] {
    let mut bytes = [0; NOTE_BYTES];
    bytes[..8].copy_from_slice(&sequence.to_le_bytes());
    bytes[8..].copy_from_slice(&keys.synced_tag(sequence));
    bytes
}

/// What a note says; 0 where it is none of this store's.
pub(crate) fn read_note(bytes: &[u8], keys: &OwnKeys) -> u64 {
    let sequence = Take(bytes).u64().unwrap_or(0);
    if bytes == note(sequence, keys) { sequence } else { 0 }
}
