//! What people should know, for `status`: bounded, and so kept that nobody can crowd out what others did, nor what the
//! node says of itself. Pure.

use std::collections::VecDeque;

/// The node's own warnings at most: they come from a fixed set of places in it, and more of them say nothing new.
const OWN_LIMIT: usize = 32;
/// Names with a warning at most: more than run on one machine. Who was warned of the longest ago goes first.
const NAMES_LIMIT: usize = 32;

/// What people should know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings {
    own: Vec<String>,
    /// The latest last.
    named: VecDeque<Named>,
}

/// The latest warning about an app, or another of those that the node runs.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    text: String,
    times: u64,
}

impl Warnings {
    /// Those that the node begins with.
    pub(crate) fn new(own: Vec<String>) -> Self {
        Self { own, named: VecDeque::new() }
    }

    /// What the node says of itself.
    pub(crate) fn add(&mut self, text: String) {
        if self.own.len() < OWN_LIMIT && !self.own.contains(&text) {
            self.own.push(text);
        }
    }

    /// What is said of somebody takes the place of what was said of them before.
    pub(crate) fn add_about(&mut self, name: &str, text: String) {
        let known = self.named.iter().position(|named| named.name == name);
        let before = known.and_then(|known| self.named.remove(known)).map_or(0, |named| named.times);
        if self.named.len() == NAMES_LIMIT {
            self.named.pop_front();
        }
        self.named.push_back(Named { name: name.to_owned(), text, times: before.saturating_add(1) });
    }

    /// All, for people: the node's own first, then the latest about each name.
    pub(crate) fn texts(&self) -> Vec<String> {
        let named = self.named.iter().map(|named| match named.times {
            1 => named.text.clone(),
            times => format!("{} (the latest of {times} warnings about it)", named.text),
        });
        self.own.iter().cloned().chain(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_warned_of_again_and_again_has_one_place_and_hides_nobody() {
        let mut warnings = Warnings::new(vec!["the index was rebuilt".into()]);
        warnings.add_about("victim", "victim misbehaved".into());
        for time in 0..1_000 {
            warnings.add_about("evil", format!("evil did {time}"));
        }
        warnings.add("the disk is full".into());
        warnings.add("the disk is full".into());
        let latest = "evil did 999 (the latest of 1000 warnings about it)";
        assert_eq!(warnings.texts(), ["the index was rebuilt", "the disk is full", "victim misbehaved", latest]);
    }

    #[test]
    fn many_names_displace_the_oldest_of_them_and_nothing_of_the_node() {
        let mut warnings = Warnings::new(vec!["the index was rebuilt".into()]);
        for number in 0..=NAMES_LIMIT {
            warnings.add_about(&format!("evil#{number}"), format!("evil#{number} misbehaved"));
            warnings.add_about("evil#1", "evil#1 misbehaved".into());
        }
        warnings.add("the disk is full".into());
        let texts = warnings.texts();
        assert_eq!(texts.len(), 2 + NAMES_LIMIT);
        assert_eq!(texts[..2], ["the index was rebuilt", "the disk is full"]);
        assert!(!texts.iter().any(|text| text.starts_with("evil#0 ")), "{texts:?}");
        assert!(texts.iter().any(|text| text.starts_with("evil#1 ")), "{texts:?}");
    }
}
