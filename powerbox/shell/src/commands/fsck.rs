//! `latch fsck`

use std::cell::RefCell;
use std::rc::Rc;

use capnp::Error;
use clap::Args;
use schema::storage_capnp::{reporter, summary};
use serde::Serialize;

use super::Context;
use super::files::progress::Progress;
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::rows::StoreFinding;
use crate::text::{time, words};
use crate::{json, keys, output, store};

/// What a finding says of commits that were signed with keys that the node does not have now.
const OF_OTHER_KEYS: &str = "signed with keys that are none of this node's";

/// Checks every byte of the store
///
/// Frames, the chain that they form, signatures, seals, and the index against them. The store serves on meanwhile; Ctrl-C
/// stops the check. Exit code 0: nothing is wrong, or no longer; 1: something is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch fsck               says what is wrong, and changes nothing
  latch fsck --repair      builds the index anew where it is wrong, and serves what is left of what was lost: what cannot
                           be read is zeros then. Each file is named, here and in `latch log`
  latch fsck --json        one object: `findings` and what was read")]
pub(crate) struct Fsck {
    /// Mends what can be mended; what cannot is set aside and named
    #[arg(long)]
    repair: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Fsck) -> Outcome {
    let store = store::store(node).await?;
    let shared = Rc::new(RefCell::new(Shared {
        prints: !context.json,
        progress: Progress::new("checking", None),
        findings: Vec::new(),
        other_keys: false,
    }));
    let mut request = store.object.check_request();
    request.get().set_repair(command.repair);
    request.get().set_reporter(store.exports.export(Reporter { shared: Rc::clone(&shared) }));
    let answered = request.send().promise.await.map_err(|error| store::explain_check(Failure::from(error)));
    let mut shared = shared.borrow_mut();
    shared.progress.finish();
    let answer = answered.map_err(|failure| failure.during("the store could not be checked to its end"))?;
    let summary = Summary::read(answer.get()?.get_summary()?);
    let findings = std::mem::take(&mut shared.findings);
    if context.json {
        json::print(&Checked { findings, summary })?;
    } else {
        output::line(&summary.words())?;
    }
    match summary.verdict(command.repair) {
        // No repair gives those keys back.
        Err(failure) if shared.other_keys => {
            let only = summary.lost == 1;
            let served = "all of it is served, and it is not proven that this node wrote it all";
            let failure = if only { failure.because(served) } else { failure };
            Err(failure.next(keys::restore_newer(&context.state)))
        }
        verdict => verdict,
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Checked {
    findings: Vec<StoreFinding>,
    #[serde(flatten)]
    summary: Summary,
}

/// What was read, and what came of it.
#[derive(Debug, Clone, Copy, Serialize)]
struct Summary {
    frames: u64,
    bytes: u64,
    files: u64,
    directories: u64,
    snapshots: u64,
    repaired: u64,
    lost: u64,
    clean: bool,
}

impl Summary {
    fn read(reader: summary::Reader<'_>) -> Self {
        Self {
            frames: reader.get_frames(),
            bytes: reader.get_bytes(),
            files: reader.get_files(),
            directories: reader.get_directories(),
            snapshots: reader.get_snapshots(),
            repaired: reader.get_repaired(),
            lost: reader.get_lost(),
            clean: reader.get_clean(),
        }
    }

    fn words(&self) -> String {
        let verdict = match (self.clean, self.repaired) {
            (true, 0) => "clean".to_owned(),
            (true, repaired) => format!("clean again, {repaired} repaired"),
            (false, 0) => format!("not clean, {} lost", self.lost),
            (false, repaired) => format!("not clean, {} lost, {repaired} repaired", self.lost),
        };
        format!(
            "{verdict}: read {} in {}: {}, {}, {}",
            time::size(self.bytes),
            words::count(self.frames, "frame"),
            words::count(self.files, "file"),
            if self.directories == 1 { "1 directory".to_owned() } else { format!("{} directories", self.directories) },
            words::count(self.snapshots, "snapshot"),
        )
    }

    fn verdict(&self, repaired: bool) -> Outcome {
        if self.clean {
            return Ok(());
        }
        let failure = Failure::new("the store is not clean")
            .because("what is lost is named above, and reading it fails; what is not named is served");
        Err(if repaired {
            failure.next("put back what is lost from elsewhere, and look at the disk: something changed its bytes")
        } else {
            failure.next("latch fsck --repair")
        })
    }
}

/// What is told while the check runs.
struct Shared {
    prints: bool,
    progress: Progress,
    /// Kept for JSON only.
    findings: Vec<StoreFinding>,
    /// Something was signed with other keys than the node's.
    other_keys: bool,
}

struct Reporter {
    shared: Rc<RefCell<Shared>>,
}

impl reporter::Server for Reporter {
    async fn found(self: Rc<Self>, parameters: reporter::FoundParams) -> Result<(), Error> {
        let failed = |failure: Failure| Error::failed(failure.to_string());
        let finding = StoreFinding::read(parameters.get()?.get_finding()?).map_err(failed)?;
        let mut shared = self.shared.borrow_mut();
        shared.other_keys |= finding.what.contains(OF_OTHER_KEYS);
        if !shared.prints {
            shared.findings.push(finding);
            return Ok(());
        }
        shared.progress.finish();
        output::text(&finding.lines()).map_err(failed)
    }

    async fn progress(self: Rc<Self>, parameters: reporter::ProgressParams) -> Result<(), Error> {
        let parameters = parameters.get()?;
        self.shared.borrow_mut().progress.show_of(parameters.get_done_bytes(), parameters.get_of_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(lost: u64, repaired: u64, clean: bool) -> Summary {
        Summary { frames: 12, bytes: 2048, files: 1, directories: 2, snapshots: 0, repaired, lost, clean }
    }

    #[test]
    fn the_summary_is_one_line_and_the_exit_code_says_the_same() {
        let clean = summary(0, 0, true);
        assert_eq!(clean.words(), "clean: read 2.0K in 12 frames: 1 file, 2 directories, 0 snapshots");
        assert_eq!(clean.verdict(false), Ok(()));
        assert!(summary(0, 1, true).words().starts_with("clean again, 1 repaired: "));
        let lost = summary(3, 0, false);
        assert!(lost.words().starts_with("not clean, 3 lost: "));
        let failure = lost.verdict(false).unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert!(failure.to_string().ends_with("next: latch fsck --repair"));
        assert!(!lost.verdict(true).unwrap_err().to_string().contains("--repair"));
    }

    #[test]
    fn json_is_one_object() {
        let printed = serde_json::to_value(Checked { findings: vec![], summary: summary(0, 0, true) }).unwrap();
        assert_eq!((&printed["clean"], &printed["frames"]), (&true.into(), &12.into()));
        assert!(printed["findings"].as_array().is_some_and(Vec::is_empty));
    }
}
