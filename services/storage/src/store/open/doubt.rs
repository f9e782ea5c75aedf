//! What cannot be trusted any more, because a change of it was lost.

use std::collections::HashMap;

use super::super::error::Outcome;
use super::super::files::Files;
use super::super::format::{ITEM_HEAD_BYTES, Id, ItemHead, ItemKind, PAYLOAD_LIMIT_BYTES, Take, file_name};
use super::super::index::{self, Index, LOSSES, key};
use super::super::keys::OwnKeys;
use super::super::log::{Draft, KEPT_LIMIT};
use super::super::scan::Bad;
use super::super::seal::Sealer;
use super::super::segments::{is_same, item_of, read};
use super::survey::Survey;

/// What cannot be trusted any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Nodes, and entries of directories by the hashes of their names; zeros: the node itself. Up to which frame, and why.
    pub(crate) nodes: HashMap<(Id, [u8; 16]), (u64, String)>,
    /// Nodes that were not written since this frame, because nobody can say which of them were.
    pub(crate) all_until: Option<(u64, String)>,
    /// Nothing that may come back would do: an end is gone, and others frames have its numbers.
    pub(crate) is_final: bool,
}

impl Doubt {
    /// Why a node, whose metadata was written then, is not to be trusted.
    pub(crate) fn about(&self, node: &Id, written_at: u64) -> Option<String> {
        self.about_one(node, &[0; 16], written_at).or(self.about_all(written_at)).map(str::to_owned)
    }

    /// Why nothing that was written then is to be trusted.
    pub(crate) fn about_all(&self, written_at: u64) -> Option<&str> {
        self.all_until.as_ref().filter(|(until, _)| written_at <= *until).map(|(_, why)| why.as_str())
    }

    /// Why an entry is not to be trusted.
    pub(crate) fn about_entry(&self, directory: &Id, hash: &[u8; 16], written_at: u64) -> Option<String> {
        self.about_one(directory, hash, written_at).or(self.about_all(written_at)).map(str::to_owned)
    }

    /// The same, but for what is to be said of everything.
    pub(crate) fn about_one(&self, node: &Id, entry: &[u8; 16], written_at: u64) -> Option<&str> {
        self.nodes.get(&(*node, *entry)).filter(|(until, _)| written_at <= *until).map(|(_, why)| why.as_str())
    }

    /// Whether everything is to be trusted.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.all_until.is_none()
    }

    /// What either says.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (what, lost) in other.nodes {
            let known = self.nodes.entry(what).or_insert_with(|| lost.clone());
            known.0 = known.0.max(lost.0);
        }
        self.all_until = [self.all_until, other.all_until].into_iter().flatten().max();
        self.is_final |= other.is_final;
        self
    }

    /// What was written down as lost, as far as no repair did without it.
    pub(super) fn load(files: &dyn Files, index: &Index, by: (&Id, &OwnKeys)) -> Outcome<Self> {
        let Some((sequence, row)) = index.newest(&key(LOSSES, &[]), u64::MAX)? else { return Ok(Self::default()) };
        let mut item = vec![0; row.place.length as usize];
        let file = files.open(&file_name(row.place.segment))?;
        let got = read(file.as_ref(), u64::from(row.place.offset), &mut item)?;
        item.truncate(got);
        let opened = item_of(row.place, &item)
            .filter(|head| (head.kind, head.sequence) == (ItemKind::Losses, sequence) && is_same(row.place, &item));
        let opened = opened.and_then(|head| {
            let plain = Sealer::new(*by.0, &by.1.losses).open(&head, &mut item[ITEM_HEAD_BYTES..])?;
            Self::decode(plain)
        });
        let why = "what was lost before cannot be read any more; nothing written before that was noted is served";
        Ok(opened.unwrap_or_else(|| Self {
            all_until: Some((sequence, why.to_owned())),
            is_final: true,
            ..Self::default()
        }))
    }

    /// Writes down what is lost, in the place of what was written down before.
    pub(crate) fn write(&self, draft: &mut Draft, store: &Id, keys: &OwnKeys) -> Outcome<()> {
        let head = ItemHead::new(ItemKind::Losses, Id::default(), Id::default(), draft.sequence);
        draft.seal(&Sealer::new(*store, &keys.losses), head, &[&self.encode()])
    }

    fn encode(&self) -> Vec<u8> {
        let mut reasons: Vec<&str> = Vec::new();
        let mut numbers: HashMap<&str, u16> = HashMap::new();
        let mut nodes = Vec::with_capacity(self.nodes.len() * NODE_BYTES);
        for ((node, entry), (until, why)) in &self.nodes {
            // Of so many reasons one more tells nobody anything.
            let new = u16::try_from(reasons.len()).unwrap_or(u16::MAX);
            let number = *numbers.entry(why).or_insert(new);
            if usize::from(number) == reasons.len() {
                reasons.push(why);
            }
            nodes.extend_from_slice(node);
            nodes.extend_from_slice(entry);
            nodes.extend_from_slice(&until.to_le_bytes());
            nodes.extend_from_slice(&number.to_le_bytes());
        }
        let (mut until, mut why) = self.all_until.as_ref().map_or((0, ""), |(until, why)| (*until, why.as_str()));
        if self.nodes.len() > NODES_LIMIT {
            (until, why) = (u64::MAX, "more was lost than could be written down; nothing is served until a repair");
            nodes.clear();
        }
        let mut bytes = vec![u8::from(self.is_final)];
        bytes.extend_from_slice(&until.to_le_bytes());
        push_text(&mut bytes, why);
        bytes.extend_from_slice(&u16::try_from(reasons.len()).unwrap_or(u16::MAX).to_le_bytes());
        reasons.iter().take(usize::from(u16::MAX)).for_each(|why| push_text(&mut bytes, why));
        bytes.extend_from_slice(&nodes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut take = Take(bytes);
        let is_final = take.u8()? != 0;
        let (until, why) = (take.u64()?, take_text(&mut take)?);
        let all_until = (until > 0).then_some((until, why));
        let mut reasons = Vec::new();
        for _ in 0..take.u16()? {
            reasons.push(take_text(&mut take)?);
        }
        let mut nodes = HashMap::new();
        while take.end().is_none() {
            let (what, until) = ((take.array()?, take.array()?), take.u64()?);
            let why = reasons.get(usize::from(take.u16()?)).cloned().unwrap_or_default();
            nodes.insert(what, (until, why));
        }
        Some(Self { nodes, all_until, is_final })
    }
}

