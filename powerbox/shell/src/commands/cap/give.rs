//! `latch cap issue`, `latch cap readers` and `latch cap revoke-reader`

use std::path::PathBuf;

use caps::readcap::Readcap;
use clap::Args;
use schema::storage_capnp::caps::Client;
use serde::Serialize;

use super::{Context, describe, parse};
use crate::failure::{Failure, Outcome};
use crate::node::{Node, Opened};
use crate::rows::at_ms;
use crate::store;
use crate::text::table::{Table, column, wide};
use crate::text::words::hex;
use crate::text::{escape, time};
use crate::{json, output};

/// Gives somebody what they read a file or folder of the store with
///
/// The readcap is of use to them alone, wherever the place is hosted, and they are remembered as a reader of it: what is exported
/// later has an entry for them. A folder is given with everything below it. What was given is this very file or folder, also under another
/// name: what `latch put --replace` puts in its place is another. An expiry is what honest software keeps to; reading
/// is taken away by `latch cap revoke-reader`.
#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// Such as storage:/notes/a.txt
    #[arg(value_name = "PLACE", value_parser = parse::stored)]
    path: String,
    /// The public half of their key, from `latch cap reader-key`
    #[arg(long = "for", value_name = "KEY", value_parser = parse::key)]
    reader: [u8; 32],
    /// How long it holds, such as 30d [default: it does not expire]
    #[arg(long, value_name = "TIME", value_parser = parse::span)]
    expires: Option<u64>,
    /// The file to make [default: here, called like the place]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Lists who was given a file or folder of the store to read
#[derive(Debug, Args)]
pub(crate) struct Readers {
    /// Such as storage:/notes/a.txt
    #[arg(value_name = "PLACE", value_parser = parse::stored)]
    path: String,
}

/// Takes a reader from a file or folder of the store
///
/// Its keys and those of all below it are exchanged: what is exported from now on cannot be read with what they have, and the
/// other readers find the new key in it. What was exported before stays readable to them, and what is below it, where they
/// were given a cap of its own for that: `latch cap readers` lists who has one for a place.
#[derive(Debug, Args)]
pub(crate) struct RevokeReader {
    /// Such as storage:/notes/a.txt
    #[arg(value_name = "PLACE", value_parser = parse::stored)]
    path: String,
    /// The public half of their key, as `latch cap readers` lists it
    #[arg(value_name = "KEY", value_parser = parse::key)]
    reader: [u8; 32],
}

/// The store, and what it lets out.
pub(super) struct Outside {
    _store: Opened<schema::storage_capnp::store::Client>,
    pub(super) caps: Client,
}

impl Outside {
    pub(super) async fn of(node: &Node) -> Outcome<Self> {
        let store = store::store(node).await?;
        let answer = store::ask(store.object.caps_request().send()).await?;
        let caps = answer.get()?.get_caps()?;
        Ok(Self { _store: store, caps })
    }
}

pub(super) async fn issue(context: &Context, node: &Node, command: Issue) -> Outcome {
    let Issue { path, reader, expires, out } = command;
    let file = parse::file_for(out, &path, "readcap");
    let outside = Outside::of(node).await?;
    let mut request = outside.caps.issue_readcap_request();
    request.get().set_path(path.as_bytes());
    request.get().set_reader(&reader);
    request.get().set_expires_at_ms(parse::to_wire(parse::expiry(expires)));
    let answer = store::ask(request.send()).await.map_err(|failure| about("give", &path, failure))?;
    let bytes = answer.get()?.get_readcap()?;
    // That its time is not over was seen when it was issued.
    let readcap = Readcap::verify(bytes, 0).map_err(|error| parse::refused(&file, error))?;
    parse::write_new(&file, bytes)?;
    let words = format!(
        "wrote {}, for {} alone: {}\n  store: {}\n  next: latch cap export {} --out DIR, and let them have the file and the folder",
        escape::path(&file),
        hex(&reader),
        describe::expiry(readcap.expires_ms()),
        readcap.root(),
        escape::word(&parse::shown(&path)),
    );
    let value = serde_json::json!({
        "file": file.to_string_lossy(),
        "place": parse::shown(&path),
        "reader": hex(&reader),
        "expires_at_ms": describe::expiry_at_ms(readcap.expires_ms()),
        "root": readcap.root().to_string(),
        "node": describe::path(readcap.path()),
        "generation": readcap.generation(),
    });
    context.done(&words, &value)
}

