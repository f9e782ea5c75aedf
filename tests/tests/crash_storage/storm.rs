//! Seeded ends of the store's lives, one after the other, each judged.

use crate::disaster::{Disaster, OPENING};
use crate::disk;
use crate::journal::Journal;
use crate::judge;
use crate::keys::Keys;
use crate::ledger::{End, Ledger};
use crate::seed::{Draw, rounds};
use crate::store::{Storage, USER};
use crate::tree::difference;
use crate::writer::{Shared, Writer};
use capnp::capability::FromClientHook;
use files::testing::remove;
use schema::filesystem_capnp::directory;
use schema::storage_capnp::stored_directory;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

/// At least so many kills in one round of the test.
const KILLS: usize = 200;
const WRITERS: usize = 4;
/// After so many lives another journal is begun.
const JOURNAL_LIVES: usize = 100;
/// What a writer does at most in one life.
const ACTS: usize = 60;

/// A store, its keys, and what is known of it.
pub(crate) struct World {
    /// Holds the folders of both.
    place: tempfile::TempDir,
    program: PathBuf,
    pub(crate) keys: Keys,
    pub(crate) shared: Rc<Shared>,
    pub(crate) kills: BTreeMap<String, usize>,
}

/// A life of the store, with the directories of the writers and the one of the journal.
pub(crate) struct Life {
    storage: Storage,
    own: Vec<stored_directory::Client>,
    common: directory::Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary folder");
        if rustix::process::geteuid().is_root() {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(place.path(), mode).expect("it is ours");
        }
        let state = place.path().join("storage");
        disk::make_own(&state, USER);
        let keys = Keys::start(&place.path().join("keys")).await;
        let shared = Rc::new(Shared {
            state,
            ledgers: (0..WRITERS).map(|_| RefCell::new(Ledger::default())).collect(),
            journal: RefCell::new(Journal::default()),
            certain: RefCell::new(None),
            left: Cell::new(0),
            acted: tokio::sync::Notify::new(),
            without_keys: Cell::new(false),
            snapshots: Cell::new(0),
        });
        Self { place, program: crate::store::faulted(), keys, shared, kills: BTreeMap::new() }
    }

    fn count(&mut self, kill: &str) {
        *self.kills.entry(kill.to_owned()).or_default() += 1;
    }

    fn faults(&self) -> PathBuf {
        self.shared.state.join("faults")
    }

    /// Has the store killed at the n-th pass of a point.
    fn arm(&self, point: &str, pass: usize) {
        std::fs::write(self.faults(), format!("{point} {pass}\n")).expect("room for a file");
        disk::give(&self.faults(), USER);
    }

    /// What was armed does not happen any more. Whether it had.
    fn disarm(&self) -> bool {
        std::fs::remove_file(self.faults()).is_err()
    }

    /// Starts the store, which may be killed meanwhile, until it answers.
    pub(crate) async fn begin(&mut self, killed_at: Option<&str>) -> Life {
        if let Some(point) = killed_at {
            self.arm(point, 1);
        }
        for _ in 0..2 {
            let Some(mut storage) = Storage::start(&self.program, &self.shared.state, &mut self.keys) else {
                panic!("the store does not begin");
            };
            let own: Vec<_> = (0..WRITERS).map(|who| storage.directory(&format!("/w{who}"), 10 + who as u64)).collect();
            let common: directory::Client = storage.directory("/common", 9).cast_to();
            match files::testing::stat(&common, "").await {
                Ok(_) => {
                    if killed_at.is_some() {
                        self.disarm();
                    }
                    return Life { storage, own, common };
                }
                Err(_) if killed_at.is_some() && !storage.process.is_alive_after(&self.faults()) => {
                    assert!(!storage.process.ended().success());
                    self.count(killed_at.unwrap_or_default());
                }
                Err(error) => panic!("the store does not open: {error}; it says {:?}", storage.troubles()),
            }
        }
        panic!("the store does not open after it was killed at {killed_at:?}");
    }

    /// Compares everything with what was acknowledged.
    pub(crate) async fn judge(&mut self, life: &mut Life, end: End, thorough: bool) {
        for (who, own) in life.own.iter().enumerate() {
            let (tree, snapshots) = (judge::read(own).await, judge::snapshots(own).await);
            let name = format!("writer {who}");
            let taken: Vec<_> = {
                let mut ledger = self.shared.ledgers[who].borrow_mut();
                ledger.judge(&tree, end, &name);
                ledger.judge_snapshots(&snapshots, end, &name);
                ledger.snapshots.iter().map(|(label, taken)| (label.clone(), taken.clone())).collect()
            };
            for (label, taken) in taken.into_iter().filter(|_| thorough) {
                let then = judge::read_snapshot(own, taken.id).await;
                assert!(then == taken.tree, "snapshot {label} of {name}: {}", difference(&then, &taken.tree));
            }
        }
        let name = self.shared.journal.borrow().name();
        let journal = if files::testing::names(&life.common).await.contains(&name) {
            files::testing::content(&life.common, &name).await
        } else {
            Vec::new()
        };
        self.shared.journal.borrow_mut().judge(&journal, end);
        let found = life.storage.check().await.expect("the store can be checked");
        assert!(found.is_empty(), "{end:?}: {found:?}; it says {:?}", life.storage.troubles());
        assert_eq!(life.storage.damage(), None, "{end:?}");
    }

    /// Lets the writers write until the disaster has happened. How the life ended.
    pub(crate) async fn live(&mut self, life: Life, disaster: &Disaster, draw: &mut Draw) -> End {
        let Life { mut storage, own, common } = life;
        if let Disaster::Point(point, pass) = disaster {
            self.arm(point, *pass);
        }
        self.shared.left.set(disaster.moment());
        let writers: Vec<_> = own
            .into_iter()
            .enumerate()
            .map(|(who, own)| {
                let (shared, journal, draw) = (self.shared.clone(), common.clone(), draw.fork());
                tokio::task::spawn_local(Writer { who, shared, own, journal, draw }.write(ACTS))
            })
            .collect();
        drop(common);
        let mut writing = Box::pin(futures::future::join_all(writers));
        let ended = |outcome: Vec<Result<(), tokio::task::JoinError>>| {
            for writer in outcome {
                if let Err(error) = writer {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        };
        let mut done = tokio::select! {
            outcome = &mut writing => Some(outcome),
            () = self.shared.acted.notified() => None,
        };
        if let Disaster::Keys(_) | Disaster::Both(_) = disaster {
            self.shared.without_keys.set(true);
            let folder = self.place.path().join("keys");
            if let Disaster::Both(_) = disaster {
                storage.process.kill_in_place();
            }
            // The writers go on while they come back.
            self.count("keys");
            self.keys.process_mut().kill_in_place();
            self.keys = Keys::start(&folder).await;
            self.keys.give_to(&mut storage.process);
            if let Disaster::Keys(moment) = disaster {
                self.shared.left.set(*moment);
                if done.is_none() {
                    done = tokio::select! {
                        outcome = &mut writing => Some(outcome),
                        () = self.shared.acted.notified() => None,
                    };
                }
            }
        }
        match disaster {
            Disaster::Stop(point) => {
                // What is under way is done before it stops, or is not done at all.
                let outcome = match done {
                    Some(outcome) => outcome,
                    None => writing.await,
                };
                ended(outcome);
                if let Some(point) = point {
                    self.arm(point, 1);
                }
                let status = storage.process.stop();
                let killed = point.is_some() && self.disarm();
                assert_eq!(status.success(), !killed, "{disaster:?}: {status}");
                if killed {
                    self.count(point.unwrap_or_default());
                }
                self.shared.without_keys.set(false);
                return End::Killed;
            }
            Disaster::Point(point, _) => {
                // One that was passed has killed it already.
                storage.process.kill();
                let name = if self.disarm() { point } else { "at any moment" };
                self.count(name);
            }
            _ => {
                storage.process.kill();
                self.count("at any moment");
            }
        }
        let outcome = match done {
            Some(outcome) => outcome,
            None => writing.await,
        };
        ended(outcome);
        self.shared.without_keys.set(false);
        let certain = self.shared.certain.borrow();
        let lost = draw.below(4) == 0 && certain.as_ref().is_some_and(|it| it.lose(&self.shared.state, draw));
        if lost { End::PowerLost } else { End::Killed }
    }

    fn harm_index(&self, draw: &mut Draw) {
        let harm = disk::harm_index(&self.shared.state, &self.place.path().join("index aside"), draw);
        disk::give(&self.shared.state.join("index"), USER);
        if !harm.is_empty() {
            println!("  {harm}");
        }
    }

    async fn renew_journal(&self, life: &Life) {
        let old = self.shared.journal.borrow_mut().renew();
        // One to which nobody has written is not there.
        let _ = remove(&life.common, &old).await;
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_a_storm_of_kills() {
    let mut draw = Draw::of(5);
    vat::native::run(async {
        let mut world = World::new().await;
        let (mut end, mut lives, mut losses) = (End::Killed, 0, 0);
        let wanted = KILLS * rounds();
        while world.kills.values().sum::<usize>() < wanted {
            let opening = (draw.below(6) == 0).then(|| *draw.pick::<&str>(OPENING));
            if lives > 0 {
                world.harm_index(&mut draw);
            }
            let mut life = world.begin(opening).await;
            world.judge(&mut life, end, lives % 8 == 7).await;
            lives += 1;
            if lives % JOURNAL_LIVES == 0 {
                world.renew_journal(&life).await;
            }
            let disaster = Disaster::draw(&mut draw);
            println!("{lives}: {disaster:?}{}", opening.map_or_else(String::new, |it| format!(", opened with {it}")));
            end = world.live(life, &disaster, &mut draw).await;
            losses += usize::from(end == End::PowerLost);
        }
        let mut life = world.begin(None).await;
        world.judge(&mut life, end, true).await;
        assert!(life.storage.process.stop().success());
        let kills: usize = world.kills.values().sum();
        println!("{kills} kills in {lives} lives, power lost {losses} times: {:?}", world.kills);
    })
    .expect("an event queue");
}
