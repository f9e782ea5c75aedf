//! Properties of the tree under long runs of random changes, each named by its seed.

use super::*;
use crate::caveats::{Caveats, narrow};
use crate::record::{Folder, Source};
use crate::testing::Generator;
use vat::words::Rights;

fn node(grant: u64, parent: u64, holder: Holder, label: &str, caveats: Caveats) -> Node {
    Node {
        granted: Granted {
            grant,
            parent,
            holder,
            label: label.to_owned(),
            offer: "host:/x".into(),
            source: Source::Folder(Folder::default()),
            interface: 1,
            caveats,
            transient: false,
        },
        at_ms: 1,
        by: "test".into(),
        position: grant,
        reason: String::new(),
        left: Left::default(),
        lease: None,
        ended: None,
    }
}

fn end() -> End {
    End { at_ms: 2, by: "test".into(), reason: EndReason::Revoked, detail: String::new() }
}

fn holder(random: &mut Generator) -> Holder {
    match random.below(4) {
        0 => Holder::Shell { process: random.below(3), uid: 0 },
        other => Holder::Instance(format!("app{other}")),
    }
}

/// A label has one grant at a time: the one before ends first.
fn free_label(tree: &mut Tree, next: &Node) {
    if let Some((grant, _)) = tree.labelled(&next.granted.holder, &next.granted.label) {
        tree.end(&[grant], &end());
    }
}

/// Calls of a grant's whole subtree that somebody could still use.
fn usable(tree: &Tree, grant: u64) -> u64 {
    let node = tree.get(grant).unwrap();
    let own = if node.ended.is_none() { node.left.calls.unwrap_or(0) } else { 0 };
    let leased = node.lease.map_or(0, |lease| lease.calls);
    let below: u64 =
        tree.iter().filter(|(_, child)| child.granted.parent == grant).map(|(child, _)| usable(tree, *child)).sum();
    own + leased + below
}

/// A tree after some random life; `check` sees it after every change, with the number of roots so far.
fn live(seed: u64, steps: u64, mut check: impl FnMut(&Tree, u64)) {
    let mut random = Generator::new(seed);
    let mut tree = Tree::default();
    let mut next_link = 1;
    for _ in 0..steps {
        let known = tree.next() - 1;
        match random.below(8) {
            0 => {
                let caveats = Caveats { rights: Rights::ALL, calls: Some(random.below(1_000)), ..Caveats::default() };
                let root = node(tree.next(), 0, holder(&mut random), &format!("l{}", random.below(4)), caveats);
                free_label(&mut tree, &root);
                tree.insert(root).unwrap();
            }
            1..=3 => {
                let parent = random.below(known + 1);
                let Some(above) = tree.get(parent) else { continue };
                let asked = Caveats {
                    rights: Rights::READ,
                    calls: if random.below(2) == 0 { None } else { Some(random.below(50)) },
                    ..Caveats::default()
                };
                let alive = tree.is_alive(parent);
                let Ok(caveats) = narrow(&above.granted.caveats, above.left, &asked, 0) else { continue };
                let child = node(tree.next(), parent, holder(&mut random), &format!("l{}", random.below(4)), caveats);
                if alive {
                    free_label(&mut tree, &child);
                }
                let alive = tree.is_alive(parent);
                assert_eq!(tree.insert(child).is_ok(), alive, "seed {seed}: child of {parent}");
            }
            4 => {
                let grant = random.below(known + 1);
                let Some(node) = tree.get(grant).filter(|node| node.ended.is_none()) else { continue };
                let Some(left) = node.left.calls else { continue };
                // A link's first slice, or a further one.
                let link = node.lease.map_or(next_link, |lease| lease.link);
                next_link = next_link.max(link + 1);
                tree.lease(Leased { grant, link, calls: random.below(left + 1), bytes: 0 });
            }
            5 | 6 => {
                let grant = random.below(known + 1);
                // Sometimes a lie: another link, or more than it had.
                let link =
                    tree.get(grant).and_then(|node| node.lease).map_or(0, |lease| lease.link) + random.below(8) / 7;
                tree.settle(Leased { grant, link, calls: random.below(2_000), bytes: 0 }, random.below(3) == 0);
            }
            _ => {
                tree.end(&[random.below(known + 1)], &end());
            }
        }
        check(&tree, known);
    }
}

