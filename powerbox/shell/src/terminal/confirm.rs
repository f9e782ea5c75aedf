//! What a person is asked once more before it is done. Nothing is done by just pressing Enter.

use std::io::IsTerminal as _;

use super::tty::Tty;
use crate::ask::Found;
use crate::failure::{Doing as _, Failure, Outcome};
use crate::folder::Folder;
use crate::text::escape;

/// Stands at the end of such a question.
pub(crate) const CHOICES: &str = "[y/N] ";

/// Whether that answer is a clear yes.
pub(crate) fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str())
}

/// For a path that leads to another place than it says: where it leads.
pub(crate) fn detour(folder: &Folder) -> Option<String> {
    let named = escape::path_name(folder.named_elsewhere()?);
    Some(format!("{named} has a symbolic link in it: it leads to {}", escape::path_name(folder.path())))
}

/// Has a path that leads to another place than it says confirmed, unless the person insisted (`force`): an app that may
/// write on the way decides where such a path leads. Refuses where nobody can be asked.
pub(crate) async fn where_it_leads(found: &Found, force: bool) -> Outcome {
    let Found::Folder(folder) = found else { return Ok(()) };
    let Some(detour) = detour(folder).filter(|_| !force) else { return Ok(()) };
    let refused = || Failure::new("nothing was given").because(&detour);
    // A command whose input is a file or a pipe is part of a script.
    let Some(tty) = Tty::open().filter(|_| std::io::stdin().is_terminal()) else {
        let real = escape::path(folder.path());
        return Err(refused().next(format!("if that is what you mean, write host:{real}, or `,force` after it")));
    };
    let answer = tty.ask(&format!("{detour}\ngive that? {CHOICES}")).await.doing(|| "cannot ask you".to_owned())?;
    if answer.is_some_and(|line| is_yes(&line)) { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(["y", " Yes\r"].into_iter().all(is_yes));
        assert!(!["", "1", "yy", "n", "./y"].into_iter().any(is_yes));
    }
}
