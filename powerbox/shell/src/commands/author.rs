//! `latch new` and `latch build`: their command lines. The work is in [`crate::author`].

use std::path::PathBuf;

use clap::Args;

use crate::author::{self, BuildOptions};
use crate::failure::Outcome;
use crate::node::run_on_node;
use crate::state::{State, told};
use crate::text::escape;
use crate::text::words::hex;
use crate::{folder, json, output};

/// As much of an author's key as people compare by eye.
const AUTHOR_DIGITS: usize = 16;

/// Makes a folder with a new app in it, ready to build
///
/// A manifest, and a program that asks for a folder and lists it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  latch new hello && cd hello && latch build && latch run --trust hello.latch")]
pub(crate) struct New {
    /// The app's name: 1 to 64 of a-z, 0-9 and '-'
    name: String,
    /// Where to make it [default: a folder of that name here]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// What you are called in its manifest [default: your name for git, else your user's]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

/// Builds and signs an app: makes its .latch package
///
/// Compiles an app to a component, and signs it with its manifest into `<name>.latch`.
/// The keys of your node sign: `latch keys create` makes them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch build                      the app in this folder
  latch build ../search --out .    another's, with the package here")]
pub(crate) struct Build {
    /// The app's folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Where the package goes [default: the app's folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Signs with the key in a file, which is made if need be, instead of your node's
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A component that is built already
    #[arg(long, value_name = "FILE.wasm")]
    component: Option<PathBuf>,
}

pub(crate) fn new(state: &Outcome<State>, json: bool, command: New) -> Outcome {
    let folder = command.into.unwrap_or_else(|| PathBuf::from(&command.name));
    let by = command.author.unwrap_or_else(author::person::name);
    author::new(&command.name, &by, &folder)?;
    // Without `/./` and a slash at the end, wherever it leads.
    let folder: PathBuf = folder.components().collect();
    let next = told(state, &format!("  next: latch build {}", folder::shown(&folder)));
    let words = format!("made {} (author: {}; see its latch.toml)\n{next}", escape::path(&folder), escape::line(&by));
    json::done(json, &words, &serde_json::json!({ "made": folder.to_string_lossy(), "author_name": by }))
}

pub(crate) fn build(state: &Outcome<State>, json: bool, command: Build) -> Outcome {
    let Build { folder, out, key, component } = command;
    let folder: PathBuf = folder.components().collect();
    let options = BuildOptions { folder, out, key, component };
    let built = run_on_node(author::build(state, &options))??;
    if let Some(key) = built.new_key.as_deref().filter(|_| !json) {
        let key = escape::path(key);
        output::line(&format!("made an author's key, {key}: keep it, it is how others know your apps"))?;
    }
    let author = hex(&built.author);
    let words = format!(
        "built {} ({} {}, {} KiB, signed by {})\n  next: latch run --trust {}",
        escape::path(&built.package),
        escape::line(&built.name),
        escape::line(&built.version),
        built.bytes.div_ceil(1024),
        &author[..AUTHOR_DIGITS],
        folder::shown(&built.package)
    );
    let value = serde_json::json!({
        "package": built.package.to_string_lossy(), "name": built.name, "version": built.version,
        "bytes": built.bytes, "author": author, "new_key": built.new_key.map(|key| key.to_string_lossy().into_owned()),
    });
    json::done(json, &told(state, &words), &value)
}
