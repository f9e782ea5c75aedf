//! What the author of a new app is called: as in their other work, else as on this machine. It is shown as the author's
//! own word and decides nothing.

use std::process::{Command, Stdio};

use vat::shown::deceives;

/// What a manifest takes.
const NAME_MAX_BYTES: usize = 100;

/// The person's name for git, else the user's.
pub(crate) fn name() -> String {
    let variable = |name| std::env::var(name).ok();
    let found = [git_name(), variable("USER"), variable("LOGNAME"), user_name()];
    let mut usable = found.into_iter().flatten().filter_map(|name| tidy(&name));
    usable.next().unwrap_or_else(|| format!("uid {}", own_uid()))
}

/// Only the person's own configuration is read, not that of a repository which the folder may be in.
fn git_name() -> Option<String> {
    let asked = Command::new("git")
        .args(["config", "--global", "--get", "user.name"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    asked.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok())
}

/// The name of this process' user in the machine's list.
fn user_name() -> Option<String> {
    let uid = own_uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let own = users.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
    own.split(':').next().map(str::to_owned)
}

fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// One line of plain text that a manifest takes; None where nothing is left.
fn tidy(name: &str) -> Option<String> {
    let plain: String = name.trim().chars().filter(|character| !deceives(*character)).collect();
    let clipped = vat::words::clip(&plain, NAME_MAX_BYTES).trim();
    (!clipped.is_empty()).then(|| clipped.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_line_that_a_manifest_takes() {
        assert_eq!(tidy(" Ada Lovelace\n").as_deref(), Some("Ada Lovelace"));
        assert_eq!(tidy("A\u{202e}d\u{1b}a").as_deref(), Some("Ada"));
        assert_eq!(tidy(" \n"), None);
        assert!(tidy(&"é".repeat(200)).is_some_and(|name| name.len() <= NAME_MAX_BYTES));
    }
}
