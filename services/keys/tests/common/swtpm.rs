//! A TPM 2.0 in software (`swtpm`), which a test starts and ends.
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keys_service::tpm::commands::Carried;
use keys_service::tpm::descriptor::Descriptor;
use tempfile::TempDir;

/// It needs no orders over a connection of their own before it takes commands.
const READY: [&str; 3] = ["--tpm2", "--flags", "not-need-init,startup-clear"];
/// How often two free ports are looked for: somebody else may take one before swtpm does.
const PORT_TRIES: usize = 16;

/// A machine with a TPM: what the TPM remembers while it is off.
pub(crate) struct Machine {
    memory: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        Machine { memory: tempfile::tempdir().unwrap() }
    }

    /// With one connection, which it is given.
    pub(crate) fn start(&self) -> Running {
        Running::start(self.memory.path())
    }

    /// With two ports, as who connects by itself needs it.
    pub(crate) fn serve(&self) -> Served {
        (0..PORT_TRIES).find_map(|_| Served::start(self.memory.path())).expect("swtpm serves")
    }

    /// As somebody who clears the TPM: it remembers nothing, and makes itself new seeds.
    pub(crate) fn clear(&self) {
        for file in std::fs::read_dir(self.memory.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

fn remembered(memory: &Path) -> String {
    format!("dir={}", memory.display())
}

/// Its TPM while it is on.
pub(crate) struct Running {
    child: Child,
    connection: OwnedFd,
}

impl Running {
    fn start(memory: &Path) -> Running {
        let (here, there) = UnixStream::pair().unwrap();
        // It takes no standard stream for its connection; the shell becomes it.
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec swtpm socket "$@" 3<&0 </dev/null"#, "sh", "--fd", "3"]).args(READY);
        command.args(["--tpmstate", &remembered(memory)]).stdin(Stdio::from(OwnedFd::from(there)));
        Running { child: command.spawn().unwrap(), connection: here.into() }
    }

    pub(crate) fn connection(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    pub(crate) fn tpm(&self) -> Carried<Descriptor> {
        Carried(Descriptor::new(self.connection.try_clone().unwrap()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Its TPM while it is on, at ports of this machine's loopback.
pub(crate) struct Served {
    process: rustix::process::Pid,
    port: u16,
}

impl Served {
    /// None where somebody else has the ports.
    fn start(memory: &Path) -> Option<Served> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |port: u16| format!("type=tcp,bindaddr=127.0.0.1,port={port}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("swtpm");
        command.arg("socket").args(READY).args(["--tpmstate", &remembered(memory)]);
        command.args(["--server", &at(port), "--ctrl", &at(port.checked_add(1)?)]);
        // The command returns when it listens.
        command.args(["--daemon", "--pid", &format!("file={}", file.path().display())]);
        if !command.status().unwrap().success() {
            return None;
        }
        let number = std::fs::read_to_string(file.path()).unwrap().trim().parse().unwrap();
        Some(Served { process: rustix::process::Pid::from_raw(number).unwrap(), port })
    }

    /// Of its commands; that of its orders is the next.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let handle = rustix::process::pidfd_open(self.process, rustix::process::PidfdFlags::empty()).unwrap();
        rustix::process::pidfd_send_signal(&handle, rustix::process::Signal::KILL).unwrap();
        // Its memory is locked until it has ended.
        rustix::event::poll(&mut [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)], None).unwrap();
    }
}

/// Whether this machine has what a test needs; says so by name where not.
pub(crate) fn can_run(test: &str) -> bool {
    let found = Command::new("swtpm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = found.is_ok_and(|status| status.success());
    if !can {
        println!("skipped: {test}: this machine has no swtpm (Debian: apt-get install swtpm)");
    }
    can
}
