//! `latch doctor`

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use clap::Args;
use landlock::{ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope};

use super::keys::has_store;
use super::{Context, up};
use crate::failure::{EXIT_FAILED, Failure, Outcome};
use crate::keys;
use crate::node::{self, Node};
use crate::rows::{Finding, StoreStatus};
use crate::state::State;
use crate::text::escape;
use crate::{json, output, store};

/// The first kernel with Landlock.
const LINUX_MIN: (u32, u32) = (5, 13);

/// Looks for what is wrong with this machine or node, and says what to do
///
/// Works without a node. Exit code 1: something was found.
#[derive(Debug, Args)]
pub(crate) struct Doctor {}

pub(crate) async fn run(context: &Context) -> Outcome<u8> {
    let mut findings = vec![linux(), landlock(), binaries(), folder(&context.state)];
    findings.extend(node(&context.state).await);
    for finding in &mut findings {
        finding.text = context.state.told(&finding.text);
        finding.remedy = context.state.told(&finding.remedy);
    }
    if context.json {
        json::print(&findings)?;
    } else {
        output::text(&render(&findings))?;
    }
    Ok(if findings.iter().all(|finding| finding.ok) { 0 } else { EXIT_FAILED })
}

fn render(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let mark = if finding.ok { "ok  " } else { "LOOK" };
        text.push_str(&format!("{mark}  {:width$}  {}\n", escape::line(&finding.subject), escape::line(&finding.text)));
        if !finding.remedy.is_empty() {
            text.push_str(&format!("      {:width$}  -> {}\n", "", escape::line(&finding.remedy)));
        }
    }
    let bad = findings.iter().filter(|finding| !finding.ok).count();
    text.push_str(&match bad {
        0 => "\nnothing is wrong\n".to_owned(),
        1 => "\n1 thing to look at\n".to_owned(),
        _ => format!("\n{bad} things to look at\n"),
    });
    text
}

fn linux() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    match parse_release(release) {
        Some(version) if version >= LINUX_MIN => Finding::good("linux", release),
        _ => Finding::bad(
            "linux",
            format!("{release} is older than {}.{}", LINUX_MIN.0, LINUX_MIN.1),
            "run a newer kernel",
        ),
    }
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn landlock() -> Finding {
    if !offers_landlock() {
        return Finding::bad(
            "landlock",
            "this system does not offer it",
            "run a kernel that has it, with landlock in its lsm= boot parameter; meanwhile `latch up --reduced`",
        );
    }
    if !offers_landlock_scopes() {
        return Finding::bad(
            "landlock",
            "is there, but without scopes: it does not keep signals and abstract sockets apart",
            "run Linux 6.12 or newer",
        );
    }
    Finding::good("landlock", "is there, with scopes")
}

/// The system itself is asked, for rules that are made and bind nobody: what files say of it need not be mounted, and a
/// container may forbid what they say is there.
fn offers_landlock() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_ok()
}

/// The same for the rules about signals and abstract sockets.
fn offers_landlock_scopes() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.scope(Scope::from_all(ABI::V6)).and_then(Ruleset::create).is_ok()
}

fn binaries() -> Finding {
    match up::find_kernel(None) {
        Ok(kernel) => Finding::good("binaries", kernel.display().to_string()),
        Err(failure) => Finding::bad("binaries", failure.sentence(), "cargo build, or set LATCH_LIBEXEC"),
    }
}

fn folder(state: &State) -> Finding {
    let path = state.path();
    let Ok(metadata) = std::fs::metadata(path) else {
        return Finding::good("state", format!("{} is not there yet; `latch up` makes it", path.display()));
    };
    let own = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        Finding::bad("state", format!("{} is not a folder", path.display()), "move it away, or use --state DIR")
    } else if metadata.uid() != own {
        Finding::bad(
            "state",
            format!("{} belongs to uid {}, you are {own}", path.display(), metadata.uid()),
            "use a state of your own: --state DIR",
        )
    } else if metadata.permissions().mode() & 0o077 != 0 {
        Finding::bad("state", format!("{} is open to others", path.display()), format!("chmod 700 {}", path.display()))
    } else if let Some(finding) = read_only(path).or_else(|| full_disk(path)) {
        finding
    } else {
        Finding::good("state", path.display().to_string())
    }
}

