//! The real keys service, with keys under a passphrase.

use crate::process::Process;
use capnp::traits::HasTypeId;
use files::testing::badge;
use schema::keys_capnp::{Protection, keyring, signer, unsealer};
use std::path::Path;
use vat::{Badge, Peer, Rights};

const PASSPHRASE: &[u8] = b"a passphrase of the crash tests";
/// Nobody's on any machine: the node's own range begins at 2,000,000,000.
const USER: u32 = 1_999_999_997;

/// Keys that are unlocked, until they are killed.
pub(crate) struct Keys {
    process: Process,
}

impl Keys {
    /// Starts the service over a folder, makes keys there or opens those that are there.
    pub(crate) async fn start(state: &Path) -> Self {
        crate::disk::make_own(state, USER);
        let mut process = Process::start(&tests::binaries().join("latch-keys"), state, USER).expect("it begins");
        let badge = Badge { interface: keyring::Client::TYPE_ID, ..of("keyring", Peer::Shell) };
        let (ring, _exports) = process.connect::<keyring::Client>(&badge);
        let status = ring.status_request().send().promise.await.expect("they say what there is");
        let protection = status.get().and_then(|it| it.get_status()?.get_protection().map_err(Into::into));
        if protection.expect("a protection") == Protection::None {
            let mut request = ring.create_request();
            request.get().set_protection(Protection::Passphrase);
            request.get().set_passphrase(PASSPHRASE);
            request.send().promise.await.expect("keys are made");
        } else {
            let mut request = ring.unlock_request();
            request.get().set_passphrase(PASSPHRASE);
            request.send().promise.await.expect("the passphrase is right");
        }
        Self { process }
    }

    /// Introduces the store to what opens its root and signs its commits.
    pub(crate) fn give_to(&mut self, storage: &mut Process) {
        let store = Badge { interface: unsealer::Client::TYPE_ID, ..of("store", Peer::Service) };
        let commits = Badge { interface: signer::Client::TYPE_ID, ..of("commits", Peer::Service) };
        storage.introduce_to(&mut self.process, "store", &store);
        storage.introduce_to(&mut self.process, "commits", &commits);
    }

    pub(crate) fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn of(object: &str, peer: Peer) -> Badge {
    Badge { object: object.to_owned(), peer, ..badge(Rights::ALL) }
}
