//! The powerbox's start: what it was born with, its folder, the log, the index; then its three threads.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use tokio::sync::mpsc;
use vat::confine::{Allow, ConfineError, Profile, enter};
use vat::native::{Born, CONTROL_DESCRIPTOR, take_inherited};
use vat::words::Rights;

use crate::core::{Core, Handle, Parts, Setup};
use crate::index;
use crate::log::{self, Log, LogError};
use crate::operator;
use crate::problem::Problem;
use crate::sessions;
use crate::state::State;

/// The state or the machine cannot be used: nothing gets better by starting again (`EX_CONFIG`).
const UNUSABLE: u8 = 78;
/// Something failed that a new start may get over.
const FAILED: u8 = 1;
/// Folders of the powerbox's own.
const FOLDERS: [&str; 5] = ["log", "packages", "compiled", "output", "usage"];

/// Runs the powerbox to its end.
#[must_use]
pub fn run() -> ExitCode {
    let born = match Born::take() {
        Ok(born) => born,
        Err(error) => {
            eprintln!("latch-powerbox: this is started by latch-kernel only ({error})");
            return ExitCode::from(FAILED);
        }
    };
    match begin(born) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("latch-powerbox: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn begin(mut born: Born) -> io::Result<ExitCode> {
    let control = take_inherited(CONTROL_DESCRIPTOR)?;
    let setup = Setup::read(born.setup()).map_err(io::Error::other)?;
    let none = || io::Error::other("the kernel gave no state folder");
    let state = born.take_resource("state").ok_or_else(none)?;
    let confinement = {
        let allow = Allow { folder: Some((state.descriptor.as_fd(), Rights::ALL)), reduced: born.is_reduced() };
        match enter(Profile::Powerbox, allow) {
            Ok(confinement) => confinement,
            Err(error) => {
                born.last(&refusal(&error));
                return Ok(ExitCode::from(UNUSABLE));
            }
        }
    };
    drop(state);
    let (log, state, index, warnings) = match read_state(Path::new(".")) {
        Ok(read) => read,
        Err(error) => {
            born.last(&error.to_string());
            return Ok(ExitCode::from(UNUSABLE));
        }
    };
    // Only now: the node counts as ready when its powerbox is confined and has a state that can be used.
    born.confined(&confinement)?;
    let (handle, jobs) = Handle::new();
    let sessions =
        serve_on_thread("sessions", handle.clone(), |incoming, core| Box::pin(sessions::serve_all(incoming, core)))?;
    let operators =
        serve_on_thread("operators", handle, |incoming, core| Box::pin(operator::serve_all(incoming, core)))?;
    vat::native::run(async move {
        let door = born.into_door()?;
        let core = Core::new(Parts {
            folder: Path::new(".").to_path_buf(),
            setup,
            log,
            state,
            index,
            control,
            door,
            sessions,
            operators,
            warnings,
            confinement,
        })?;
        live(core, jobs).await
    })?
}

/// Why this machine does not confine the powerbox, and what to do.
fn refusal(error: &ConfineError) -> String {
    match error {
        ConfineError::Missing(_) => {
            format!("{error}. Allow that with `latch up --reduced`, or use a Linux with Landlock or user namespaces")
        }
        _ => error.to_string(),
    }
}

/// Everything that the core's thread does, until it is told to stop.
async fn live(core: std::rc::Rc<Core>, jobs: crate::core::Jobs) -> io::Result<ExitCode> {
    let background = async {
        tokio::join!(core.clone().keep_time(), core.clone().keep_up());
    };
    let recovered_then_serve = async {
        if let Err(problem) = core.clone().recover().await {
            return problem;
        }
        // What shells and apps ask waits until the powerbox knows what there is.
        tokio::join!(jobs.run(core.clone()), core.start_services(), background);
        Problem::Stopping
    };
    let ended = tokio::select! {
        heard = core.clone().hear() => heard.map(|()| ExitCode::SUCCESS),
        sent = core.control_always() => sent.map(|()| ExitCode::SUCCESS),
        door = core.clone().attend_door() => {
            core.clone().finish().await;
            door.map(|()| ExitCode::SUCCESS)
        }
        why = core.clone().log_failure() => Err(io::Error::other(why)),
        problem = recovered_then_serve => {
            core.give_up(&problem).await;
            Err(io::Error::other(problem))
        }
    };
    ended
}

type Serve = fn(mpsc::UnboundedReceiver<sessions::Incoming>, Handle) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn serve_on_thread(name: &str, core: Handle, serve: Serve) -> io::Result<mpsc::UnboundedSender<sessions::Incoming>> {
    let (to, incoming) = mpsc::unbounded_channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(error) = vat::native::run(serve(incoming, core)) {
            eprintln!("latch-powerbox: a thread could not be started: {error}");
        }
    })?;
    Ok(to)
}

