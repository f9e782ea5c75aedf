//! `latch stop`

use clap::Args;

use crate::failure::Outcome;
use crate::node::Node;
use crate::output;
use crate::text::escape;

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

pub(crate) async fn run(node: &Node, command: Stop) -> Outcome {
    for instance in &command.instances {
        node.stop(instance, command.kill).await?;
        output::line(&format!("stopped {}", escape::line(instance)))?;
    }
    Ok(())
}
