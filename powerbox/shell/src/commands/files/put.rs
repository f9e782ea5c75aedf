//! `latch put`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use schema::filesystem_capnp::{directory, file};
use tokio::sync::mpsc;
use vat::Rights;

use super::progress::Progress;
use super::{Context, TARGET_HELP, about, ls, open, path_bytes};
use crate::failure::{Doing as _, Failure, Outcome};
use crate::node::Node;
use crate::signals::unless_told_to_end;
use crate::text::escape;
use crate::{json, output};

/// Sent at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// So much of a directory is looked through for parts: some thousand entries.
const PAGES_LOOKED_AT: usize = 8;

/// Stores a local file, or standard input
///
/// It appears whole or not at all, and is on disk when this returns. A file that is there already is
/// replaced only with --replace.
#[derive(Debug, Args)]
#[command(after_help = TARGET_HELP)]
pub(crate) struct Put {
    /// The local file; -: standard input
    local: PathBuf,
    /// Where to, see below
    target: String,
    /// Within the target [default: the local file's name]
    path: Option<PathBuf>,
    /// Takes the place of a file that is there
    #[arg(long)]
    replace: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Put) -> Outcome {
    let from_stdin = command.local == Path::new("-");
    let own_name = || (!from_stdin).then(|| command.local.file_name().map(PathBuf::from)).flatten();
    // Into a folder, under its own name.
    let within = |path: &PathBuf| path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let path = match command.path.clone() {
        Some(folder) if within(&folder) => own_name().map(|name| folder.join(name)),
        path => path.or_else(own_name),
    };
    let path = path.ok_or_else(|| Failure::usage("under which name? give PATH"))?;
    let (source, size): (Box<dyn Read + Send>, Option<u64>) = if from_stdin {
        (Box::new(std::io::stdin()), None)
    } else {
        let file = File::open(&command.local).doing(|| format!("cannot open {}", command.local.display()))?;
        let size = file.metadata().ok().map(|metadata| metadata.len());
        (Box::new(file), size)
    };
    let root = open(context, node, &command.target, Rights::ALL).await?.object;
    let progress = Progress::new(&path.to_string_lossy(), size);
    let stored = async {
        // Before anything is sent; and again at the end, for what comes there meanwhile.
        if !command.replace && is_there(&root, path_bytes(&path)).await {
            return Err(Failure::new("exists: something has that name already"));
        }
        store(&root, source, path_bytes(&path), command.replace, progress).await
    };
    let bytes = stored.await.map_err(|failure| about("store", path_bytes(&path), failure))?;
    // What was asked for is done, whether or not there is something to tell beside.
    if let Ok(parts) = left_parts(&root, path_bytes(&path)).await {
        parts.iter().for_each(|part| tell_part(context, &command.target, part));
    }
    if context.json {
        return json::print(&serde_json::json!({ "path": path.to_string_lossy(), "bytes": bytes }));
    }
    output::line(&format!("{} ({bytes} bytes)", escape::path(&path)))
}

/// Whether something has that name, as far as that may be seen.
async fn is_there(root: &directory::Client, path: &[u8]) -> bool {
    let mut request = root.stat_request();
    request.get().set_path(path);
    request.send().promise.await.is_ok()
}

/// The parts of that file which puts have left that were killed. Of a large directory not all entries are looked at.
async fn left_parts(root: &directory::Client, path: &[u8]) -> Outcome<Vec<Vec<u8>>> {
    let name_at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (above, name) = path.split_at(name_at);
    let directory = ls::enter(root, above.strip_suffix(b"/").unwrap_or(above)).await?;
    let (mut parts, mut cursor) = (Vec::new(), 0);
    for _ in 0..PAGES_LOOKED_AT {
        let mut request = directory.list_request();
        request.get().set_cursor(cursor);
        let response = request.send().promise.await?;
        let results = response.get()?;
        for entry in results.get_entries()?.iter() {
            let entry = entry.get_name()?;
            // One whose process runs may be under way.
            if part_of(name, entry).is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
                parts.push([above, entry].concat());
            }
        }
        if results.get_end() {
            break;
        }
        cursor = results.get_cursor();
    }
    Ok(parts)
}

/// What a file has for a name until all of it has come.
fn partial(path: &[u8], process: u32) -> Vec<u8> {
    [path, format!(".{process}.part").as_bytes()].concat()
}

/// The process that stores a file under a name, where this is a part of it.
fn part_of(name: &[u8], entry: &[u8]) -> Option<u32> {
    let process = entry.strip_prefix(name)?.strip_prefix(b".")?.strip_suffix(b".part")?;
    let process = std::str::from_utf8(process).ok()?.parse().ok()?;
    (partial(name, process) == entry).then_some(process)
}

