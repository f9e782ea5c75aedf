//! Which nodes are not to be trusted.

use super::*;

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
pub(super) fn last_unnamed(bad: &Bad, named: &[(u64, u64)], synced: u64, noted: u64) -> Option<u64> {
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
