//! What cannot be trusted any more, and what it is about.

use super::*;

/// What cannot be trusted any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubt {
    /// Nodes, and entries of directories by the hashes of their names; zeros: the node itself.
    pub(crate) nodes: HashMap<(Id, [u8; 16]), String>,
    /// Nodes that were not written since this frame, because nobody can say which of them were.
    pub(crate) all_until: Option<(u64, String)>,
}

impl Doubt {
    /// Why a node, whose metadata was written then, is not to be trusted.
    pub(crate) fn about(&self, node: &Id, written_at: u64) -> Option<String> {
        let all = self.all_until.as_ref().filter(|(until, _)| written_at <= *until).map(|(_, why)| why);
        self.nodes.get(&(*node, [0; 16])).or(all).cloned()
    }

    /// Why an entry is not to be trusted.
    pub(crate) fn about_entry(&self, directory: &Id, hash: &[u8; 16], written_at: u64) -> Option<String> {
        let all = self.all_until.as_ref().filter(|(until, _)| written_at <= *until).map(|(_, why)| why);
        self.nodes.get(&(*directory, *hash)).or(all).cloned()
    }

    pub(crate) fn load(index: &Index) -> Result<Self, IndexError> {
        let mut doubt = Self::default();
        index.scan(&[DAMAGED], &[], |key, value| {
            let mut take = Take(&key[1..]);
            let (id, entry) = take.array().zip(take.array()).ok_or_else(index::row_damaged)?;
            let mut take = Take(value);
            let until = take.u64().ok_or_else(index::row_damaged)?;
            let why = String::from_utf8_lossy(take.0).into_owned();
            if id == Id::default() && entry == [0; 16] {
                doubt.all_until = Some((until, why));
            } else {
                doubt.nodes.insert((id, entry), why);
            }
            Ok(true)
        })?;
        Ok(doubt)
    }

    pub(super) fn write(&self, changes: &mut Transaction<'_>) -> Result<(), IndexError> {
        let row = |until: u64, why: &str| [&until.to_le_bytes()[..], why.as_bytes()].concat();
        for ((node, entry), why) in &self.nodes {
            changes.set(index::key(DAMAGED, &[node, entry]), Some(row(0, why)))?;
        }
        if let Some((until, why)) = &self.all_until {
            changes.set(index::key(DAMAGED, &[&Id::default(), &[0; 16]]), Some(row(*until, why)))?;
        }
        Ok(())
    }
}
