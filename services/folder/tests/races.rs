//! Names that another thread swaps between a check and a use, as fast as it can.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{EVERY_RIGHT, Tree, path};
use files::patience::Patience;
use folder_service::resolve;
use folder_service::{change, content};
use rustix::fs::{CWD, FileType, Mode};
use vat::words::Rights;

/// Stops the other thread, also where this one fails.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A racing thread swaps names between a file inside and a link to the outside, as fast as it can, while the same name is
/// opened, created, removed and renamed. Whatever was opened was inside; whatever was outside is as it was.
#[test]
fn names_that_are_swapped_meanwhile_never_lead_out() {
    const ROUNDS: usize = 20_000;
    let tree = Tree::new();
    tree.write_outside("target/file", b"OUTSIDE");
    tree.write("inside/file", b"inside");
    tree.write("plain", b"inside");
    tree.link("../outside/target", "bad-directory");
    tree.link("../outside/target/file", "bad-file");
    // `turn` is in turn the directory and the link out; `end` the file and the link out.
    std::fs::rename(tree.folder.join("inside"), tree.folder.join("turn")).unwrap();
    std::fs::rename(tree.folder.join("plain"), tree.folder.join("end")).unwrap();
    let (mut opened, mut refused) = (0, 0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stopping = Stopping(&stop);
        scope.spawn(|| {
            let exchange = |one: &str, other: &str| {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(CWD, tree.folder.join(one), CWD, tree.folder.join(other), flags).unwrap();
            };
            while !stop.load(Ordering::Relaxed) {
                exchange("turn", "bad-directory");
                exchange("end", "bad-file");
            }
        });
        for round in 0..ROUNDS {
            let name = if round % 2 == 0 { "turn/file" } else { "end" };
            let patience = if round % 3 == 0 { Patience::Memory } else { Patience::Disk };
            match resolve::open_file(tree.top.as_fd(), &path(name), Rights::READ, patience) {
                Ok(file) => {
                    let mut bytes = [0; 7];
                    let read = content::read(file.as_fd(), 0, &mut bytes).unwrap();
                    assert_eq!(&bytes[..read], b"inside");
                    opened += 1;
                }
                Err(_) => refused += 1,
            }
            let made = path(&format!("turn/made-{round}"));
            if change::create_file(&tree.top, &made, Rights::ALL, false).is_ok() {
                // It may be the link by now, and refused.
                _ = change::remove(&tree.top, &made);
            }
            _ = change::rename(&tree.top, &path("turn/file"), &path("turn/file"), true);
        }
    });
    assert!(opened > 0 && refused > 0, "the race was on: {opened} opened, {refused} refused");
    let outside: Vec<_> = std::fs::read_dir(tree.outside.join("target")).unwrap().flatten().collect();
    assert_eq!(outside.len(), 1, "nothing was made or removed outside");
    assert_eq!(std::fs::read(outside[0].path()).unwrap(), b"OUTSIDE");
}

/// The same with a file that is swapped with a FIFO: it is never waited for, and never handed out.
#[test]
fn a_file_that_is_swapped_with_a_fifo_is_that_file_or_refused() {
    let tree = Tree::new();
    tree.write("end", b"inside");
    rustix::fs::mknodat(CWD, tree.folder.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let (mut opened, mut refused) = (0, 0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stopping = Stopping(&stop);
        scope.spawn(|| {
            let (one, other) = (tree.folder.join("end"), tree.folder.join("fifo"));
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &one, CWD, &other, rustix::fs::RenameFlags::EXCHANGE).unwrap();
            }
        });
        for round in 0..100_000 {
            let rights = EVERY_RIGHT[round % 3];
            match resolve::open_file(tree.top.as_fd(), &path("end"), rights, Patience::Disk) {
                Ok(file) => {
                    let mode = rustix::fs::fstat(&file).unwrap().st_mode;
                    assert!(FileType::from_raw_mode(mode).is_file(), "round {round}");
                    opened += 1;
                }
                Err(_) => refused += 1,
            }
        }
    });
    assert!(opened > 0 && refused > 0, "the race was on: {opened} opened, {refused} refused");
}
