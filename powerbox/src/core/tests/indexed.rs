//! Starts with an index that is of another log.

use super::*;
use crate::log::LogError;
use crate::record::Author;

/// Reads the state and lets go of everything, the index's own threads included.
fn start(folder: &Path) -> Result<(crate::state::State, Vec<String>), LogError> {
    let (_, state, index, warnings) = crate::start::read_state(folder)?;
    index.stop();
    let file = std::fs::File::open(folder.join("index/db")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    Ok((state, warnings))
}

#[test]
fn nothing_of_another_logs_index_comes_back() {
    let (before, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let trusted = Record::Trusted(Author { key: [3; 32], name: "ada".into(), at_ms: 1 });
    write_log(before.path(), vec![installed(1), ran(10), granted(1, 0, "l0", read_only()), trusted]);
    start(before.path()).unwrap();
    write_log(restored.path(), vec![installed(1)]);
    std::fs::rename(before.path().join("index"), restored.path().join("index")).unwrap();
    let (_, warnings) = start(restored.path()).unwrap();
    assert!(warnings.iter().any(|warning| warning.contains("did not belong")), "{warnings:?}");
    // The second start believes the index: it says no more than this log.
    let (state, warnings) = start(restored.path()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!((state.authors.len(), state.instances.len(), state.packages.len()), (0, 0, 1));
    assert_eq!(state.grants.after(0).count(), 0);
}
