//! The process: it is born with a door and one folder of its own, confines itself, and keeps the node's keys there.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;

use keys_service::keeper::Keeper;
use keys_service::passphrase::Cost;
use keys_service::serve::Keys;
use keys_service::tpm::NoTpm;
use keys_service::whole::OnDisk;
use vat::Rights;
use vat::confine::Profile;
use vat::native::{Born, Service};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latch-keys: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut born = Born::take()?;
    let Some(state) = born.take_resource("state") else {
        born.last("no resource named \"state\" came with the beginning");
        return Err("no folder was given".into());
    };
    born.confine(Profile::Keys, Some((state.descriptor.as_fd(), Rights::ALL)))?;
    let keys = open(&state).inspect_err(|error| born.last(&error.to_string()))?;
    Ok(Service::run_holding(born, move |_| {
        keys.start();
        move |badge, exports| Ok(keys.root(badge, exports)?)
    })?)
}

fn open(state: &vat::native::Given) -> Result<Keys, Box<dyn std::error::Error>> {
    let folder = OnDisk::new(&state.descriptor)?;
    let tpm = NoTpm::not_built();
    Ok(Keys::new(Arc::new(Keeper::new(Box::new(folder), Box::new(tpm), Cost::USUAL)?)))
}
