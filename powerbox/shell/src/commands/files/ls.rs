//! `latch ls`

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use schema::filesystem_capnp::directory;
use vat::Rights;

use super::{Context, TARGET_HELP, about, open, path_bytes};
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::Entry;
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time};
use crate::{json, output};

/// Lists a directory
#[derive(Debug, Args)]
#[command(after_help = TARGET_HELP)]
pub(crate) struct Ls {
    /// What to list, see below
    target: String,
    /// Within it [default: all of it]
    path: Option<PathBuf>,
    /// With kind, size and time
    #[arg(long, short)]
    long: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Ls) -> Outcome {
    let root = open(context, node, &command.target, Rights::READ).await?.object;
    let path = command.path.as_deref().map_or(b"".as_slice(), path_bytes);
    let listed = async { list(&enter(&root, path).await?).await };
    let mut entries = listed.await.map_err(|failure| about("list", path, failure))?;
    entries.sort_by(|one, other| one.raw_name.cmp(&other.raw_name));
    if context.json {
        return json::print(&entries);
    }
    let show = if std::io::stdout().is_terminal() { escape::name } else { escape::bytes };
    output::text(&if command.long { long(&entries, show) } else { names(&entries, show) })
}

pub(super) async fn enter(root: &directory::Client, path: &[u8]) -> Outcome<directory::Client> {
    if path.is_empty() {
        return Ok(root.clone());
    }
    let mut request = root.open_directory_request();
    request.get().set_path(path);
    Rights::READ.write_to(request.get().init_rights());
    Ok(request.send().promise.await?.get()?.get_directory()?)
}

/// Every entry; also used by `rm`.
pub(super) async fn list(directory: &directory::Client) -> Outcome<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut cursor = 0;
    loop {
        let mut request = directory.list_request();
        request.get().set_cursor(cursor);
        let response = request.send().promise.await?;
        let results = response.get()?;
        for entry in results.get_entries()?.iter() {
            entries.push(Entry::read(entry)?);
        }
        if results.get_end() {
            return Ok(entries);
        }
        cursor = results.get_cursor();
    }
}

/// `show`: how a name is written: for people so that its ends are seen, for programs as it is.
fn names(entries: &[Entry], show: fn(&[u8]) -> String) -> String {
    let name = |entry: &Entry| {
        let mark = if entry.metadata.kind == "directory" { "/" } else { "" };
        format!("{}{mark}\n", show(&entry.raw_name))
    };
    entries.iter().map(name).collect()
}

fn long(entries: &[Entry], show: fn(&[u8]) -> String) -> String {
    const NS_IN_MS: i64 = 1_000_000;
    let mut table = Table::new(&[column("KIND"), number("SIZE"), column("CHANGED"), wide("NAME")]);
    for entry in entries {
        let changed_ms = u64::try_from(entry.metadata.modified_ns / NS_IN_MS).unwrap_or(0);
        let name = show(&entry.raw_name);
        table.row([entry.metadata.kind, &entry.metadata.size.to_string(), &time::moment(changed_ms), &name]);
    }
    table.for_stdout()
}
