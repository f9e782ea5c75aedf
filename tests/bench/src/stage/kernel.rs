//! The driver's side of a stage: starts the real kernel on a temporary state, with this program as its images.

use super::order::{Order, Part, Reply, Revoked};
use crate::machine::binaries;
use crate::peer::Control;
use rustix::process::Pid;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the driver listens, beside the images.
pub(super) const DRIVER_SOCKET: &str = "driver";

/// How long the stand-in powerbox may take to come.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// A kernel with a stand-in powerbox. It ends with its handle.
pub(crate) struct Stage {
    kernel: Child,
    powerbox: Control,
    powerbox_pid: Pid,
    processes: u64,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let (kernel, listener) = set_up(folder.path())?;
        let mut stage = Running { kernel: Some(kernel) };
        let accepted = stage.accept(&listener);
        let (socket, powerbox_pid) = accepted.map_err(|error| with_log(folder.path(), &error))?;
        let kernel = stage.kernel.take().ok_or("the kernel is gone")?;
        Ok(Self { kernel, powerbox: Control::new(socket), powerbox_pid, processes: 0, folder })
    }

    /// Compiles a component for the guests.
    pub(crate) fn compile(&mut self, component: &Path) -> Result<(), String> {
        self.order(&Order::Compile { component: component.to_path_buf() }).map(|_| ())
    }

    /// Starts a process: its number and its pid.
    pub(crate) fn add(&mut self, part: Part) -> Result<(u64, Pid), String> {
        self.processes += 1;
        let process = self.processes;
        match self.order(&Order::Start { process, part })? {
            Reply::Pid(pid) => Ok((process, pid_of(pid)?)),
            other => Err(format!("expected a pid, got {other:?}")),
        }
    }

    /// Makes so many links between the service and the clients in turn.
    pub(crate) fn link(&mut self, service: u64, clients: &[u64], count: u32) -> Result<(), String> {
        self.order(&Order::Link { service, clients: clients.to_vec(), count }).map(|_| ())
    }

    /// Tells a client or a guest something, and gives its answer.
    pub(crate) fn tell(&mut self, process: u64, line: &str) -> Result<String, String> {
        match self.order(&Order::Tell { process, line: line.to_owned() })? {
            Reply::Line(answer) => Ok(answer),
            other => Err(format!("expected a line, got {other:?}")),
        }
    }

    /// Revokes so many times, so many grants at once.
    pub(crate) fn revoke(&mut self, times: u32, at_once: u32) -> Result<Revoked, String> {
        match self.order(&Order::Revoke { times, at_once })? {
            Reply::Revoked(revoked) => Ok(revoked),
            other => Err(format!("expected times, got {other:?}")),
        }
    }

    pub(crate) fn kernel_pid(&self) -> Pid {
        Pid::from_child(&self.kernel)
    }

    pub(crate) fn powerbox_pid(&self) -> Pid {
        self.powerbox_pid
    }

    fn order(&mut self, order: &Order) -> Result<Reply, String> {
        let answered = self.powerbox.send(order, &[]).and_then(|()| self.powerbox.receive());
        match answered {
            Ok(Some(Reply::Failed(why))) => Err(with_log(self.folder.path(), &why)),
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(with_log(self.folder.path(), "the stand-in powerbox died")),
            Err(why) => Err(with_log(self.folder.path(), &why)),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        end(&mut self.kernel);
    }
}

/// A kernel that ends if the stage does not come to stand.
struct Running {
    kernel: Option<Child>,
}

impl Running {
    /// Waits until the powerbox has come, or the kernel has died.
    fn accept(&mut self, listener: &UnixListener) -> Result<(std::os::unix::net::UnixStream, Pid), String> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            match listener.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(false).map_err(|error| format!("cannot use a socket: {error}"))?;
                    let peer = rustix::net::sockopt::socket_peercred(&socket)
                        .map_err(|error| format!("cannot tell who came: {error}"))?;
                    return Ok((socket, peer.pid));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("cannot listen: {error}")),
            }
            let exited = self.kernel.as_mut().and_then(|kernel| kernel.try_wait().ok().flatten());
            if let Some(status) = exited {
                return Err(format!("the kernel ended: {status}"));
            }
            if Instant::now() > deadline {
                return Err("the stand-in powerbox did not come".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(kernel) = &mut self.kernel {
            end(kernel);
        }
    }
}

/// Its processes end with it.
fn end(kernel: &mut Child) {
    // It may be gone already: then there is nothing to end.
    let _ = kernel.kill();
    let _ = kernel.wait();
}

fn set_up(folder: &Path) -> Result<(Child, UnixListener), String> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error: io::Error| format!("{what}: {error}")
    };
    let images = folder.join("images");
    let open_to_others = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode));
    // the images run as other users, who must be able to come this way
    open_to_others(folder, 0o711).map_err(failed(folder))?;
    std::fs::create_dir(&images).map_err(failed(&images))?;
    open_to_others(&images, 0o711).map_err(failed(&images))?;
    let own = std::env::current_exe().map_err(|error| format!("cannot find the own program: {error}"))?;
    for (name, program) in [
        (super::POWERBOX, own.clone()),
        (super::SERVICE_OR_CLIENT, own),
        ("latch-sandbox", binaries().join("latch-sandbox")),
        ("latch-compile", binaries().join("latch-compile")),
    ] {
        let image = images.join(name);
        std::fs::copy(&program, &image).map_err(failed(&program))?;
        open_to_others(&image, 0o755).map_err(failed(&image))?;
    }
    let socket = images.join(DRIVER_SOCKET);
    let listener = UnixListener::bind(&socket).map_err(failed(&socket))?;
    listener.set_nonblocking(true).map_err(failed(&socket))?;
    open_to_others(&socket, 0o777).map_err(failed(&socket))?;
    let kernel = binaries().join("latch-kernel");
    let mut command = Command::new(&kernel);
    command.arg("--state").arg(folder.join("state")).arg("--libexec").arg(&images);
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(failed(&kernel))?;
    Ok((started, listener))
}

fn pid_of(pid: u32) -> Result<Pid, String> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| format!("{pid} is no process"))
}

fn with_log(folder: &Path, why: &str) -> String {
    let log = std::fs::read_to_string(folder.join("state/kernel.log")).unwrap_or_default();
    if log.is_empty() { why.to_owned() } else { format!("{why}\nthe kernel's log:\n{log}") }
}