pub(crate) type Read = (Log, State, index::Index, Vec<String>);

/// The state: from the index as far as that goes, the rest from the log; or all of it from the log.
pub(crate) fn read_state(folder: &Path) -> Result<Read, LogError> {
    for name in FOLDERS {
        std::fs::create_dir_all(folder.join(name)).map_err(LogError::Io)?;
    }
    // Their names must be for good before anything is within.
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(LogError::Io)?;
    crate::packages::remove_incoming(folder);
    let found = index::open(folder);
    let mut warnings = Vec::new();
    let mut notes: Vec<String> =
        found.trouble.iter().map(|why| format!("the index was rebuilt from the log: {why}")).collect();
    let (mut state, metadata) =
        found.state.map_or_else(|| (State::default(), None), |(state, metadata)| (state, Some(metadata)));
    // An index that goes up to no record was made at the node's first start, and fits every log.
    let mut fits = metadata.as_ref().is_none_or(|metadata| metadata.position == 0);
    let mut misfit = None;
    let opened = Log::open(folder, |position, hash, payload| {
        if let Some(metadata) = &metadata
            && position <= metadata.position
        {
            fits |= position == metadata.position && *hash == metadata.head;
            return Ok(());
        }
        apply(&mut state, position, payload, &mut misfit)?;
        if metadata.is_none() {
            state.changed.clear();
        }
        Ok(())
    })?;
    let mut log = opened.log;
    if metadata.is_none() && notes.is_empty() && log.position() > 0 {
        notes.push("the index was rebuilt from the log: it was not there".into());
    }
    if !fits {
        notes.push("the index was rebuilt from the log: it did not belong to it".into());
        state = State::default();
        misfit = None;
        log::replay(folder, log.position(), |position, payload| {
            apply(&mut state, position, payload, &mut misfit)?;
            // All rows are written at the end: a list of them would grow with the log.
            state.changed.clear();
            Ok(())
        })?;
    }
    warnings.extend(misfit);
    if opened.scanned.torn_bytes > 0 {
        notes.push(format!(
            "{} bytes at the end of the log had not come to the disk whole and were cut off",
            opened.scanned.torn_bytes
        ));
    }
    log.resume(state.signed, state.last_at_ms);
    if metadata.is_none() || !fits {
        let rows = state.all_rows();
        found.index.replace(rows, log.position(), log.head());
    }
    for note in notes {
        let now_ms = crate::clock::now_ms(state.last_at_ms);
        let appended = log.append(now_ms, crate::core::THE_NODE, crate::record::Record::Note(note.clone()));
        if let Ok(entry) = appended {
            let _ = state.apply(&entry);
        }
        warnings.push(note);
    }
    Ok((log, state, found.index, warnings))
}

/// A record that does not fit was written so, and does not fit at any start: it is said and left out.
fn apply(state: &mut State, position: u64, payload: &[u8], misfit: &mut Option<String>) -> Result<(), LogError> {
    let entry = log::decode(position, payload)?;
    if let Err(why) = state.apply(&entry) {
        misfit.get_or_insert(format!("record {position} of the log does not fit: {why}"));
    }
    Ok(())
}