/// One reader, as `--json` has it.
#[derive(Debug, Serialize)]
struct Row {
    reader: String,
    expires_at_ms: Option<u64>,
    since_ms: u64,
}

pub(super) async fn readers(context: &Context, node: &Node, command: Readers) -> Outcome {
    let outside = Outside::of(node).await?;
    let mut request = outside.caps.readers_request();
    request.get().set_path(command.path.as_bytes());
    let answer = store::ask(request.send()).await.map_err(|failure| about("look at", &command.path, failure))?;
    let mut rows = Vec::new();
    for reader in answer.get()?.get_readers()?.iter() {
        let expires_at_ms = at_ms(reader.get_expires_at_ms());
        rows.push(Row { reader: hex(reader.get_key()?), expires_at_ms, since_ms: reader.get_since_ms() });
    }
    if context.json {
        return json::print(&rows);
    }
    if rows.is_empty() {
        return output::line(&format!("{} has no readers of its own", escape::line(&parse::shown(&command.path))));
    }
    output::text(&table(&rows, time::now_ms()).for_stdout())
}

fn table(rows: &[Row], now_ms: u64) -> Table {
    let mut table = Table::new(&[column("SINCE"), column("EXPIRES"), wide("READER")]);
    for row in rows {
        let expires = row.expires_at_ms.map_or_else(|| "never".to_owned(), |at| time::until(at, now_ms));
        table.row([&time::moment(row.since_ms), &expires, &row.reader]);
    }
    table
}

pub(super) async fn revoke_reader(context: &Context, node: &Node, command: RevokeReader) -> Outcome {
    let RevokeReader { path, reader } = command;
    let outside = Outside::of(node).await?;
    let mut request = outside.caps.remove_reader_request();
    request.get().set_path(path.as_bytes());
    request.get().set_reader(&reader);
    let answer = store::ask(request.send()).await.map_err(|failure| {
        let next = format!("latch cap readers {}", escape::word(&parse::shown(&path)));
        about("take a reader from", &path, failure).next(next)
    })?;
    let mut through = Vec::new();
    for above in answer.get()?.get_through()?.iter() {
        through.push(parse::shown(&String::from_utf8_lossy(above?)));
    }
    let place = escape::word(&parse::shown(&path));
    let mut words = format!(
        "{} reads nothing that is exported from now on by the cap for {}; one for something below it is taken by itself\n  next: latch cap export {} --out DIR, in the place of what is hosted",
        hex(&reader),
        escape::line(&parse::shown(&path)),
        escape::line(&place),
    );
    for above in &through {
        let above = escape::line(&escape::word(above));
        words.push_str(&format!(
            "\n  but they still read it by way of {above}: latch cap revoke-reader {above} {}",
            hex(&reader)
        ));
    }
    let value = serde_json::json!({ "place": parse::shown(&path), "reader": hex(&reader), "through": through });
    context.done(&words, &value)
}

/// Tells what was being done with which place.
pub(super) fn about(doing: &str, path: &str, failure: Failure) -> Failure {
    failure.during(format!("cannot {doing} {}", parse::shown(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_listed_with_their_time() {
        let rows = [
            Row { reader: "0a".into(), expires_at_ms: None, since_ms: 1_000 },
            Row { reader: "0b".into(), expires_at_ms: Some(61_000), since_ms: 1_000 },
            Row { reader: "0c".into(), expires_at_ms: Some(1), since_ms: 1_000 },
        ];
        assert_eq!(
            table(&rows, 1_000).render(None),
            "SINCE                 EXPIRES  READER\n\
             1970-01-01 00:00:01Z  never    0a\n\
             1970-01-01 00:00:01Z  in 1m    0b\n\
             1970-01-01 00:00:01Z  over     0c\n"
        );
    }
}
