//! `latch why`: the chain from an object to its holder, and what hangs below.

use schema::operator_capnp::operator;
use vat::meter::{MethodUsage, OTHER_METHODS};
use vat::words::reason_name;

use super::{Operator, count, text};
use crate::core::Core;
use crate::grants::Node;
use crate::matching::{Target, provider};
use crate::problem::Problem;
use crate::record::{Holder, Source, method_name};
use crate::usage::Totals;
use crate::words::{PATH_LIMIT, PHRASE_LIMIT, REASON_LIMIT, plain, quoted};

/// Lines of one answer at most: what is left out is said.
const LINES_LIMIT: usize = 500;

/// Methods of one grant that are told apart: as many as a person reads.
const METHODS_SHOWN: usize = 12;

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
    let rights = match &node.granted.source {
        Source::Folder(folder) => format!(", with the rights of uid {}", folder.run_as),
        Source::Object(_) => String::new(),
    };
    let offer = plain(&node.granted.offer, PATH_LIMIT);
    lines.push(Line {
        text: format!("{offer}, served by {}{rights}", provider(&node.granted.source)),
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
        let text = format!("asked for: {}", quoted(&node.reason, REASON_LIMIT));
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
    let (text, at_ms) = match &node.ended {
        Some(end) => {
            let because = match end.detail.as_str() {
                "" => String::new(),
                detail => format!(": {}", quoted(detail, REASON_LIMIT)),
            };
            (format!("ended ({}) by {}{because}", reason_name(end.reason), end.by), end.at_ms)
        }
        None if core.live.borrow().open.contains_key(&number) => ("in use now".to_owned(), 0),
        None => ("not in use now".to_owned(), 0),
    };
    let usage = core.usage.borrow();
    let text = format!("{text}; {}", used(usage.of(number)));
    lines.push(Line { depth, text, at_ms, grant: number, app_words: false });
    for text in by_method(usage.methods_of(number)) {
        lines.push(Line { depth: depth + 1, text, at_ms: 0, grant: number, app_words: false });
    }
}

/// What was used of a grant, in words.
fn used(totals: Totals) -> String {
    let Totals { calls, errors, refused, .. } = totals;
    let bytes = totals.bytes_in.saturating_add(totals.bytes_out);
    let mut text = format!("so far {calls} calls ({errors} failed), {bytes} bytes");
    if refused > 0 {
        text.push_str(&format!(", and {refused} calls that were refused"));
    }
    if totals.self_reported {
        text.push_str(", as the app that serves it says");
    }
    text
}

/// What its holder did: a line for each method, the most called first.
fn by_method(methods: &[MethodUsage]) -> Vec<String> {
    let mut methods: Vec<&MethodUsage> = methods.iter().collect();
    methods.sort_by_key(|usage| (usage.method == OTHER_METHODS, std::cmp::Reverse(usage.calls), usage.method));
    let (shown, rest) = methods.split_at(methods.len().min(METHODS_SHOWN));
    let mut lines: Vec<String> = shown
        .iter()
        .map(|usage| {
            let MethodUsage { calls, errors, .. } = usage;
            let name = if usage.method == OTHER_METHODS { "others".into() } else { method_name(usage.method) };
            let (half, most) = (duration(usage.latency_p50_ns), duration(usage.latency_p99_ns));
            format!("{name}: {calls} calls ({errors} failed), half within {half}, 99 of 100 within {most}")
        })
        .collect();
    if !rest.is_empty() {
        let calls = rest.iter().fold(0, |calls: u64, usage| calls.saturating_add(usage.calls));
        lines.push(format!("{} more methods: {calls} calls", rest.len()));
    }
    lines
}

/// A latency in the unit in which it has one to three digits before the point.
fn duration(nanoseconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    match UNITS.iter().find(|(unit, _)| nanoseconds >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", nanoseconds / unit, nanoseconds % unit * 10 / unit),
        None => format!("{nanoseconds} ns"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use vat::words::Method;

    #[test]
    fn what_a_holder_did_is_told_by_method_and_what_was_refused_beside_it() {
        let totals = Totals { calls: 9, bytes_in: 10, bytes_out: 20, errors: 2, refused: 3, self_reported: true };
        let text = "so far 9 calls (2 failed), 30 bytes, and 3 calls that were refused, as the app that serves it says";
        assert_eq!(used(totals), text);
        assert_eq!(used(Totals::default()), "so far 0 calls (0 failed), 0 bytes");
        let usage =
            |method, calls| MethodUsage { method, calls, errors: 1, latency_p50_ns: 40_960, latency_p99_ns: 1_250_000 };
        let mut methods = vec![usage(OTHER_METHODS, 99)];
        methods.extend((1..=20).map(|ordinal| usage(Method { interface: 7, ordinal }, u64::from(ordinal))));
        let told = by_method(&methods);
        assert_eq!(told.len(), METHODS_SHOWN + 1);
        assert!(told[0].ends_with(": 20 calls (1 failed), half within 40.9 µs, 99 of 100 within 1.2 ms"), "{told:?}");
        assert_eq!(told[METHODS_SHOWN], format!("9 more methods: {} calls", 99 + (1..=8).sum::<u64>()));
    }

    #[test]
    fn durations_of_every_size() {
        let shown = [0, 999, 1_000, 999_999, 1_000_000, 2_500_000_000].map(duration);
        assert_eq!(shown, ["0 ns", "999 ns", "1.0 µs", "999.9 µs", "1.0 ms", "2.5 s"]);
    }
}
