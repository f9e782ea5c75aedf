//! `latch requests`

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::Request;
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time, words};
use crate::{json, output};

/// Lists what apps ask for and nobody has decided
///
/// What an app says of itself stands in quotes.
#[derive(Debug, Args)]
#[command(after_help = "\
Decide with:
  latch approve 4 host:./docs,ro
  latch deny 4")]
pub(crate) struct Requests {
    /// Of this instance only
    instance: Option<String>,
    /// Waits until there is one
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Requests) -> Outcome {
    let instance = command.instance.as_deref().unwrap_or("");
    let mut version = None;
    let mut requests = node.next_requests(instance, &mut version).await?;
    while command.wait && requests.is_empty() {
        requests = node.next_requests(instance, &mut version).await?;
    }
    if context.json {
        return json::print(&requests);
    }
    if requests.is_empty() {
        return output::line("nothing is asked");
    }
    output::text(&table(&requests).for_stdout())
}

fn table(requests: &[Request]) -> Table {
    let columns = [
        number("REQUEST"),
        column("INSTANCE"),
        column("LABEL"),
        column("WANTS"),
        column("RIGHTS"),
        number("SINCE"),
        column("CAN BE"),
        wide("THE APP SAYS"),
    ];
    let mut table = Table::new(&columns);
    for request in requests {
        let said: Vec<String> = [&request.hint, &request.reason]
            .into_iter()
            .filter(|words| !words.is_empty())
            .map(|words| escape::quoted(words))
            .collect();
        table.row([
            &request.id.to_string(),
            &request.instance,
            &request.label,
            &request.interface_name,
            words::rights(request.rights),
            &request.asked_at_ms.map_or_else(String::new, |at| time::age(at, time::now_ms())),
            &request.providers.join(" "),
            &said.join(" "),
        ]);
    }
    table
}
