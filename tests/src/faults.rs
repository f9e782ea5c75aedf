//! Programs with their fault points, see `vat::fault`.

#![expect(clippy::expect_used, reason = "without them there is nothing to test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A program built with its fault points: once, in a folder of its own, for nothing else may ever be linked with them.
///
/// # Panics
/// Where it is not built.
#[must_use]
pub fn build(package: &str, program: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(program) {
        return path.clone();
    }
    let target = crate::checkout().join("target/faults");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", package, "--features", "faults", "--target-dir"]).arg(&target);
    let done = build.current_dir(crate::checkout()).stdin(Stdio::null()).status().expect("cargo runs");
    assert!(done.success(), "{package} was not built with its fault points");
    let path = target.join("debug").join(program);
    built.insert(program.to_owned(), path.clone());
    path
}

/// The names of all fault points in the sources below a folder.
///
/// # Panics
/// Where the sources cannot be read.
#[must_use]
pub fn points(sources: &Path) -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    for entry in std::fs::read_dir(sources).expect("the sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            points.extend(self::points(&path));
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the sources are text");
        for call in ["fault::point(\"", "fault::point_amid(\""] {
            let names = text.split(call).skip(1).filter_map(|rest| rest.split('"').next());
            points.extend(names.map(str::to_owned));
        }
    }
    points
}
