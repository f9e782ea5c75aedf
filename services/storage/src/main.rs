//! The process: it is born with a door and the folder of its state, confines itself, and serves the store that is there.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use storage_service::remote_keys::{COMMITS_LABEL, PATIENCE, RemoteKeys, STORE_LABEL};
use storage_service::serve::{Storage, Vault, troubles};
use storage_service::store::{OnDisk, Options, Store};
use tokio::sync::mpsc::Receiver;
use vat::Rights;
use vat::confine::Profile;
use vat::native::{Born, Door, Held, Service};

/// The folder of the store's index, in that of its state.
const INDEX: &str = "index";

/// So short where kills are tested that many are begun, and given up, in a short time.
const SHORT_SEGMENT_BYTES: u64 = 1 << 20;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latch-storage: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut born = Born::take()?;
    let Some(given) = born.take_resource("state") else {
        born.last("no resource named \"state\" came with the beginning");
        return Err("no folder for the state was given".into());
    };
    born.confine(Profile::Storage, Some((given.descriptor.as_fd(), Rights::ALL)))?;
    // It is the root now, or at least where this process is.
    let files = Arc::new(OnDisk::new(Path::new("."))?);
    Ok(vat::native::run(async { serve(born.into_door()?, files).await })??)
}

/// Serves until the kernel says stop or is gone.
async fn serve(door: Door, files: Arc<OnDisk>) -> io::Result<()> {
    let held = Held::default();
    let (troubles, told) = troubles();
    pass_on(&held, told);
    let keys = Arc::new(RemoteKeys::over(&held, PATIENCE));
    let asked = keys.clone();
    let mut options = Options::new(INDEX.into());
    if cfg!(feature = "faults") {
        options.segment_bytes = SHORT_SEGMENT_BYTES;
    }
    let open = move || Store::open(files.clone(), asked.clone(), options.clone());
    let vault = Vault::new(Box::new(open), troubles);
    unlock_early(&held, &vault);
    let storage = Storage::new(vault.clone());
    let serving = Service::serve(door, held, move |badge, exports| Ok(storage.root(badge, exports)?));
    let served = tokio::select! {
        served = serving => served,
        // A process that is started again opens it anew.
        () = vault.refusing() => Err(io::Error::other("the store takes no more writes before it is opened anew")),
    };
    // While this thread still brings what the keys say, without which nothing is committed.
    keys.stopping();
    let closed = tokio::task::spawn_blocking(move || vault.close()).await;
    served.and(closed.map_err(io::Error::other))
}

/// People are told what they should act on, wherever it was seen.
fn pass_on(held: &Held, mut told: Receiver<String>) {
    let held = held.clone();
    tokio::task::spawn_local(async move {
        while let Some(text) = told.recv().await {
            held.trouble(&text);
        }
    });
}

/// The store is unlocked as soon as its keys are there, before anybody needs it: what is wrong with it is known early.
fn unlock_early(held: &Held, vault: &Vault) {
    let (held, vault) = (held.clone(), vault.clone());
    tokio::task::spawn_local(async move {
        for label in [STORE_LABEL, COMMITS_LABEL] {
            if held.root(label).here().await.is_err() {
                return;
            }
        }
        // Whether that succeeds is seen by whoever needs it.
        tokio::task::spawn_blocking(move || vault.store().map(drop));
    });
}
