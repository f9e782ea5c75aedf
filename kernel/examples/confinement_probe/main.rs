//! Stands in for any image, confines itself like the real one (by the profile that its name says), and then tries
//! everything that a confined process must not be able to do, and everything that it needs.
//!
//! Results are its last word to the kernel. Exit codes: 0 everything as it should be,
//! 1 not, 2 it could not confine itself. With `unconfined` as its only argument it runs without a kernel or walls, tries only what does no
//! harm, and prints what was *possible*: that shows that the attempts are real ones.
//!
//! Told `hoard` by the setup bytes, it only takes memory, in a way that no limit of what it can write to is against.
//!
//! What to attack: the setup bytes, where they are an absolute path, else what the state folder's place tells, name the node's state.
#![deny(unsafe_code)]

mod attempts;
mod door;
mod needs;
mod unsafe_calls;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::io::Errno;
use vat::confine::{Allow, Profile, enter};
use vat::door::FromVat;
use vat::words::Rights;

/// What the attempts are aimed at.
pub(crate) struct Target {
    pub profile: Profile,
    /// The process to reach into: the kernel.
    pub parent: u32,
    /// The node's state.
    pub state: Option<PathBuf>,
    pub door: Option<OwnedFd>,
    pub folder: Option<OwnedFd>,
    /// What it may write, where it has no folder.
    pub file: Option<OwnedFd>,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("unconfined") {
        let parent = std::os::unix::process::parent_id();
        let target = Target { profile: Profile::Folder, parent, state: None, door: None, folder: None, file: None };
        for (name, outcome) in attempts::harmless(&target) {
            if outcome.is_ok() {
                println!("{name}");
            }
        }
        return ExitCode::SUCCESS;
    }
    if std::env::args().nth(1).as_deref() == Some("roots") {
        let refused = enter(Profile::Sandbox, Allow { folder: None, reduced: true });
        println!("{}", refused.map_or_else(|error| error.to_string(), |report| report.applied.join(", ")));
        return ExitCode::from(2);
    }
    unsafe_calls::survive_large_files();
    match confined() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::from(2)
        }
    }
}

fn confined() -> Result<bool, Box<dyn std::error::Error>> {
    let image = std::env::args().next().unwrap_or_default();
    let profile = image.strip_prefix("latch-").and_then(Profile::from_name).ok_or("no such profile")?;
    let born = door::read()?;
    let hoards = born.setup == b"hoard";
    let given = born.resources.into_iter().next();
    let (folder, file) = match profile {
        Profile::Powerbox | Profile::Folder | Profile::Keys | Profile::Storage => (given, None),
        Profile::Sandbox | Profile::Compile => (None, given),
    };
    let told = String::from_utf8(born.setup).ok().filter(|text| text.starts_with('/')).map(PathBuf::from);
    let beside = folder.as_ref().and_then(|folder| {
        let number = std::os::fd::AsRawFd::as_raw_fd(folder);
        Some(std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?.parent()?.to_path_buf())
    });
    let parent = std::os::unix::process::parent_id();
    let allowed = folder.as_ref().map(|folder| (std::os::fd::AsFd::as_fd(folder), Rights::ALL));
    let report = match enter(profile, Allow { folder: allowed, reduced: born.reduced }) {
        Ok(report) => report,
        Err(error) => {
            door::say(&born.door, &FromVat::Last(error.to_string()))?;
            return Err(error.into());
        }
    };
    let applied = report.applied.join(", ");
    door::say(&born.door, &FromVat::Confined(report))?;

    if hoards {
        attempts::hoard()?;
        door::say(&born.door, &FromVat::Last(format!("hoarded {} MiB", attempts::HOARD_MIB)))?;
        return Ok(true);
    }
    let mut wrong = Vec::new();
    for (name, outcome) in needs::all(profile) {
        if let Err(error) = outcome {
            wrong.push(format!("cannot {name}: {error}"));
        }
    }
    let target = Target { profile, parent, state: told.or(beside), door: Some(born.door), folder, file };
    let attempts = attempts::all(&target);
    let count = attempts.len();
    for (name, outcome) in attempts {
        match outcome {
            Ok(()) => wrong.push(format!("could {name}")),
            Err(errno) if attempts::is_refusal(errno) => {}
            Err(errno) => wrong.push(format!("was not refused to {name}: {errno}")),
        }
    }
    let last = if wrong.is_empty() { format!("all {count} refused; applied {applied}") } else { wrong.join("; ") };
    if let Some(door) = &target.door {
        door::say(door, &FromVat::Last(last))?;
    }
    Ok(wrong.is_empty())
}

/// What an attempt came to.
pub(crate) type Outcome = Result<(), Errno>;
