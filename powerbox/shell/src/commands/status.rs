//! `latch status`

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::Status as Row;
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time, words};
use crate::{json, output};

/// Shows the node: its processes, what holds them in, what is wrong
///
/// LINKS counts what each process is connected by; CONFINEMENT is what the process itself reported before its first link.
/// A warning goes with its cause; one of something that happened says when, and goes after a day (`latch log` keeps it).
#[derive(Debug, Args)]
pub(crate) struct Status {}

pub(crate) async fn run(context: &Context, node: &Node) -> Outcome {
    let status = node.status().await?;
    if context.json {
        return json::print(&status);
    }
    output::text(&context.state.told(&render(&status, time::now_ms())))
}

fn render(status: &Row, now_ms: u64) -> String {
    let up = status.started_at_ms.map_or_else(String::new, |started| format!(", up {}", time::age(started, now_ms)));
    let mut text = format!("{} (version {}{up})\n", escape::line(&status.state), escape::line(&status.version));
    text.push_str(&format!(
        "{}, {} open, {} waiting for you, {} in the log\n",
        words::count(status.grants, "grant"),
        words::count(status.links, "link"),
        words::count(status.pending, "request"),
        words::count(status.log_records, "record"),
    ));
    for warning in &status.warnings {
        let when = warning.at_ms.map_or_else(String::new, |at| format!(" ({} ago)", time::age(at, now_ms)));
        text.push_str(&format!("warning: {}{when}\n", escape::line(&warning.text)));
    }
    let columns = [
        column("PROCESS"),
        column("STATE"),
        number("PID"),
        number("UID"),
        number("LINKS"),
        number("MEMORY"),
        number("CPU"),
        number("RESTARTS"),
        wide("CONFINEMENT"),
    ];
    let mut table = Table::new(&columns);
    for process in &status.processes {
        let mut confinement = process.confinement.join(", ");
        if !process.missing.is_empty() {
            confinement.push_str(&format!(" (missing: {})", process.missing.join(", ")));
        }
        table.row([
            &process.name,
            &process.state,
            &process.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            &process.uid.to_string(),
            &process.links.to_string(),
            &time::size(process.resident_bytes),
            &time::micros(process.cpu_us),
            &process.restarts.to_string(),
            &confinement,
        ]);
    }
    text.push('\n');
    text.push_str(&table.for_stdout());
    for process in status.processes.iter().filter(|process| !process.last_exit.is_empty()) {
        let (name, exit) = (escape::line(&process.name), escape::line(&process.last_exit));
        text.push_str(&format!("{name} last ended: {exit}\n"));
    }
    if status.pending > 0 {
        text.push_str("\nrequests wait: latch requests\n");
    }
    text
}
