//! What people should know, for `status`: bounded, and so kept that nobody can crowd out what others did, nor what the
//! node says of itself. What happened is shown with its time, and for a day; what is so as long as its cause lasts. Pure.

use std::collections::VecDeque;
use std::mem::discriminant;

/// The node's own warnings at most: they come from a fixed set of places in it, and more of them say nothing new.
const OWN_LIMIT: usize = 32;
/// Warnings about somebody at most: more than run on one machine. The oldest goes first.
const NAMED_LIMIT: usize = 32;
/// How long what happened is shown: who looks once a day sees all of it. The log keeps it for good.
const SHOWN_MS: u64 = 24 * 60 * 60 * 1_000;

/// How long a warning about somebody is worth being shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It happened, and nothing undoes that.
    Event,
    /// This grant has no link, until it gets one or ends.
    Unlinked(u64),
    /// The node does not start this instance again, until a person does.
    GivenUp,
}

/// A warning as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// For people.
    pub(crate) text: String,
    /// When that happened; 0: it is so now.
    pub(crate) at_ms: u64,
}

impl Warning {
    /// Something that is so now.
    pub(crate) fn now(text: String) -> Self {
        Self { text, at_ms: 0 }
    }

    fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms) < SHOWN_MS
    }
}

/// What people should know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings {
    own: Vec<Warning>,
    /// The latest last.
    named: VecDeque<Named>,
}

/// The latest warning of its kind about an app, or another of those that the node runs.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    warning: Warning,
    cause: Cause,
    times: u64,
}

impl Warnings {
    /// Those that the node begins with.
    pub(crate) fn new(own: Vec<String>, now_ms: u64) -> Self {
        let own = own.into_iter().map(|text| Warning { text, at_ms: now_ms }).collect();
        Self { own, named: VecDeque::new() }
    }

    /// What the node says of itself.
    pub(crate) fn add(&mut self, text: String, now_ms: u64) {
        self.own.retain(|warning| warning.is_fresh(now_ms) && warning.text != text);
        if self.own.len() < OWN_LIMIT {
            self.own.push(Warning { text, at_ms: now_ms });
        }
    }

    /// What is said of somebody takes the place of what was said of them before for the same kind of cause: what goes
    /// with its cause must not take along what somebody did.
    pub(crate) fn add_about(&mut self, name: &str, cause: Cause, text: String, now_ms: u64) {
        let known = self
            .named
            .iter()
            .position(|named| named.name == name && discriminant(&named.cause) == discriminant(&cause));
        let before = known.and_then(|known| self.named.remove(known));
        let times = before.filter(|before| before.warning.is_fresh(now_ms)).map_or(0, |before| before.times);
        if self.named.len() == NAMED_LIMIT {
            self.named.pop_front();
        }
        let warning = Warning { text, at_ms: now_ms };
        self.named.push_back(Named { name: name.to_owned(), warning, cause, times: times.saturating_add(1) });
    }

    /// All that are worth being shown: the node's own first, then the latest of each kind about each name. `lasts`: whether a cause
    /// that can be looked at is still there.
    pub(crate) fn shown(&self, now_ms: u64, lasts: impl Fn(&str, Cause) -> bool) -> Vec<Warning> {
        let is_shown = |named: &&Named| match named.cause {
            Cause::Event => named.warning.is_fresh(now_ms),
            cause => lasts(&named.name, cause),
        };
        let counted = |named: &Named| match named.times {
            1 => named.warning.clone(),
            times => {
                let text = format!("{} (the latest of {times} warnings about it)", named.warning.text);
                Warning { text, ..named.warning }
            }
        };
        let own = self.own.iter().filter(|warning| warning.is_fresh(now_ms)).cloned();
        own.chain(self.named.iter().filter(is_shown).map(counted)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(warnings: &Warnings, now_ms: u64) -> Vec<String> {
        warnings.shown(now_ms, |_, _| true).into_iter().map(|warning| warning.text).collect()
    }

    #[test]
    fn who_is_warned_of_again_and_again_has_one_place_and_hides_nobody() {
        let mut warnings = Warnings::new(vec!["the index was rebuilt".into()], 0);
        warnings.add_about("victim", Cause::Event, "victim misbehaved".into(), 1);
        for time in 0..1_000 {
            warnings.add_about("evil", Cause::Event, format!("evil did {time}"), 1);
        }
        warnings.add("the disk is full".into(), 1);
        warnings.add("the disk is full".into(), 2);
        let latest = "evil did 999 (the latest of 1000 warnings about it)";
        assert_eq!(texts(&warnings, 2), ["the index was rebuilt", "the disk is full", "victim misbehaved", latest]);
    }

    #[test]
    fn many_names_displace_the_oldest_of_them_and_nothing_of_the_node() {
        let mut warnings = Warnings::new(vec!["the index was rebuilt".into()], 0);
        for number in 0..=NAMED_LIMIT {
            warnings.add_about(&format!("evil#{number}"), Cause::Event, format!("evil#{number} misbehaved"), 1);
            warnings.add_about("evil#1", Cause::Event, "evil#1 misbehaved".into(), 1);
        }
        warnings.add("the disk is full".into(), 1);
        let texts = texts(&warnings, 1);
        assert_eq!(texts.len(), 2 + NAMED_LIMIT);
        assert_eq!(texts[..2], ["the index was rebuilt", "the disk is full"]);
        assert!(!texts.iter().any(|text| text.starts_with("evil#0 ")), "{texts:?}");
        assert!(texts.iter().any(|text| text.starts_with("evil#1 ")), "{texts:?}");
    }

    #[test]
    fn what_happened_goes_after_a_day_and_what_is_so_with_its_cause() {
        let mut warnings = Warnings::new(vec!["the index was rebuilt".into()], 0);
        warnings.add_about("evil", Cause::Event, "evil misbehaved".into(), 1);
        warnings.add_about("search", Cause::Unlinked(7), "#7 could not be linked".into(), 1);
        warnings.add_about("hello", Cause::GivenUp, "hello is not started again".into(), 1);
        warnings.add_about("evil", Cause::Unlinked(8), "#8 could not be linked".into(), 1);
        let shown = warnings.shown(SHOWN_MS, |name, cause| name == "search" && cause == Cause::Unlinked(7));
        let kept = |text: &str| Warning { text: text.into(), at_ms: 1 };
        assert_eq!(shown, [kept("evil misbehaved"), kept("#7 could not be linked")]);
        let lasting = ["#7 could not be linked", "hello is not started again", "#8 could not be linked"];
        assert_eq!(texts(&warnings, SHOWN_MS + 1), lasting);
        // What happens again after that is told as if it were the first time.
        warnings.add_about("evil", Cause::Event, "evil misbehaved".into(), SHOWN_MS + 1);
        assert_eq!(texts(&warnings, SHOWN_MS + 1).last().unwrap(), "evil misbehaved");
    }

    #[test]
    fn old_warnings_leave_room_for_new_ones() {
        let mut warnings = Warnings::new((0..OWN_LIMIT).map(|number| format!("note {number}")).collect(), 0);
        warnings.add("the disk is full".into(), SHOWN_MS - 1);
        assert_eq!(texts(&warnings, SHOWN_MS - 1).len(), OWN_LIMIT, "nothing that is fresh is displaced");
        warnings.add("the disk is full".into(), SHOWN_MS);
        assert_eq!(texts(&warnings, SHOWN_MS), ["the disk is full"]);
    }
}
