//! `latch up`

use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use rustix::fd::AsRawFd as _;
use rustix::io::FdFlags;
use rustix::process::{Pid, PidfdFlags};

use crate::failure::{Doing as _, Failure, Outcome};
use crate::node::{self, Node, run_on_node};
use crate::rows::Warning;
use crate::state::{Holder, State, wait_readable};
use crate::supervise::{Supervise, kernel_command};
use crate::terminal::passphrase;
use crate::text::escape;
use crate::{json, keys, output};

/// A node that recovers a long log still answers within this.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// After this a person wonders.
const PATIENCE: Duration = Duration::from_secs(2);
/// The parent ends as soon as its kernel has refused.
const PARENT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often to look whether a node that somebody else starts is up.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const KERNEL: &str = "latch-kernel";

/// Starts the node in the background
///
/// A small parent stays with the kernel and starts it again if it dies.
/// If the node is up already, nothing changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch up
  latch up --state /srv/latch
  latch up --foreground          under systemd (Type=notify): the kernel takes this process' place")]
pub(crate) struct Up {
    /// Becomes the kernel instead of starting it; whoever started this starts it again
    #[arg(long)]
    foreground: bool,
    /// Where latch-kernel and its siblings are [default: $LATCH_LIBEXEC, else beside this binary]
    #[arg(long, value_name = "DIR")]
    libexec: Option<PathBuf>,
    /// The TPM that may protect the node's keys: a device, or the socket of one in software [default: /dev/tpmrm0, where it
    /// can be opened]
    #[arg(long, value_name = "PATH")]
    tpm: Option<PathBuf>,
    /// Starts even where this machine cannot confine processes fully; `latch doctor` says what is missing
    #[arg(long)]
    reduced: bool,
    /// Opens the node's keys with the first line of a file, where a passphrase protects them [default: asks, on a terminal]
    #[arg(long, value_name = "FILE", conflicts_with = "foreground")]
    passphrase_file: Option<PathBuf>,
}

pub(crate) fn run(state: &State, json: bool, command: Up) -> Outcome {
    let options = Supervise {
        kernel: find_kernel(command.libexec.as_deref())?,
        libexec: libexec(command.libexec),
        tpm: command.tpm.map_or_else(usual_tpm, |path| std::path::absolute(path).ok()),
        reduced: command.reduced,
        ready_fd: None,
    };
    state.prepare()?;
    let passphrase_file = command.passphrase_file.as_deref();
    if run_on_node(node::is_up(state))? {
        run_on_node(open_keys(state, passphrase_file))??;
        return tell(state, json, "the node is up already", false);
    }
    if command.foreground {
        let error = kernel_command(state, &options).exec();
        return Err(Failure::new(format!("cannot start {}", options.kernel.display())).because(error));
    }
    start(state, &options)?;
    // The node is up whatever becomes of its keys.
    let opened = run_on_node(open_keys(state, passphrase_file))?;
    for warning in warnings(state) {
        output::error(&state.told(&format!("latch: warning: {}", escape::line(&warning.text))));
    }
    tell(state, json, "the node is up", true)?;
    opened
}

/// Opens the keys of a node that is up: with the passphrase of a file, else with one that is asked for, where there is a
/// terminal and something to open.
async fn open_keys(state: &State, passphrase_file: Option<&Path>) -> Outcome {
    if passphrase_file.is_none() && !passphrase::can_ask() {
        return Ok(());
    }
    let node = Node::connect(state).await?;
    let ring = keys::keyring(&node).await?;
    let status = keys::status(&ring).await?;
    if status.unlocked || status.protection != "passphrase" {
        return Ok(());
    }
    let passphrase = passphrase::known(passphrase_file, keys::CUE, "latch keys unlock --passphrase-file").await?;
    keys::unlock(&ring, &passphrase).await
}

fn tell(state: &State, json: bool, words: &str, started: bool) -> Outcome {
    let value = serde_json::json!({ "state": state.path().to_string_lossy(), "started": started });
    json::done(json, &format!("{words} ({})", escape::path(state.path())), &value)
}

/// What a person should know of a node that has just started. One that is too busy to say tells it in `latch status`.
fn warnings(state: &State) -> Vec<Warning> {
    let asked = run_on_node(async { Node::connect(state).await?.status().await });
    asked.and_then(|status| status).map(|status| status.warnings).unwrap_or_default()
}

