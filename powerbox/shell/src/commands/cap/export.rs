//! `latch cap export`

use std::path::PathBuf;

use clap::Args;
use schema::storage_capnp::{export, piece};
use serde::Serialize;

use super::give::{Outside, about};
use super::{Context, parse};
use crate::commands::files::progress::Progress;
use crate::failure::Outcome;
use crate::hosted::Incoming;
use crate::node::Node;
use crate::output;
use crate::signals::unless_told_to_end;
use crate::store;
use crate::text::{escape, time, words};

/// Writes a file or folder of the store into a folder that anybody may host
///
/// Each node becomes two files, sealed and signed: whoever has them can verify them, and only the readers read them. A folder may hold several exports; each node is
/// replaced by its newer version, and what is no longer in the place is removed. Copies that others made stay as they are. What lies more than 64 names deep, and large files
/// in it of which next to nothing was ever written, are left out, and named.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Such as storage:/notes
    #[arg(value_name = "PLACE", value_parser = parse::stored)]
    path: String,
    /// The folder, which is made where it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) async fn run(context: &Context, node: &Node, command: Export) -> Outcome {
    let Export { path, out } = command;
    let outside = Outside::of(node).await?;
    let mut request = outside.caps.export_request();
    request.get().set_path(path.as_bytes());
    let answer = store::ask(request.send()).await.map_err(|failure| about("export", &path, failure))?;
    let export = answer.get()?.get_export()?;
    let mut incoming = Incoming::into(&out)?;
    // What has come of it is removed, where nobody wants it any more.
    let taken = unless_told_to_end(take(&export, &mut incoming, &path)).await;
    let Taken { root, left_out } = taken.map_err(|failure| about("export", &path, failure))?;
    let kept = incoming.keep()?;
    for one in &left_out {
        output::error(&format!("left out: {}: {}", escape::line(&one.path), escape::line(&one.why)));
    }
    let words = format!(
        "wrote {}, {}, into {}\n  store: {root}\n  next: latch cap verify {} --root {root}",
        words::count(kept.nodes as u64, "node"),
        time::size(kept.bytes),
        escape::path(&out),
        escape::line(&escape::word(&out.to_string_lossy())),
    );
    let value = serde_json::json!({
        "place": parse::shown(&path),
        "folder": out.to_string_lossy(),
        "root": root,
        "nodes": kept.nodes,
        "bytes": kept.bytes,
        "leftOut": left_out,
    });
    context.done(&words, &value)
}

/// What came of it.
struct Taken {
    root: String,
    left_out: Vec<LeftOut>,
}

/// Something that is not in the export.
#[derive(Serialize)]
struct LeftOut {
    path: String,
    why: String,
}

/// Takes all of it.
async fn take(export: &export::Client, incoming: &mut Incoming, name: &str) -> Outcome<Taken> {
    let mut progress = Progress::new(&parse::shown(name), None);
    let mut taken_bytes = 0;
    let (mut root, mut left_out) = (String::new(), Vec::new());
    loop {
        let answer = store::ask(export.next_request().send()).await?;
        match answer.get()?.get_piece()?.which()? {
            piece::Which::Content(sealed) => {
                let sealed = sealed?;
                incoming.content(sealed)?;
                taken_bytes += sealed.len() as u64;
                progress.show(taken_bytes);
            }
            piece::Which::Metadata(metadata) => root = incoming.metadata(metadata?)?.to_string(),
            piece::Which::LeftOut(one) => {
                let one = one?;
                let path = String::from_utf8_lossy(one.get_path()?).into_owned();
                left_out.push(LeftOut { path, why: String::from_utf8_lossy(one.get_why()?.as_bytes()).into_owned() });
            }
            piece::Which::End(()) => {
                progress.finish();
                return Ok(Taken { root, left_out });
            }
        }
    }
}
