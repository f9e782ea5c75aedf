//! Whatever happens to the index, what it gives is the state of the log at some record, or nothing.

use super::*;
use crate::state::tests::{life, summary};
use crate::testing::Generator;

/// An index over the first records of a life, and the state that it holds.
fn make(folder: &Path, seed: u64, records: u64) -> State {
    let found = open(folder);
    assert!(found.state.is_none() && found.trouble.is_none(), "{:?}", found.trouble);
    let mut state = State::default();
    for entry in life(seed, records) {
        state.apply(&entry).unwrap();
        if entry.position.is_multiple_of(20) {
            found.index.write(state.take_changes(), entry.position, [entry.position as u8; 32]);
        }
    }
    found.index.write(state.take_changes(), state.position, [9; 32]);
    assert_eq!(found.index.trouble(), None);
    stop(found.index, folder);
    state
}

/// Stops it and waits until the database's own threads have let go of it, as they do when a process ends.
fn stop(index: Index, folder: &Path) {
    index.stop();
    let file = std::fs::File::open(folder.join(FOLDER).join("db")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let state = make(folder.path(), 5, 200);
    let found = open(folder.path());
    let (read, metadata) = found.state.unwrap();
    assert_eq!(summary(&read), summary(&state));
    assert_eq!((metadata.position, metadata.head), (200, [9; 32]));
}

#[test]
fn a_deleted_index_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), 6, 50);
    std::fs::remove_dir_all(folder.path().join(FOLDER)).unwrap();
    let found = open(folder.path());
    assert!(found.state.is_none());
    assert_eq!(found.index.trouble(), None);
}

#[test]
fn a_damaged_index_never_gives_a_wrong_state() {
    let mut refused = 0;
    for seed in 0..24 {
        let folder = tempfile::tempdir().unwrap();
        let state = make(folder.path(), seed, 80);
        let mut random = Generator::new(seed);
        let files = files(&folder.path().join(FOLDER));
        let victim = &files[usize::try_from(random.below(files.len() as u64)).unwrap()];
        let mut bytes = std::fs::read(victim).unwrap();
        match random.below(3) {
            0 => bytes.truncate(usize::try_from(random.below(bytes.len() as u64)).unwrap()),
            1 => bytes.fill(u8::try_from(random.below(256)).unwrap()),
            _ => {
                for _ in 0..16 {
                    let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << random.below(8);
                    }
                }
            }
        }
        std::fs::write(victim, bytes).unwrap();
        let found = open(folder.path());
        match &found.state {
            Some((read, metadata)) => {
                let mut expected = State::default();
                for entry in life(seed, metadata.position) {
                    expected.apply(&entry).unwrap();
                }
                assert_eq!(summary(read), summary(&expected), "seed {seed}: {}", victim.display());
            }
            None => refused += 1,
        }
        // And it is usable again.
        let mut whole = state.clone();
        found.index.write(whole.all_rows(), whole.position, [1; 32]);
        assert_eq!(found.index.trouble(), None, "seed {seed}");
        stop(found.index, folder.path());
    }
    assert!(refused > 0, "no damage was ever noticed");
}

#[test]
fn an_index_that_ended_the_process_when_opened_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), 7, 50);
    std::fs::write(folder.path().join(OPENING), b"").unwrap();
    let found = open(folder.path());
    assert!(found.state.is_none());
    assert!(found.trouble.unwrap().contains("ended the powerbox"));
}

#[test]
fn an_index_that_cannot_be_written_does_not_stand_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody, root included, makes a folder where a file is.
    std::fs::write(folder.path().join(FOLDER), b"not a folder").unwrap();
    let found = open(folder.path());
    assert!(found.state.is_none());
    found.index.write(Vec::new(), 1, [0; 32]);
    found.index.stop();
}