/// Of one node or entry: node, entry, up to which frame, number of the reason.
const NODE_BYTES: usize = 16 + 16 + 8 + 2;
/// More is not written down one by one: with 65,535 reasons of at most 128 bytes it would not fit into a frame. It is what the
/// commits of a whole segment name.
const NODES_LIMIT: usize = KEPT_LIMIT;
/// Of a reason no more is kept.
const REASON_LIMIT_BYTES: usize = 126;
const _: () = assert!(
    NODES_LIMIT * NODE_BYTES + (u16::MAX as usize) * (REASON_LIMIT_BYTES + 2) < PAYLOAD_LIMIT_BYTES - 1_024,
    "it fits into a frame"
);

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(REASON_LIMIT_BYTES)];
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn take_text(take: &mut Take<'_>) -> Option<String> {
    let length = take.u16()?;
    Some(String::from_utf8_lossy(take.bytes(usize::from(length))?).into_owned())
}

/// Which nodes are not to be trusted: those that the commits name, and all if there is a frame that none names, or if
/// the versions are not those that the last commit says.
pub(super) fn judge(
    index: &Index,
    seen: &Survey,
    versions: Option<index::Sum>,
    (synced, noted): (u64, u64),
) -> Outcome<Doubt> {
    let mut doubt = Doubt { is_final: seen.is_end_lost, ..Doubt::default() };
    let mut sum = versions;
    for ((node, entry), hit) in &seen.hit {
        if (*node, *entry) == (Id::default(), [0; 16]) {
            // What was written down since stands in its place.
            if index.newest(&key(LOSSES, &[]), u64::MAX)?.is_some_and(|(sequence, _)| sequence > hit.sequence) {
                continue;
            }
            let why = "what was written down as lost is lost itself; nothing written before is served";
            doubt.all_until = doubt.all_until.max(Some((hit.sequence, why.to_owned())));
            doubt.is_final = true;
            continue;
        }
        let key =
            if *entry == [0; 16] { index::key(index::NODE, &[node]) } else { index::key(index::ENTRY, &[node, entry]) };
        let row = index.newest(&key, u64::MAX)?;
        // What was removed, or an entry that was written again, is as it should be, but where a snapshot shows what was between.
        let fine = row.as_ref().is_some_and(|(sequence, row)| {
            *sequence > hit.sequence
                && (row.gone || *entry != [0; 16])
                && !index.retention.needs(row.home, hit.sequence, *sequence)
        });
        if !fine {
            // An entry that was written since is that; a file may have been changed anywhere.
            let until = if *entry == [0; 16] { u64::MAX } else { hit.sequence };
            doubt.nodes.insert((*node, *entry), (until, hit.why.clone()));
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
    let unnamed = seen.bad.iter().filter_map(|bad| last_unnamed(bad, seen, synced, noted)).chain(seen.mixed).max();
    let claimed = seen.last_commit.as_ref().map(|(_, commit)| commit.versions);
    // A commit that was made after a loss was written down names the versions that were left.
    let has_losses = index.newest(&key(LOSSES, &[]), u64::MAX)?.is_some();
    if let Some(until) = unnamed {
        let why = "frames are missing of which nothing says what they changed; nothing written before them is served";
        doubt.all_until = doubt.all_until.max(Some((until, why.to_owned())));
    } else if sum != claimed && !(has_losses && versions == claimed) {
        let why = "the files are not of the versions that the last commit names; nothing written before it is served";
        let until = seen.last_commit.as_ref().map_or(0, |(sequence, _)| *sequence);
        doubt.all_until = doubt.all_until.max(Some((until, why.to_owned())));
    }
    Ok(doubt)
}

/// The last of the frames that are bad of which no commit says what it changed.
fn last_unnamed(bad: &Bad, seen: &Survey, synced: u64, noted: u64) -> Option<u64> {
    let mut last = bad.last.unwrap_or(synced).min(synced);
    // What the note names was a commit, in the time that the note is of: where nothing comes after it there is no other.
    if last == noted && bad.last.is_none_or(|last| last + 1 >= seen.end.sequence) {
        last = last.saturating_sub(1);
    }
    while last >= bad.first && last > 0 {
        let before = seen.named.partition_point(|(from, _)| *from <= last);
        let Some((from, _)) = seen.named[..before].last().filter(|(from, until)| *from > 0 && last <= *until) else {
            return Some(last);
        };
        last = from - 1;
    }
    None
}