/// Starts the parent, which starts the kernel, and waits until the kernel takes shells.
fn start(state: &State, options: &Supervise) -> Outcome {
    let log_start = std::fs::metadata(state.log_file()).map_or(0, |log| log.len());
    let (ready, their_end) = std::io::pipe().doing(|| "cannot make a pipe".to_owned())?;
    let own = std::env::current_exe().doing(|| "cannot find this binary".to_owned())?;
    let mut parent = Command::new(own);
    parent.arg("--state").arg(state.path()).arg("supervise").arg("--kernel").arg(&options.kernel);
    options.write_to(&mut parent);
    // The one descriptor that is passed on: this process is about to do nothing else.
    rustix::io::fcntl_setfd(&their_end, FdFlags::empty()).doing(|| "cannot pass a pipe on".to_owned())?;
    parent.arg("--ready-fd").arg(their_end.as_raw_fd().to_string());
    let log = state.open_log()?;
    let error_log = state.open_log()?;
    parent.stdin(Stdio::null()).stdout(log).stderr(error_log).current_dir("/");
    let parent_process = parent.spawn().doing(|| "cannot start the kernel's parent".to_owned())?;
    drop(their_end);

    if !wait_readable(&ready, PATIENCE) && std::io::stderr().is_terminal() {
        output::error(&format!("latch: the node is getting ready; its log is {}", escape::path(&state.log_file())));
    }
    if await_ready(ready) {
        return Ok(());
    }
    if let Some(other) = other_parent(state, parent_process.id())? {
        return other;
    }
    // The kernel ended or hangs before it was ready. Where it refused to start, its parent ends as well.
    let handle = rustix::process::pidfd_open(Pid::from_child(&parent_process), PidfdFlags::empty());
    let ended = handle.is_ok_and(|handle| wait_readable(&handle, PARENT_TIMEOUT));
    let log = state.log_since(log_start);
    let what = if ended { "the node did not start" } else { "the node does not get ready" };
    let words: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = &words[words.len().saturating_sub(5)..];
    let why = match refusal(&log) {
        Some(why) => why.to_owned(),
        None if tail.is_empty() => "its log says nothing".to_owned(),
        None => tail.join(" | "),
    };
    let give_up = if ended { "" } else { "; latch down gives up" };
    let failure = Failure::new(what).because(escape::line(&why));
    Err(failure.next(format!("latch doctor; the whole log is {}{give_up}", state.log_file().display())))
}

/// Another parent looks after this state: its kernel died and is being started again. Then this waits for that.
fn other_parent(state: &State, own: u32) -> Outcome<Option<Outcome>> {
    let find = || Holder::of(&state.supervisor_lock()).doing(|| "cannot find the node's processes".to_owned());
    let deadline = std::time::Instant::now() + START_TIMEOUT;
    while let Some(other) = find()?.filter(|holder| holder.pid != own) {
        if run_on_node(node::is_up(state))? {
            return Ok(Some(Ok(())));
        }
        if std::time::Instant::now() > deadline {
            let what = format!("another `latch up` (process {}) tries to start this node", other.pid);
            let next = format!("latch down gives up; read {}", state.log_file().display());
            return Ok(Some(Err(Failure::new(what).next(next))));
        }
        other.wait(LOOK_AGAIN);
    }
    Ok(None)
}

/// Why a kernel refused to start, if that is the last that its log says.
pub(crate) fn refusal(log: &str) -> Option<&str> {
    log.lines().rfind(|line| !line.trim().is_empty())?.strip_prefix(KERNEL)?.strip_prefix(": ")
}

fn await_ready(mut ready: std::io::PipeReader) -> bool {
    use std::io::Read as _;
    let deadline = std::time::Instant::now() + START_TIMEOUT;
    let mut said = Vec::new();
    let mut chunk = [0; 16];
    while wait_readable(&ready, deadline.saturating_duration_since(std::time::Instant::now())) {
        match ready.read(&mut chunk) {
            Ok(0) | Err(_) => return false,
            Ok(count) => said.extend_from_slice(&chunk[..count]),
        }
        if said.ends_with(b"READY\n") {
            return true;
        }
    }
    false
}

/// The TPM that Linux shares between all who use it, where there is one that this person may use.
fn usual_tpm() -> Option<PathBuf> {
    const DEVICE: &str = "/dev/tpmrm0";
    std::fs::File::options().read(true).write(true).open(DEVICE).ok().map(|_| DEVICE.into())
}

fn libexec(option: Option<PathBuf>) -> Option<PathBuf> {
    let chosen =
        option.or_else(|| std::env::var_os("LATCH_LIBEXEC").filter(|value| !value.is_empty()).map(PathBuf::from));
    chosen.and_then(|folder| std::path::absolute(folder).ok())
}

/// The kernel's binary: in the folder that was named, else beside this one.
pub(crate) fn find_kernel(option: Option<&Path>) -> Outcome<PathBuf> {
    let folder = match libexec(option.map(Path::to_owned)) {
        Some(folder) => folder,
        None => {
            let own = std::env::current_exe().doing(|| "cannot find this binary".to_owned())?;
            own.parent().unwrap_or(Path::new("/")).to_owned()
        }
    };
    let kernel = folder.join(KERNEL);
    if kernel.is_file() {
        return Ok(kernel);
    }
    Err(Failure::new(format!("there is no {KERNEL} in {}", folder.display()))
        .next("latch up --libexec DIR, or set LATCH_LIBEXEC; in the source tree: cargo build"))
}
