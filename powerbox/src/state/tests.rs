//! The same log always gives the same state, with or without the index in between.

use super::*;
use crate::caveats::Caveats;
use crate::record::{Asked, Denied, Ended, Exited, Folder, Leased, Source};
use crate::testing::Generator;
use vat::words::Rights;

/// A plausible life of a node, as records.
pub(crate) fn life(seed: u64, records: u64) -> Vec<Entry> {
    let mut random = Generator::new(seed);
    let mut state = State::default();
    let mut entries = Vec::new();
    while (entries.len() as u64) < records {
        let entry = Entry {
            position: state.position + 1,
            at_ms: state.last_at_ms + random.below(1_000),
            by: "uid 1000".into(),
            record: any(&mut random, &state),
        };
        if state.clone().apply(&entry).is_ok() {
            state.apply(&entry).unwrap();
            entries.push(entry);
        }
    }
    entries
}

fn any(random: &mut Generator, state: &State) -> Record {
    let instance = format!("app{}", random.below(3));
    let label = format!("l{}", random.below(3));
    let known = random.below(state.grants.next());
    let leased = Leased { grant: known, link: 1 + random.below(20), calls: random.below(5), bytes: 0 };
    match random.below(16) {
        0 => Record::Opened { version: "1".into(), node_start: random.below(2) == 0 },
        1 => Record::Trusted(Author { key: [random.below(3) as u8; 32], name: "Ada".into(), at_ms: 7 }),
        2 => Record::Distrusted([random.below(3) as u8; 32]),
        3 => Record::Installed(Installed {
            manifest: package::Manifest { name: instance, ..package::Manifest::default() },
            digest: [3; 32],
            bytes: 9,
            at_ms: 1,
        }),
        4 if random.below(4) == 0 => Record::Uninstalled(instance),
        4 | 5 => Record::Ran(Ran {
            app: instance.clone(),
            instance,
            process: random.below(100),
            arguments: vec!["x".into()],
            ..Ran::default()
        }),
        6 => {
            let process = state.instances.get(&instance).map_or(0, |row| row.run.process);
            Record::Exited(Exited { instance, process, code: -9, last: "oh".into() })
        }
        // Nobody asks again for what is undecided or decided against.
        7 if state.requests.standing(&instance, &label).is_some() => Record::Note("asked again".into()),
        7 => Record::Asked(Asked { request: state.requests.next(), instance, label, ..Asked::default() }),
        8 => {
            let how = [How::Once, How::Always, How::TimedOut][random.below(3) as usize];
            Record::Denied(Denied { instance, label, how })
        }
        9..=11 => {
            let alive = state.grants.is_alive(known);
            let asked = Caveats { rights: Rights::READ, calls: Some(random.below(20)), ..Caveats::default() };
            let holder = if random.below(3) == 0 {
                Holder::Shell { process: 1 << 63, uid: 5 }
            } else {
                Holder::Instance(instance)
            };
            if let Some((grants, _)) = state.grants.labelled(&holder, &label).filter(|(_, node)| node.ended.is_none()) {
                // A label has one grant at a time: the one before ends first.
                return Record::Ended(Ended { grants: vec![grants], reason: EndReason::Closed, detail: String::new() });
            }
            Record::Granted(Box::new(Granted {
                grant: state.grants.next(),
                parent: if alive { known } else { 0 },
                holder,
                label,
                offer: "host:/x".into(),
                source: Source::Folder(Folder { path: "/x".into(), handle: vec![1, 2], ..Folder::default() }),
                interface: 1,
                caveats: asked,
                transient: false,
            }))
        }
        12 => Record::Ended(Ended { grants: vec![known], reason: EndReason::Revoked, detail: "so".into() }),
        13 => Record::Leased(leased),
        14 => Record::Returned(leased),
        _ => Record::Lost(leased),
    }
}

/// What must be the same of two states.
pub(crate) fn summary(state: &State) -> String {
    let grants: Vec<_> = state.grants.iter().collect();
    let pending: Vec<_> = state.requests.pending().collect();
    let settled: Vec<_> = state.requests.settled().collect();
    let labels: Vec<_> =
        (0..9).map(|index| state.label(&format!("app{}", index / 3), &format!("l{}", index % 3))).collect();
    format!(
        "{:?}{:?}{:?}{grants:?}{pending:?}{settled:?}{labels:?}{} {} {} {}",
        state.authors,
        state.packages,
        state.instances,
        state.reserved,
        state.position,
        state.grants.next(),
        state.requests.next()
    )
}

#[test]
fn the_rows_that_changed_rebuild_the_state() {
    for seed in 0..60 {
        let mut state = State::default();
        let mut rows = BTreeMap::new();
        let mut random = Generator::new(seed);
        for entry in life(seed, 150) {
            state.apply(&entry).unwrap();
            if random.below(5) == 0 {
                for (key, value) in state.take_changes() {
                    match value {
                        Some(value) => rows.insert(key, value),
                        None => rows.remove(&key),
                    };
                }
                let mut restored = State::default();
                for row in rows.values() {
                    restored.restore(row).unwrap();
                }
                restored.position = state.position;
                assert_eq!(summary(&restored), summary(&state), "seed {seed}, record {}", entry.position);
            }
        }
    }
}

#[test]
fn a_record_out_of_order_changes_nothing() {
    let entries = life(1, 20);
    let mut state = State::default();
    for entry in &entries[..10] {
        state.apply(entry).unwrap();
    }
    let before = summary(&state);
    assert!(state.apply(&entries[15]).is_err());
    assert!(state.apply(&entries[3]).is_err());
    assert_eq!(summary(&state), before);
}

#[test]
fn a_revoked_label_stays_revoked_until_granted_anew() {
    let mut state = State::default();
    let apply = |state: &mut State, record| {
        let entry = Entry { position: state.position + 1, at_ms: 1, by: String::new(), record };
        state.apply(&entry).unwrap();
    };
    let grant = |grant| {
        Record::Granted(Box::new(Granted {
            grant,
            parent: 0,
            holder: Holder::Instance("a".into()),
            label: "dir".into(),
            offer: String::new(),
            source: Source::Folder(Folder::default()),
            interface: 1,
            caveats: Caveats::default(),
            transient: false,
        }))
    };
    let ended = |grant, reason| Record::Ended(Ended { grants: vec![grant], reason, detail: String::new() });
    apply(&mut state, grant(1));
    assert_eq!(state.label("a", "dir"), LabelState::Granted(1));
    apply(&mut state, ended(1, EndReason::Revoked));
    assert_eq!(state.label("a", "dir"), LabelState::Revoked(1));
    apply(&mut state, grant(2));
    apply(&mut state, ended(2, EndReason::Expired));
    assert_eq!(state.label("a", "dir"), LabelState::Expired(2));
    apply(&mut state, grant(3));
    apply(&mut state, ended(3, EndReason::Exhausted));
    assert_eq!(state.label("a", "dir"), LabelState::Exhausted(3));
    apply(&mut state, grant(4));
    apply(&mut state, ended(4, EndReason::Closed));
    assert_eq!(state.label("a", "dir"), LabelState::Free);
}
