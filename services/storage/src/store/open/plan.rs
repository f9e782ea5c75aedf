//! Which segments there are to be, and where each begins and ends. Of those that there were then, the last commit that lists them
//! says so; what was begun later follows the last of these, number by number. So nothing can be taken out between two segments, or
//! put there, that does not show.

use std::collections::BTreeMap;

use super::super::commit::{Commit, Listed};
use super::super::error::Outcome;
use super::super::files::Files;
use super::super::format::{ItemKind, SEGMENT_HEAD_BYTES, items};
use super::super::keys::OwnKeys;
use super::super::scan::{Expected, FoundSegment, scan, scan_commits};

/// A segment that there is to be.
pub(super) struct Planned {
    pub(super) number: u32,
    /// Nothing where it is missing.
    pub(super) file: Option<FoundSegment>,
    /// As listed; nothing where it was begun later.
    pub(super) begin: Option<Expected>,
    /// As listed; nothing where it was written to then, or was begun later.
    pub(super) end: Option<Expected>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Plan {
    /// By number.
    pub(super) segments: Vec<Planned>,
    /// Files of segments that the list does without, and whether the list before had them, so that a stop may have kept the file
    /// from being removed.
    pub(super) given_up: Vec<(u32, bool)>,
    /// Files that are none of these, and may be anything.
    pub(super) strange: Vec<u32>,
    /// Files after all of these without a head of this store's hand: beginnings that came to the disk without what was before them,
    /// or anything.
    pub(super) torn: Vec<FoundSegment>,
    /// The last segment that is listed; 0: none is.
    pub(super) last_listed: u32,
}

impl Plan {
    /// What there is to be beside these files, of which only heads of this store's hand are given.
    pub(super) fn make(files: &dyn Files, found: &[FoundSegment], keys: &OwnKeys) -> Outcome<Self> {
        let (listed, before) = last_lists(files, found, keys)?;
        let mut there: BTreeMap<u32, FoundSegment> = found.iter().map(|one| (one.number, one.clone())).collect();
        let mut plan = Self { last_listed: listed.last().map_or(0, |one| one.number), ..Self::default() };
        for one in listed {
            let is_it =
                |file: &FoundSegment| file.head.as_ref().is_none_or(|head| Expected::at_begin_of(head) == one.begin);
            let file = there.remove(&one.number);
            let strange = file.as_ref().is_some_and(|file| !is_it(file));
            plan.strange.extend(strange.then_some(one.number));
            let file = file.filter(|_| !strange);
            plan.segments.push(Planned { number: one.number, file, begin: Some(one.begin), end: one.end });
        }
        let later = there.split_off(&plan.last_listed.saturating_add(1));
        for (number, file) in there {
            if file.head.is_some() {
                plan.given_up.push((number, before.iter().any(|one| one.number == number)));
            } else {
                plan.strange.push(number);
            }
        }
        let mut next = plan.last_listed.saturating_add(1);
        for (number, file) in later {
            // What has no head of this store's hand says nothing about numbers.
            if number > next && file.head.is_none() {
                plan.torn.push(file);
                continue;
            }
            plan.strange.extend(plan.torn.drain(..).map(|file| file.number));
            for number in next..number {
                plan.segments.push(Planned { number, file: None, begin: None, end: None });
            }
            plan.segments.push(Planned { number, file: Some(file), begin: None, end: None });
            next = number.saturating_add(1);
        }
        Ok(plan)
    }

    /// Exactly these, as they are known.
    pub(super) fn of_known(segments: Vec<(FoundSegment, Expected)>) -> Self {
        let last_listed = segments.last().map_or(0, |(file, _)| file.number);
        let planned = |(file, end): (FoundSegment, Expected)| Planned {
            number: file.number,
            begin: file.head.as_ref().map(Expected::at_begin_of),
            end: Some(end),
            file: Some(file),
        };
        Self { segments: segments.into_iter().map(planned).collect(), last_listed, ..Self::default() }
    }

    /// Those that are listed and are not there.
    pub(super) fn missing(&self) -> Vec<Listed> {
        let missing = self.segments.iter().filter(|planned| planned.file.is_none());
        missing.filter_map(|one| Some(Listed { number: one.number, begin: one.begin?, end: Some(one.end?) })).collect()
    }

    /// The files of those that are there.
    pub(super) fn files(&self) -> impl DoubleEndedIterator<Item = &FoundSegment> {
        self.segments.iter().filter_map(|planned| planned.file.as_ref())
    }

    /// The file of one.
    pub(super) fn file(&self, number: u32) -> Option<&FoundSegment> {
        self.files().find(|file| file.number == number)
    }
}

/// The newest list of segments that a commit has, and the one before. The first commit in a segment lists them, so few are read.
fn last_lists(files: &dyn Files, found: &[FoundSegment], keys: &OwnKeys) -> Outcome<(Vec<Listed>, Vec<Listed>)> {
    // One without a head may be that which was begun last.
    let last = found.iter().rev().find(|one| one.head.is_some()).map_or(u32::MAX, |one| one.number.saturating_add(1));
    let mut lists: BTreeMap<u64, Vec<Listed>> = BTreeMap::new();
    for segment in found.iter().rev().filter(|one| one.number <= last) {
        scan_commits(files, keys, segment, |head, payload| {
            for item in items(payload).into_iter().flatten().filter(|item| item.head.kind == ItemKind::Commit) {
                if let Some(commit) = Commit::decode(item.body)
                    && let Some(list) = commit.segments
                    // It was written into the last of them, or one that was begun since.
                    && list.last().is_some_and(|last| last.number <= segment.number)
                {
                    lists.insert(head.sequence, list);
                    while lists.len() > 2 {
                        lists.pop_first();
                    }
                }
            }
        })?;
        if lists.len() == 2 && segment.head.is_some() {
            break;
        }
    }
    let mut lists = lists.into_values().rev();
    Ok((lists.next().unwrap_or_default(), lists.next().unwrap_or_default()))
}

/// Whether one of the files holds anything that this store wrote.
pub(super) fn holds_anything(files: &dyn Files, found: &[FoundSegment], keys: &OwnKeys) -> Outcome<bool> {
    let mut holds = found.iter().any(|segment| segment.head.is_some());
    for segment in found {
        if holds {
            break;
        }
        let begin = Expected::BEGIN;
        scan(files, Some(keys), segment, SEGMENT_HEAD_BYTES as u64, begin, &mut Vec::new(), |_| {
            holds = true;
            Ok(())
        })?;
    }
    Ok(holds)
}
