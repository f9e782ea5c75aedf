//! A test that hangs tells nothing, and keeps all others from being run. Where `cargo xtask test` says how long the tests of one
//! program may take, a program that takes longer says what its nodes are doing, and ends.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

/// How long the tests of one program may take, in seconds; without it they may take for ever.
const VARIABLE: &str = "LATCH_TEST_LIMIT_S";
/// What is shown of a log.
const LAST_LINES: usize = 60;

static NODES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A node was prepared whose state is there.
pub(crate) fn watch(state: &Path) {
    static STARTED: Once = Once::new();
    NODES.lock().unwrap_or_else(PoisonError::into_inner).push(state.to_owned());
    let limit = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
    if let Some(seconds) = limit {
        STARTED.call_once(|| {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(seconds));
                tell(seconds);
                std::process::abort();
            });
        });
    }
}

/// Says what the nodes are doing. Not by way of `eprintln`, which a test's own output may have taken.
fn tell(seconds: u64) {
    let mut error = std::io::stderr();
    let _ =
        writeln!(error, "\nthe tests of this program take longer than {seconds} s: its nodes follow, and are stopped");
    let all = output(Command::new("ps").args(["-eo", "pid,ppid,stat,etimes,wchan:24,args"]));
    all.lines().filter(|line| line.contains("latch")).for_each(|line| drop(writeln!(error, "{line}")));
    let nodes = NODES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for state in nodes.into_iter().filter(|state| state.exists()) {
        for words in [&["status"][..], &["ps", "--all"], &["requests"], &["grants"], &["log"], &["down"]] {
            let mut command = Command::new("timeout");
            command.arg("10").arg(crate::binaries().join("latch")).args(words).env("LATCH_STATE", &state);
            let text = output(&mut command);
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
            let _ = writeln!(error, "{}: latch {}\n{last}\n", state.display(), words.join(" "));
        }
    }
}

fn output(command: &mut Command) -> String {
    let bytes = command
        .output()
        .map_or_else(|error| error.to_string().into(), |output| [output.stdout, output.stderr].concat());
    String::from_utf8_lossy(&bytes).into_owned()
}
