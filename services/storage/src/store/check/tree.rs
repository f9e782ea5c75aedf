//! The walk: everything below the root is opened, and with it every seal.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::super::content::SECTOR_BYTES;
use super::super::directory::Link;
use super::super::error::{Outcome, StoreError};
use super::super::format::Id;
use super::super::node::{Kind, Node};
use super::super::open::Doubt;
use super::super::shared::Shared;
use super::{Report, Severity};

/// What is read of a file at once: 1 MiB.
const RUN_BYTES: usize = 64 * SECTOR_BYTES as usize;

/// Entries of directories in snapshots that are kept in memory, opened: 16 MB with names of 100 bytes.
const KEPT_LINKS: usize = 1 << 16;

/// Files that are known to be whole: 16 MB.
const KEPT_FILES: usize = 1 << 18;

/// What was looked at already. A thousand snapshots mostly show the same: what is of a node since a frame is looked at once.
#[derive(Default)]
struct Seen {
    /// Files that are whole, as of the frame of their metadata, which changes with all that is in them.
    files: HashSet<(Id, u64)>,
    /// Entries of directories, in the same way.
    links: HashMap<(Id, u64), Rc<Vec<Link>>>,
    kept_links: usize,
}

const SERVED_AS_BEFORE: &str = "what is left of it is served again, as it was before that change";

/// What a repair did; nothing where there was something in its way, such as another loss that was met meanwhile: the next
/// check finds it.
pub(super) fn done<T: Default>(repaired: Outcome<T>) -> Outcome<T> {
    match repaired {
        Err(StoreError::Damaged(_) | StoreError::NotFound | StoreError::Index(_)) => Ok(T::default()),
        other => other,
    }
}

/// Names the changes of a directory of which not even the name is left.
fn name_lost_entries(directory: &Node, shown: &str, doubt: &mut Doubt, report: &mut Report<'_>) {
    let id = directory.id();
    let lost: Vec<_> = doubt.nodes.extract_if(|(node, entry), _| *node == id && *entry != [0; 16]).collect();
    for (_, (_, why)) in lost {
        let done = "what this change made or renamed cannot be reached any more; or the name was removed by it";
        report.found(Severity::Lost, shown.to_owned(), why, done);
    }
}

impl Shared {
    /// Does something with the index as it is, which was found to be whole: where it leads to something else than it says, that
    /// was lost. To build it anew would give up what is good in a frame that is not.
    pub(super) fn as_it_is<T>(&self, mut act: impl FnMut() -> Outcome<T>) -> Outcome<T> {
        let mut act = || self.between_exchanges(&mut act);
        // The first time, a segment may have been given up that moment.
        match act() {
            Err(StoreError::Index(_)) => act(),
            other => return other,
        }
        .map_err(|error| match error {
            StoreError::Index(why) => StoreError::Damaged(why),
            other => other,
        })
    }

