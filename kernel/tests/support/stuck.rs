//! A file system that works and then answers nothing any more, as a network's may: FUSE, spoken by this test.

use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Of `linux/fuse.h`: what is asked, and lengths.
const GETATTR: u32 = 3;
const STATFS: u32 = 17;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const REQUEST_HEADER_BYTES: usize = 40;
const REQUEST_BYTES: usize = (1 << 17) + 4_096;
const FOLDER: u32 = 0o040_755;

/// An empty folder of such a file system. It is unmounted with this, and whoever waits for it is let go.
pub struct Stuck {
    folder: tempfile::TempDir,
    silent: Arc<AtomicBool>,
    unanswered: Receiver<u32>,
    /// Closed to end the thread, whose end of the device is the last one.
    stop: Option<PipeWriter>,
    server: Option<JoinHandle<()>>,
}

impl Stuck {
    /// Mounts one, which answers at first. Where that cannot be, says by name that the test is not run.
    pub fn mount() -> Option<Stuck> {
        // What was asked can be taken back before it is read: whoever reads must not wait then.
        let mut options = File::options();
        let device = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/fuse");
        let folder = tempfile::tempdir().unwrap();
        let mounted = device.map_err(|error| error.to_string()).and_then(|device| {
            let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
            let options = std::ffi::CString::new(options).unwrap();
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            let mounted = mount("stuck", folder.path(), "fuse", flags, options.as_c_str());
            mounted.map(|()| device).map_err(|error| error.to_string())
        });
        let device = match mounted {
            Ok(device) => device,
            Err(why) => {
                let test = std::thread::current().name().unwrap_or_default().to_owned();
                eprintln!("{test}: not run: no FUSE here: {why}");
                return None;
            }
        };
        let (stopped, stop) = std::io::pipe().unwrap();
        let (tell, unanswered) = channel();
        let silent = Arc::new(AtomicBool::new(false));
        let server = std::thread::spawn({
            let silent = silent.clone();
            move || {
                let ready = |wanted: &mut [PollFd<'_>]| poll(wanted, None).is_ok() && wanted[1].revents().is_empty();
                while ready(&mut [PollFd::new(&device, PollFlags::IN), PollFd::new(&stopped, PollFlags::IN)]) {
                    answer(&device, &silent, &tell);
                }
            }
        });
        Some(Stuck { folder, silent, unanswered, stop: Some(stop), server: Some(server) })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// From now on nothing is answered.
    pub fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// Waits until somebody waits for an answer in vain.
    pub fn await_victim(&self) {
        self.unanswered.recv_timeout(super::packets::PATIENCE).expect("the file system is asked");
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        // Nothing is asked of it, so nothing hangs. The end of the device then ends what waits.
        let _ = unmount(self.folder.path(), UnmountFlags::DETACH);
        drop(self.stop.take());
        drop(self.server.take().map(JoinHandle::join));
    }
}

/// Reads a request and answers it, or tells that it does not.
fn answer(mut device: &File, silent: &AtomicBool, tell: &Sender<u32>) {
    let mut request = vec![0; REQUEST_BYTES];
    // One that was interrupted meanwhile is not there any more.
    let Ok(length) = device.read(&mut request) else { return };
    let number = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
    let (asked, unique) = (number(4), &request[8..16]);
    assert!(length >= REQUEST_HEADER_BYTES);
    if asked != INIT && silent.load(Ordering::SeqCst) {
        // The test may have seen enough.
        let _ = tell.send(asked);
        return;
    }
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let (error, body) = match asked {
        // Version 7.31 of the protocol; the rest are limits and flags.
        INIT => (0, words(&[7, 31, 0, 0, 0x000c_000c, 4_096, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        // Valid for no time, then: inode, size, blocks, three times (64 bits each) and their nanoseconds, mode, links,
        // owner and group, device, block size, flags.
        GETATTR => (0, words(&[&[0, 0, 0, 0, 1][..], &[0; 14], &[FOLDER, 2, 0, 0, 0, 512, 0]].concat())),
        OPENDIR => (0, words(&[1, 0, 0, 0])),
        STATFS => (0, words(&[0; 20])),
        _ => (-libc::ENOSYS, vec![]),
    };
    let length = u32::try_from(16 + body.len()).unwrap();
    let reply = [&length.to_le_bytes()[..], &error.to_le_bytes(), unique, &body].concat();
    let _ = device.write(&reply);
}
