//! An app that tries to get out, by calls that it makes up itself.

use super::stage::Stage;
use std::fs;
use std::os::unix::fs::symlink;

/// Attempts that the probe makes; each has its line.
const ATTEMPTS: usize = 13;

/// Grants the probe one folder, with traps inside and a secret beside it.
pub(crate) fn attempts(stage: &Stage) -> Result<(), String> {
    stage.say("Another program tries to get out of the folder that it was given, by calls that bypass our library.");
    let given = prepare(stage).map_err(|error| format!("cannot lay out the probe's folder: {error}"))?;
    let printed = stage.latch(&["run", "probe", "--grant", &format!("folder=host:{given},ro")])?;
    let refused = printed.lines().filter(|line| line.contains(": refused: ")).count();
    stage.must(refused == ATTEMPTS && !printed.contains("REACHED"), "every attempt is refused")?;
    let kept = fs::read_to_string(format!("{given}/inside/kept.txt")).unwrap_or_default();
    stage.must(kept == "kept\n", "nothing in the folder was changed")?;
    stage.say("A third calls the network by itself. No app has one, so it is not even installed.");
    stage.refused(&["install", &stage.package("sockets")], "wasi:sockets")
}

/// A folder with a file, two links that lead out, and a secret beside it.
fn prepare(stage: &Stage) -> std::io::Result<String> {
    let outside = stage.scratch().join("project");
    let given = outside.join("given");
    fs::create_dir_all(given.join("inside"))?;
    fs::write(outside.join("secret.txt"), "secret\n")?;
    fs::write(given.join("inside/kept.txt"), "kept\n")?;
    symlink("/etc/passwd", given.join("absolute-link"))?;
    symlink("..", given.join("sibling-link"))?;
    Ok(given.display().to_string())
}
