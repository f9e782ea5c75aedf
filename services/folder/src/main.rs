//! The process: it is born with a door and one directory, confines itself, and serves that directory.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::process::ExitCode;

use folder_service::serve::Folder;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use vat::Rights;
use vat::confine::Profile;
use vat::native::{Born, Service};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latch-folder: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut born = Born::take()?;
    let descriptors = raise_descriptor_limit();
    let Some(given) = born.take_resource("folder") else {
        born.last("no resource named \"folder\" came with the beginning");
        return Err("no folder was given".into());
    };
    born.confine(Profile::Folder, Some((given.descriptor.as_fd(), Rights::ALL)))?;
    // What is made gets the mode of the directory around it: see `resolve::shared_with`.
    umask(rustix::fs::Mode::empty());
    let folder =
        Folder::new(given.descriptor.as_fd(), descriptors).inspect_err(|problem| born.last(&problem.to_string()))?;
    Ok(Service::run(born, move |badge, exports| Ok(folder.root(badge, exports)?))?)
}

/// Every open file is a descriptor: takes as many as this process may have, and says how many that is.
fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}
