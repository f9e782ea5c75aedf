//! What those who let parts of the store out need of it: who a node is, a key of its own to give away, and a note that is
//! kept with it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Store;
use super::directory::need_current;
use super::error::{Outcome, StoreError};
use super::keys::{Keys, Secret, outside_key};
use super::log::Draft;
use super::node::Node;

/// The longest note. It is written again with each change of the node: 256 readers of 48 bytes, and some more.
pub const NOTE_LIMIT_BYTES: usize = 16 << 10;

/// What a node is read with elsewhere. Nothing that the store itself seals opens with it: not even who has all of its
/// segments and this key reads more of them, or what was written before an exchange.
pub struct OutsideKey {
    /// How often the node's key was exchanged, counted from 1.
    pub generation: u32,
    /// The key.
    pub key: Secret,
}

impl Node {
    /// What it is known by, for as long as it exists.
    #[must_use]
    pub fn identifier(&self) -> [u8; 16] {
        self.id()
    }

    /// The key that this generation of it has elsewhere.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] where there are no more generations.
    pub fn outside_key(&self) -> Outcome<OutsideKey> {
        let keys = self.keys();
        let generation = keys.generation.checked_add(1).ok_or(StoreError::TooLarge)?;
        Ok(OutsideKey { generation, key: outside_key(&keys.key) })
    }
}

impl Store {
    /// The keys that the store was opened with.
    #[must_use]
    pub fn keys(&self) -> &Arc<dyn Keys> {
        &self.shared().keys
    }

    /// The note of a node: sealed with it, moved with it, and kept by snapshots as it was. Empty where there never was one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Damaged`].
    pub fn note(&self, node: &Node) -> Outcome<Zeroizing<Vec<u8>>> {
        self.shared().with_sound_index(|| Ok(self.shared().known(node)?.note))
    }

    /// Exchanges the note of a node for what `change` makes of it, while nobody else changes it. What `change` returns
    /// beside is the result; where it fails, nothing is written.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a note of more than [`NOTE_LIMIT_BYTES`], [`StoreError::ReadOnly`] in a snapshot, and
    /// those of [`write`](Self::write).
    pub fn change_note<T, E: From<StoreError>>(
        &self,
        node: &Node,
        mut change: impl FnMut(&[u8]) -> Result<(Zeroizing<Vec<u8>>, T), E>,
    ) -> Result<T, E> {
        let mut refused = None;
        let changed = self.shared().writing(|shared, log| {
            need_current(node)?;
            let mut known = shared.known(node)?;
            let (note, result) = match change(&known.note) {
                Ok(changed) => changed,
                Err(error) => {
                    refused = Some(error);
                    return Ok(None);
                }
            };
            if note.len() > NOTE_LIMIT_BYTES {
                return Err(StoreError::TooLarge);
            }
            known.note = note;
            let mut draft = Draft::new(log.sequence + 1, 512 + known.note.len());
            let account = known.account;
            shared.push_metadata(&mut draft, &node.id(), &mut known, &node.keys(), account)?;
            shared.admit(log, &mut draft, &[])?;
            shared.write_frame(log, draft)?;
            Ok(Some(result))
        });
        match (changed?, refused) {
            (Some(result), _) => Ok(result),
            (None, Some(error)) => Err(error),
            (None, None) => Err(StoreError::NotFound.into()),
        }
    }
}