#[test]
fn no_grant_outlives_its_parent() {
    for seed in 0..200 {
        live(seed, 200, |tree, _| {
            for (grant, node) in tree.iter() {
                if node.ended.is_none() && node.granted.parent != 0 {
                    assert!(tree.is_alive(node.granted.parent), "seed {seed}: {grant} lives below a dead one");
                }
            }
        });
    }
}

#[test]
fn budgets_are_never_refilled() {
    for seed in 0..200 {
        let mut before: BTreeMap<u64, u64> = BTreeMap::new();
        live(seed, 200, |tree, _| {
            for (grant, node) in tree.iter().filter(|(_, node)| node.granted.parent == 0) {
                let now = usable(tree, *grant);
                let then = before.insert(*grant, now).unwrap_or(node.granted.caveats.calls.unwrap());
                assert!(now <= then, "seed {seed}: grant {grant} could use {then}, and now {now}");
            }
        });
    }
}

#[test]
fn a_cut_takes_everything_below_and_nothing_else() {
    for seed in 0..200 {
        let mut tree = Tree::default();
        live(seed, 120, |now, _| tree = now.clone());
        let mut random = Generator::new(seed ^ 0xc07);
        let victim = random.below(tree.next());
        let is_below = |mut grant: u64| loop {
            if grant == victim {
                return true;
            }
            match tree.get(grant) {
                Some(node) if node.granted.parent != 0 => grant = node.granted.parent,
                _ => return false,
            }
        };
        let expected: BTreeSet<u64> = tree
            .iter()
            .filter(|(grant, node)| node.ended.is_none() && is_below(**grant))
            .map(|(grant, _)| *grant)
            .collect();
        let mut cut = tree.clone();
        let (ended, _) = cut.end(&[victim], &end());
        assert_eq!(ended.iter().copied().collect::<BTreeSet<_>>(), expected, "seed {seed}, grant {victim}");
        for (grant, node) in tree.iter().filter(|(_, node)| node.ended.is_none()) {
            assert_eq!(cut.is_alive(*grant), !expected.contains(grant), "seed {seed}: {grant} {:?}", node.granted);
        }
        assert_eq!(cut.alive(), tree.alive() - expected.len(), "seed {seed}");
    }
}

#[test]
fn a_tree_restored_from_its_nodes_is_the_same() {
    for seed in 0..100 {
        let mut tree = Tree::default();
        live(seed, 200, |now, _| tree = now.clone());
        let mut restored = Tree::default();
        for (_, node) in tree.iter() {
            restored.restore(node.clone());
        }
        restored.restore_order(tree.forgettable(), tree.next());
        assert_eq!(format!("{:?}", tree.nodes), format!("{:?}", restored.nodes), "seed {seed}");
        assert_eq!(tree.children, restored.children, "seed {seed}");
        assert_eq!(tree.labels, restored.labels, "seed {seed}");
        assert_eq!(tree.expiries, restored.expiries, "seed {seed}");
        assert_eq!((tree.alive, tree.highest), (restored.alive, restored.highest), "seed {seed}");
    }
}

#[test]
fn a_number_is_never_used_twice() {
    let mut tree = Tree::default();
    let one = node(1, 0, Holder::Instance("a".into()), "x", Caveats::default());
    tree.insert(one.clone()).unwrap();
    assert_eq!(tree.insert(one.clone()), Err(NoPlace::NumberUsed));
    tree.end(&[1], &end());
    assert_eq!(tree.insert(one), Err(NoPlace::NumberUsed));
}

#[test]
fn many_ended_grants_are_forgotten_but_not_what_a_label_remembers() {
    let mut tree = Tree::default();
    let revoked = node(1, 0, Holder::Instance("a".into()), "kept", Caveats::default());
    tree.insert(revoked).unwrap();
    tree.end(&[1], &end());
    for _ in 0..2 * ENDED_KEPT {
        let grant = tree.next();
        let shell = Holder::Shell { process: 1 << 63, uid: 0 };
        tree.insert(node(grant, 0, shell, "use", Caveats::default())).unwrap();
        tree.end(&[grant], &end());
    }
    assert!(tree.labelled(&Holder::Instance("a".into()), "kept").is_some());
    assert!(tree.iter().count() <= ENDED_KEPT + 1, "{} are kept", tree.iter().count());
}