fn tell_part(context: &Context, target: &str, part: &[u8]) {
    let remove =
        context.state.told(&format!("latch rm {} {}", escape::word(target), escape::word(&escape::bytes(part))));
    output::error(&format!("latch: {} is left of a put that was killed\n  next: {remove}", escape::bytes(part)));
}

/// Writes under another name beside it, then renames. Where the target only takes what is new, under its own name.
async fn store(
    root: &directory::Client,
    source: Box<dyn Read + Send>,
    path: &[u8],
    replace: bool,
    progress: Progress,
) -> Outcome<u64> {
    if !rights(root).await?.write {
        let file = create(root, path).await?;
        return fill(&file, source, progress)
            .await
            .map_err(|failure| failure.next("the part that came stays: nothing can be removed there"));
    }
    let partial = partial(path, std::process::id());
    // Who tells it to end is heard from before there is anything to leave behind. Once all of it is there it takes its place,
    // whatever the person wants by then.
    let filled = unless_told_to_end(async { fill(&create(root, &partial).await?, source, progress).await }).await;
    let stored = match filled {
        Ok(bytes) => settle(root, &partial, path, replace).await.map(|()| bytes),
        Err(failure) => Err(failure),
    };
    if stored.is_err() {
        let mut request = root.remove_request();
        request.get().set_path(&partial);
        // The first failure is the one to tell.
        let _ = request.send().promise.await;
    }
    stored
}

/// Gives what was stored its name, for good.
async fn settle(root: &directory::Client, partial: &[u8], path: &[u8], replace: bool) -> Outcome {
    rename(root, partial, path, replace).await?;
    root.sync_request().send().promise.await?;
    Ok(())
}

/// What may be done with a directory.
async fn rights(root: &directory::Client) -> Outcome<Rights> {
    let mut request = root.open_directory_request();
    Rights::ALL.write_to(request.get().init_rights());
    let response = request.send().promise.await?;
    Ok(Rights::read_from(response.get()?.get_rights()?))
}

async fn create(root: &directory::Client, path: &[u8]) -> Outcome<file::Client> {
    let mut request = root.create_request();
    request.get().set_path(path);
    request.get().set_exclusive(true);
    Ok(request.send().promise.await?.get()?.get_file()?)
}

/// Writes all of it, to disk.
async fn fill(file: &file::Client, source: Box<dyn Read + Send>, progress: Progress) -> Outcome<u64> {
    let bytes = send(file, source, progress).await?;
    file.sync_request().send().promise.await?;
    Ok(bytes)
}

/// Streams: each piece is sent when the one before is on its way, no faster than the file takes them.
async fn send(file: &file::Client, source: Box<dyn Read + Send>, mut progress: Progress) -> Outcome<u64> {
    let sink = file.write_from_request().send().pipeline.get_sink();
    let mut chunks = read_apart(source);
    let mut sent_bytes = 0;
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk.doing(|| "cannot read what is to be stored".to_owned())?;
        let mut request = sink.write_request();
        request.get().set_bytes(&chunk);
        request.send().await?;
        sent_bytes += chunk.len() as u64;
        progress.show(sent_bytes);
    }
    let total = sink.end_request().send().promise.await?.get()?.get_total();
    progress.finish();
    if total != sent_bytes {
        return Err(Failure::new("the file was stored only in part").because(format!("{total} of {sent_bytes} bytes")));
    }
    Ok(total)
}

/// Reads on a thread of its own, one chunk ahead: standard input may wait for ever, and this command still hears that it
/// shall end. The thread does not keep the process.
fn read_apart(mut source: Box<dyn Read + Send>) -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (to, chunks) = mpsc::channel(1);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = match source.read(&mut chunk) {
                // Of the end the closed channel tells.
                Ok(0) => return,
                Ok(count) => {
                    chunk.truncate(count);
                    Ok(chunk)
                }
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if to.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    chunks
}

async fn rename(root: &directory::Client, from: &[u8], to: &[u8], replace: bool) -> Outcome {
    let mut request = root.rename_request();
    request.get().set_from(from);
    request.get().set_to(to);
    request.get().set_replace(replace);
    request.send().promise.await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_known_by_its_name() {
        assert_eq!(part_of(b"a.txt", &partial(b"a.txt", 123)), Some(123));
        for other in
            [&b"a.txt"[..], b"a.txt.part", b"a.txt.x.part", b"a.txt.+1.part", b"a.txt.012.part", b"b.txt.12.part"]
        {
            assert_eq!(part_of(b"a.txt", other), None);
        }
    }
}
