//! `latch store`: the whole store of this node.

mod show;

use clap::{Args, Subcommand};

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::store;
use crate::text::time;

/// Shows the store of this node, and what each grant keeps in it
///
/// The store keeps directories and files encrypted, signed and safe from crashes. Use them with `latch ls storage:/` and
/// the like; grant one with `latch grant APP label=storage:/notes`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch store                 how much there is, and whose it is
  latch store compact         gives room that nothing uses any more back to the disk now
  latch fsck                  checks every byte of it
  latch cap --help            who may read and write of it elsewhere")]
pub(crate) struct Store {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Shows what there is
    Show,
    /// Gives room that nothing uses any more back to the disk, which otherwise happens by itself when it is worth it
    Compact,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Store) -> Outcome {
    let opened = store::store(node).await?;
    match command.act.unwrap_or(Act::Show) {
        Act::Show => show::run(context, node, &opened.object).await,
        Act::Compact => {
            let answer = store::ask(opened.object.compact_request().send()).await?;
            let freed_bytes = answer.get()?.get_freed_bytes();
            let words = match freed_bytes {
                0 => "there was nothing worth freeing".to_owned(),
                freed => format!("freed {} of the disk", time::size(freed)),
            };
            context.done(&words, &serde_json::json!({ "freed_bytes": freed_bytes }))
        }
    }
}
