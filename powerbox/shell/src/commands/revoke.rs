//! `latch revoke`

use std::path::Path;

use clap::Args;

use super::Context;
use crate::ask::Revocation;
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::rows::Grant;
use crate::spec::target::Target;
use crate::text::{escape, time, words};
use crate::{json, output};

/// Takes grants away, at once, with everything derived from them
///
/// It needs nobody's consent. When this returns, the links are cut and recorded: no call starts any more. The same
/// label stays taken away until `latch grant INSTANCE LABEL=OFFER` gives it back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch revoke search:folder     what search holds as folder
  latch revoke search            everything that search holds
  latch revoke 12 13             grants by number")]
pub(crate) struct Revoke {
    /// INSTANCE:LABEL, INSTANCE, or a grant's number
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// Is recorded, and told to the holder
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Revoke) -> Outcome {
    let grants = node.grants(false).await?;
    let mut ids = Vec::new();
    for target in &command.targets {
        ids.extend(find(&grants, target, &context.current)?);
    }
    ids.sort_unstable();
    ids.dedup();
    let revocation = node.revoke(&ids, &command.reason).await?;
    if context.json {
        return json::print(&revocation);
    }
    output::text(&describe(ids.len() as u64, &revocation))
}

/// The grants that a target means.
fn find(grants: &[Grant], target: &str, current: &Path) -> Outcome<Vec<u64>> {
    let found: Vec<u64> = match Target::parse_granted(target, current).map_err(Failure::usage)? {
        Target::Grant(id) => vec![id],
        Target::Named(name) => {
            let is_meant = |grant: &&Grant| grant.holder == name || format!("{}:{}", grant.holder, grant.label) == name;
            grants.iter().filter(is_meant).map(|grant| grant.id).collect()
        }
        Target::Host(_) => Vec::new(),
    };
    if found.is_empty() {
        return Err(Failure::new(format!("no app holds anything as `{target}`"))
            .next("latch grants lists what is held: name it by its number, as INSTANCE:LABEL, or all of an INSTANCE"));
    }
    Ok(found)
}

fn describe(grants: u64, revocation: &Revocation) -> String {
    let links = words::count(u64::from(revocation.cut), "link");
    let mut text = format!(
        "revoked {}: {links} cut after {}",
        words::count(grants, "grant"),
        time::micros(revocation.cut_after_us)
    );
    if revocation.unconfirmed.is_empty() {
        if revocation.cut > 0 {
            text.push_str(&format!(", quiet after {}", time::micros(revocation.quiet_after_us)));
        }
        text.push('\n');
        return text;
    }
    let names: Vec<String> = revocation.unconfirmed.iter().map(|name| escape::line(name)).collect();
    text.push_str(&format!(
        "\n{} of them confirmed that nothing runs any more; not confirmed: {}\n\
         (nothing new can reach those over a cut link; what they had begun may still finish)\n",
        revocation.quiet,
        names.join(", ")
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_cut_and_quiet_or_who_did_not_confirm() {
        let mut revocation =
            Revocation { cut: 2, quiet: 2, unconfirmed: Vec::new(), cut_after_us: 850, quiet_after_us: 2_300 };
        assert_eq!(describe(1, &revocation), "revoked 1 grant: 2 links cut after 850 us, quiet after 2.3 ms\n");
        revocation.quiet = 1;
        revocation.unconfirmed.push("folder /x\u{1b}".into());
        assert!(describe(1, &revocation).contains("1 of them confirmed"));
        assert!(describe(1, &revocation).contains("not confirmed: folder /x\\x1b"));
    }
}
