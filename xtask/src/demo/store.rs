//! The second act: a folder of the store is granted to `notes`, the node is killed while it writes, and everything that
//! was acknowledged is still there.

use super::stage::Stage;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

/// What the first note says.
const SECRET: &str = "kept before anything happened";
/// So many notes are acknowledged before the node is killed.
const ACKNOWLEDGED: usize = 6;
/// More than are ever begun before that.
const TRIED: usize = 200;

/// Tells it.
pub(crate) fn killed_in_mid_write(stage: &Stage) -> Result<(), String> {
    let passphrase = passphrase(stage)?;
    stage.say("Act two. A node has keys of its own, in their own process, sealed under a passphrase; and a store that they seal.");
    stage.latch(&["keys", "create", "--passphrase-file", &passphrase])?;
    stage.latch(&["install", &stage.package("notes"), "--trust"])?;
    stage.say("Notes gets one folder of the store, and at most 64 MiB of it.");
    let grant = "notes=storage:/notes,quota=64MiB";
    // By its input: what is typed on a command line is on record, as it is for every app.
    stage.latch_reading(SECRET, &["run", "notes", "--grant", grant, "--", "add", "The first", "-"])?;
    stage.latch(&["grants", "notes"])?;

    stage.say("It goes on writing, and in the middle of that the whole node is killed: kill -9, no goodbye.");
    let acknowledged = write_until_killed(stage)?;
    println!("  … {} notes were acknowledged; the one that was being written was not", acknowledged.len());
    stage.must(acknowledged.len() >= ACKNOWLEDGED, "notes were acknowledged before the node was killed")?;

    stage.say("The node starts again. Until its keys are opened, nobody reads what is stored, whoever has the disk.");
    stage.latch(&["up"])?;
    stage.refused(&["cat", "storage:/notes", "the-first.txt"], "locked")?;
    stage.latch(&["keys", "unlock", "--passphrase-file", &passphrase])?;

    stage.say("Everything that was acknowledged is there, and the store is whole.");
    let listed = stage.latch(&["run", "notes", "--", "list"])?;
    for name in &acknowledged {
        stage.must(listed.lines().any(|line| line.contains(name.as_str())), &format!("{name} is still there"))?;
    }
    stage.latch(&["run", "notes", "--", "show", "the-first"])?;
    stage.latch(&["fsck"])?;
    stage.say("And on the disk there is nothing that tells what was written.");
    stage.must(!stage.anywhere_in_state(SECRET.as_bytes())?, "no note can be read on the disk")
}

/// The passphrase's file; the teller has no terminal.
fn passphrase(stage: &Stage) -> Result<String, String> {
    let file = stage.scratch().join("passphrase");
    let private = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file);
    let written = private.and_then(|mut file| file.write_all(b"correct horse battery staple\n"));
    written.map_err(|error| format!("the passphrase: {error}"))?;
    Ok(file.display().to_string())
}

/// Adds notes one after the other from a thread of its own, and kills the node when enough are acknowledged. Gives the
/// names of those that were.
fn write_until_killed(stage: &Stage) -> Result<Vec<String>, String> {
    let kernel = stage.kernel()?;
    let (told, acknowledged) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..TRIED {
                let title = format!("Note {number}");
                let words =
                    ["run", "notes", "--", "add", &title, "written while something terrible was about to happen"];
                let added = stage.command(&words).stderr(Stdio::null()).output();
                match added {
                    Ok(added) if added.status.success() => drop(told.send(format!("note-{number}"))),
                    // the node is gone
                    _ => return,
                }
            }
        });
        let mut names = Vec::new();
        for name in acknowledged {
            names.push(name);
            if names.len() == ACKNOWLEDGED {
                println!("$ kill -9 {kernel}");
                let killed = Command::new("kill").args(["-9", &kernel]).status();
                killed.map_err(|error| format!("kill: {error}"))?;
            }
        }
        Ok(names)
    })
}
