//! `latch cap open`

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use caps::Kind;
use clap::Args;
use serde::Serialize;

use super::reading::{Found, From, Reading};
use crate::failure::{Doing as _, Failure, Outcome};
use crate::text::filter::Filter;
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time, words};
use crate::{json, output};

/// Nobody else reads what was sealed, unless its reader says so.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const EXECUTABLE_MODE: u32 = 0o700;

/// Reads what you were given, from a folder with sealed nodes
///
/// Without --out a folder is listed, and a file goes to standard output; on a terminal only its text and colours pass. A file that is
/// written is there only if all of it was what was signed; on standard output a failure shows at the end, after what it is about. No
/// node is needed.
#[derive(Debug, Args)]
pub(crate) struct Open {
    #[command(flatten)]
    from: From,
    /// What of it, such as sub/a.txt [default: all of it]
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Where to write it: a file or folder that is not there yet
    #[arg(long, value_name = "NEW")]
    out: Option<PathBuf>,
}

pub(super) fn run(json: bool, command: &Open) -> Outcome {
    let (reading, top) = command.from.begin()?;
    if let Some(warning) = reading.warning() {
        output::error(&escape::line(&warning));
    }
    let found = reading.find(&top, command.path.as_deref().unwrap_or(Path::new("")))?;
    match (&command.out, found.verified.kind()) {
        (Some(out), _) => write_out(json, &reading, &found, out),
        (None, Kind::Directory) => list(json, &reading, &found),
        (None, Kind::File) => print(&reading, &found),
    }
}

fn print(reading: &Reading, found: &Found) -> Outcome {
    if !std::io::stdout().is_terminal() {
        return reading.read(found, &mut |plain| output::bytes(plain));
    }
    let mut filter = Filter::default();
    let shown =
        reading.read(found, &mut |plain| output::check(output::others(&mut std::io::stdout(), &filter.pass(plain))));
    output::check(output::others(&mut std::io::stdout(), &filter.finish()))?;
    shown
}

/// One thing that can be read, as `--json` has it.
#[derive(Debug, Serialize)]
struct Row {
    path: String,
    kind: &'static str,
    size: u64,
    modified_ns: i64,
    executable: bool,
    #[serde(skip)]
    raw_path: Vec<u8>,
}

fn list(json: bool, reading: &Reading, top: &Found) -> Outcome {
    let mut rows = Vec::new();
    walk(reading, top, &mut |path, found| {
        let attributes = found.verified.attributes(&found.readable);
        let attributes = attributes.map_err(|error| Failure::new("it is refused").because(error))?;
        let is_file = found.verified.kind() == Kind::File;
        rows.push(Row {
            path: String::from_utf8_lossy(path).into_owned(),
            kind: if is_file { "file" } else { "directory" },
            size: if is_file { found.verified.size_bytes() } else { 0 },
            modified_ns: attributes.modified_ns,
            executable: attributes.executable,
            raw_path: path.to_vec(),
        });
        Ok(())
    })?;
    if json {
        return json::print(&rows);
    }
    if rows.is_empty() {
        return output::line("there is nothing in it");
    }
    output::text(&table(&rows).for_stdout())
}

fn table(rows: &[Row]) -> Table {
    const NS_IN_MS: i64 = 1_000_000;
    let mut table = Table::new(&[column("KIND"), number("SIZE"), column("CHANGED"), wide("NAME")]);
    for row in rows {
        let changed_ms = u64::try_from(row.modified_ns / NS_IN_MS).unwrap_or(0);
        table.row([row.kind, &row.size.to_string(), &time::moment(changed_ms), &escape::bytes(&row.raw_path)]);
    }
    table
}

/// Everything below, each directory before what is in it.
fn walk(reading: &Reading, top: &Found, each: &mut dyn FnMut(&[u8], &Found) -> Outcome) -> Outcome {
    let mut waiting = vec![(Vec::new(), top.clone())];
    while let Some((path, directory)) = waiting.pop() {
        for entry in reading.entries(&directory)? {
            let path = if path.is_empty() { entry.name.clone() } else { [path.as_slice(), b"/", &entry.name].concat() };
            let named = |failure: Failure| failure.during(format!("cannot read {}", escape::bytes(&path)));
            let found = reading.below(&directory, &entry).map_err(named)?;
            each(&path, &found).map_err(named)?;
            if entry.kind == Kind::Directory {
                waiting.push((path, found));
            }
        }
    }
    Ok(())
}

fn write_out(json: bool, reading: &Reading, top: &Found, out: &Path) -> Outcome {
    // Nothing that is there is touched, and so nothing that leads elsewhere is followed.
    if out.symlink_metadata().is_ok() {
        return Err(Failure::new(format!("{} is there already", out.display())).next("--out names something new"));
    }
    let (mut files, mut bytes) = (0u64, 0u64);
    let mut write = |path: &Path, found: &Found| -> Outcome {
        if found.verified.kind() == Kind::Directory {
            let made = DirBuilder::new().mode(FOLDER_MODE).create(path);
            return made.doing(|| format!("cannot make {}", path.display()));
        }
        files += 1;
        bytes += found.verified.size_bytes();
        write_file(reading, found, path)
    };
    write(out, top)?;
    if top.verified.kind() == Kind::Directory {
        walk(reading, top, &mut |path, found| write(&out.join(std::ffi::OsStr::from_bytes(path)), found))?;
    }
    let words = format!("wrote {}, {}, to {}", words::count(files, "file"), time::size(bytes), escape::path(out));
    json::done(json, &words, &serde_json::json!({ "out": out.to_string_lossy(), "files": files, "bytes": bytes }))
}

/// Whole, or not at all.
fn write_file(reading: &Reading, found: &Found, path: &Path) -> Outcome {
    let writing = || format!("cannot write {}", path.display());
    let attributes = found.verified.attributes(&found.readable);
    let attributes = attributes.map_err(|error| Failure::new("it is refused").because(error))?;
    let opened = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    let mut file = opened.doing(writing)?;
    let written = reading.read(found, &mut |plain| file.write_all(plain).doing(writing));
    let finished = written.and_then(|()| finish(&file, attributes).doing(writing));
    if finished.is_err() {
        // What was not verified to its end is nothing.
        let _ = std::fs::remove_file(path);
    }
    finished
}

fn finish(file: &File, attributes: caps::sealed_node::Attributes) -> std::io::Result<()> {
    if attributes.executable {
        file.set_permissions(std::fs::Permissions::from_mode(EXECUTABLE_MODE))?;
    }
    if let Ok(since) = u64::try_from(attributes.modified_ns) {
        file.set_modified(UNIX_EPOCH + Duration::from_nanos(since))?;
    }
    file.sync_all()
}
