//! Every profile, under the real kernel: the probe tries what must be refused, and what is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

mod support;

use std::process::Command;

use schema::kernel_capnp::{Image, Outcome};
use support::cgroups::Delegated;
use support::control::{Event, Powerbox, Start};
use support::{Node, example};

/// Starts the probe as this image under a real kernel and gives its exit code and its last word.
fn probed(image: Image, name: &str, folder: Option<&std::path::Path>, run_as: u32) -> (i32, String) {
    let (node, mut powerbox) = probing(name, |_| {});
    let place = node.state().to_str().unwrap().as_bytes().to_vec();
    run(&mut powerbox, image, place, folder, run_as, 0)
}

/// A node on which the image of that name is the probe.
fn probing(name: &str, adjust: impl FnOnce(&mut Command)) -> (Node, Powerbox) {
    let (mut node, mut powerbox) = Node::start_with_images(&[(name, "confinement_probe")], adjust);
    powerbox.fake.confine();
    node.await_ready();
    powerbox.inventory();
    (node, powerbox)
}

fn run(
    powerbox: &mut Powerbox,
    image: Image,
    setup: Vec<u8>,
    folder: Option<&std::path::Path>,
    run_as: u32,
    memory_bytes: u64,
) -> (i32, String) {
    let (kind, opened) = match folder {
        Some(folder) => (vat::door::ResourceKind::Folder, std::fs::File::open(folder).unwrap()),
        None => (vat::door::ResourceKind::File, tempfile::tempfile().unwrap()),
    };
    let resource = vat::door::Resource::new(kind, "given");
    let start = Start {
        process: 10,
        image,
        setup,
        resources: vec![(resource, std::os::fd::AsFd::as_fd(&opened))],
        claims: vec![],
        folder: None,
        restart: false,
        run_as,
        memory_bytes,
        file_bytes: 1 << 20,
    };
    assert_eq!(powerbox.start(&start), Outcome::Ok);
    let (code, last) = powerbox.until(|event| match event {
        Event::Exited { process: 10, code, last, .. } => Some((*code, last.clone())),
        _ => None,
    });
    (code, last)
}

fn assert_walls_hold((code, last): (i32, String)) {
    assert_eq!(code, 0, "{last}");
    let Some((refused, applied)) = last.split_once("; applied ") else { panic!("{last}") };
    assert!(refused.starts_with("all ") && refused.ends_with(" refused"), "{last}");
    // Where this machine has Landlock, a profile without it is a failure and not a poorer machine.
    let layers = ["empty root", "no capabilities", "seccomp", "landlock"];
    let offered = |layer: &str| layer != "landlock" || landlock_is_offered();
    for layer in layers.into_iter().filter(|layer| offered(layer)) {
        assert!(applied.contains(layer), "no {layer}: {applied}");
    }
}

/// Its version in the list of security modules, or, where that list is not mounted, its own answer.
fn landlock_is_offered() -> bool {
    let output = Command::new(example("confinement_probe")).arg("unconfined").output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("Landlock")
}

#[test]
fn a_sandbox_is_walled_in() {
    assert_walls_hold(probed(Image::Sandbox, "sandbox", None, 0));
}

#[test]
fn a_compiler_is_walled_in() {
    assert_walls_hold(probed(Image::Compile, "compile", None, 0));
}

#[test]
fn a_folder_service_is_walled_in() {
    let folder = tempfile::tempdir().unwrap();
    assert_walls_hold(probed(Image::Folder, "folder", Some(folder.path()), 0));
    // As root this ran as the superuser, whose folder it is. Now as somebody else.
    if support::is_root() {
        std::os::unix::fs::chown(folder.path(), Some(12_345), Some(12_345)).unwrap();
        assert_walls_hold(probed(Image::Folder, "folder", Some(folder.path()), 12_345));
    }
}

#[test]
fn the_keys_are_walled_in() {
    assert_walls_hold(probed(Image::Keys, "keys", None, 0));
}

#[test]
fn the_store_is_walled_in() {
    assert_walls_hold(probed(Image::Storage, "storage", None, 0));
}

#[test]
fn the_powerbox_is_walled_in() {
    let node = Node::bare(&[("powerbox", "confinement_probe")], |_| {});
    let said = |log: &str| log.lines().find(|line| line.contains("(0) ended with ")).map(str::to_owned);
    let ended = support::eventually(|| said(&node.log()));
    let (code, last) = ended.split_once(" ended with ").and_then(|(_, rest)| rest.split_once(' ')).unwrap();
    assert_walls_hold((code.parse().unwrap(), last.to_owned()));
}

/// What a hoarding process may write to: much less than it hoards, and less also with what a cgroup allows beside it.
const HOARDER_BYTES: u64 = 64 << 20;

#[test]
fn memory_that_was_made_unwritable_is_counted_by_a_cgroup() {
    let Some(delegated) = Delegated::find() else { return };
    let (_node, mut powerbox) = probing("sandbox", |command| delegated.enter(command));
    let ended = run(&mut powerbox, Image::Sandbox, b"hoard".to_vec(), None, 0, HOARDER_BYTES);
    assert_eq!(ended, (-9, "it went over its limit of memory".to_owned()));
}

#[test]
fn memory_that_was_made_unwritable_is_not_counted_otherwise() {
    let Some(delegated) = Delegated::find() else { return };
    let _fellow = delegated.fellow();
    let (_node, mut powerbox) = probing("sandbox", |command| delegated.enter(command));
    let ended = run(&mut powerbox, Image::Sandbox, b"hoard".to_vec(), None, 0, HOARDER_BYTES);
    assert_eq!(ended, (0, "hoarded 640 MiB".to_owned()), "the attempt is a real one");
}

#[test]
fn nobody_takes_away_the_root_of_who_started_it() {
    if !support::is_root() {
        eprintln!("not run: only root could lose its root");
        return;
    }
    // Mounts that only the shell and the probe share: if it were not refused, only this shell would lose them.
    let script = "\"$0\" roots; test -e /etc/passwd && echo intact";
    let output =
        Command::new("unshare").args(["--mount", "sh", "-c", script]).arg(example("confinement_probe")).output();
    let told = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(told.ends_with("intact\n"), "{told}");
    assert!(told.contains("empty root"), "{told}");
}

#[test]
fn the_attempts_are_real() {
    let output = Command::new(example("confinement_probe")).arg("unconfined").output().unwrap();
    let possible = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = [
        "make a local stream socket",
        "make a socket pair",
        "make a TCP socket",
        "signal itself by kill",
        "open its parent",
        "fork",
        "have executable memory",
        "open /etc/passwd",
        "open /proc/self/mem",
        "be dumpable",
        "watch names",
        "share memory",
        "have memory that is counted as a stack",
        "have a memory file",
        "change what a descriptor is open for",
    ];
    for attempt in expected {
        assert!(possible.lines().any(|line| line == attempt), "{attempt} was not possible:\n{possible}");
    }
}
