//! The real process at a real door, as the kernel starts it.
//!
//! As root the process gets a user of its own, namespaces, and the two capabilities that an empty root takes, as the
//! kernel gives them; any other user starts it as itself.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use capnp::capability::FromClientHook;
use capnp::traits::HasTypeId;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use vat::door::{Begin, Carries, FromVat, Link, Resource, ResourceKind, Role, ToVat};
use vat::native::{Stream, SystemClock, receive, send};
use vat::{Bounds, Peer};

use super::badge;

/// Nobody's on any machine: the node's own range begins at 2,000,000,000.
pub const OWNER: u32 = 1_999_999_999;

pub struct Process {
    child: Child,
    door: OwnedFd,
    links: u64,
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder for keys, as the node makes it: its service's alone.
pub fn state_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        std::os::unix::fs::chown(folder.path(), Some(OWNER), Some(OWNER)).unwrap();
    }
    folder
}

/// A door, and the process behind it before it has heard anything. It may have so much memory, in KiB, or what there is.
fn spawn(memory_kib: Option<u64>) -> (OwnedFd, Child) {
    let (door, its_door) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let image = env!("CARGO_BIN_EXE_latch-keys");
    // The shell moves the door from standard input to where a process finds it.
    let limit = memory_kib.map_or_else(String::new, |memory_kib| format!("ulimit -d {memory_kib} && "));
    let become_image = limit + r#"exec "$0" 3<&0 </dev/null"#;
    let mut command = if is_root() {
        let mut command = Command::new("unshare");
        let owner = OWNER.to_string();
        let capabilities = "-all,+sys_admin,+sys_chroot";
        command.args(["--mount", "--net", "--ipc", "--uts", "setpriv"]);
        command.args(["--reuid", &owner, "--regid", &owner, "--clear-groups"]);
        command.args(["--bounding-set", capabilities, "--inh-caps", capabilities, "--ambient-caps", capabilities]);
        command.args(["sh", "-c", &become_image, image]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", &become_image, image]);
        command
    };
    command.stdin(Stdio::from(its_door)).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    (door, command.spawn().unwrap())
}

impl Process {
    /// Starts it with its folder, and waits until it is confined.
    pub fn start(folder: &Path) -> Process {
        Process::start_with(folder, Vec::new())
    }

    /// The same with more that it is given.
    pub fn start_with(folder: &Path, others: Vec<(Resource, OwnedFd)>) -> Process {
        Process::begin(spawn(None), folder, others)
    }

    /// The same with so much memory, as the kernel bounds it.
    pub fn start_within(folder: &Path, memory_kib: u64) -> Process {
        Process::begin(spawn(Some(memory_kib)), folder, Vec::new())
    }

    fn begin((door, child): (OwnedFd, Child), folder: &Path, others: Vec<(Resource, OwnedFd)>) -> Process {
        let process = Process { child, door, links: 0 };
        let resources = 1 + u16::try_from(others.len()).unwrap();
        process.say(&ToVat::Begin(Begin { process: 9, resources, ..Begin::default() }), None);
        let state = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let resource = Resource::new(ResourceKind::Folder, "state");
        process.say(&ToVat::Resource(resource), Some(state.unwrap().as_fd()));
        for (resource, descriptor) in others {
            process.say(&ToVat::Resource(resource), Some(descriptor.as_fd()));
        }
        let confinement = match process.hear() {
            FromVat::Confined(confinement) => confinement,
            other => panic!("it does not begin with its confinement: {other:?}"),
        };
        assert_eq!(confinement.profile, "keys");
        assert!(confinement.applied.iter().any(|layer| layer == "seccomp"));
        if is_root() {
            assert!(confinement.applied.iter().any(|layer| layer == "empty root"), "{confinement:?}");
        }
        process
    }

    /// The last word of a process that is started so and does not come to serve.
    pub fn last_word(resources: &[(Resource, File)]) -> String {
        let (door, mut child) = spawn(None);
        let begin = Begin { resources: u16::try_from(resources.len()).unwrap(), ..Begin::default() };
        send(&door, &ToVat::Begin(begin).encode().unwrap(), &[]).unwrap();
        for (resource, file) in resources {
            send(&door, &ToVat::Resource(resource.clone()).encode().unwrap(), &[file.as_fd()]).unwrap();
        }
        loop {
            let packet = receive(&door).unwrap().expect("it has a last word");
            if let FromVat::Last(word) = FromVat::decode(&packet.bytes).unwrap() {
                assert!(!child.wait().unwrap().success());
                return word;
            }
        }
    }

    fn say(&self, message: &ToVat, descriptor: Option<BorrowedFd<'_>>) {
        send(&self.door, &message.encode().unwrap(), descriptor.as_slice()).unwrap();
    }

    pub fn hear(&self) -> FromVat {
        let packet = receive(&self.door).unwrap().expect("the process is alive");
        FromVat::decode(&packet.bytes).unwrap()
    }

    /// A link to one of its objects. Within a runtime.
    pub fn connect<C: FromClientHook + HasTypeId>(&mut self, object: &str, peer: Peer) -> C {
        self.links += 1;
        let (here, there) = UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let link = Link {
            id: self.links,
            role: Role::Server,
            carries: Carries::Grant,
            label: String::new(),
            badge: badge::<C>(object, peer).encode().unwrap(),
        };
        self.say(&ToVat::Link(link), Some(there.as_fd()));
        let clock = Rc::new(SystemClock::new());
        let connected = vat::connect(Stream::new(here).unwrap(), Bounds::for_peer(Peer::Service), clock);
        tokio::task::spawn_local(connected.driving);
        FromClientHook::new(connected.root.hook)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn stop(mut self) {
        self.say(&ToVat::Stop, None);
        assert!(self.child.wait().unwrap().success());
    }

    /// As a loss of power to it alone.
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