fn read_only(path: &Path) -> Option<Finding> {
    let disk = rustix::fs::statvfs(path).ok()?;
    let text = || format!("{} is on a file system that is mounted read-only", path.display());
    disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY).then(|| {
        Finding::bad("state", text(), "mount it for writing, or use --state DIR: a node records what it grants")
    })
}

/// Less than this free, and the record of the next decisions may not fit.
const FREE_MIN_BYTES: u64 = 64 << 20;

fn full_disk(path: &Path) -> Option<Finding> {
    let disk = rustix::fs::statvfs(path).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let text = || format!("{} has {} left", path.display(), crate::text::time::size(free));
    (free < FREE_MIN_BYTES)
        .then(|| Finding::bad("disk", text(), "free some space: nothing is granted that cannot be recorded"))
}

async fn node(state: &State) -> Vec<Finding> {
    if !node::is_up(state).await {
        let log = state.log_since(0);
        return vec![match up::refusal(&log) {
            Some(why) => Finding::bad("node", format!("refused to start: {why}"), "mend that, then `latch up`"),
            None => Finding::bad("node", "is not running", "latch up"),
        }];
    }
    let asked = async {
        let node = Node::connect(state).await?;
        let mut findings = node.doctor().await?;
        // Where they do not answer, what their process is at is among the findings.
        findings.extend(keys(state, &node).await.ok());
        findings.extend(store(&node).await.ok());
        Ok::<_, Failure>(findings)
    };
    match asked.await {
        Ok(findings) => std::iter::once(Finding::good("node", "answers")).chain(findings).collect(),
        Err(failure) => vec![Finding::bad("node", failure.sentence(), format!("read {}", state.log_file().display()))],
    }
}

async fn keys(state: &State, node: &Node) -> Outcome<Finding> {
    let status = keys::status(&keys::keyring(node).await?).await?;
    Ok(match (status.protection, status.unlocked) {
        ("none", _) if !status.trouble.is_empty() => Finding::bad("keys", status.trouble, "latch keys restore BACKUP"),
        ("none", _) if has_store(state) => {
            Finding::bad("keys", "are gone, and the store was sealed with them", "latch keys restore BACKUP")
        }
        ("none", _) => Finding::good("keys", "there are none yet: `latch keys create`, before anything is stored"),
        (_, true) => Finding::good("keys", "are open"),
        (_, false) => {
            let text = "are locked: nothing is signed, and of the store nothing is made durable or opened anew";
            Finding::bad("keys", text, "latch keys unlock")
        }
    })
}

async fn store(node: &Node) -> Outcome<Finding> {
    let answer = store::ask(store::store(node).await?.object.status_request().send()).await?;
    let status = StoreStatus::read(answer.get()?.get_status()?)?;
    Ok(match (status.unlocked, status.trouble) {
        (true, trouble) if !trouble.is_empty() => Finding::bad("store", trouble, "latch store, latch fsck"),
        (true, _) => Finding::good("store", "can be used; `latch fsck` reads all of it"),
        (false, _) => Finding::good("store", "is closed until the keys are open"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(parse_release("6.18.0-rc1+"), Some((6, 18)));
        assert_eq!(parse_release("5.4"), Some((5, 4)));
        assert_eq!(parse_release("x"), None);
    }

    #[test]
    fn what_is_wrong_stands_out_with_its_remedy() {
        let findings = [Finding::good("linux", "6.18"), Finding::bad("node", "is not running", "latch up")];
        assert_eq!(
            render(&findings),
            "ok    linux  6.18\nLOOK  node   is not running\n             -> latch up\n\n1 thing to look at\n"
        );
    }
}
