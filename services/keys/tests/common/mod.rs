//! The service at one end of a link in memory, and a client at the other; and its calls in short.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};

use capnp::Error;
use capnp::capability::FromClientHook;
use capnp::traits::HasTypeId;
use futures::channel::oneshot;
use keys_service::keeper::Keeper;
use keys_service::passphrase::Cost;
use keys_service::problem::{Problem, Word};
use keys_service::secret;
use keys_service::serve::Keys;
use keys_service::tpm::{NoTpm, Tpm, TpmLock};
use keys_service::whole::{Folder, NewFile, OnDisk};
use schema::keys_capnp::{Protection, Purpose, keyring, signer, unsealer};
use vat::door::Lease;
use vat::testing::{Cutter, ManualClock, SharedClock, pair};
use vat::{Badge, Bounds, Ended, Exports, Peer, Rights};

/// Enough for a test, and quick.
pub const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

/// A node whose keys are in that folder.
pub fn node(folder: &Path) -> Keys {
    let folder = OnDisk::new(File::open(folder).unwrap()).unwrap();
    let keys = Keys::new(Arc::new(Keeper::new(Box::new(folder), Box::new(NoTpm), CHEAP).unwrap()));
    drop(keys.start());
    keys
}

/// A folder on the disk, in which the next file that is made waits for the test. So something slow is certainly under way.
pub struct Gated {
    folder: OnDisk,
    gate: Gate,
}

/// See [`Gated`].
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<Option<Closed>>>);

type Closed = (oneshot::Sender<()>, mpsc::Receiver<()>);

impl Gate {
    /// Closes it: what is ready when something waits there, and what opens it when it is dropped.
    pub fn close(&self) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
        let ((arrived, is_there), (open, opened)) = (oneshot::channel(), mpsc::channel());
        *self.0.lock().unwrap() = Some((arrived, opened));
        (is_there, open)
    }
}

impl Folder for Gated {
    fn read(&self, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        self.folder.read(name, limit)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>> {
        let closed = self.gate.0.lock().unwrap().take();
        if let Some((arrived, opened)) = closed {
            _ = arrived.send(());
            _ = opened.recv();
        }
        self.folder.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.folder.sync()
    }
}

/// Runs a test with a node without keys, whose next change can be held up.
pub fn with_gate<F: AsyncFnOnce(&Keys, &Gate)>(test: F) {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let gated = Gated { folder: OnDisk::new(File::open(folder.path()).unwrap()).unwrap(), gate: gate.clone() };
    let keys = Keys::new(Arc::new(Keeper::new(Box::new(gated), Box::new(NoTpm), CHEAP).unwrap()));
    let run = async {
        drop(keys.start());
        test(&keys, &gate).await;
    };
    vat::native::run(run).unwrap();
}

/// No TPM, and it takes until the test lets go to say so.
struct SlowTpm(mpsc::Receiver<()>);

impl Tpm for SlowTpm {
    fn describe(&mut self) -> String {
        _ = self.0.recv();
        NoTpm.describe()
    }

    fn seal(&mut self, file_key: &secret::Key) -> Result<TpmLock, Problem> {
        NoTpm.seal(file_key)
    }