    /// Everything below the root, with every snapshot's directory in its turn. What was named is taken out of the doubt.
    pub(super) fn check_tree(
        &self,
        root: &Node,
        repair: bool,
        doubt: &mut Doubt,
        report: &mut Report<'_>,
    ) -> Outcome<()> {
        let mut seen = Seen::default();
        let mut waiting = vec![(root.clone(), String::new())];
        while let Some((directory, path)) = waiting.pop() {
            if report.stopped {
                return Ok(());
            }
            if directory.is_snapshot() {
                self.check_snapshot(&directory, &path, &mut waiting, &mut seen, report)?;
                continue;
            }
            report.summary.directories += 1;
            let shown = if path.is_empty() { "/" } else { &path };
            if repair {
                Self::name_doubt(&directory, shown, doubt, report);
                self.repair_directory(&directory, shown, report)?;
            }
            self.check_snapshots(&directory, &path, &mut waiting, report)?;
            let links = match self.as_it_is(|| self.links_of(&directory, true)) {
                // It was removed meanwhile.
                Err(StoreError::NotFound) => continue,
                Err(StoreError::Damaged(why)) => {
                    report.found(Severity::Lost, shown.to_owned(), why, "");
                    continue;
                }
                links => links?,
            };
            for (hash, link) in links {
                if report.stopped {
                    return Ok(());
                }
                match link {
                    Ok(link) => {
                        let name = format!("{path}/{}", String::from_utf8_lossy(&link.name));
                        if repair && let Some((_, why)) = doubt.nodes.remove(&(directory.id(), hash)) {
                            report.found(Severity::Lost, name.clone(), why, SERVED_AS_BEFORE);
                        }
                        if repair && self.repair_child(&directory, &link, &name, report)? {
                            continue;
                        }
                        let child = self.node_of(&directory, &link);
                        if link.kind == Kind::Directory {
                            waiting.push((child, name));
                        } else {
                            if repair {
                                Self::name_doubt(&child, &name, doubt, report);
                            }
                            self.check_file(&child, &name, repair, &mut seen, report)?;
                        }
                    }
                    Err(StoreError::Damaged(why)) => {
                        let done = if repair { done(self.remove_entry(&directory, &hash))? } else { "" };
                        report.found(Severity::Lost, shown.to_owned(), why, done);
                    }
                    Err(error) => return Err(error),
                }
            }
            if repair {
                name_lost_entries(&directory, shown, doubt, report);
            }
        }
        Ok(())
    }

    /// A directory in a snapshot, in which nothing is repaired.
    fn check_snapshot(
        &self,
        directory: &Node,
        path: &str,
        waiting: &mut Vec<(Node, String)>,
        seen: &mut Seen,
        report: &mut Report<'_>,
    ) -> Outcome<()> {
        let state = match self.as_it_is(|| self.node_row(&directory.id(), directory.shows())) {
            // It was dropped meanwhile.
            Err(StoreError::NotFound) => return Ok(()),
            state => (directory.id(), state?.0),
        };
        let links = match seen.links.get(&state) {
            Some(links) => links.clone(),
            None => {
                let links = match self.as_it_is(|| self.links_of(directory, true)) {
                    Err(StoreError::NotFound) => return Ok(()),
                    Err(StoreError::Damaged(why)) => {
                        report.found(Severity::Lost, path.to_owned(), why, "");
                        return Ok(());
                    }
                    links => links?,
                };
                let (mut good, all) = (Vec::new(), links.len());
                for (_, link) in links {
                    match link {
                        Ok(link) => good.push(link),
                        Err(StoreError::Damaged(why)) => report.found(Severity::Lost, path.to_owned(), why, ""),
                        Err(error) => return Err(error),
                    }
                }
                let links = Rc::new(good);
                // What is damaged is named in every snapshot that shows it.
                if links.len() == all && seen.kept_links + all <= KEPT_LINKS {
                    seen.kept_links += all;
                    seen.links.insert(state, links.clone());
                }
                links
            }
        };
        for link in links.iter() {
            if report.stopped {
                break;
            }
            let child = self.node_of(directory, link);
            let name = format!("{path}/{}", String::from_utf8_lossy(&link.name));
            if link.kind == Kind::Directory {
                waiting.push((child, name));
            } else {
                self.check_file(&child, &name, false, seen, report)?;
            }
        }
        Ok(())
    }

