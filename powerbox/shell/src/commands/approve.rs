//! `latch approve`

use clap::Args;
use vat::Rights;

use super::grant::{Granted, SPEC_HELP};
use super::{Context, requests};
use crate::ask::{Choice, Found};
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::rows::Request;
use crate::spec::grant::Given;
use crate::terminal::confirm;
use crate::text::words;

/// Gives an app what it asks for
///
/// You pick the object, and may narrow what it may do with it.
#[derive(Debug, Args)]
#[command(after_help = SPEC_HELP)]
pub(crate) struct Approve {
    /// The request, as `latch requests` numbers it
    #[arg(value_parser = requests::number)]
    request: u64,
    /// offer[,ro|,append|,rw][,expires=1h][,calls=N][,bytes=N][,methods=A.b+C.d]
    #[arg(value_name = "OFFER[,…]")]
    given: String,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Approve) -> Outcome {
    let given = Given::parse(&command.given, &context.current).map_err(Failure::usage)?;
    let (requests, _) = node.requests("", None).await?;
    let request = requests.iter().find(|request| request.id == command.request).ok_or_else(|| {
        Failure::new(format!("there is no undecided request {}", command.request)).next("latch requests")
    })?;
    let found = Found::given(node, &given).await?;
    confirm::where_it_leads(&found, given.force).await?;
    let rights = found.share(node, &given, request.rights).await?;
    let granted = approve(node, request, found, &given, rights).await?;
    context.done(&granted.to_string(), &granted)
}

/// Approves with these rights; also used by the prompt of `run`.
pub(crate) async fn approve(
    node: &Node,
    request: &Request,
    found: Found,
    given: &Given,
    rights: Rights,
) -> Outcome<Granted> {
    let object = found.to_string();
    let choice = Choice::of(node, found, given, rights).await?;
    let grant = node.approve(request.id, &choice).await?;
    let (instance, label) = (request.instance.clone(), request.label.clone());
    let shown = words::share(rights, given.rights, request.rights);
    Ok(Granted { grant, instance, label, object, rights, shown })
}
