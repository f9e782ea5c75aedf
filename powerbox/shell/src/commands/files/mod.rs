//! Commands with which a person uses an object with their own hands. The shell holds a link to the object itself: nothing of
//! it passes through the kernel or the powerbox.

pub(crate) mod cat;
pub(crate) mod get;
pub(crate) mod ls;
pub(crate) mod progress;
pub(crate) mod put;
pub(crate) mod rm;
mod sink;

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use schema::filesystem_capnp::{directory, file};
use schema::filesystem_word::Word;
use vat::Rights;

use super::Context;
use crate::ask::{Choice, Found};
use crate::failure::{Failure, Outcome};
use crate::node::{Node, Opened};
use crate::spec::target::Target;
use crate::text::escape;

/// How an object is named.
pub(crate) const TARGET_HELP: &str = "\
TARGET:
  host:PATH         a folder of this machine
  storage:/PATH     a folder of this node's store
  INSTANCE:LABEL    what that instance holds: you see what it sees
  12                grant #12 (or '#12', in quotes)
PATH is within it, such as notes/today.txt.";

/// What the link is labelled at the shell's door.
const LABEL: &str = "shell";

/// Opens a directory with those rights. It is logged, and ends with this command.
async fn open(context: &Context, node: &Node, target: &str, rights: Rights) -> Outcome<Opened<directory::Client>> {
    let target = Target::parse(target, &context.current).map_err(Failure::usage)?;
    // For the person's own hands nothing is guarded.
    let object = Found::find(node, &target, &[]).await?.send(node).await?;
    node.open(&Choice::plain(object, rights), LABEL).await?;
    node.object(LABEL).await
}

/// Tells what was being done with which path.
fn about(doing: &str, path: &[u8], failure: Failure) -> Failure {
    // The word is for programs; people get the sentence after it.
    let (word, failure) = failure.split_word(Word::from_text);
    let what = if path.is_empty() { "the directory".to_owned() } else { escape::bytes(path) };
    let failure = failure.during(format!("cannot {doing} {what}"));
    match word {
        Some(Word::Exists) => failure.next("--replace takes its place"),
        Some(Word::Locked) => failure.next("latch keys, which says how it is with them"),
        _ => failure,
    }
}

/// A path as a directory takes it: without the slash at its end that a shell completes.
fn path_bytes(path: &Path) -> &[u8] {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    // What is nothing but slashes is refused as it is.
    if end == 0 { bytes } else { &bytes[..end] }
}

/// An opened file, of at least those rights.
async fn open_file(directory: &directory::Client, path: &Path, rights: Rights) -> Outcome<file::Client> {
    let opened = async {
        let mut request = directory.open_file_request();
        request.get().set_path(path_bytes(path));
        rights.write_to(request.get().init_rights());
        Ok(request.send().promise.await?.get()?.get_file()?)
    };
    opened.await.map_err(|failure| about("open", path_bytes(path), failure))
}
