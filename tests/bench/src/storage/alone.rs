//! A service's real process with nothing around it but this one, which is its kernel: how long it takes to begin is seen
//! best so.

use capnp::capability::FromClientHook;
use capnp::traits::HasTypeId;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Pid;
use schema::keys_capnp::{Protection, keyring, signer, unsealer};
use schema::storage_capnp::stored_directory;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};
use vat::door::{Begin, Carries, FromVat, Link, Resource, ResourceKind, Role, ToVat};
use vat::native::{Stream, SystemClock, receive, send};
use vat::{Badge, Bounds, Peer};

/// Nobody's on any machine: the node's own range begins at 2,000,000,000.
const OWNER: u32 = 1_999_999_997;
/// How long a program may take to become its image.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process at its door. It is killed with its handle.
pub(crate) struct Alone {
    child: Child,
    door: OwnedFd,
    links: u64,
    /// When its image was there, and it had heard nothing yet.
    began: Instant,
}

impl Alone {
    /// Starts an image with its state, and returns when it is confined.
    fn start(image: &str, state: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot start {image}: {error}");
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (door, its_door) = pair.map_err(|error| failed(error.into()))?;
        let path = crate::machine::binaries().join(image);
        let child = command(&path).stdin(Stdio::from(its_door)).spawn().map_err(failed)?;
        let mut process = Self { child, door, links: 0, began: Instant::now() };
        process.became(&path)?;
        process.say(&ToVat::Begin(Begin { process: 9, resources: 1, ..Begin::default() }), None)?;
        let folder = rustix::fs::open(state, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = folder.map_err(|error| failed(error.into()))?;
        process.say(&ToVat::Resource(Resource::new(ResourceKind::Folder, "state")), Some(folder.as_fd()))?;
        match process.hear()? {
            FromVat::Confined(_) => Ok(process),
            other => Err(format!("{image} does not begin with its confinement: {other:?}")),
        }
    }

    /// Waits until what starts it has become it.
    fn became(&mut self, image: &Path) -> Result<(), String> {
        let link = format!("/proc/{}/exe", self.child.id());
        while !std::fs::read_link(&link).is_ok_and(|now| now.file_name() == image.file_name()) {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || self.began.elapsed() > PATIENCE {
                return Err(format!("nothing becomes {}", image.display()));
            }
            std::thread::yield_now();
        }
        self.began = Instant::now();
        Ok(())
    }

    fn say(&self, message: &ToVat, descriptor: Option<BorrowedFd<'_>>) -> Result<(), String> {
        let message = message.encode().map_err(|error| error.to_string())?;
        send(&self.door, &message, descriptor.as_slice()).map_err(|error| format!("a process does not hear: {error}"))
    }

    fn hear(&self) -> Result<FromVat, String> {
        let packet = receive(&self.door).map_err(|error| format!("a door failed: {error}"))?;
        let packet = packet.ok_or("a process ended instead of beginning")?;
        FromVat::decode(&packet.bytes).map_err(|error| error.to_string())
    }

    /// Gives it an end of a link.
    fn deliver(&mut self, role: Role, label: &str, badge: &Badge, end: &UnixStream) -> Result<(), String> {
        end.set_nonblocking(true).map_err(|error| format!("no link: {error}"))?;
        self.links += 1;
        let badge = badge.encode().map_err(|error| error.to_string())?;
        let link = Link { id: self.links, role, carries: Carries::Grant, label: label.to_owned(), badge };
        self.say(&ToVat::Link(link), Some(end.as_fd()))
    }

    /// A link to one of its objects. Within a runtime.
    fn connect<C: FromClientHook>(&mut self, badge: &Badge) -> Result<C, String> {
        let failed = |error: std::io::Error| format!("no link: {error}");
        let (here, there) = UnixStream::pair().map_err(failed)?;
        self.deliver(Role::Server, "", badge, &there)?;
        let stream = Stream::new(here).map_err(failed)?;
        let connected = vat::connect(stream, Bounds::for_peer(Peer::Service), Rc::new(SystemClock::new()));
        tokio::task::spawn_local(connected.driving);
        Ok(FromClientHook::new(connected.root.hook))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As root the process gets a user of its own, namespaces, and the two capabilities that an empty root takes, as the kernel
/// gives them; any other user starts it as itself.
fn command(image: &Path) -> Command {
    // The shell moves the door from standard input to where a process finds it.
    let become_image = r#"exec "$0" 3<&0 </dev/null"#;
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("unshare");
        let (owner, capabilities) = (OWNER.to_string(), "-all,+sys_admin,+sys_chroot");
        command.args(["--mount", "--net", "--ipc", "--uts", "setpriv"]);
        command.args(["--reuid", &owner, "--regid", &owner, "--clear-groups"]);
        command.args(["--bounding-set", capabilities, "--inh-caps", capabilities, "--ambient-caps", capabilities]);
        command.args(["sh", "-c", become_image]).arg(image);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", become_image]).arg(image);
        command
    }
}

fn badge<C: HasTypeId>(object: &str, peer: Peer) -> Result<Badge, String> {
    let unlimited =
        Badge { methods: Vec::new(), calls: Default::default(), bytes: Default::default(), ..crate::peer::badge()? };
    Ok(Badge { interface: C::TYPE_ID, object: object.to_owned(), peer, expires_at_ms: 0, ..unlimited })
}

/// Lets the services come through a folder to theirs.
pub(crate) fn open_to_services(folder: &Path) -> Result<(), String> {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(folder, permissions).map_err(|error| format!("{}: {error}", folder.display()))
}

/// A folder for a service's state.
fn state(within: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = within.join(name);
    let failed = |error| format!("{}: {error}", folder.display());
    std::fs::create_dir(&folder).map_err(failed)?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&folder, Some(OWNER), Some(OWNER)).map_err(failed)?;
    }
    Ok(folder)
}

