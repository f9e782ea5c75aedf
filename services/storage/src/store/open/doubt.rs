//! What cannot be trusted any more, because a change of it was lost.

use std::collections::HashMap;

use super::super::error::Outcome;
use super::super::format::{Id, Take};
use super::super::index::{self, DAMAGED, Index, IndexError, Transaction};
use super::super::scan::Bad;
use super::survey::Survey;

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

/// Which nodes are not to be trusted: those that the commits name, and all if there is a frame that none names, or if
/// the versions are not those that the last commit says.
pub(super) fn judge(
    index: &mut Index,
    seen: &Survey,
    versions: Option<index::Sum>,
    (synced, noted): (u64, u64),
) -> Outcome<Doubt> {
    let mut doubt = Doubt::default();
    let mut sum = versions;
    for ((node, entry), hit) in &seen.hit {
        let key =
            if *entry == [0; 16] { index::key(index::NODE, &[node]) } else { index::key(index::ENTRY, &[node, entry]) };
        let row = index.newest(&key, u64::MAX)?;
        // What was removed, or an entry that was written again, is as it should be.
        let fine =
            row.as_ref().is_some_and(|(sequence, row)| *sequence > hit.sequence && (row.gone || *entry != [0; 16]));
        if !fine {
            doubt.nodes.insert((*node, *entry), hit.why.clone());
        }
    }
    for (node, version) in &seen.versions {
        let row = index.newest(&index::key(index::NODE, &[node]), u64::MAX)?.map(|(_, row)| row);
        if let Some(sum) = &mut sum
            && row.as_ref().is_none_or(|row| !row.gone)
        {
            // A copy that was lost may have been of something older, that a snapshot shows.
            let version = row.as_ref().map_or(*version, |row| row.version.max(*version));
            if let Some(row) = row {
                sum.subtract(index::Sum::of(node, &row.version.to_le_bytes()));
            }
            sum.add(index::Sum::of(node, &version.to_le_bytes()));
        }
    }
    let unnamed = seen.bad.iter().filter_map(|bad| last_unnamed(bad, &seen.named, synced, noted)).max();
    let claimed = seen.last_commit.as_ref().map(|(_, commit)| commit.versions);
    if let Some(until) = unnamed {
        let why = "frames are missing of which nothing says what they changed; nothing written before them is served";
        doubt.all_until = Some((until, why.to_owned()));
    } else if sum != claimed {
        let why = "the files are not of the versions that the last commit names; nothing written before it is served";
        doubt.all_until = Some((seen.last_commit.as_ref().map_or(0, |(sequence, _)| *sequence), why.to_owned()));
    }
    let mut changes = Transaction::new(index);
    doubt.write(&mut changes)?;
    let ready = changes.ready()?;
    index.commit(ready)?;
    Ok(doubt)
}

/// The last of the frames that are bad of which no commit says what it changed. What the note names was a commit.
fn last_unnamed(bad: &Bad, named: &[(u64, u64)], synced: u64, noted: u64) -> Option<u64> {
    let mut last = bad.last.unwrap_or(synced).min(synced);
    while last >= bad.first {
        if last == 0 {
            break;
        }
        if last == noted {
            last -= 1;
            continue;
        }
        let (from, _) =
            named.iter().find(|(from, until)| (*from..=*until).contains(&last)).copied().unwrap_or_default();
        if from == 0 {
            return Some(last);
        }
        last = from - 1;
    }
    None
}
