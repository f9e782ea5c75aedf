//! The process: it is born with a door and one folder of its own, confines itself, and keeps the node's keys there.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;

use keys_service::keeper::Keeper;
use keys_service::passphrase::Cost;
use keys_service::serve::Keys;
use keys_service::tpm::commands::Carried;
use keys_service::tpm::descriptor::Descriptor;
use keys_service::tpm::{NoTpm, Tpm};
use keys_service::whole::OnDisk;
use vat::Rights;
use vat::confine::Profile;
use vat::native::{Born, Given, Service};

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
    let tpm = born.take_resource("tpm");
    born.confine(Profile::Keys, Some((state.descriptor.as_fd(), Rights::ALL)))?;
    let keys = open(&state, tpm).inspect_err(|error| born.last(&error.to_string()))?;
    Ok(Service::run_holding(born, move |held| {
        let started = keys.start();
        tokio::task::spawn_local(async move {
            if let Some(trouble) = started.await {
                held.trouble(&format!("the node's keys cannot be used: {trouble}"));
            }
        });
        move |badge, exports| Ok(keys.root(badge, exports)?)
    })?)
}

/// The keys in the folder, and the TPM where one was given.
fn open(state: &Given, tpm: Option<Given>) -> Result<Keys, Box<dyn std::error::Error>> {
    let folder = OnDisk::new(&state.descriptor)?;
    let tpm: Box<dyn Tpm> = match tpm {
        Some(given) => Box::new(Carried(Descriptor::new(given.descriptor))),
        None => Box::new(NoTpm),
    };
    Ok(Keys::new(Arc::new(Keeper::new(Box::new(folder), tpm, Cost::USUAL)?)))
}
