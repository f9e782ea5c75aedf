//! `latch stop`

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::text::escape;
use crate::{json, output};

/// Stops instances; what they were granted stays theirs
///
/// The next run has it again; `latch revoke` takes it away.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Instances, as `latch ps` lists them
    #[arg(value_name = "INSTANCE", required = true)]
    instances: Vec<String>,
    /// At once, without letting them finish
    #[arg(long)]
    kill: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Stop) -> Outcome {
    for instance in &command.instances {
        node.stop(instance, command.kill).await?;
        if !context.json {
            output::line(&format!("stopped {}", escape::line(instance)))?;
        }
    }
    if context.json { json::print(&serde_json::json!({ "stopped": command.instances })) } else { Ok(()) }
}
