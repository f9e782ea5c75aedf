//! What apps have asked for and nobody has decided: bounded, one for each label, with an end. Plain data; every change
//! comes from a record of the log.

use std::collections::BTreeMap;

use crate::record::{Asked, Denied, How};

/// At most so many undecided requests of one instance.
pub const PENDING_LIMIT: usize = 32;
/// At most so many undecided requests in all: more than any person reads, from more instances than ask at once.
pub const PENDING_LIMIT_IN_ALL: usize = 1_024;
/// How long a request waits for a decision.
pub const TIME_OUT_MS: u64 = 24 * 3_600 * 1_000;

/// Undecided requests, and what was decided against.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    pending: BTreeMap<u64, Asked>,
    settled: BTreeMap<(String, String), How>,
    highest: u64,
}

/// Where a label stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Undecided.
    Pending(u64),
    /// Decided against.
    Settled(How),
}

/// Too many are undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Requests {
    /// Where a label of an instance stands.
    #[must_use]
    pub fn standing(&self, instance: &str, label: &str) -> Option<Standing> {
        if let Some(how) = self.settled.get(&(instance.to_owned(), label.to_owned())) {
            return Some(Standing::Settled(*how));
        }
        let asked = self.pending.values().find(|asked| asked.instance == instance && asked.label == label)?;
        Some(Standing::Pending(asked.request))
    }

    /// Whether an instance may ask for one more thing.
    pub fn admits(&self, instance: &str) -> Result<(), TooMany> {
        let own = self.pending.values().filter(|asked| asked.instance == instance).count();
        if own >= PENDING_LIMIT || self.pending.len() >= PENDING_LIMIT_IN_ALL { Err(TooMany) } else { Ok(()) }
    }

    /// The number of the next request.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.highest + 1
    }

    /// The request with that number.
    #[must_use]
    pub fn get(&self, request: u64) -> Option<&Asked> {
        self.pending.get(&request)
    }

    /// Undecided ones, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Asked> {
        self.pending.values()
    }

    /// What was decided against.
    pub fn settled(&self) -> impl Iterator<Item = (&(String, String), &How)> {
        self.settled.iter()
    }

    /// Those that nobody decided in time.
    #[must_use]
    pub fn overdue(&self, now_ms: u64) -> Vec<Denied> {
        let is_overdue = |asked: &&Asked| asked.at_ms.saturating_add(TIME_OUT_MS) <= now_ms;
        self.pending
            .values()
            .filter(is_overdue)
            .map(|asked| Denied { instance: asked.instance.clone(), label: asked.label.clone(), how: How::TimedOut })
            .collect()
    }

    /// When the next one is over time.
    #[must_use]
    pub fn next_overdue_ms(&self) -> Option<u64> {
        self.pending.values().map(|asked| asked.at_ms.saturating_add(TIME_OUT_MS)).min()
    }

    /// A new request.
    pub fn ask(&mut self, asked: Asked) {
        self.highest = self.highest.max(asked.request);
        self.pending.insert(asked.request, asked);
    }

    /// A refusal.
    pub fn deny(&mut self, denied: &Denied) {
        self.take(&denied.instance, &denied.label);
        self.settled.insert((denied.instance.clone(), denied.label.clone()), denied.how);
    }

    /// A grant under the label: it is decided, and what was decided against it before counts no more.
    pub fn grant(&mut self, instance: &str, label: &str) -> Option<Asked> {
        self.settled.remove(&(instance.to_owned(), label.to_owned()));
        self.take(instance, label)
    }

    /// A run of the instance ended or begins: only what was decided for ever stays.
    pub fn end_run(&mut self, instance: &str) -> Vec<u64> {
        self.settled.retain(|(of, _), how| of != instance || *how == How::Always);
        let gone: Vec<u64> =
            self.pending.values().filter(|asked| asked.instance == instance).map(|asked| asked.request).collect();
        for request in &gone {
            self.pending.remove(request);
        }
        gone
    }

    /// The instance is no more.
    pub fn forget(&mut self, instance: &str) {
        self.end_run(instance);
        self.settled.retain(|(of, _), _| of != instance);
    }

    /// From a row of the index.
    pub fn restore_settled(&mut self, denied: &Denied) {
        self.settled.insert((denied.instance.clone(), denied.label.clone()), denied.how);
    }

    /// From the index.
    pub fn restore_next(&mut self, next: u64) {
        self.highest = self.highest.max(next.saturating_sub(1));
    }

    fn take(&mut self, instance: &str, label: &str) -> Option<Asked> {
        let request = self.pending.values().find(|asked| asked.instance == instance && asked.label == label)?.request;
        self.pending.remove(&request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: u64, instance: &str, label: &str) -> Asked {
        Asked { request, instance: instance.into(), label: label.into(), at_ms: 1_000, ..Asked::default() }
    }

    fn denied(instance: &str, label: &str, how: How) -> Denied {
        Denied { instance: instance.into(), label: label.into(), how }
    }

    #[test]
    fn an_instance_cannot_fill_the_list_for_others() {
        let mut requests = Requests::default();
        for number in 1..=u64::try_from(PENDING_LIMIT).unwrap() {
            assert_eq!(requests.admits("greedy"), Ok(()));
            requests.ask(asked(number, "greedy", &format!("l{number}")));
        }
        assert_eq!(requests.admits("greedy"), Err(TooMany));
        assert_eq!(requests.admits("other"), Ok(()));
    }

    #[test]
    fn a_denial_holds_for_the_run_and_always_for_ever() {
        let mut requests = Requests::default();
        for how in [How::Once, How::TimedOut] {
            requests.ask(asked(1, "a", "x"));
            requests.deny(&denied("a", "x", how));
            assert_eq!(requests.standing("a", "x"), Some(Standing::Settled(how)));
            requests.end_run("a");
            assert_eq!(requests.standing("a", "x"), None);
        }
        requests.deny(&denied("a", "x", How::Always));
        requests.end_run("a");
        assert_eq!(requests.standing("a", "x"), Some(Standing::Settled(How::Always)));
        requests.grant("a", "x");
        assert_eq!(requests.standing("a", "x"), None);
    }

    #[test]
    fn a_request_ends_in_time() {
        let mut requests = Requests::default();
        requests.ask(asked(1, "a", "x"));
        assert_eq!(requests.next_overdue_ms(), Some(1_000 + TIME_OUT_MS));
        assert!(requests.overdue(999 + TIME_OUT_MS).is_empty());
        assert_eq!(requests.overdue(1_000 + TIME_OUT_MS), [denied("a", "x", How::TimedOut)]);
    }

    #[test]
    fn numbers_only_grow() {
        let mut requests = Requests::default();
        requests.ask(asked(4, "a", "x"));
        requests.end_run("a");
        assert_eq!(requests.next(), 5);
    }
}
