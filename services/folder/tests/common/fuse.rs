//! A file system of one file, `f`, that stops answering when it is told to, as one does whose server hangs. The kernel is
//! spoken to in its own messages (`linux/fuse.h`), so that nothing has to be installed.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// What is in the file.
pub const CONTENT: &[u8] = b"from user space";

const ROOT: u64 = 1;
const FILE: u64 = 2;
/// A request and its header fit; what is written never does, and is not tested.
const REQUEST_BYTES: usize = 64 << 10;
const HEADER_BYTES: usize = 40;
/// The most that is written at once: with its header it must fit into what is read.
const WRITE_BYTES: u32 = 4_096;
/// Names are remembered this long, what is known about them not at all: a walk of names goes on in memory while all else has
/// to be asked for.
const NAMES_VALID_SECONDS: u64 = 3_600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Answering,
    Silent,
    Ended,
}

/// The mounted file system. When it is dropped it is aborted: whoever waits for it fails.
///
/// What it does not answer it does not even read. So those who wait can be killed; and so it has to be dropped before the
/// runtime whose threads wait for it.
pub struct Fuse {
    at: PathBuf,
    shared: Arc<Shared>,
    server: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    device: OwnedFd,
    /// Tells the server that there is a new state.
    changed: OwnedFd,
    state: Mutex<State>,
}

impl Fuse {
    /// Mounts one there; nothing where this machine or this user cannot.
    pub fn mount(at: &Path) -> Option<Fuse> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let device = rustix::fs::open("/dev/fuse", flags, Mode::empty()).ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        mount("latch-test", at, "fuse", MountFlags::empty(), CString::new(options).unwrap().as_c_str()).ok()?;
        let changed = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let shared = Arc::new(Shared { device, changed, state: Mutex::new(State::Answering) });
        // Before it is greeted the kernel asks for nothing.
        ready(&[&shared.device], None);
        shared.answer_all();
        let serving = shared.clone();
        let server = std::thread::spawn(move || serving.serve());
        Some(Fuse { at: at.to_owned(), shared, server: Some(server) })
    }

    /// From now on nothing is answered.
    pub fn fall_silent(&self) {
        self.shared.become_(State::Silent);
    }

    /// From now on everything is, and what waits first of all.
    pub fn answer(&self) {
        self.shared.become_(State::Answering);
    }

    /// Waits, while it is silent, until somebody waits for it.
    pub async fn asked(&self) {
        while !self.is_asked() {
            tokio::task::yield_now().await;
        }
    }

    /// Whether somebody waits for it while it is silent.
    pub fn is_asked(&self) -> bool {
        ready(&[&self.shared.device], Some(&Timespec::default()))[0]
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        _ = unmount(&self.at, UnmountFlags::DETACH);
        self.shared.become_(State::Ended);
        // The server has the device besides us. When it is closed the kernel aborts the connection.
        _ = self.server.take().map(std::thread::JoinHandle::join);
    }
}

impl Shared {
    fn become_(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        rustix::io::write(&self.changed, &1_u64.to_ne_bytes()).unwrap();
    }

    fn serve(&self) {
        let mut answering = true;
        loop {
            let both: [&OwnedFd; 2] = [&self.changed, &self.device];
            ready(if answering { &both } else { &both[..1] }, None);
            _ = rustix::io::read(&self.changed, &mut [0; 8]);
            // Held while it answers, so that there is silence when it is told to be silent.
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            answering = *state == State::Answering;
            if *state == State::Ended {
                return;
            }
            if answering && !self.answer_all() {
                return;
            }
        }
    }

    /// What has been asked so far; false where nothing can come any more.
    fn answer_all(&self) -> bool {
        let mut request = vec![0; REQUEST_BYTES];
        loop {
            match rustix::io::read(&self.device, &mut request) {
                Ok(bytes) => self.reply(&request[..bytes]),
                // Taken back before it was read.
                Err(Errno::NOENT | Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                // Unmounted.
                Err(_) => return false,
            }
        }
    }

    fn reply(&self, request: &[u8]) {
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap());
        let (operation, unique, node, body) = (word(4), long(8), long(16), &request[HEADER_BYTES..]);
        let handle = || Ok(vec![0; 16]);
        let answer: Result<Vec<u8>, Errno> = match operation {
            // FORGET, INTERRUPT, BATCH_FORGET: no answer is wanted.
            2 | 36 | 42 => return,
            // INIT: protocol 7.31, no features.
            26 => {
                let fields = [7, 31, 0, 0, 0, WRITE_BYTES, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0_u32];
                Ok(fields.iter().flat_map(|field| field.to_ne_bytes()).collect())
            }
            // LOOKUP
            1 if body == b"f\0" => {
                let valid = [FILE, 0, NAMES_VALID_SECONDS, 0].into_iter().flat_map(u64::to_ne_bytes);
                Ok(valid.chain([0; 8]).chain(attributes(FILE)).collect())
            }
            1 => Err(Errno::NOENT),
            // GETATTR
            3 => Ok([0; 16].into_iter().chain(attributes(node)).collect()),
            // OPEN, OPENDIR
            14 | 27 => handle(),
            // READ: its offset follows the handle.
            15 => Ok(CONTENT[CONTENT.len().min(long(HEADER_BYTES + 8) as usize)..].to_vec()),
            // STATFS
            17 => Ok(vec![0; 80]),
            // RELEASE, FSYNC, FLUSH, READDIR (no entries), RELEASEDIR
            18 | 20 | 25 | 28 | 29 => Ok(Vec::new()),
            _ => Err(Errno::NOSYS),
        };
        let (error, bytes) = answer.map_or_else(|errno| (-errno.raw_os_error(), Vec::new()), |bytes| (0, bytes));
        let mut message = (16 + bytes.len() as u32).to_ne_bytes().to_vec();
        message.extend(error.to_ne_bytes());
        message.extend(unique.to_ne_bytes());
        message.extend(bytes);
        // Who asked may have been killed meanwhile.
        _ = rustix::io::write(&self.device, &message);
    }
}

/// `struct fuse_attr`
fn attributes(node: u64) -> Vec<u8> {
    let (size, mode) = if node == ROOT { (0, 0o040_755) } else { (CONTENT.len() as u64, 0o100_644) };
    let long = [node, size, 1, 0, 0, 0].into_iter().flat_map(u64::to_ne_bytes);
    let short = [0, 0, 0, mode, 1, 0, 0, 0, 4_096, 0_u32].into_iter().flat_map(u32::to_ne_bytes);
    long.chain(short).collect()
}

fn ready(descriptors: &[&OwnedFd], timeout: Option<&Timespec>) -> Vec<bool> {
    let mut all: Vec<_> = descriptors.iter().map(|one| PollFd::from_borrowed_fd(one.as_fd(), PollFlags::IN)).collect();
    while poll(&mut all, timeout) == Err(Errno::INTR) {}
    all.iter().map(|one| !one.revents().is_empty()).collect()
}
