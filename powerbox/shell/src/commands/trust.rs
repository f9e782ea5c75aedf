//! `latch trust`

use std::fs::File;
use std::path::Path;

use clap::Args;

use super::Context;
use crate::failure::{Doing as _, Failure, Outcome};
use crate::node::Node;
use crate::rows::Author;
use crate::text::table::{Table, column, number, wide};
use crate::text::{time, words};
use crate::{json, output};

/// Takes an author's packages from now on; without one, lists the authors
///
/// Trust is about who signed a package; it gives the package nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch trust                              the authors whose packages are taken
  latch trust search.latch --name ada      the author who signed that file
  latch trust 3b6a…64 digits --name ada    a key that you were told
  latch trust ada --remove                 no longer; what is installed stays")]
pub(crate) struct Trust {
    /// A package, a key of 64 hexadecimal digits, or a name that you gave
    author: Option<String>,
    /// What you call the author
    #[arg(long, requires = "author")]
    name: Option<String>,
    /// Takes the author's packages no longer
    #[arg(long, requires = "author")]
    remove: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Trust) -> Outcome {
    let Some(author) = command.author else { return list(context, node).await };
    let (key, own_name) = find(node, &author).await?;
    let name = command.name.or(own_name).unwrap_or_default();
    node.trust(&key, &name, command.remove).await?;
    let what = if command.remove { "no longer trusted" } else { "trusted" };
    let key = words::hex(&key);
    context.done(&format!("{what}: {key}"), &serde_json::json!({ "key": key, "trusted": !command.remove }))
}

/// The key, and the name that the author has here already.
async fn find(node: &Node, author: &str) -> Outcome<(Vec<u8>, Option<String>)> {
    const KEY_BYTES: usize = 32;
    if let Some(key) = words::from_hex(author).filter(|key| key.len() == KEY_BYTES) {
        return Ok((key, None));
    }
    if let Some(known) = node.authors().await?.into_iter().find(|known| !author.is_empty() && known.name == author) {
        return Ok((words::from_hex(&known.key).unwrap_or_default(), Some(known.name)));
    }
    let path = Path::new(author);
    if !path.exists() {
        return Err(Failure::new(format!("`{author}` is no author"))
            .because("it is neither a key of 64 hexadecimal digits, nor a package, nor a name that you gave")
            .next("latch trust"));
    }
    let file = File::open(path).doing(|| format!("cannot open {author}"))?;
    let signed = package::verify(&file).doing(|| format!("{author} is not a sound package"))?;
    Ok((signed.manifest.author.to_vec(), None))
}

async fn list(context: &Context, node: &Node) -> Outcome {
    let authors = node.authors().await?;
    if context.json {
        return json::print(&authors);
    }
    if authors.is_empty() {
        return output::line(&context.state.told("no author is trusted; `latch trust FILE.latch --name NAME`"));
    }
    output::text(&table(&authors).for_stdout())
}

fn table(authors: &[Author]) -> Table {
    let mut table = Table::new(&[column("NAME"), column("KEY"), number("TRUSTED"), wide("PACKAGES")]);
    for author in authors {
        let since = author.trusted_at_ms.map_or_else(String::new, |at| time::age(at, time::now_ms()));
        table.row([&author.name, &author.key, &since, &author.packages.join(", ")]);
    }
    table
}
