//! Builds every binary. The compile process is built apart from the sandbox, so that cargo does not unify their
//! features and put a compiler into the sandbox.

use crate::{guests, run};
use std::path::{Path, PathBuf};

/// Which of cargo's profiles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Demo and tests.
    Dev,
    /// Benchmarks.
    Release,
}

impl Profile {
    pub(crate) fn from_release(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }

    /// The folder below `target` where the binaries are.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

const NODE: &[&str] = &["kernel", "powerbox", "folder-service", "keys-service", "storage-service", "latch"];
const SANDBOX: &[&str] = &["sandbox-service"];
const COMPILER: &[&str] = &["compile-service"];

/// Builds all native binaries and gives the folder that they are in.
pub(crate) fn native(root: &Path, profile: Profile) -> Result<PathBuf, String> {
    node(root, profile)?;
    packages(root, profile, SANDBOX)?;
    packages(root, profile, COMPILER)
}

/// Builds a node without what runs apps, which takes by far the longest, and gives the folder that the binaries are in.
pub(crate) fn node(root: &Path, profile: Profile) -> Result<PathBuf, String> {
    packages(root, profile, NODE)
}

fn packages(root: &Path, profile: Profile, packages: &[&str]) -> Result<PathBuf, String> {
    let mut command = run::cargo(root);
    command.args(["build", "--quiet"]).args(profile.arguments());
    packages.iter().for_each(|package| {
        command.args(["--package", package]);
    });
    run::check(&mut command)?;
    Ok(root.join("target").join(profile.folder()))
}

/// Builds only the command, which packages the guests.
pub(crate) fn latch(root: &Path, profile: Profile) -> Result<PathBuf, String> {
    run::check(run::cargo(root).args(["build", "--quiet", "--package", "latch"]).args(profile.arguments()))?;
    Ok(root.join("target").join(profile.folder()))
}

/// Builds all native binaries and the guests; gives the folder of the binaries.
pub(crate) fn all(root: &Path, profile: Profile) -> Result<PathBuf, String> {
    let binaries = native(root, profile)?;
    guests::build(root, &binaries)?;
    Ok(binaries)
}
