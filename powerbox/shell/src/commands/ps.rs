//! `latch ps`

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::Instance;
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time};
use crate::{json, output};

/// Lists instances of apps
#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Also those that do not run and need not
    #[arg(long, short)]
    all: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Ps) -> Outcome {
    let mut instances = node.instances().await?;
    instances.retain(|instance| command.all || instance.is_shown());
    if context.json {
        return json::print(&instances);
    }
    if instances.is_empty() {
        return output::line(&context.state.told(if command.all {
            "no app has run here"
        } else {
            "nothing runs; `latch ps --all` shows the rest"
        }));
    }
    let columns = [
        column("INSTANCE"),
        column("APP"),
        column("STATE"),
        number("PID"),
        number("FOR"),
        number("GRANTS"),
        number("ASKS"),
        number("MEMORY"),
        number("CPU"),
        wide("LAST END"),
    ];
    let mut table = Table::new(&columns);
    for instance in &instances {
        let state = if instance.detached { format!("{} (detached)", instance.state) } else { instance.state.clone() };
        table.row([
            &instance.name,
            &format!("{} {}", instance.app, instance.version),
            &state,
            &instance.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            &running_for(instance),
            &instance.grants.to_string(),
            &instance.pending.to_string(),
            &time::size(instance.resident_bytes),
            &time::micros(instance.cpu_us),
            &said(&instance.last),
        ]);
    }
    output::text(&table.for_stdout())
}

/// A process' last word is its own.
fn said(last: &str) -> String {
    if last.is_empty() { String::new() } else { escape::quoted(last) }
}

fn running_for(instance: &Instance) -> String {
    let started = instance.started_at_ms.filter(|_| instance.is_running());
    started.map_or_else(|| "-".to_owned(), |at| time::age(at, time::now_ms()))
}