    fn check_snapshots(
        &self,
        directory: &Node,
        path: &str,
        waiting: &mut Vec<(Node, String)>,
        report: &mut Report<'_>,
    ) -> Outcome<()> {
        let rows = self.as_it_is(|| self.snapshot_rows(&directory.id()))?;
        for (snapshot, ..) in rows {
            match self.as_it_is(|| self.open_snapshot(directory, snapshot)) {
                Ok(then) => waiting.push((then, format!("{path}@{snapshot}"))),
                Err(StoreError::UnknownSnapshot) => {}
                Err(error @ (StoreError::Damaged(_) | StoreError::NotFound)) => {
                    report.found(Severity::Lost, format!("{path}@{snapshot}"), error.to_string(), "");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Names a node of which a change was lost, now that it is served again.
    fn name_doubt(node: &Node, name: &str, doubt: &mut Doubt, report: &mut Report<'_>) {
        // What is said of everything is said once.
        if let Some((_, why)) = doubt.nodes.remove(&(node.id(), [0; 16])) {
            report.found(Severity::Lost, name.to_owned(), why, SERVED_AS_BEFORE);
        }
    }

    fn check_file(
        &self,
        file: &Node,
        name: &str,
        repair: bool,
        seen: &mut Seen,
        report: &mut Report<'_>,
    ) -> Outcome<()> {
        // Where there is none, to read it says what that means.
        let state_of = || self.node_row(&file.id(), file.shows()).ok().map(|(sequence, _)| (file.id(), sequence));
        let state = state_of();
        if file.is_snapshot() && state.is_some_and(|state| seen.files.contains(&state)) {
            return Ok(());
        }
        let mut buffer = vec![0; RUN_BYTES];
        let mut offset = 0;
        let mut whole = true;
        let holes = self.holes(file)?;
        loop {
            // A hole may be larger than any disk: nothing of it is there to be read.
            offset = offset.max(self.next_stored(file, &holes, offset / SECTOR_BYTES)?.saturating_mul(SECTOR_BYTES));
            match self.as_it_is(|| self.read(file, offset, &mut buffer)) {
                Ok(0) => break,
                Ok(got) => {
                    offset += got as u64;
                    report.advance(got as u64);
                }
                // Removed meanwhile.
                Err(StoreError::NotFound) => return Ok(()),
                Err(StoreError::Damaged(why)) => {
                    whole = false;
                    if !repair {
                        report.found(Severity::Lost, name.to_owned(), why, "");
                        break;
                    }
                    self.repair_run(file, name, offset, report)?;
                    offset += RUN_BYTES as u64;
                }
                Err(error) => return Err(error),
            }
            if report.stopped {
                return Ok(());
            }
        }
        report.summary.files += u64::from(whole && !file.is_snapshot());
        // Not what was written to meanwhile.
        if seen.files.len() < KEPT_FILES {
            seen.files.extend(state.filter(|_| whole && state_of() == state));
        }
        Ok(())
    }

    /// Makes zeros of the sectors of a run that do not open, and names each.
    fn repair_run(&self, file: &Node, name: &str, offset: u64, report: &mut Report<'_>) -> Outcome<()> {
        let mut sector = vec![0; SECTOR_BYTES as usize];
        for at in (offset..offset.saturating_add(RUN_BYTES as u64)).step_by(SECTOR_BYTES as usize) {
            match self.as_it_is(|| self.read(file, at, &mut sector)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(StoreError::Damaged(why)) => {
                    let cleared = format!("its bytes {at} to {} are zeros now", at + SECTOR_BYTES);
                    let done = done(self.clear_sector(file, at / SECTOR_BYTES).map(|()| cleared))?;
                    report.found(Severity::Lost, name.to_owned(), why, &done);
                }
                Err(StoreError::NotFound) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What cannot be opened at all is removed; whether it was.
    fn repair_child(&self, directory: &Node, link: &Link, name: &str, report: &mut Report<'_>) -> Outcome<bool> {
        if link.kind == Kind::Directory {
            return Ok(false);
        }
        let Err(StoreError::Damaged(why)) = self.as_it_is(|| self.child_known(directory, link)) else {
            return self.repair_without_row(directory, link, name, report);
        };
        let done = done(self.remove_lost(directory, link))?;
        report.found(Severity::Lost, name.to_owned(), why, done);
        Ok(true)
    }

    fn repair_without_row(&self, directory: &Node, link: &Link, name: &str, report: &mut Report<'_>) -> Outcome<bool> {
        if !self.has_no_row(&link.child)? {
            return Ok(false);
        }
        let done = done(self.remove_lost(directory, link))?;
        report.found(Severity::Lost, name.to_owned(), "all that said what it is was lost".to_owned(), done);
        Ok(true)
    }
}
