//! The grant tree: who holds what, what hangs below it, and what of each budget is left. Plain data: no clock, no
//! output; every change comes from a record of the log, in the log's order, so that the same log gives the same tree.
//!
//! Budgets are split, never copied. A limited grant's calls (and bytes) are at any time in exactly one of four places:
//! left to it, with its open link (`lease`), given to a child, or used. What a child or a link does not use comes back
//! when it ends in order; nothing else adds to a budget.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use vat::words::EndReason;

use crate::caveats::Left;
use crate::record::{Granted, Holder, Leased};

/// How many ended grants stay listed, beside the last one of every label of an instance. At about 600 bytes each they
/// take 2.4 MB; the log keeps them all.
pub const ENDED_KEPT: usize = 4_096;

/// A grant with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As it was made.
    pub granted: Granted,
    /// When.
    pub at_ms: u64,
    /// By whom.
    pub by: String,
    /// Of the record that made it.
    pub position: u64,
    /// The asker's words at that time.
    pub reason: String,
    /// What is left to give to links and children.
    pub left: Left,
    /// What its open link has been given, in all its slices.
    pub lease: Option<Leased>,
    /// Why and when it ended.
    pub ended: Option<End>,
}

/// How a grant ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at_ms: u64,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: EndReason,
    /// In words.
    pub detail: String,
}

/// Why a grant cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The number was used before.
    NumberUsed,
    /// What it would be a child of has ended, or never was.
    ParentEnded,
    /// The parent has less left than that.
    BudgetUsed,
}

/// Every grant that is alive or still listed.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<u64, Node>,
    /// Those alive, below each that is alive.
    children: HashMap<u64, BTreeSet<u64>>,
    /// The last grant under a label.
    labels: HashMap<(Holder, String), u64>,
    /// Ended ones that may be forgotten, oldest first.
    forgettable: VecDeque<u64>,
    /// Every end of those alive.
    expiries: BTreeSet<(u64, u64)>,
    alive: usize,
    highest: u64,
}

impl Tree {
    /// The grant, if it is still listed.
    #[must_use]
    pub fn get(&self, grant: u64) -> Option<&Node> {
        self.nodes.get(&grant)
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_alive(&self, grant: u64) -> bool {
        self.nodes.get(&grant).is_some_and(|node| node.ended.is_none())
    }

    /// All that are listed, by number.
    pub fn iter(&self) -> impl Iterator<Item = (&u64, &Node)> {
        self.nodes.iter()
    }

    /// All listed with numbers above this one.
    pub fn after(&self, grant: u64) -> impl Iterator<Item = (&u64, &Node)> {
        self.nodes.range((std::ops::Bound::Excluded(grant), std::ops::Bound::Unbounded))
    }

    /// How many have not ended.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// The number of the next grant.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.highest + 1
    }

    /// The last grant that this holder had under this label.
    #[must_use]
    pub fn labelled(&self, holder: &Holder, label: &str) -> Option<(u64, &Node)> {
        let grant = *self.labels.get(&(holder.clone(), label.to_owned()))?;
        self.nodes.get(&grant).map(|node| (grant, node))
    }

