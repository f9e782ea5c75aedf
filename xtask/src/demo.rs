//! `cargo xtask demo`: the main job on real input, as a person would see it. Each step is checked; anything that is not
//! as told ends the demo with a failure.

mod escape;
mod search;
mod stage;
mod store;

use crate::{build, guests, run, setup};
use stage::Stage;
use std::path::Path;
use std::time::Instant;

/// Sets up, builds, and tells the story.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let start = Instant::now();
    setup::building(root)?;
    let binaries = build::native(root, build::Profile::Dev)?;
    let packages = guests::build(root, &binaries)?;
    let built = start.elapsed();

    let stage = Stage::new(root, &binaries, &packages)?;
    let told = Instant::now();
    stage.say("A node of its own, in a temporary folder.");
    stage.latch(&["up"])?;
    stage.say("A program that we did not write, signed by somebody. Who signed is a question of trust; what it may do is another.");
    stage.refused(&["install", &stage.package("search")], "author")?;
    stage.latch(&["install", &stage.package("search"), "--trust"])?;
    stage.latch(&["install", &stage.package("probe")])?;
    search::ask_and_approve(&stage)?;
    escape::attempts(&stage)?;
    search::who_holds_what(&stage)?;
    search::cut_in_the_middle(&stage)?;
    store::killed_in_mid_write(&stage)?;
    stage.say("What happened is on record, each entry bound to all before it, and signed.");
    let verified = stage.latch(&["log", "--verify"])?;
    stage.must(verified.contains("whole"), "the log verifies")?;
    stage.latch(&["down"])?;

    println!("\nAll of it was as told.");
    println!("Building took {}, the story {}.", run::seconds(built), run::seconds(told.elapsed()));
    Ok(())
}
