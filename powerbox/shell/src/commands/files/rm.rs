//! `latch rm`

use std::path::PathBuf;

use clap::Args;
use schema::filesystem_capnp::directory;
use vat::Rights;

use super::{Context, TARGET_HELP, about, ls, open, path_bytes};
use crate::failure::Outcome;
use crate::json;
use crate::node::Node;

/// Removes files or empty directories
///
/// Of a symbolic link the link, not what it leads to. With -r, directories with all in them.
#[derive(Debug, Args)]
#[command(after_help = TARGET_HELP)]
pub(crate) struct Rm {
    /// What it is in, see below
    target: String,
    /// Within it, such as notes/today.txt
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Directories with all in them
    #[arg(long, short)]
    recursive: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Rm) -> Outcome {
    let root = open(context, node, &command.target, Rights::ALL).await?.object;
    let mut removed_paths = Vec::new();
    for path in &command.paths {
        let path = path_bytes(path);
        let removed = async {
            if command.recursive {
                empty(&root, path).await?;
            }
            remove(&root, path).await
        };
        removed.await.map_err(|failure| about("remove", path, failure))?;
        removed_paths.push(String::from_utf8_lossy(path).into_owned());
    }
    // Without a word otherwise, as removing is everywhere.
    if context.json { json::print(&serde_json::json!({ "removed": removed_paths })) } else { Ok(()) }
}

/// Removes everything in a directory, deepest first; nothing where the path is no directory.
async fn empty(root: &directory::Client, path: &[u8]) -> Outcome {
    let mut waiting = vec![path.to_vec()];
    let mut directories = Vec::new();
    while let Some(path) = waiting.pop() {
        if kind(root, &path).await? != "directory" {
            continue;
        }
        let mut request = root.open_directory_request();
        request.get().set_path(&path);
        Rights::READ.write_to(request.get().init_rights());
        let directory = request.send().promise.await?.get()?.get_directory()?;
        for entry in ls::list(&directory).await? {
            let below = [path.as_slice(), b"/", &entry.raw_name].concat();
            if entry.metadata.kind == "directory" {
                waiting.push(below);
            } else {
                remove(root, &below).await?;
            }
        }
        directories.push(path);
    }
    // The first is the one that was named: the caller removes it.
    for path in directories.iter().skip(1).rev() {
        remove(root, path).await?;
    }
    Ok(())
}

async fn kind(root: &directory::Client, path: &[u8]) -> Outcome<&'static str> {
    let mut request = root.stat_request();
    request.get().set_path(path);
    let response = request.send().promise.await?;
    Ok(crate::rows::kind_name(response.get()?.get_metadata()?.get_kind()?))
}

async fn remove(root: &directory::Client, path: &[u8]) -> Outcome {
    let mut request = root.remove_request();
    request.get().set_path(path);
    request.send().promise.await?;
    Ok(())
}
