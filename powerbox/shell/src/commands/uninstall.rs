//! `latch uninstall`

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::text::{escape, words};

/// Removes a package, its instances and what they were granted
#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// The package's name, as `latch install` lists it
    #[arg(value_name = "APP")]
    name: String,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Uninstall) -> Outcome {
    let ended = node.uninstall(&command.name).await?;
    let words =
        format!("removed {}; {} ended with it", escape::line(&command.name), words::count(u64::from(ended), "grant"));
    context.done(&words, &serde_json::json!({ "removed": command.name, "grants_ended": ended }))
}
