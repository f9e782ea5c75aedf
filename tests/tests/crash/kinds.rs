//! Each kind of process killed once: what comes back by itself, and that `latch status` tells.

use crate::stage::{Stage, kill};
use tests::until;

#[test]
fn every_process_that_is_killed_comes_back_or_is_missed_by_nobody() {
    let stage = Stage::new();
    stage.load("load", 16);
    let goes_on = |what: &str| {
        println!("{what}");
        stage.await_growth("load", stage.added("load"));
    };

    // What serves a folder is started again, and its grants are linked again.
    kill(stage.processes("folder")[0]);
    goes_on("folder");
    assert_eq!(stage.restarts("folder"), 1);

    // A detached app is started again, and has what it had.
    kill(stage.processes("sandbox")[0]);
    goes_on("sandbox");

    kill(stage.processes("powerbox")[0]);
    goes_on("powerbox");
    stage.await_answer();
    assert_eq!(stage.restarts("powerbox"), 1);

    // A compilation that dies is the end of that installation; nothing is left of it, and the next one works.
    let search = tests::package("search");
    let mut install = stage.node.spawn(["install".as_ref(), search.as_os_str()]);
    until("nothing is compiled", || !stage.processes("compile").is_empty());
    let compiling = stage.processes("compile");
    if compiling.first().is_some_and(|compile| kill(*compile)) {
        let ended = install.wait().expect("it ends");
        let installed = stage.node.expect(["install"]).contains("search");
        assert_eq!(ended.success(), installed, "what was said is not what is");
    }
    drop(install.wait());
    stage.node.expect(["install".as_ref(), search.as_os_str()]);
    goes_on("compile");

    // A foreground app ends with its shell.
    let preset = stage.spec("folder", "short", ",append");
    let words = ["run", "append", "--name", "short", "--grant", &preset, "--", "lines", "1"];
    let mut shell = stage.node.spawn(words);
    stage.await_growth("short", 0);
    kill(i32::try_from(shell.id()).expect("a process number"));
    drop(shell.wait());
    until("an app outlives its shell", || stage.processes("sandbox").len() == 1);
    goes_on("shell");

    // With the kernel everything ends; it is started again, and what was granted and wanted with it.
    kill(stage.kernel().expect("it runs"));
    stage.await_answer();
    goes_on("kernel");
    assert_eq!(stage.node.json(["log", "--verify"])["ok"], true);
}
