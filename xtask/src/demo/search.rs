//! The main job: a search over this project's own folder; who holds what; and a cut while it runs.

use super::stage::{Stage, text};
use std::io::{BufRead, BufReader, Read};
use std::process::Child;

/// A word that stands in many files of this project.
const PATTERN: &str = "capability";

/// How many matches are shown.
const SHOWN_LINES: usize = 5;

/// The app asks, the request waits, a person approves, matches stream in.
pub(crate) fn ask_and_approve(stage: &Stage) -> Result<(), String> {
    stage.say("It is run with nothing. It asks for a folder; without a terminal the question waits.");
    let app = stage.start(&["run", "search", "--", PATTERN, "--glob", "*.rs"])?;
    let request = request(stage)?;
    stage.latch(&["requests"])?;
    stage.say("This project's own folder, and only to read:");
    stage.latch(&["approve", &request, &folder(stage)])?;
    let output = app.wait_with_output().map_err(|error| error.to_string())?;
    let matches: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    println!("  … and the search, which has waited, prints:");
    matches.iter().take(SHOWN_LINES).for_each(|line| println!("  {line}"));
    println!("  … {} lines", matches.len());
    stage.must(output.status.success() && matches.len() > SHOWN_LINES, "the search finds matches")
}

/// Who holds what, and why.
pub(crate) fn who_holds_what(stage: &Stage) -> Result<(), String> {
    stage.say("Who holds what, and why?");
    let listed = stage.latch(&["grants"])?;
    stage.must(listed.contains("search") && listed.contains("probe"), "both apps' grants are listed")?;
    let why = stage.latch(&["why", "search:folder"])?;
    stage.must(why.contains("search"), "why names the holder")
}

/// A search that has printed its first lines, and whose output nobody takes any further, is in the middle of its
/// work: then the folder is taken back.
pub(crate) fn cut_in_the_middle(stage: &Stage) -> Result<(), String> {
    stage.say("The same search over everything, and the folder is taken away while it runs.");
    let mut app = stage.start(&["run", "search", "--", "."])?;
    let mut output = BufReader::new(app.stdout.take().ok_or("no output to read")?);
    let mut first = String::new();
    output.read_line(&mut first).map_err(|error| error.to_string())?;
    println!("  {}", first.trim_end());
    let cut = stage.latch(&["revoke", "search:folder", "--reason", "I changed my mind"])?;
    stage.must(cut.contains("cut") && cut.contains("quiet"), "the revocation tells cut and quiet")?;
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).map_err(|error| error.to_string())?;
    let (code, told) = end(app)?;
    println!("  … {} more bytes, then the app says:\n  {}", rest.len(), told.trim_end().replace('\n', "\n  "));
    stage.must(code == Some(3), &format!("the app ends with its code for a cut, not {code:?}"))?;
    stage.must(told.contains("revoked"), "the app says that the folder was revoked")?;
    stage.say("Taken is taken: the next run does not have it, and asking again under the same name does not help.");
    let again = stage.start(&["run", "search", "--", PATTERN])?;
    let (code, told) = end(again)?;
    println!("  {}", told.trim_end());
    stage.must(code == Some(3), "the next run is refused")
}

/// The grant's words for this project's folder.
fn folder(stage: &Stage) -> String {
    format!("host:{},ro", stage.root.display())
}

/// The number of the one request, once it is there.
fn request(stage: &Stage) -> Result<String, String> {
    let rows = stage.json(&["requests", "--wait"])?;
    let id = rows[0]["id"].as_u64().ok_or_else(|| format!("no request in {rows}"))?;
    Ok(id.to_string())
}

/// Waits for the end: exit code and what it said.
fn end(mut app: Child) -> Result<(Option<i32>, String), String> {
    let mut told = String::new();
    if let Some(mut error) = app.stderr.take() {
        error.read_to_string(&mut told).map_err(|error| error.to_string())?;
    }
    let status = app.wait().map_err(|error| error.to_string())?;
    Ok((status.code(), told))
}