/// The keys service, unlocked.
pub(crate) struct Keys(Alone);

impl Keys {
    /// Makes new ones in a folder of its own within this one.
    pub(crate) async fn make(within: &Path) -> Result<Self, String> {
        let mut keys = Alone::start("latch-keys", &state(within, "keys")?)?;
        let keyring: keyring::Client = keys.connect(&badge::<keyring::Client>("keyring", Peer::Shell)?)?;
        let mut request = keyring.create_request();
        request.get().set_protection(Protection::Passphrase);
        request.get().set_passphrase(b"a passphrase that is no secret");
        request.send().promise.await.map_err(|error| format!("no keys: {error}"))?;
        Ok(Self(keys))
    }
}

/// A store on disk, opened and closed as often as one likes.
pub(crate) struct Closed {
    folder: PathBuf,
}

/// The storage service, which has answered its first call.
pub(crate) struct Opened {
    process: Alone,
    /// What `/bench` is.
    pub(crate) root: stored_directory::Client,
    /// From its first own instruction to its first answer.
    pub(crate) took: Duration,
}

impl Closed {
    /// An empty one within this folder.
    pub(crate) fn make(within: &Path, name: &str) -> Result<Self, String> {
        Ok(Self { folder: state(within, name)? })
    }

    /// Starts the service and asks it what is at the path. Within a runtime.
    pub(crate) async fn open(&self, keys: &mut Keys, path: &str) -> Result<Opened, String> {
        let mut process = Alone::start("latch-storage", &self.folder)?;
        for (label, badge) in [
            ("store", badge::<unsealer::Client>("store", Peer::Service)?),
            ("commits", badge::<signer::Client>("commits", Peer::Service)?),
        ] {
            let (one, other) = UnixStream::pair().map_err(|error| format!("no link: {error}"))?;
            keys.0.deliver(Role::Server, "", &badge, &one)?;
            process.deliver(Role::Client, label, &badge, &other)?;
        }
        let root: stored_directory::Client =
            process.connect(&badge::<stored_directory::Client>("/bench", Peer::App)?)?;
        let as_directory = root.clone().cast_to();
        super::calls::stat(&as_directory, path).await.map_err(|error| format!("the store does not answer: {error}"))?;
        let took = process.began.elapsed();
        Ok(Opened { process, root, took })
    }
}

impl Opened {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.process.child)
    }

    /// Ends it in order, and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), String> {
        let Self { mut process, root, .. } = self;
        drop(root);
        process.say(&ToVat::Stop, None)?;
        let ended = tokio::task::spawn_blocking(move || process.child.wait());
        match ended.await {
            Ok(Ok(status)) if status.success() => Ok(()),
            ended => Err(format!("the store did not close: {ended:?}")),
        }
    }

    /// As `kill -9` does.
    pub(crate) fn kill(self) {
        drop(self.process);
    }
}
