//! The operator socket: shells come through it, and bring folders and files.

use crate::prelude::*;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::time::{SystemTime, UNIX_EPOCH};
use vat::door::{Begin, Confinement};

/// The name of the socket in the state folder.
pub(crate) const SOCKET: &str = "operator";
/// Shells have numbers with this bit set, which the powerbox never chooses.
const SHELL: u64 = 1 << 63;
/// Numbers in one second: a kernel that is started anew goes on above those of the one before.
const NUMBERS_A_SECOND: u64 = 1 << 20;
/// Shells at a time; folders that they brought and nobody claimed yet; connections that wait to be accepted.
const SHELLS_LIMIT: usize = 128;
const CLAIMS_LIMIT: usize = 256;
const BACKLOG: i32 = 64;

/// A folder that a shell brought, and who did.
pub(crate) struct Claim {
    pub resource: Resource,
    pub descriptor: Rc<OwnedFd>,
    pub identity: (u32, u32),
}

pub(crate) struct Operators {
    pub socket: OwnedFd,
    pub state_uid: u32, // besides uid 0, only this user's shells are taken
    last_number: u64,
    pub claims: BTreeMap<u64, Claim>,
}

impl Operators {
    /// Opens the socket in the working folder, which is the state's: a path of any length leads to it.
    pub(crate) fn open(state_uid: u32) -> rustix::io::Result<Operators> {
        // Left over by a kernel that was killed: the lock is ours now.
        let _ = rustix::fs::unlink(SOCKET);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(SOCKET)?)?;
        // Only who may enter the state folder reaches it, and then its user is looked at.
        rustix::fs::chmod(SOCKET, rustix::fs::Mode::from_raw_mode(0o666))?;
        rustix::net::listen(&socket, BACKLOG)?;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let last_number = seconds.wrapping_mul(NUMBERS_A_SECOND);
        Ok(Operators { socket, state_uid, last_number, claims: BTreeMap::new() })
    }
}

impl Kernel {
    /// Takes in a shell.
    pub(crate) fn admit(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = rustix::net::accept_with(&self.operators.socket, flags) else { return };
        let Ok(peer) = rustix::net::sockopt::socket_peercred(&socket) else { return };
        let (uid, gid, pid) = (peer.uid.as_raw(), peer.gid.as_raw(), peer.pid.as_raw_nonzero().get().unsigned_abs());
        let shells = self.processes.values().filter(|known| known.plan.is_none()).count();
        let operator = uid == 0 || uid == self.operators.state_uid;
        if !operator || shells >= SHELLS_LIMIT || near_limit(&socket) || self.stopping {
            return self.machine.say(&format!("a shell of user {uid} was turned away"));
        }
        self.operators.last_number += 1;
        let process = self.operators.last_number | SHELL;
        let Ok(door) = Channel::over(socket, &mut self.poller, Source::Door(process)) else { return };
        let life = Some(Life { pid, exit: None, door, confined: Some(Confinement::default()), since: Instant::now() });
        let shell = Process { name: "shell".to_owned(), life, identity: (uid, gid), ..Process::default() };
        self.processes.insert(process, shell);
        let begin = ToVat::Begin(Begin { process, reduced: self.reduced, ..Begin::default() });
        self.deliver(process, &begin, vec![], DOOR_LIMIT);
        self.tell_shell(process, pid, uid, false);
    }

    pub(crate) fn tell_shell(&mut self, process: u64, pid: u32, uid: u32, gone: bool) {
        self.emit(|event| fill!(event.init_shell(), set_process(process), set_pid(pid), set_uid(uid), set_gone(gone)));
    }

    /// A shell brought a descriptor: a folder is kept until it is claimed, a file goes to the powerbox. What it is nobody
    /// looks at here: that could take for ever. While nobody is told of it nothing is kept: nobody would ever claim it,
    /// and the shell's own link to the powerbox is gone as well.
    pub(crate) fn resource_offered(&mut self, shell: u64, resource: &Resource, descriptors: Vec<OwnedFd>) {
        let Some(who) = self.processes.get(&shell).map(|known| known.identity) else { return };
        let fits = |[one]: &[OwnedFd; 1]| self.operators.claims.len() < CLAIMS_LIMIT && !near_limit(one);
        let Some([descriptor]) = <[OwnedFd; 1]>::try_from(descriptors).ok().filter(fits) else {
            return self.kill(shell, "sent a resource without its one descriptor, or more than there is room for");
        };
        if !self.control.told {
            return;
        }
        self.operators.last_number += 1;
        let (number, mut rides) = (self.operators.last_number, vec![Rc::new(descriptor)]);
        if let Some(descriptor) = rides.pop_if(|_| resource.kind == ResourceKind::Folder) {
            self.operators.claims.insert(number, Claim { resource: resource.clone(), descriptor, identity: who });
        }
        self.emit_with(rides, |event| {
            let mut offered = event.init_resource();
            fill!(offered, set_resource(number), set_shell(shell), set_uid(who.0));
            resource.write_to(offered.init_what());
        });
    }
}
