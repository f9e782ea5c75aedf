//! `latch why`: the chain from an object to its holder, and what hangs below.

use schema::operator_capnp::operator;
use vat::words::reason_name;

use super::{Operator, count, text};
use crate::core::Core;
use crate::grants::Node;
use crate::matching::{HOST_PROVIDER, Target};
use crate::problem::Problem;
use crate::record::{Holder, Source};
use crate::words::{PATH_LIMIT, PHRASE_LIMIT, REASON_LIMIT, plain};

/// Lines of one answer at most: what is left out is said.
const LINES_LIMIT: usize = 500;

/// One line of the answer.
#[derive(Default)]
struct Line {
    depth: u16,
    text: String,
    at_ms: u64,
    grant: u64,
    app_words: bool,
}

pub(super) async fn why(
    of: &Operator,
    params: operator::WhyParams,
    mut results: operator::WhyResults,
) -> Result<(), capnp::Error> {
    let target = text(params.get()?.get_target()?)?;
    let lines = of.core.look(move |core| explain(core, &target)).await?;
    let mut list = results.get().init_lines(count(lines.len()));
    for (index, line) in (0..).zip(&lines) {
        let mut builder = list.reborrow().get(index);
        builder.set_depth(line.depth);
        builder.set_text(&line.text);
        builder.set_at_ms(line.at_ms);
        builder.set_grant(line.grant);
        builder.set_app_words(line.app_words);
    }
    Ok(())
}

fn explain(core: &Core, words: &str) -> Result<Vec<Line>, Problem> {
    let state = core.state.borrow();
    let none = || {
        let shown = plain(words, PATH_LIMIT);
        Problem::refused(format!("there is nothing called {shown}. `latch grants --all` lists what was granted"))
    };
    let grants: Vec<u64> = match Target::parse(words) {
        Target::Grant(grant) => state.grants.get(grant).map(|_| grant).into_iter().collect(),
        Target::Held { instance, label } => {
            state.grants.labelled(&Holder::Instance(instance), &label).map(|(grant, _)| grant).into_iter().collect()
        }
        Target::Offer(offer) => {
            let direct = |node: &Node| node.granted.offer == offer && node.granted.parent == 0 && node.ended.is_none();
            state.grants.iter().filter(|(_, node)| direct(node)).map(|(grant, _)| *grant).collect()
        }
        Target::Instance(instance) => {
            state.grants.held_by(&Holder::Instance(instance)).map(|(grant, _)| grant).collect()
        }
    };
    if grants.is_empty() {
        return Err(none());
    }
    let mut lines = Vec::new();
    for grant in grants {
        chain(core, grant, &mut lines);
        if lines.len() > LINES_LIMIT {
            lines.truncate(LINES_LIMIT);
            lines.push(Line { text: "… and more: name one of them".into(), ..Line::default() });
            break;
        }
    }
    Ok(lines)
}

/// From the object down to the grant, then what hangs below it.
fn chain(core: &Core, grant: u64, lines: &mut Vec<Line>) {
    let state = core.state.borrow();
    let mut path = vec![grant];
    while let Some(node) = path.last().and_then(|last| state.grants.get(*last)) {
        match node.granted.parent {
            0 => break,
            parent => path.push(parent),
        }
    }
    path.reverse();
    let Some(node) = state.grants.get(grant) else { return };
    let Source::Folder(folder) = &node.granted.source;
    lines.push(Line {
        text: format!(
            "{}, served by {HOST_PROVIDER}, with the rights of uid {}",
            plain(&node.granted.offer, PATH_LIMIT),
            folder.run_as
        ),
        ..Line::default()
    });
    let mut depth = 1;
    for step in &path {
        match state.grants.get(*step) {
            Some(node) => tell(core, *step, node, depth, lines),
            None => lines.push(Line {
                depth,
                text: format!("#{step}, which ended long ago: see `latch log`"),
                ..Line::default()
            }),
        }
        depth += 1;
    }
    let mut below: Vec<(u64, u16)> = state.grants.children(grant).map(|child| (child, depth)).collect();
    while let Some((child, depth)) = below.pop() {
        let Some(node) = state.grants.get(child).filter(|_| lines.len() <= LINES_LIMIT) else { continue };
        tell(core, child, node, depth, lines);
        below.extend(state.grants.children(child).map(|next| (next, depth + 1)));
    }
}

/// What is to be said of one grant.
fn tell(core: &Core, number: u64, node: &Node, depth: u16, lines: &mut Vec<Line>) {
    let granted = &node.granted;
    if !node.reason.is_empty() {
        let text = format!("asked for: “{}”", plain(&node.reason, REASON_LIMIT));
        lines.push(Line { depth, text, at_ms: node.at_ms, grant: number, app_words: true });
    }
    let verb = if granted.transient { "used by" } else { "granted to" };
    let caveats = limits(node);
    lines.push(Line {
        depth,
        text: format!(
            "#{number} {verb} {} as “{}” ({}{caveats}), by {}",
            granted.holder,
            plain(&granted.label, PHRASE_LIMIT),
            granted.caveats.rights,
            node.by
        ),
        at_ms: node.at_ms,
        grant: number,
        app_words: false,
    });
    let text = match &node.ended {
        Some(end) => {
            let detail = plain(&end.detail, REASON_LIMIT);
            let because = if detail.is_empty() { String::new() } else { format!(": {detail}") };
            Line {
                depth,
                text: format!("ended ({}) by {}{because}", reason_name(end.reason), end.by),
                at_ms: end.at_ms,
                grant: number,
                app_words: false,
            }
        }
        None => {
            let used = core.usage.borrow().of(number);
            let open = if core.live.borrow().open.contains_key(&number) { "in use now" } else { "not in use now" };
            let bytes = used.bytes_in.saturating_add(used.bytes_out);
            let text = format!("{open}; {} calls, {bytes} bytes, {} errors so far", used.calls, used.errors);
            Line { depth, text, at_ms: 0, grant: number, app_words: false }
        }
    };
    lines.push(text);
}

fn limits(node: &Node) -> String {
    let caveats = &node.granted.caveats;
    let mut text = String::new();
    if let Some(calls) = caveats.calls {
        text.push_str(&format!(", {calls} calls"));
    }
    if let Some(bytes) = caveats.bytes {
        text.push_str(&format!(", {bytes} bytes"));
    }
    if caveats.expires_at_ms != 0 {
        text.push_str(", for a time");
    }
    if !caveats.methods.is_empty() {
        text.push_str(&format!(", {} methods", caveats.methods.len()));
    }
    text
}
