//! The real process at a real door, and all that it is given there: its state, links to keys, a session, links to serve.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "tests")]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;

use capnp::capability::{Client, FromClientHook};
use files::testing::badge;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use schema::keys_capnp::{signer, unsealer};
use schema::session_capnp::session;
use tokio::sync::watch;
use vat::door::{Begin, Carries, FromVat, Link, Resource, ResourceKind, Role, ToVat};
use vat::native::{Stream, SystemClock, receive, send};
use vat::{Badge, Bounds, Exports, Peer, Rights};

use super::keys::{ServedKeys, TestKeys};

/// Nobody's on any machine: the node's own range begins at 2,000,000,000.
const OWNER: u32 = 1_999_999_998;

pub struct Process {
    pub child: Child,
    door: OwnedFd,
    links: u64,
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// As root the process gets a user of its own, namespaces, and the two capabilities that an empty root takes, as the kernel
/// gives them; any other user starts it as itself.
fn command(image: &str) -> Command {
    // The shell moves the door from standard input to where a process finds it.
    let become_image = r#"exec "$0" 3<&0 </dev/null"#;
    if is_root() {
        let mut command = Command::new("unshare");
        let (owner, capabilities) = (OWNER.to_string(), "-all,+sys_admin,+sys_chroot");
        command.args(["--mount", "--net", "--ipc", "--uts", "setpriv"]);
        command.args(["--reuid", &owner, "--regid", &owner, "--clear-groups"]);
        command.args(["--bounding-set", capabilities, "--inh-caps", capabilities, "--ambient-caps", capabilities]);
        command.args(["sh", "-c", become_image, image]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", become_image, image]);
        command
    }
}

impl Process {
    /// Starts it with nothing but a door.
    pub fn bare() -> Process {
        let (door, its_door) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let mut command = command(env!("CARGO_BIN_EXE_latch-storage"));
        let child = command.stdin(Stdio::from(its_door)).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Process { child: child.spawn().unwrap(), door, links: 0 }
    }

    /// Starts it with that folder as its state.
    pub fn start(folder: &Path) -> Process {
        if is_root() {
            std::os::unix::fs::chown(folder, Some(OWNER), Some(OWNER)).unwrap();
        }
        let process = Process::bare();
        process.say(&ToVat::Begin(Begin { process: 9, resources: 1, ..Begin::default() }), None);
        let state = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let resource = Resource::new(ResourceKind::Folder, "state");
        process.say(&ToVat::Resource(resource), Some(state.unwrap().as_fd()));
        let FromVat::Confined(confinement) = process.hear() else { panic!("it does not begin with its confinement") };
        assert_eq!(confinement.profile, "storage");
        assert!(confinement.applied.iter().any(|layer| layer == "seccomp"));
        if is_root() {
            assert!(confinement.applied.iter().any(|layer| layer == "empty root"), "{confinement:?}");
        }
        process
    }

    pub fn say(&self, message: &ToVat, descriptor: Option<BorrowedFd<'_>>) {
        send(&self.door, &message.encode().unwrap(), descriptor.as_slice()).unwrap();
    }

    pub fn hear(&self) -> FromVat {
        let packet = receive(&self.door).unwrap().expect("the process is alive");
        FromVat::decode(&packet.bytes).unwrap()
    }

    fn deliver(&mut self, role: Role, carries: Carries, label: &str, badge: &Badge) -> (u64, UnixStream, UnixStream) {
        self.links += 1;
        let (here, there) = UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let badge = badge.encode().unwrap();
        let link = Link { id: self.links, role, carries, label: label.to_owned(), badge };
        self.say(&ToVat::Link(link), Some(there.as_fd()));
        (self.links, here, there)
    }

    /// A link to what it serves: its number, the root object and what the client exports with, and a spare of its end to cut
    /// it with. Within a `LocalSet`.
    pub fn link<R: FromClientHook>(&mut self, badge: &Badge) -> (u64, R, Exports, UnixStream) {
        let (number, here, spare) = self.deliver(Role::Server, Carries::Grant, "", badge);
        let connected =
            vat::connect(Stream::new(here).unwrap(), Bounds::for_peer(Peer::Service), Rc::new(SystemClock::new()));
        tokio::task::spawn_local(connected.driving);
        (number, R::new(connected.root.hook), connected.exports, spare)
    }

    /// A link to the directory `/granted`.
    pub fn granted<R: FromClientHook>(&mut self) -> R {
        self.link(&granted()).1
    }

    /// Serves it an object that it holds, and returns what ends that.
    fn lend(
        &mut self,
        carries: Carries,
        label: &str,
        root: impl FnOnce(&Exports) -> Client,
    ) -> tokio::task::JoinHandle<()> {
        let badge = Badge { peer: Peer::Service, ..badge(Rights::ALL) };
        let (_, here, _) = self.deliver(Role::Client, carries, label, &badge);
        let bounds = Bounds::for_peer(Peer::Service);
        let serving = vat::serve(Stream::new(here).unwrap(), &badge, bounds, Rc::new(SystemClock::new()), root);
        tokio::task::spawn_local(async move { drop(serving.await) })
    }

    /// Gives it its keys. What is returned is who serves them: aborted, they are gone.
    pub fn give_keys(&mut self, keys: &Arc<TestKeys>) -> [tokio::task::JoinHandle<()>; 2] {
        let served = ServedKeys(keys.clone());
        let unsealer = served.clone();
        [
            self.lend(Carries::Grant, "store", |exports| {
                Client::new(exports.export::<unsealer::Client, _>(unsealer).into_client_hook())
            }),
            self.lend(Carries::Grant, "commits", |exports| {
                Client::new(exports.export::<signer::Client, _>(served).into_client_hook())
            }),
        ]
    }

    /// Gives it a session, and returns what trouble it tells of.
    pub fn give_session(&mut self) -> watch::Receiver<Vec<String>> {
        let (told, troubles) = watch::channel(Vec::new());
        self.lend(Carries::Session, "", |exports| {
            Client::new(exports.export::<session::Client, _>(Listener(told)).into_client_hook())
        });
        troubles
    }

    /// Tells it to stop, and waits until it has, while its keys answer.
    pub async fn stop(mut self) {
        self.say(&ToVat::Stop, None);
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap().success());
        assert!(ended.await.unwrap());
    }

    /// As `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a test that failed; one that has ended is not there to kill.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

pub fn granted() -> Badge {
    Badge { object: "/granted".to_owned(), ..badge(Rights::ALL) }
}

/// A powerbox's session, as far as trouble goes.
struct Listener(watch::Sender<Vec<String>>);

impl session::Server for Listener {
    async fn trouble(
        self: Rc<Self>,
        params: session::TroubleParams,
        _: session::TroubleResults,
    ) -> Result<(), capnp::Error> {
        let text = params.get()?.get_text()?.to_string()?;
        self.0.send_modify(|troubles| troubles.push(text));
        Ok(())
    }

    async fn report(self: Rc<Self>, _: session::ReportParams, _: session::ReportResults) -> Result<(), capnp::Error> {
        Ok(())
    }
}
