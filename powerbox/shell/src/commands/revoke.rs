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
  latch revoke 12 13             grants #12 and #13
A shell takes #12 for a comment: write 12, or '#12'.")]
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
    let named: Vec<&Grant> = grants.iter().filter(|grant| ids.contains(&grant.id)).collect();
    output::text(&describe(&named, &revocation))
}

/// The grants that a target means.
fn find(grants: &[Grant], target: &str, current: &Path) -> Outcome<Vec<u64>> {
    let found: Vec<u64> = match Target::parse_granted(target, current).map_err(Failure::usage)? {
        Target::Grant(id) => vec![id],
        Target::Named(name) => {
            let is_meant = |grant: &&Grant| grant.holder == name || grant.name() == name;
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

/// So many grants are named one by one; of more, people want the number.
const NAMED_LIMIT: usize = 4;

/// What was taken away. `named`: of what the person named, what was in force.
fn describe(named: &[&Grant], revocation: &Revocation) -> String {
    let links = words::count(u64::from(revocation.cut), "link");
    let name = |grant: &&Grant| format!("#{} ({})", grant.id, escape::line(&grant.name()));
    let grants = match named.len() {
        // What was granted after the listing is known by its number only.
        0 => words::count(u64::from(revocation.grants_ended), "grant"),
        1..=NAMED_LIMIT => named.iter().map(name).collect::<Vec<_>>().join(", "),
        many => words::count(many as u64, "grant"),
    };
    let below =
        match (usize::try_from(revocation.grants_ended).unwrap_or(usize::MAX).saturating_sub(named.len()), named.len())
        {
            (0, _) | (_, 0) => String::new(),
            (below, 1) => format!(", and {below} below it"),
            (below, _) => format!(", and {below} below them"),
        };
    if revocation.cut == 0 {
        return format!("revoked {grants}{below}; no link was open\n");
    }
    let mut text = format!("revoked {grants}{below}: {links} cut after {}", time::micros(revocation.cut_after_us));
    if revocation.unconfirmed.is_empty() {
        text.push_str(&format!(", quiet after {}\n", time::micros(revocation.quiet_after_us)));
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

    fn revocation(grants_ended: u32) -> Revocation {
        Revocation { grants_ended, cut: 2, quiet: 2, unconfirmed: Vec::new(), cut_after_us: 850, quiet_after_us: 2_300 }
    }

    #[test]
    fn names_what_was_taken_away_and_counts_what_ended_with_it() {
        let grants: Vec<Grant> = (1..=5).map(|id| Grant::example(id, None, 0)).collect();
        let said = |named: usize, ended| describe(&grants.iter().take(named).collect::<Vec<_>>(), &revocation(ended));
        assert!(said(1, 1).starts_with("revoked #1 (app1:docs): 2 links cut"), "{}", said(1, 1));
        assert!(said(1, 3).starts_with("revoked #1 (app1:docs), and 2 below it: "), "{}", said(1, 3));
        assert!(said(2, 3).starts_with("revoked #1 (app1:docs), #2 (app2:docs), and 1 below them: "), "{}", said(2, 3));
        assert!(said(5, 9).starts_with("revoked 5 grants, and 4 below them: "), "{}", said(5, 9));
        assert!(said(0, 1).starts_with("revoked 1 grant: "), "{}", said(0, 1));
        let idle = Revocation { cut: 0, quiet: 0, ..revocation(2) };
        assert_eq!(describe(&[&grants[0]], &idle), "revoked #1 (app1:docs), and 1 below it; no link was open\n");
    }

    #[test]
    fn says_cut_and_quiet_or_who_did_not_confirm() {
        let mut revocation = revocation(1);
        assert_eq!(describe(&[], &revocation), "revoked 1 grant: 2 links cut after 850 us, quiet after 2.3 ms\n");
        revocation.quiet = 1;
        revocation.unconfirmed.push("folder /x\u{1b}".into());
        assert!(describe(&[], &revocation).contains("1 of them confirmed"));
        assert!(describe(&[], &revocation).contains("not confirmed: folder /x\\x1b"));
    }
}
