//! The independent record: what `latch` acknowledged, written down by the test, and judged by nothing else.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tests::node::Node;

/// An instance and a label of it.
pub(crate) type Slot = (String, String);

/// What was acknowledged.
#[derive(Default)]
pub(crate) struct Ledger {
    slots: BTreeMap<Slot, Belief>,
    /// Grants of which it was acknowledged that they have ended.
    ended: BTreeSet<u64>,
    /// The largest number of a grant that was ever acknowledged.
    largest: u64,
}

/// What is known of a label.
#[derive(Clone, Copy, Default)]
struct Belief {
    alive: Option<u64>,
    /// Something was asked for and not acknowledged: it may have happened or not.
    doubt: bool,
}

impl Ledger {
    /// The grant that is in force under a label, where that is known.
    pub(crate) fn alive(&self, slot: &Slot) -> Option<u64> {
        self.slots.get(slot).filter(|belief| !belief.doubt).and_then(|belief| belief.alive)
    }

    /// Whether it is known that nothing is granted under a label.
    pub(crate) fn is_revoked(&self, slot: &Slot) -> bool {
        self.slots.get(slot).is_some_and(|belief| !belief.doubt && belief.alive.is_none())
    }

    /// A grant was acknowledged. Whatever was there before has ended.
    pub(crate) fn granted(&mut self, slot: &Slot, grant: u64) {
        assert!(!self.ended.contains(&grant), "grant {grant} was ended and is given out again");
        assert!(grant > self.largest, "grant {grant} comes after {}: a number was used twice", self.largest);
        self.largest = grant;
        let before = self.slots.insert(slot.clone(), Belief { alive: Some(grant), doubt: false });
        self.ended.extend(before.and_then(|before| before.alive));
    }

    /// A revocation was acknowledged.
    pub(crate) fn revoked(&mut self, slot: &Slot, grant: u64) {
        self.ended.insert(grant);
        self.slots.insert(slot.clone(), Belief::default());
    }

    /// Something was asked for and not acknowledged.
    pub(crate) fn doubt(&mut self, slot: &Slot) {
        self.slots.entry(slot.clone()).or_default().doubt = true;
    }

    /// Compares with what the node says now, where that is not in doubt: a command whose answer was lost may still be
    /// carried out.
    pub(crate) fn judge(&mut self, node: &Node, when: &str) {
        self.compare(node, when, false);
    }

    /// The same once nothing is under way any more, because the powerbox was started anew. What was in doubt is known from
    /// then on: the node has said it.
    pub(crate) fn settle(&mut self, node: &Node, when: &str) {
        self.compare(node, when, true);
    }

    fn compare(&mut self, node: &Node, when: &str, settled: bool) {
        let rows = node.json(["grants"]);
        let rows = rows.as_array().expect("grants are listed");
        let mut alive: BTreeMap<Slot, u64> = BTreeMap::new();
        for row in rows {
            let (slot, grant) = read(row);
            // What shells hold for a moment is not what this is about.
            if !self.slots.contains_key(&slot) {
                continue;
            }
            assert!(!self.ended.contains(&grant), "{when}: grant {grant} of {slot:?} was revoked and is alive again");
            let second = alive.insert(slot.clone(), grant);
            assert!(second.is_none(), "{when}: {slot:?} has two grants, {second:?} and {grant}");
        }
        for (slot, belief) in &mut self.slots {
            let found = alive.get(slot).copied();
            if belief.doubt && !settled {
                continue;
            }
            if belief.doubt {
                self.ended.extend(belief.alive.filter(|before| found != Some(*before)));
                self.largest = self.largest.max(found.unwrap_or(0));
                *belief = Belief { alive: found, doubt: false };
            }
            assert_eq!(found, belief.alive, "{when}: what is granted as {slot:?} is not what was acknowledged");
        }
        let verified = node.json(["log", "--verify"]);
        assert_eq!(verified["ok"], true, "{when}: {verified}");
    }
}

fn read(row: &Value) -> (Slot, u64) {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    ((text("holder"), text("label")), row["id"].as_u64().expect("grants are numbered"))
}