    /// Those of a holder that have not ended.
    pub fn held_by<'a>(&'a self, holder: &'a Holder) -> impl Iterator<Item = (u64, &'a Node)> {
        self.nodes
            .iter()
            .filter(move |(_, node)| node.ended.is_none() && node.granted.holder == *holder)
            .map(|(grant, node)| (*grant, node))
    }

    /// The direct children that have not ended.
    pub fn children(&self, grant: u64) -> impl Iterator<Item = u64> + '_ {
        self.children.get(&grant).into_iter().flatten().copied()
    }

    /// These grants and all below them, those alive only, parents before children, each once.
    #[must_use]
    pub fn with_descendants(&self, grants: &[u64]) -> Vec<u64> {
        let mut seen = BTreeSet::new();
        let mut found: Vec<u64> = Vec::new();
        let mut queue: VecDeque<u64> = grants.iter().copied().filter(|grant| self.is_alive(*grant)).collect();
        while let Some(grant) = queue.pop_front() {
            if seen.insert(grant) {
                found.push(grant);
                queue.extend(self.children(grant));
            }
        }
        found
    }

    /// How many grants are above this one.
    #[must_use]
    pub fn depth(&self, grant: u64) -> u16 {
        let mut depth = 0;
        let mut at = grant;
        while let Some(node) = self.nodes.get(&at) {
            if node.granted.parent == 0 || node.granted.parent >= at {
                break;
            }
            at = node.granted.parent;
            depth += 1;
        }
        depth
    }

    /// The grants that end by this time.
    #[must_use]
    pub fn expired(&self, now_ms: u64) -> Vec<u64> {
        self.expiries.iter().take_while(|(at_ms, _)| *at_ms <= now_ms).map(|(_, grant)| *grant).collect()
    }

    /// When the next grant ends by its time.
    #[must_use]
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.expiries.first().map(|(at_ms, _)| *at_ms)
    }

    /// Whether a grant could be made now.
    pub fn admits(&self, granted: &Granted) -> Result<(), NoPlace> {
        if granted.grant <= self.highest {
            return Err(NoPlace::NumberUsed);
        }
        if granted.parent == 0 {
            return Ok(());
        }
        let parent = self.nodes.get(&granted.parent).filter(|node| node.ended.is_none()).ok_or(NoPlace::ParentEnded)?;
        let fits =
            |left: Option<u64>, asked: Option<u64>| left.is_none_or(|left| asked.is_some_and(|asked| asked <= left));
        if fits(parent.left.calls, granted.caveats.calls) && fits(parent.left.bytes, granted.caveats.bytes) {
            Ok(())
        } else {
            Err(NoPlace::BudgetUsed)
        }
    }

    /// Adds a grant and takes its budget from its parent.
    pub fn insert(&mut self, node: Node) -> Result<(), NoPlace> {
        self.admits(&node.granted)?;
        let grant = node.granted.grant;
        let caveats = &node.granted.caveats;
        if let Some(parent) = self.nodes.get_mut(&node.granted.parent) {
            take(&mut parent.left.calls, caveats.calls);
            take(&mut parent.left.bytes, caveats.bytes);
        }
        self.restore(Node {
            left: Left { calls: caveats.calls, bytes: caveats.bytes },
            lease: None,
            ended: None,
            ..node
        });
        debug_assert_eq!(self.highest, grant);
        Ok(())
    }

    /// Puts a grant in its place as it is, from a row of the index.
    pub fn restore(&mut self, node: Node) {
        let grant = node.granted.grant;
        self.highest = self.highest.max(grant);
        let key = (node.granted.holder.clone(), node.granted.label.clone());
        if node.ended.is_none() {
            self.alive += 1;
            if node.granted.parent != 0 {
                self.children.entry(node.granted.parent).or_default().insert(grant);
            }
            if node.granted.caveats.expires_at_ms != 0 {
                self.expiries.insert((node.granted.caveats.expires_at_ms, grant));
            }
        }
        if matches!(node.granted.holder, Holder::Instance(_)) || node.ended.is_none() {
            let last = self.labels.entry(key).or_insert(grant);
            *last = (*last).max(grant);
        }
        self.nodes.insert(grant, node);
    }

    /// Puts the order back in which ended grants are forgotten, and the highest number, from the index.
    pub fn restore_order(&mut self, forgettable: impl IntoIterator<Item = u64>, next: u64) {
        self.forgettable = forgettable.into_iter().collect();
        self.highest = self.highest.max(next.saturating_sub(1));
    }

    /// Those ended that may be forgotten, oldest first.
    pub fn forgettable(&self) -> impl Iterator<Item = u64> + '_ {
        self.forgettable.iter().copied()
    }

    /// Ends these grants and all below them. Returns those that ended by this, and those that are forgotten now.
    pub fn end(&mut self, grants: &[u64], end: &End) -> (Vec<u64>, Vec<u64>) {
        let ending = self.with_descendants(grants);
        // Children first, so that what they did not use reaches the highest parent that lives on.
        for grant in ending.iter().rev() {
            self.end_one(*grant, end);
        }
        let forgotten = self.forget_oldest();
        (ending, forgotten)
    }

    fn end_one(&mut self, grant: u64, end: &End) {
        let Some(node) = self.nodes.get_mut(&grant) else { return };
        node.ended = Some(end.clone());
        let left = std::mem::replace(&mut node.left, Left { calls: Some(0), bytes: Some(0) });
        let parent = node.granted.parent;
        let key = (node.granted.holder.clone(), node.granted.label.clone());
        self.expiries.remove(&(node.granted.caveats.expires_at_ms, grant));
        self.alive -= 1;
        self.children.remove(&grant);
        if let Some(siblings) = self.children.get_mut(&parent) {
            siblings.remove(&grant);
            if siblings.is_empty() {
                self.children.remove(&parent);
            }
        }
        self.give(parent, left);
        if matches!(key.0, Holder::Shell { .. }) && self.labels.get(&key) == Some(&grant) {
            self.labels.remove(&key);
        }
        self.forgettable.push_back(grant);
    }

    /// Gives back to a grant, if it is alive and limited.
    fn give(&mut self, grant: u64, left: Left) {
        if let Some(node) = self.nodes.get_mut(&grant).filter(|node| node.ended.is_none()) {
            give(&mut node.left.calls, left.calls);
            give(&mut node.left.bytes, left.bytes);
        }
    }

    fn forget_oldest(&mut self) -> Vec<u64> {
        let mut forgotten = Vec::new();
        let mut looked_at = 0;
        while self.forgettable.len() > ENDED_KEPT && looked_at < 2 * ENDED_KEPT {
            looked_at += 1;
            let Some(grant) = self.forgettable.pop_front() else { break };
            let Some(node) = self.nodes.get(&grant) else { continue };
            let key = (node.granted.holder.clone(), node.granted.label.clone());
            if self.labels.get(&key) == Some(&grant) {
                // Its label remembers by it that it was revoked.
                self.forgettable.push_back(grant);
                continue;
            }
            self.nodes.remove(&grant);
            forgotten.push(grant);
        }
        forgotten
    }

    /// Forgets what an instance held and what its labels remember, once all of it has ended: the instance is no more.
    /// Returns what is forgotten.
    pub fn forget_holder(&mut self, holder: &Holder) -> Vec<u64> {
        let is_theirs = |node: &Node| node.ended.is_some() && node.granted.holder == *holder;
        let gone: Vec<u64> = self.nodes.iter().filter(|(_, node)| is_theirs(node)).map(|(grant, _)| *grant).collect();
        for grant in &gone {
            self.nodes.remove(grant);
        }
        self.labels.retain(|(held_by, _), grant| held_by != holder || self.nodes.contains_key(grant));
        gone
    }

    /// Sets a slice aside for a link: from now on it counts as used. Takes no more than is left.
    pub fn lease(&mut self, leased: Leased) {
        if let Some(node) = self.nodes.get_mut(&leased.grant).filter(|node| node.ended.is_none()) {
            take(&mut node.left.calls, Some(leased.calls));
            take(&mut node.left.bytes, Some(leased.bytes));
            let before = node.lease.filter(|lease| lease.link == leased.link).unwrap_or_default();
            let calls = before.calls.saturating_add(leased.calls);
            node.lease = Some(Leased { calls, bytes: before.bytes.saturating_add(leased.bytes), ..leased });
        }
    }

    /// Ends the lease of a link and gives back what it did not use: never more than it had.
    pub fn settle(&mut self, leased: Leased, lost: bool) {
        let Some(node) = self.nodes.get_mut(&leased.grant) else { return };
        let Some(lease) = node.lease.filter(|lease| lease.link == leased.link) else { return };
        node.lease = None;
        if lost {
            return;
        }
        let unused = Left { calls: Some(leased.calls.min(lease.calls)), bytes: Some(leased.bytes.min(lease.bytes)) };
        let to = if node.ended.is_none() { leased.grant } else { node.granted.parent };
        self.give(to, unused);
    }
}

fn take(left: &mut Option<u64>, amount: Option<u64>) {
    if let (Some(left), Some(amount)) = (left.as_mut(), amount) {
        *left = left.saturating_sub(amount);
    }
}

fn give(left: &mut Option<u64>, amount: Option<u64>) {
    if let (Some(left), Some(amount)) = (left.as_mut(), amount) {
        *left = left.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests;