    fn open(&mut self, lock: &TpmLock) -> Result<secret::Key, Problem> {
        NoTpm.open(lock)
    }
}

/// Runs a test with a node without keys, whose start takes until the sender is dropped.
pub fn with_slow_start<F: AsyncFnOnce(&Keys, mpsc::Sender<()>)>(test: F) {
    let folder = tempfile::tempdir().unwrap();
    let (let_go, held) = mpsc::channel();
    let disk = OnDisk::new(File::open(folder.path()).unwrap()).unwrap();
    let keys = Keys::new(Arc::new(Keeper::new(Box::new(disk), Box::new(SlowTpm(held)), CHEAP).unwrap()));
    let run = async {
        drop(keys.start());
        test(&keys, let_go).await;
    };
    vat::native::run(run).unwrap();
}

pub fn badge<C: HasTypeId>(object: &str, peer: Peer) -> Badge {
    Badge {
        grant: 7,
        interface: C::TYPE_ID,
        rights: Rights::ALL,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer,
        holder: "test".to_owned(),
        object: object.to_owned(),
        accounts: Vec::new(),
    }
}

/// A link to the service.
pub struct Link<C> {
    pub root: C,
    pub cutter: Cutter,
    /// Is ready when the service's end has ended.
    pub ended: tokio::task::JoinHandle<Ended>,
}

pub fn connect<C: FromClientHook>(keys: &Keys, badge: &Badge) -> Link<C> {
    let (here, there) = pair(64 << 10);
    let cutter = there.cutter();
    let clock = Rc::new(SharedClock(ManualClock::at_ms(1_000_000)));
    let root =
        |exports: &Exports| keys.root(badge, exports).map_err(Error::from).unwrap_or_else(capnp_rpc::new_broken_cap);
    let ended = tokio::task::spawn_local(vat::serve(there, badge, Bounds::for_peer(badge.peer), clock.clone(), root));
    let connected = vat::connect(here, Bounds::for_peer(Peer::Service), clock);
    tokio::task::spawn_local(connected.driving);
    Link { root: FromClientHook::new(connected.root.hook), cutter, ended }
}

pub fn operator(keys: &Keys) -> keyring::Client {
    connect(keys, &badge::<keyring::Client>("keyring", Peer::Shell)).root
}

pub fn signer(keys: &Keys, object: &str) -> signer::Client {
    connect(keys, &badge::<signer::Client>(object, Peer::Service)).root
}

pub fn unsealer(keys: &Keys) -> unsealer::Client {
    connect(keys, &badge::<unsealer::Client>("store", Peer::Service)).root
}

/// Runs a test with a node without keys.
pub fn with<F: AsyncFnOnce(&Keys)>(test: F) {
    let folder = tempfile::tempdir().unwrap();
    vat::native::run(async { test(&node(folder.path())).await }).unwrap();
}

/// The word that an exception of kind failed begins with.
pub fn word<T>(result: Result<T, Error>) -> Word {
    let Err(error) = result else { panic!("nothing was refused") };
    assert_eq!(error.kind, capnp::ErrorKind::Failed, "{error}");
    let text = error.extra.rsplit("remote exception: ").next().unwrap();
    Word::from_text(text.split(':').next().unwrap()).unwrap_or_else(|| panic!("no word in {error}"))
}

pub async fn create(keyring: &keyring::Client, passphrase: &[u8]) -> Result<(), Error> {
    protected_create(keyring, Protection::Passphrase, passphrase).await
}

pub async fn protected_create(
    keyring: &keyring::Client,
    protection: Protection,
    passphrase: &[u8],
) -> Result<(), Error> {
    let mut request = keyring.create_request();
    request.get().set_protection(protection);
    request.get().set_passphrase(passphrase);
    request.send().promise.await.map(drop)
}

pub async fn protect(keyring: &keyring::Client, protection: Protection, passphrase: &[u8]) -> Result<(), Error> {
    let mut request = keyring.protect_request();
    request.get().set_protection(protection);
    request.get().set_passphrase(passphrase);
    request.send().promise.await.map(drop)
}

pub async fn unlock(keyring: &keyring::Client, passphrase: &[u8]) -> Result<(), Error> {
    let mut request = keyring.unlock_request();
    request.get().set_passphrase(passphrase);
    request.send().promise.await.map(drop)
}

pub async fn lock(keyring: &keyring::Client) -> Result<(), Error> {
    keyring.lock_request().send().promise.await.map(drop)
}

/// The new generation.
pub async fn rotate(keyring: &keyring::Client, purpose: Purpose) -> Result<u32, Error> {
    let mut request = keyring.rotate_request();
    request.get().set_purpose(purpose);
    let response = request.send().promise.await?;
    let key = response.get()?.get_key()?;
    assert_eq!(key.get_purpose()?, purpose);
    Ok(key.get_generation())
}

pub async fn backup(keyring: &keyring::Client, passphrase: &[u8]) -> Result<Vec<u8>, Error> {
    let mut request = keyring.backup_request();
    request.get().set_passphrase(passphrase);
    Ok(request.send().promise.await?.get()?.get_backup()?.to_vec())
}

pub async fn restore(
    keyring: &keyring::Client,
    backup: &[u8],
    backup_passphrase: &[u8],
    passphrase: &[u8],
) -> Result<(), Error> {
    let mut request = keyring.restore_request();
    request.get().set_backup(backup);
    request.get().set_backup_passphrase(backup_passphrase);
    request.get().set_protection(Protection::Passphrase);
    request.get().set_passphrase(passphrase);
    request.send().promise.await.map(drop)
}

/// A key as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub purpose: Purpose,
    pub public: Vec<u8>,
    pub generation: u32,
    pub made_at_ms: u64,
}

