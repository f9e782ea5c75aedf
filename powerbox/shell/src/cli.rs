//! The command line: every command with its help. What a command does stands in `commands/`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands as c;
use crate::failure::EXIT_RUN_FAILED;
use crate::output;
use crate::supervise::Supervise;
use crate::text::escape;

const GROUPS: &str = "\
The node       up, down, status, doctor
Apps           new, build, install, run, ps, stop, logs, uninstall, trust
Deciding       offers, requests, approve, deny, grants, grant, revoke, why, log
Your own hands ls, cat, put, get, rm
Secrets        keys
The store      store, fsck, cap

Begin with:
  latch up
  latch run --trust search.latch -- TODO      it asks for a folder; you pick one
  latch grants                                who holds what, right now
  latch revoke search:folder                  take it away, while it runs

Exit codes: 0 done; 1 refused or failed (standard error says what, why, and what next); 2 usage.
Under `run` the app's own code passes through; the others are in `latch run --help`.";

/// For whoever typed `#9`, which interactive shells drop without a word.
const GRANT_HINT: &str = "a shell takes #9 for a comment: write grant #9 as 9, or as '#9'";

/// Where help lists what every command takes.
const ANYWHERE: &str = "With any command";

/// Runs apps that you do not trust and gives them exactly what you hand them.
#[derive(Debug, Parser)]
#[command(name = "latch", version, after_help = GROUPS, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Cli {
    /// The node's folder [default: $LATCH_STATE, else $XDG_STATE_HOME/latch, else ~/.local/state/latch]
    #[arg(long, global = true, value_name = "DIR", help_heading = ANYWHERE)]
    pub(crate) state: Option<PathBuf>,

    /// Prints JSON, for programs: a listing is one array, `log` one object a line, what was done one object
    #[arg(long, global = true, help_heading = ANYWHERE)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(c::up::Up),
    Down(c::down::Down),
    Status(c::status::Status),
    Doctor(c::doctor::Doctor),

    New(c::author::New),
    Build(c::author::Build),
    Install(c::install::Install),
    Run(c::run::Run),
    Ps(c::ps::Ps),
    Stop(c::stop::Stop),
    Logs(c::logs::Logs),
    Uninstall(c::uninstall::Uninstall),
    Trust(c::trust::Trust),

    Offers(c::offers::Offers),
    Requests(c::requests::Requests),
    Approve(c::approve::Approve),
    Deny(c::deny::Deny),
    Grants(c::grants::Grants),
    Grant(c::grant::Grant),
    Revoke(c::revoke::Revoke),
    Why(c::why::Why),
    Log(c::log::Log),

    Keys(c::keys::Keys),

    Store(c::store::Store),
    Fsck(c::fsck::Fsck),
    Cap(c::cap::Cap),

    Ls(c::files::ls::Ls),
    Cat(c::files::cat::Cat),
    Put(c::files::put::Put),
    Get(c::files::get::Get),
    Rm(c::files::rm::Rm),

    /// Keeps a kernel running: what `latch up` leaves in the background
    #[command(hide = true)]
    Supervise(Supervise),
}

/// Whether that is the name of a command that people use.
pub(crate) fn is_command(name: &str) -> bool {
    Cli::command().find_subcommand(name).is_some_and(|command| !command.is_hide_set())
}

/// Tells why a command line cannot be read, or the help that was asked for.
pub(crate) fn tell(error: &clap::Error, arguments: impl Iterator<Item = OsString>) {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(error.kind(), DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion) {
        // Where nobody reads it any more, the code still says it.
        let _ = error.print();
        return;
    }
    let hint = hint(error).map_or_else(String::new, |hint| format!("\n\n  hint: {hint}"));
    output::error(&format!("{}{hint}", complaint(error, arguments)));
}

/// What is wrong with a command line. A shell may have put a file's name in it, which then is somebody else's words.
fn complaint(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> String {
    let harmless = arguments.map(|argument| escape::bytes(argument.as_bytes()));
    match Cli::try_parse_from(harmless) {
        Err(same) if same.kind() == error.kind() => same.render().to_string().trim_end().to_owned(),
        _ => format!("error: {}", escape::line(&error.kind().to_string())),
    }
}

/// What a person may want to know of a command line that cannot be read, beside what is wrong with it.
pub(crate) fn hint(error: &clap::Error) -> Option<&'static str> {
    let missing = error.get(ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::MissingRequiredArgument);
    let Some(ContextValue::Strings(missing)) = missing else { return None };
    let may_be_a_grant = |name: &String| ["<TARGET>", "<OFFER"].iter().any(|start| name.starts_with(start));
    missing.iter().any(may_be_a_grant).then_some(GRANT_HINT)
}

/// The exit code for a command line that cannot be read. Under `run` the small codes are the app's.
pub(crate) fn exit_code(error: &clap::Error) -> i32 {
    let matches = Cli::command().ignore_errors(true).try_get_matches().ok();
    let runs = matches.is_some_and(|matches| matches.subcommand_name() == Some("run"));
    if runs && error.use_stderr() { i32::from(EXIT_RUN_FAILED) } else { error.exit_code() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_word_of_a_command_line_is_explained() {
        let mut waiting = vec![Cli::command()];
        while let Some(command) = waiting.pop() {
            waiting.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{}: {}", command.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn every_command_is_in_a_group() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(GROUPS.lines().take(6).any(|line| line.split([' ', ',']).any(|word| word == name)), "{name}");
        }
    }

    #[test]
    fn who_wrote_a_grant_that_the_shell_dropped_is_told_how_to_write_it() {
        let hinted = |words: &[&str]| Cli::try_parse_from(words).err().and_then(|error| hint(&error)).is_some();
        for words in [&["latch", "revoke"][..], &["latch", "why"], &["latch", "ls"], &["latch", "approve", "4"]] {
            assert!(hinted(words), "{words:?}");
        }
        assert!(!hinted(&["latch", "stop"]) && !hinted(&["latch", "revoke", "--no"]) && !hinted(&["latch"]));
    }

    #[test]
    fn a_files_name_in_a_command_line_steers_nothing() {
        let words = ["latch", "cat", "--x\u{1b}]0;t\u{7}\nlatch: granted"].map(OsString::from);
        let error = Cli::try_parse_from(&words).err().unwrap();
        let told = complaint(&error, words.into_iter());
        assert!(told.contains("'--x\\x1b]0;t\\x07\\nlatch: granted'"), "{told}");
        assert!(!told.chars().any(|character| character.is_control() && character != '\n'), "{told}");
        let words = [&b"latch"[..], b"stop", b"--\xff"].map(|word| std::ffi::OsStr::from_bytes(word).to_owned());
        let error = Cli::try_parse_from(&words).err().unwrap();
        assert!(!complaint(&error, words.into_iter()).is_empty());
    }

    #[test]
    fn an_apps_own_options_stay_its_own() {
        let cli = Cli::try_parse_from(["latch", "run", "search", "--grant", "docs=host:/x,ro", "--", "-i", "--json"]);
        let Ok(Cli { command: Command::Run(run), json: false, .. }) = cli else { panic!("not read as a run") };
        assert_eq!(run.arguments, ["-i", "--json"]);
    }
}
