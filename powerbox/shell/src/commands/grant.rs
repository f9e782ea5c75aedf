//! `latch grant`

use std::fmt;

use clap::Args;
use serde::Serialize;
use vat::Rights;

use super::Context;
use crate::ask::{Choice, Found};
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::spec::grant::Labelled;
use crate::terminal::confirm;
use crate::text::{escape, words};

/// How a grant is written, for every command that takes one.
pub(crate) const SPEC_HELP: &str = "\
What can be given:
  host:PATH         a folder of this machine, opened with your own rights
  INSTANCE:LABEL    a part of what that instance holds
  12                a part of grant #12 (or '#12', in quotes)
How it can be narrowed (without rights: what the app asked for):
  ro | append | rw  see; see and add; everything
  expires=1h        90s, 15m, 1h, 2d
  calls=N bytes=N   in all: 1000, 64k, 10MiB
  methods=A.b+C.d   only these, such as Directory.list+File.read
What else can be said:
  force             give it although the node's state or your signing key is in it,
                    or although a symbolic link on the way leads elsewhere
A comma within a path is written \\,";

const EXAMPLES: &str = "\
Examples:
  latch grant search folder=host:./docs               what it asked for, of that folder
  latch grant search folder=host:./docs,ro,expires=1h
  latch grant search#2 folder=search:folder,ro        a part of what search holds";

/// Gives an app something before it asks, or again after it was taken away
///
/// The app's manifest must announce the label.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{SPEC_HELP}"))]
pub(crate) struct Grant {
    /// The instance, as `latch ps --all` lists it
    instance: String,
    /// label=offer[,ro|,append|,rw][,expires=1h][,calls=N][,bytes=N][,methods=A.b+C.d]
    #[arg(value_name = "LABEL=OFFER[,…]")]
    grant: String,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Grant) -> Outcome {
    let Labelled { label, given, written } =
        Labelled::parse(&command.grant, &context.current).map_err(Failure::usage)?;
    let app = app_of(node, &command.instance).await?;
    let again = |label: &str| {
        format!("latch grant {} {}", escape::word(&command.instance), escape::word(&format!("{label}={written}")))
    };
    let announced = announced_rights(node, &app, &label, again).await?;
    let found = Found::given(node, &given).await?;
    confirm::where_it_leads(&found, given.force).await?;
    let object = found.to_string();
    let rights = found.share(node, &given, announced).await?;
    let choice = Choice::of(node, found, &given, rights).await?;
    let grant = node.grant(&command.instance, &label, &choice).await?;
    let shown = words::share(rights, given.rights, announced);
    let granted = Granted { grant, instance: command.instance, label, object, rights, shown };
    context.done(&granted.to_string(), &granted)
}

/// What an app's manifest announces under a label. Where it does not, `again` makes the command that gives under another.
/// Where the app is not installed: to see, and the node decides.
pub(crate) async fn announced_rights(
    node: &Node,
    app: &str,
    label: &str,
    again: impl Fn(&str) -> String,
) -> Outcome<Rights> {
    let packages = node.packages().await?;
    let Some(package) = packages.iter().find(|package| package.name == app) else { return Ok(Rights::READ) };
    if let Some(announced) = package.announced(label) {
        return Ok(announced.rights);
    }
    let failure = Failure::new(format!("the package of {app} does not announce `{label}`"));
    let labels: Vec<&str> = package.requests.iter().map(|announced| announced.label.as_str()).collect();
    Err(if labels.is_empty() {
        failure
            .because("it asks for nothing, and is given nothing")
            .next("add a [[request]] to the app's latch.toml, then: latch build DIR")
    } else {
        let commands: Vec<String> = labels.iter().map(|label| again(label)).collect();
        failure.because(format!("it announces {}", labels.join(", "))).next(commands.join("\n"))
    })
}

async fn app_of(node: &Node, instance: &str) -> Outcome<String> {
    let instances = node.instances().await?;
    Ok(instances.into_iter().find(|row| row.name == instance).map_or_else(|| instance.to_owned(), |row| row.app))
}

/// What was granted, for people with how it is taken away.
#[derive(Debug, Serialize)]
pub(crate) struct Granted {
    pub(crate) grant: u64,
    pub(crate) instance: String,
    pub(crate) label: String,
    /// As [`Found`] shows it.
    pub(crate) object: String,
    #[serde(serialize_with = "crate::rows::serialize_rights")]
    pub(crate) rights: Rights,
    /// The rights in words.
    #[serde(skip)]
    pub(crate) shown: String,
}

impl fmt::Display for Granted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (instance, label) = (escape::line(&self.instance), escape::line(&self.label));
        let Self { grant, shown, .. } = self;
        let object = escape::object(&self.object);
        write!(
            formatter,
            "granted {instance}:{label} = {object}, {shown} (#{grant}; latch revoke {grant} takes it away)"
        )
    }
}
