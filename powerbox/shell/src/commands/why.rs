//! `latch why`

use clap::Args;

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::rows::WhyLine;
use crate::spec::target::Target;
use crate::text::{escape, time};
use crate::{json, output};

/// Tells how a holder came by an object: who asked, with which words, who decided
///
/// From the object to the holder: who offered it, who asked, who decided and when, and what hangs below.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch why search:folder
  latch why 12
  latch why host:/home/ada/docs      everybody who has it")]
pub(crate) struct Why {
    /// INSTANCE:LABEL, a grant's number, or an offer
    target: String,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Why) -> Outcome {
    let target = match Target::parse_granted(&command.target, &context.current).map_err(Failure::usage)? {
        Target::Grant(grant) => format!("#{grant}"),
        Target::Host(path) => format!("host:{}", std::fs::canonicalize(&path).unwrap_or(path).display()),
        Target::Named(name) => name,
    };
    let lines = node.why(&target).await?;
    if context.json {
        return json::print(&lines);
    }
    output::text(&render(&lines))
}

fn render(lines: &[WhyLine]) -> String {
    const INDENT: &str = "  ";
    const DEPTH_MAX: usize = 40;
    let mut text = String::new();
    for line in lines {
        text.push_str(&INDENT.repeat(usize::from(line.depth).min(DEPTH_MAX)));
        let said = escape::line(&line.text);
        if line.app_words {
            text.push_str(&format!("(the app's words) {said}"));
        } else {
            text.push_str(&said);
        }
        if let Some(at) = line.at_ms {
            text.push_str(&format!("  [{}]", time::moment(at)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(depth: u16, text: &str, app_words: bool) -> WhyLine {
        WhyLine { depth, text: text.into(), at_ms: (depth == 0).then_some(1_000), grant: None, app_words }
    }

    #[test]
    fn a_tree_in_which_the_apps_words_are_marked() {
        let lines =
            [line(0, "host:/docs", false), line(1, "search asked", false), line(2, "trust me\n  approved", true)];
        assert_eq!(
            render(&lines),
            "host:/docs  [1970-01-01 00:00:01Z]\n  search asked\n    (the app's words) trust me\\n  approved\n"
        );
    }
}