impl Key {
    fn read(key: schema::keys_capnp::key::Reader<'_>) -> Key {
        Key {
            purpose: key.get_purpose().unwrap(),
            public: key.get_public().unwrap().to_vec(),
            generation: key.get_generation(),
            made_at_ms: key.get_made_at_ms(),
        }
    }
}

pub async fn history(keyring: &keyring::Client, purpose: Purpose) -> Result<Vec<Key>, Error> {
    let mut request = keyring.history_request();
    request.get().set_purpose(purpose);
    let response = request.send().promise.await?;
    Ok(response.get()?.get_keys()?.iter().map(Key::read).collect())
}

#[derive(Debug)]
pub struct Status {
    pub protection: Protection,
    pub unlocked: bool,
    pub trouble: String,
    pub keys: Vec<Key>,
    pub tpm: String,
}

pub async fn status(keyring: &keyring::Client) -> Status {
    let response = keyring.status_request().send().promise.await.unwrap();
    let status = response.get().unwrap().get_status().unwrap();
    Status {
        protection: status.get_protection().unwrap(),
        unlocked: status.get_unlocked(),
        trouble: status.get_trouble().unwrap().to_string().unwrap(),
        keys: status.get_keys().unwrap().iter().map(Key::read).collect(),
        tpm: status.get_tpm().unwrap().to_string().unwrap(),
    }
}

pub async fn public_key(signer: &signer::Client) -> Result<(Vec<u8>, u32), Error> {
    let response = signer.public_key_request().send().promise.await?;
    Ok((response.get()?.get_key()?.to_vec(), response.get()?.get_generation()))
}

pub async fn sign(signer: &signer::Client, message: &[u8]) -> Result<Vec<u8>, Error> {
    let mut request = signer.sign_request();
    request.get().set_message(message);
    Ok(request.send().promise.await?.get()?.get_signature()?.to_vec())
}

pub async fn seal(unsealer: &unsealer::Client, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
    let mut request = unsealer.seal_request();
    request.get().set_secret(secret);
    request.get().set_context(context);
    Ok(request.send().promise.await?.get()?.get_sealed()?.to_vec())
}

pub async fn unseal(unsealer: &unsealer::Client, sealed: &[u8], context: &[u8]) -> Result<(Vec<u8>, bool), Error> {
    let mut request = unsealer.unseal_request();
    request.get().set_sealed(sealed);
    request.get().set_context(context);
    let response = request.send().promise.await?;
    Ok((response.get()?.get_secret()?.to_vec(), response.get()?.get_current()))
}

/// Checks a signature as its contract says, and as anybody can.
pub fn verify(purpose: &str, message: &[u8], public: &[u8], signature: &[u8]) -> bool {
    let digest = blake3::derive_key(&format!("latchkey 2026 signature: {purpose}"), message);
    let public = ed25519_dalek::VerifyingKey::from_bytes(public.try_into().unwrap()).unwrap();
    public.verify_strict(&digest, &ed25519_dalek::Signature::from_slice(signature).unwrap()).is_ok()
}
