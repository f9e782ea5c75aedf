//! The store's files, as they are on the disk: what is certain of them, and what happens to them between two lives.

use crate::seed::Draw;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: u64 = 4_096;

/// Makes a folder where there is none, and gives it to that user, where the test may.
pub(crate) fn make_own(folder: &Path, user: u32) {
    std::fs::create_dir_all(folder).expect("room for a folder");
    give(folder, user);
}

/// Gives a folder, and all that is in it, to that user, where the test may.
pub(crate) fn give(path: &Path, user: u32) {
    if !rustix::process::geteuid().is_root() || !path.exists() {
        return;
    }
    std::os::unix::fs::lchown(path, Some(user), Some(user)).expect("root gives away");
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        give(&entry.path(), user);
    }
}

/// The segments with their lengths, by name.
fn segments(state: &Path) -> BTreeMap<PathBuf, u64> {
    let entries = std::fs::read_dir(state.join("segments")).into_iter().flatten().flatten();
    // One may be given up meanwhile.
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len()))).collect()
}

/// How far the store's files were on the disk when it acknowledged a sync: a machine that loses power may lose whatever came
/// after.
pub(crate) struct Certain {
    /// The store's own note of it, as bytes. While it stays, nothing more was synced.
    note: Vec<u8>,
    lengths: BTreeMap<PathBuf, u64>,
}

impl Certain {
    /// As it is right after an acknowledgement.
    pub(crate) fn now(state: &Path) -> Self {
        // The note first: what is synced meanwhile shows as another note later.
        let note = std::fs::read(state.join("synced")).unwrap_or_default();
        Self { note, lengths: segments(state) }
    }

    /// Loses some of what is not certain, as a loss of power does: the end is missing, or blocks of it are zeros. Whether
    /// anything was lost: not where it cannot be known what was synced since.
    pub(crate) fn lose(&self, state: &Path, draw: &mut Draw) -> bool {
        let now = segments(state);
        let same = std::fs::read(state.join("synced")).is_ok_and(|note| note == self.note);
        if !same || self.lengths.keys().any(|name| !now.contains_key(name)) {
            return false;
        }
        let uncertain: Vec<(&PathBuf, u64, u64)> = now
            .iter()
            .map(|(name, length)| (name, self.lengths.get(name).copied().unwrap_or(0), *length))
            .filter(|(_, certain, length)| certain < length)
            .collect();
        if uncertain.is_empty() {
            return false;
        }
        let (name, certain, length) = uncertain[draw.below(uncertain.len())];
        let at = certain + draw.below(usize::try_from(length - certain).expect("short")) as u64;
        let file = std::fs::File::options().write(true).open(name).expect("a segment can be written");
        println!("  power is lost: {} from {at} of {length}, {certain} are certain", name.display());
        if draw.below(3) > 0 {
            file.set_len(at).expect("it can be cut");
            // What was begun after it is no more certain.
            for (later, ..) in uncertain.iter().filter(|(later, ..)| *later > name) {
                std::fs::remove_file(later).expect("it can be removed");
            }
        } else {
            let block = (at / BLOCK_BYTES * BLOCK_BYTES).max(certain);
            let end = (at / BLOCK_BYTES + 1) * BLOCK_BYTES;
            let zeros = vec![0; usize::try_from(end.min(length) - block).expect("a block")];
            file.write_all_at(&zeros, block).expect("it can be written");
        }
        true
    }
}

/// What happens to the index while nobody has it open. The segments are the truth, so nothing may come of it.
pub(crate) fn harm_index(state: &Path, aside: &Path, draw: &mut Draw) -> &'static str {
    let index = state.join("index");
    if !index.join("db").exists() {
        return "";
    }
    match draw.below(10) {
        0 => {
            std::fs::remove_dir_all(&index).expect("it is there");
            "the index is deleted"
        }
        1 if aside.exists() => {
            std::fs::remove_dir_all(&index).expect("it is there");
            copy(aside, &index);
            "a stale index is put back"
        }
        2 | 3 => {
            let _ = std::fs::remove_dir_all(aside);
            copy(&index, aside);
            "the index is copied"
        }
        4 => {
            let files: Vec<PathBuf> =
                std::fs::read_dir(&index).expect("a folder").flatten().map(|it| it.path()).collect();
            let files: Vec<&PathBuf> = files.iter().filter(|path| path.is_file()).collect();
            let Some(file) = files.get(draw.below(files.len().max(1))) else { return "" };
            let length = file.metadata().expect("it is there").len();
            let at = draw.below(usize::try_from(length).expect("short").max(1)) as u64;
            let opened = std::fs::File::options().write(true).open(file).expect("it can be written");
            opened.write_all_at(&[0xa5; 8], at).expect("it can be written");
            "the index is damaged"
        }
        _ => "",
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("room for a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).expect("room for a copy");
        }
    }
}
