//! `latch deny`

use clap::Args;

use super::{Context, requests};
use crate::failure::Outcome;
use crate::node::Node;

/// Refuses what an app asks for
#[derive(Debug, Args)]
pub(crate) struct Deny {
    /// The request, as `latch requests` numbers it
    #[arg(value_parser = requests::number)]
    request: u64,
    /// Whenever this instance asks for this again, too; `latch grant` lifts that
    #[arg(long)]
    always: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Deny) -> Outcome {
    node.deny(command.request, command.always).await?;
    let words = if command.always { "denied, from now on" } else { "denied" };
    context.done(words, &serde_json::json!({ "request": command.request, "always": command.always }))
}
