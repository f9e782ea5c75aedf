//! A real process at a real door, in the place of the kernel: born as the kernel starts it, introduced to others, killed.

use capnp::capability::{Client, FromClientHook};
use files::testing::badge;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use vat::door::{Begin, Carries, FromVat, Link, Resource, ResourceKind, Role, ToVat};
use vat::native::{Stream, SystemClock, receive, send};
use vat::{Badge, Bounds, Exports, Peer, Rights};

/// A process that was started, until it is dropped.
pub(crate) struct Process {
    child: Child,
    door: OwnedFd,
    links: u64,
}

impl Process {
    /// Starts a program with a folder as its state, as that user where the test is root's, and waits until it is confined.
    /// Nothing where it died before.
    pub(crate) fn start(program: &Path, state: &Path, user: u32) -> Option<Self> {
        let (door, its_door) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("sockets can be made");
        let mut command = command(program, user);
        command.stdin(Stdio::from(its_door)).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let process = Self { child: command.spawn().expect("it can be started"), door, links: 0 };
        process.say(&ToVat::Begin(Begin { process: 9, resources: 1, ..Begin::default() }), None);
        let folder = rustix::fs::open(state, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .expect("its state is there");
        process.say(&ToVat::Resource(Resource::new(ResourceKind::Folder, "state")), Some(folder.as_fd()));
        let packet = receive(&process.door).ok().flatten()?;
        match FromVat::decode(&packet.bytes).expect("a message of a door") {
            FromVat::Confined(confinement) => assert!(confinement.applied.iter().any(|layer| layer == "seccomp")),
            other => panic!("{} does not begin with its confinement: {other:?}", program.display()),
        }
        Some(process)
    }

    fn say(&self, message: &ToVat, descriptor: Option<BorrowedFd<'_>>) {
        // To one that has just died nothing can be said.
        let _ = send(&self.door, &message.encode().expect("a small message"), descriptor.as_slice());
    }

    fn deliver(&mut self, end: &UnixStream, role: Role, carries: Carries, label: &str, badge: &Badge) {
        self.links += 1;
        end.set_nonblocking(true).expect("sockets can be so");
        let badge = badge.encode().expect("a small badge");
        let link = Link { id: self.links, role, carries, label: label.to_owned(), badge };
        self.say(&ToVat::Link(link), Some(end.as_fd()));
    }

    /// Links the test to what it serves: the root object, and what the test exports with. Within a `LocalSet`.
    pub(crate) fn connect<R: FromClientHook>(&mut self, badge: &Badge) -> (R, Exports) {
        let (here, there) = UnixStream::pair().expect("sockets can be made");
        self.deliver(&there, Role::Server, Carries::Grant, "", badge);
        let stream = Stream::new(here).expect("a socket");
        let connected = vat::connect(stream, Bounds::for_peer(Peer::Service), Rc::new(SystemClock::new()));
        tokio::task::spawn_local(connected.driving);
        (R::new(connected.root.hook), connected.exports)
    }

    /// Links it, as the client, to what another process serves: no byte of that passes here.
    pub(crate) fn introduce_to(&mut self, server: &mut Process, label: &str, badge: &Badge) {
        let (here, there) = UnixStream::pair().expect("sockets can be made");
        server.deliver(&there, Role::Server, Carries::Grant, "", badge);
        self.deliver(&here, Role::Client, Carries::Grant, label, badge);
    }

    /// Gives it a session, whose other end is an object of the test's.
    pub(crate) fn give_session(&mut self, root: impl FnOnce(&Exports) -> Client) {
        let badge = Badge { peer: Peer::Service, ..badge(Rights::ALL) };
        let (here, there) = UnixStream::pair().expect("sockets can be made");
        self.deliver(&there, Role::Client, Carries::Session, "", &badge);
        let stream = Stream::new(here).expect("a socket");
        let serving = vat::serve(stream, &badge, Bounds::for_peer(Peer::Service), Rc::new(SystemClock::new()), root);
        tokio::task::spawn_local(async move { drop(serving.await) });
    }

    /// Kills it at once, and returns when it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours to kill");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop, and returns when it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.say(&ToVat::Stop, None);
        self.child.wait().expect("it ends")
    }

    /// Waits for an end that it comes to by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// The same of one that is used further, as if it lived.
    pub(crate) fn kill_in_place(&mut self) {
        self.child.kill().expect("it is ours to kill");
        self.child.wait().expect("it ends");
    }

    /// Whether it lives on, where the file of its fault point says whether that has killed it.
    pub(crate) fn is_alive_after(&mut self, fault: &Path) -> bool {
        if fault.exists() {
            return self.child.try_wait().expect("it is ours to wait for").is_none();
        }
        self.child.wait().expect("it ends");
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a test that failed; one that has ended is not there to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As root it gets a user of its own, namespaces, and the two capabilities that an empty root takes, as the kernel gives
/// them; any other user starts it as itself.
fn command(program: &Path, user: u32) -> Command {
    // The shell moves the door from standard input to where a process finds it.
    let become_program = r#"exec "$0" 3<&0 </dev/null"#;
    if !rustix::process::geteuid().is_root() {
        let mut command = Command::new("sh");
        command.args(["-c", become_program]).arg(program);
        return command;
    }
    let mut command = Command::new("unshare");
    let (user, capabilities) = (user.to_string(), "-all,+sys_admin,+sys_chroot");
    command.args(["--mount", "--net", "--ipc", "--uts", "setpriv", "--reuid", &user, "--regid", &user]);
    command.args(["--clear-groups", "--bounding-set", capabilities, "--inh-caps", capabilities]);
    command.args(["--ambient-caps", capabilities, "sh", "-c", become_program]).arg(program);
    command
}
