//! The kernel's side of one process's door, without a kernel: what the sandbox and its compiler are tested against.

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use vat::door::{Badge, Begin, Carries, FromVat, Lease, Link, Notice, Peer, Resource, ResourceKind, Role, ToVat};
use vat::native::{receive, send};
use vat::words::{EndReason, Rights};

/// Gives a shell's child the socket as descriptor 3. As root it also gets a mount namespace of its own, as the kernel
/// gives it: its confinement changes the root, which must not be this machine's.
const SCRIPT: &str = "exec \"$0\" 3<&0 </dev/null";

/// A process with its door.
pub(crate) struct Process {
    door: OwnedFd,
    child: Child,
    last_link: u64,
    /// What it said before it ended.
    pub(crate) last_word: Option<String>,
    /// Server ends whose end it confirmed.
    pub(crate) ended: Vec<u64>,
    /// Layers of its confinement.
    pub(crate) confined: Vec<String>,
}

impl Process {
    /// Starts a binary and tells it what it is.
    pub(crate) fn start(binary: &str, setup: Vec<u8>, resources: &[(&str, BorrowedFd<'_>)]) -> Self {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        command.args(["-c", SCRIPT]).arg(tests::binaries().join(binary)).env_clear().stdin(Stdio::from(theirs));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let child = command.spawn().expect("the process starts");
        let process =
            Self { door: ours, child, last_link: 0, last_word: None, ended: Vec::new(), confined: Vec::new() };
        let begin = Begin { process: 1, setup, resources: resources.len() as u16, reduced: false };
        process.say(&ToVat::Begin(begin), None);
        for (name, descriptor) in resources {
            let resource = Resource::new(ResourceKind::Memory, name);
            process.say(&ToVat::Resource(resource), Some(*descriptor));
        }
        process
    }

    fn say(&self, message: &ToVat, descriptor: Option<BorrowedFd<'_>>) {
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        // A process that ended already shows in its exit code.
        let _ = send(&self.door, &message.encode().unwrap(), &descriptors);
    }

    /// Makes a link and gives the other end of it. Its number is `last_link`.
    pub(crate) fn link(&mut self, role: Role, carries: Carries, label: &str) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        self.last_link += 1;
        let badge = if carries == Carries::Raw { Vec::new() } else { badge() };
        let link = Link { id: self.last_link, role, carries, label: label.to_owned(), badge };
        self.say(&ToVat::Link(link), Some(theirs.as_fd()));
        ours
    }

    /// The number of the link that was made last.
    pub(crate) fn last_link(&self) -> u64 {
        self.last_link
    }

    pub(crate) fn notice(&self, link: u64, label: &str, reason: EndReason, detail: &str) {
        let notice = Notice { link, label: label.to_owned(), reason, detail: detail.to_owned() };
        self.say(&ToVat::Notice(notice), None);
    }

    pub(crate) fn stop(&self) {
        self.say(&ToVat::Stop, None);
    }

    /// Reads one message of the process; nothing where it closed its door.
    pub(crate) fn hear(&mut self) -> Option<()> {
        // A process that ends with something unread behind its door breaks the connection; what it said before that is
        // still there, after the error.
        let packet = receive(&self.door).or_else(|_| receive(&self.door)).ok().flatten()?;
        match FromVat::decode(&packet.bytes).expect("a door's message") {
            FromVat::Confined(confinement) => self.confined = confinement.applied,
            FromVat::Ended { link } => self.ended.push(link),
            FromVat::Last(word) => self.last_word = Some(word),
            FromVat::Resource(_) => panic!("only shells give resources"),
        }
        Some(())
    }

    /// Hears the process to its end; its exit code, or minus the signal.
    pub(crate) fn end(&mut self) -> i32 {
        while self.hear().is_some() {}
        let status = self.child.wait().unwrap();
        status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn badge() -> Vec<u8> {
    let badge = Badge {
        grant: 1,
        interface: 1,
        rights: Rights::ALL,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer: Peer::Service,
        holder: "test".to_owned(),
        object: String::new(),
        accounts: Vec::new(),
    };
    badge.encode().unwrap()
}

/// Memory that can be sealed.
pub(crate) fn memory(content: &[u8]) -> File {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("test", flags).unwrap());
    std::io::Write::write_all(&mut file, content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

pub(crate) fn seal(file: &File) {
    rustix::fs::fcntl_add_seals(file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)
        .unwrap();
}

pub(crate) fn content(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}
