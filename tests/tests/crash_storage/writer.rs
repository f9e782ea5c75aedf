//! One of several who write at the same time, each in a directory of its own, and all to one journal.

use crate::disk::Certain;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::seed::Draw;
use crate::tree::Change;
use capnp::capability::FromClientHook;
use files::testing::{append, create, make_directory, open_file, remove, rename, sync, truncate, write};
use schema::filesystem_capnp::{directory, file};
use schema::storage_capnp::stored_directory;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use vat::Rights;

/// So many snapshots at most of one directory, as each keeps what was there.
const SNAPSHOTS: usize = 2;

/// What all writers of a store have in common.
pub(crate) struct Shared {
    pub(crate) state: PathBuf,
    pub(crate) ledgers: Vec<RefCell<Ledger>>,
    pub(crate) journal: RefCell<Journal>,
    pub(crate) certain: RefCell<Option<Certain>>,
    /// So many acknowledgements more, and the test acts.
    pub(crate) left: Cell<u64>,
    pub(crate) acted: tokio::sync::Notify,
    /// Whether syncs may fail because the keys are gone.
    pub(crate) without_keys: Cell<bool>,
    /// For labels.
    pub(crate) snapshots: Cell<u64>,
}

/// The directory and the journal of one writer, as links of this life.
pub(crate) struct Writer {
    pub(crate) who: usize,
    pub(crate) shared: Rc<Shared>,
    pub(crate) own: stored_directory::Client,
    pub(crate) journal: directory::Client,
    pub(crate) draw: Draw,
}

/// Why a writer ends: its link is gone.
struct Gone;

/// What came of a call.
enum Answer<T> {
    Done(T),
    /// The keys are not there, which may be.
    NoKeys,
}

impl Writer {
    /// Writes until the store is gone, or so many things were done.
    pub(crate) async fn write(mut self, acts: usize) {
        for _ in 0..acts {
            if self.act().await.is_err() {
                return;
            }
            self.shared.tick();
        }
    }

    async fn act(&mut self) -> Result<(), Gone> {
        match self.draw.below(20) {
            0..=2 => self.add_to_journal().await,
            3 | 4 => self.sync().await,
            5 if self.draw.below(3) == 0 => self.snapshot().await,
            _ => self.change().await,
        }
    }

    fn ledger(&self) -> std::cell::RefMut<'_, Ledger> {
        self.shared.ledgers[self.who].borrow_mut()
    }

    fn plain(&self) -> directory::Client {
        self.own.clone().cast_to()
    }

    async fn change(&mut self) -> Result<(), Gone> {
        let change = Change::draw(&mut self.draw, self.shared.ledgers[self.who].borrow().now());
        self.ledger().begin(change.clone());
        let at = self.plain();
        let outcome = perform(&at, &change).await;
        self.need(&format!("{change:.80?}"), outcome)?;
        self.ledger().acknowledge();
        Ok(())
    }

    async fn add_to_journal(&mut self) -> Result<(), Gone> {
        let name = self.shared.journal.borrow().name();
        let opened = create(&self.journal, &name, false).await;
        let (file, _) = self.need("open the journal", opened)?;
        let record = self.shared.journal.borrow_mut().begin(self.who);
        let offset = append(&file, &record).await;
        let offset = self.need("append to the journal", offset)?;
        self.shared.journal.borrow_mut().acknowledge(&record, offset);
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), Gone> {
        let name = self.shared.journal.borrow().name();
        let created = create(&self.journal, &name, false).await;
        let (file, _) = self.need("open the journal", created)?;
        let sure = self.shared.written();
        let answer = sync(&file).await;
        if let Answer::Done(()) = self.need_keys("sync", answer)? {
            self.shared.synced(&sure);
        }
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<(), Gone> {
        if self.ledger().snapshots.len() >= SNAPSHOTS {
            return self.drop_snapshot().await;
        }
        let number = self.shared.snapshots.get() + 1;
        self.shared.snapshots.set(number);
        let label = format!("{number}");
        let now = self.ledger().now().clone();
        self.ledger().perhaps.insert(label.clone(), now);
        let sure = self.shared.written();
        let mut request = self.own.snapshot_request();
        request.get().set_label(&label);
        let answer = request.send().promise.await;
        if let Answer::Done(answer) = self.need_keys("take a snapshot", answer)? {
            let id = answer.get().and_then(|it| it.get_snapshot()).expect("a snapshot").get_id();
            self.ledger().taken(&label, id);
            self.shared.synced(&sure);
        }
        Ok(())
    }

    async fn drop_snapshot(&mut self) -> Result<(), Gone> {
        let (label, taken) = self.ledger().snapshots.pop_first().expect("there are some");
        self.ledger().perhaps.insert(label.clone(), taken.tree);
        let mut request = self.own.drop_snapshot_request();
        request.get().set_snapshot(taken.id);
        let answer = request.send().promise.await;
        self.need("drop a snapshot", answer)?;
        self.ledger().dropped(&label);
        Ok(())
    }

    /// What a call gave; a link that is gone ends the writer, and nothing else may fail.
    fn need<T>(&self, what: &str, outcome: Result<T, capnp::Error>) -> Result<T, Gone> {
        match outcome {
            Ok(value) => Ok(value),
            Err(error) if error.kind == capnp::ErrorKind::Disconnected => Err(Gone),
            Err(error) => panic!("writer {} could not {what}: {error}", self.who),
        }
    }

    /// The same of what takes keys.
    fn need_keys<T>(&self, what: &str, outcome: Result<T, capnp::Error>) -> Result<Answer<T>, Gone> {
        match outcome {
            Err(error) if self.shared.without_keys.get() && error.kind == capnp::ErrorKind::Failed => {
                assert!(error.extra.contains("locked"), "writer {} could not {what}: {error}", self.who);
                Ok(Answer::NoKeys)
            }
            outcome => self.need(what, outcome).map(Answer::Done),
        }
    }
}

impl Shared {
    /// What was acknowledged so far to each writer, and of the journal.
    fn written(&self) -> (Vec<u64>, u64) {
        let counts = self.ledgers.iter().map(|ledger| ledger.borrow().count()).collect();
        (counts, self.journal.borrow().end())
    }

    /// That is on the disk now.
    fn synced(&self, (counts, journal): &(Vec<u64>, u64)) {
        for (ledger, count) in self.ledgers.iter().zip(counts) {
            ledger.borrow_mut().synced(*count);
        }
        self.journal.borrow_mut().synced(*journal);
        *self.certain.borrow_mut() = Some(Certain::now(&self.state));
    }

    fn tick(&self) {
        let left = self.left.get().saturating_sub(1);
        if left == 0 && self.left.get() > 0 {
            self.acted.notify_one();
        }
        self.left.set(left);
    }
}

async fn perform(at: &directory::Client, change: &Change) -> Result<(), capnp::Error> {
    let opened =
        |path: String| async move { Ok::<file::Client, capnp::Error>(open_file(at, &path, Rights::ALL).await?.0) };
    match change {
        Change::Create(path) => create(at, path, true).await.map(drop),
        Change::MakeDirectory(path) => make_directory(at, path).await.map(drop),
        Change::Write(path, offset, bytes) => write(&opened(path.clone()).await?, *offset as u64, bytes).await,
        Change::Append(path, bytes) => append(&opened(path.clone()).await?, bytes).await.map(drop),
        Change::Truncate(path, size) => truncate(&opened(path.clone()).await?, *size as u64).await,
        Change::Rename(from, to) => rename(at, from, to, true).await,
        Change::Remove(path) => remove(at, path).await,
    }
}
