//! The operator socket: shells come through it, and bring folders and files.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with};
use vat::door::{Begin, Resource, ResourceKind, ToVat};
use vat::words::EndReason;

use crate::channel::Channel;
use crate::folders::{Identity, is_folder};
use crate::kernel::{DOOR_LIMIT, Kernel, Life, Process};
use crate::poller::Source;

/// The name of the socket in the state folder.
pub(crate) const SOCKET: &str = "operator";
/// Shells have numbers with this bit set, which the powerbox never chooses.
const SHELL: u64 = 1 << 63;
/// Numbers for shells in one second: a kernel that is started anew goes on above those of the one before.
const SHELLS_A_SECOND: u64 = 1 << 20;
/// Shells at a time.
const SHELLS_LIMIT: usize = 128;
/// Folders that shells brought and nobody claimed yet.
const RESOURCES_LIMIT: usize = 256;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A folder that a shell brought.
pub(crate) struct Claim {
    pub resource: Resource,
    pub descriptor: Rc<OwnedFd>,
    /// Who brought it.
    pub uid: u32,
    pub gid: u32,
}

pub(crate) struct Operators {
    socket: OwnedFd,
    state_uid: u32,
    last_shell: u64,
    last_resource: u64,
    pub resources: BTreeMap<u64, Claim>,
    groups: BTreeMap<u64, u32>,
}

impl Operators {
    pub(crate) fn new(socket: OwnedFd, state_uid: u32) -> Operators {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let last_shell = SHELL | seconds.wrapping_mul(SHELLS_A_SECOND);
        Operators {
            socket,
            state_uid,
            last_shell,
            last_resource: 0,
            resources: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }
}

/// Opens the socket in the working folder, which is the state's: a path of any length leads to it.
pub(crate) fn open() -> io::Result<OwnedFd> {
    match rustix::fs::unlink(SOCKET) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(SOCKET)?)?;
    // Only who may enter the state folder reaches it, and then its user is looked at.
    rustix::fs::chmod(SOCKET, rustix::fs::Mode::from_raw_mode(0o666))?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

impl Kernel {
    /// Takes in a shell.
    pub(crate) fn admit(&mut self) {
        let Ok(socket) = accept_with(&self.operators.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else {
            return;
        };
        let Ok(peer) = rustix::net::sockopt::socket_peercred(&socket) else { return };
        let (uid, pid) = (peer.uid.as_raw(), peer.pid.as_raw_nonzero().get().unsigned_abs());
        let shells = self.processes.values().filter(|known| known.plan.is_none()).count();
        let operator = uid == 0 || uid == self.operators.state_uid;
        if !operator || shells >= SHELLS_LIMIT || self.near_limit(socket.as_raw_fd()) || !self.stage.is_running() {
            self.machine.say(&format!("a shell of user {uid} was turned away"));
            return;
        }
        self.operators.last_shell += 1;
        let process = self.operators.last_shell;
        let token = self.poller.token(Source::Door(process));
        let Ok(door) = Channel::over(socket, &mut self.poller, token) else { return };
        let life = Life { pid, pidfd: None, door, confined: true, since: Instant::now() };
        self.operators.groups.insert(process, peer.gid.as_raw());
        self.processes.insert(
            process,
            Process {
                name: "shell".to_owned(),
                plan: None,
                life: Some(life),
                uid,
                restarts: 0,
                failures: 0,
                last: String::new(),
                stopping: false,
            },
        );
        let begin = ToVat::Begin(Begin { process, reduced: self.reduced, ..Begin::default() });
        if self.deliver(process, &begin, vec![], DOOR_LIMIT).is_err() {
            return self.shell_gone(process);
        }
        self.tell_shell(process, pid, uid, false);
    }

    pub(crate) fn shell_gone(&mut self, process: u64) {
        let Some(known) = self.processes.remove(&process) else { return };
        self.operators.groups.remove(&process);
        if let Some(life) = known.life {
            self.poller.forget(life.door.socket(), life.door.token);
            self.end_links_of(process, EndReason::PeerLost, &known.name);
            self.tell_shell(process, life.pid, known.uid, true);
        }
    }

    fn tell_shell(&mut self, process: u64, pid: u32, uid: u32, gone: bool) {
        self.emit(vec![], |event| {
            let mut shell = event.init_shell();
            shell.set_process(process);
            shell.set_pid(pid);
            shell.set_uid(uid);
            shell.set_gone(gone);
        });
    }

    /// A shell brought a descriptor: a folder is kept until it is claimed, anything else goes to the powerbox.
    pub(crate) fn resource_offered(&mut self, shell: u64, resource: Resource, descriptors: Vec<OwnedFd>) {
        let Some(uid) = self.processes.get(&shell).map(|known| known.uid) else { return };
        let Ok([descriptor]) = <[OwnedFd; 1]>::try_from(descriptors) else {
            return self.kill(shell, "sent a resource without exactly one descriptor");
        };
        let folder = resource.kind == ResourceKind::Folder;
        if folder != is_folder(&descriptor) {
            return self.kill(shell, "sent something else than it said");
        }
        if folder && (self.operators.resources.len() >= RESOURCES_LIMIT || self.near_limit(descriptor.as_raw_fd())) {
            return self.kill(shell, "brought a folder when too many wait");
        }
        let identity = if folder { Identity::of(&descriptor, resource.path.clone()) } else { Ok(Identity::default()) };
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => return self.kill(shell, &format!("brought a folder that cannot be examined: {error}")),
        };
        self.operators.last_resource += 1;
        let (number, token, kind) = (self.operators.last_resource, resource.token, resource.kind);
        let descriptor = Rc::new(descriptor);
        let rides = if folder { vec![] } else { vec![Rc::clone(&descriptor)] };
        if folder {
            let gid = self.operators.groups.get(&shell).copied().unwrap_or_default();
            self.operators.resources.insert(number, Claim { resource, descriptor, uid, gid });
        }
        self.emit(rides, |event| {
            let mut offered = event.init_resource();
            offered.set_resource(number);
            offered.set_shell(shell);
            offered.set_token(token);
            offered.set_kind(kind);
            offered.set_uid(uid);
            crate::control::write_identity(&identity, offered.init_folder());
        });
    }
}

/// The socket is only looked at as a descriptor elsewhere.
impl AsFd for Operators {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
