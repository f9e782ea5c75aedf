//! Whole nodes whose kernel or powerbox or keys are killed while several people store files.

use crate::seed::{Draw, rounds};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tests::node::Node;
use tests::processes::kill;
use tests::until;

const PASSPHRASE: &str = "a passphrase of the crash tests";
const PEOPLE: usize = 3;
/// Each once in a round. With the kernel dies every process of the node.
const VICTIMS: [&str; 5] = ["kernel", "powerbox", "kernel", "storage", "keys"];

/// What was acknowledged: name and content, and what was asked for.
#[derive(Default)]
struct Stored {
    acknowledged: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: Mutex<BTreeMap<String, Vec<u8>>>,
    count: AtomicUsize,
}

impl Stored {
    /// Stores one file after the other until one fails.
    fn store(&self, node: &Node, person: usize, round: usize, mut draw: Draw) {
        for number in 0.. {
            let name = format!("{round}-{person}-{number}");
            let mut content = vec![0; 1 + draw.below(60_000)];
            blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut content);
            let local = node.scratch().join(&name);
            std::fs::write(&local, &content).expect("room for a file");
            self.asked.lock().expect("nobody panics").insert(name.clone(), content.clone());
            let folder = format!("storage:/p{person}");
            let output = node.run(["put".as_ref(), local.as_os_str(), folder.as_ref(), name.as_ref()]);
            std::fs::remove_file(&local).expect("it is there");
            if !output.status.success() {
                return;
            }
            self.acknowledged.lock().expect("nobody panics").insert(name, content);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn judge(&self, node: &Node, when: &str) {
        let acknowledged = self.acknowledged.lock().expect("nobody panics");
        let asked = self.asked.lock().expect("nobody panics");
        let mut found = 0;
        for person in 0..PEOPLE {
            let folder = format!("storage:/p{person}");
            for name in node.expect(["ls", &folder]).lines() {
                // Half of what was being stored has a name of its own, and is nobody's file.
                let Some(content) = asked.get(name) else { continue };
                assert!(node.stored(&folder, name) == *content, "{when}: {name} is not what was stored");
                found += usize::from(acknowledged.contains_key(name));
            }
        }
        assert_eq!(found, acknowledged.len(), "{when}: what was acknowledged is lost");
        let checked = node.expect(["fsck"]);
        assert!(checked.starts_with("clean"), "{when}: {checked}");
        assert_eq!(node.json(["log", "--verify"])["ok"], true, "{when}");
    }
}

#[test]
fn what_people_stored_outlives_the_death_of_any_part_of_the_node() {
    let mut draw = Draw::of(6);
    let node = Node::start();
    node.create_keys(PASSPHRASE);
    let stored = Stored::default();
    for (round, victim) in (0..rounds()).flat_map(|_| VICTIMS).enumerate() {
        let after = stored.count.load(Ordering::Relaxed) + 2 + draw.below(8);
        println!("{victim} after {after} files");
        std::thread::scope(|scope| {
            for person in 0..PEOPLE {
                let (node, stored, draw) = (&node, &stored, draw.fork());
                scope.spawn(move || stored.store(node, person, round, draw));
            }
            until("nothing is stored", || stored.count.load(Ordering::Relaxed) >= after);
            let process = if victim == "kernel" { node.kernel() } else { node.processes(victim).first().copied() };
            assert!(kill(process.expect("it runs")), "{victim} was not there");
            // Whoever is not hit goes on, and would for ever: with the keys locked the last one ends.
            until("the node does not answer", || node.run(["keys", "lock"]).status.success());
        });
        until("the keys are not opened", || node.run(node.keys_words("unlock", PASSPHRASE)).status.success());
        stored.judge(&node, &format!("{victim} in round {round}"));
        // The pauses before new starts double with each death.
        node.expect(["down"]);
        node.up();
        node.unlock_keys(PASSPHRASE);
    }
    println!("{} files", stored.count.load(Ordering::Relaxed));
}
