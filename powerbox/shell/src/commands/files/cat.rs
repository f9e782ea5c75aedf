//! `latch cat`

use std::path::PathBuf;

use clap::Args;
use vat::Rights;

use super::progress::Progress;
use super::{Context, TARGET_HELP, open, open_file, sink};
use crate::failure::Outcome;
use crate::node::Node;
use crate::signals::unless_interrupted;

/// Prints files
///
/// On a terminal only text and colours pass; into a pipe every byte goes as it is.
#[derive(Debug, Args)]
#[command(after_help = TARGET_HELP)]
pub(crate) struct Cat {
    /// What it is in, see below
    target: String,
    /// Within it, such as notes/today.txt
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Cat) -> Outcome {
    let opened = open(context, node, &command.target, Rights::READ).await?;
    let print = async {
        for path in &command.paths {
            let file = open_file(&opened.object, path, Rights::READ).await?;
            sink::print(&file, path, &opened.exports, Progress::none()).await?;
        }
        Ok(())
    };
    unless_interrupted(print).await
}
