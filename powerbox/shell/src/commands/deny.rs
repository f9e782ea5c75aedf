//! `latch deny`

use clap::Args;

use crate::failure::Outcome;
use crate::node::Node;
use crate::output;

/// Refuses what an app asks for
#[derive(Debug, Args)]
pub(crate) struct Deny {
    /// The request, as `latch requests` numbers it
    request: u64,
    /// Whenever this instance asks for this again, too; `latch grant` lifts that
    #[arg(long)]
    always: bool,
}

pub(crate) async fn run(node: &Node, command: Deny) -> Outcome {
    node.deny(command.request, command.always).await?;
    output::line(if command.always { "denied, from now on" } else { "denied" })
}
