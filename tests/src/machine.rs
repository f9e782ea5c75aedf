//! Machines that lack something. What is taken away is taken from one thread and from what it starts, so that tests
//! beside it have the whole machine, and nothing is left when it has ended.

#![expect(clippy::expect_used, reason = "a test whose machine cannot be made has failed")]

use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;

/// Runs a test on a thread of its own, with mounts of its own. Only root can have these: for anyone else this says so
/// and does nothing.
///
/// # Panics
/// Where the test does.
pub fn alone(test: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: mounts of its own, which this test needs, are for root");
        return;
    }
    let thread = std::thread::spawn(|| {
        own_mounts();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn own_mounts() {
    // It is deprecated for what it does to descriptors, which are not unshared here.
    #[expect(deprecated, reason = "safe for mounts: no descriptor is unshared")]
    rustix::thread::unshare(UnshareFlags::NEWNS).expect("root may have mounts of its own");
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .expect("its mounts are its own");
}

/// A small file system on a folder.
///
/// # Panics
/// Where it cannot be mounted, as every other function here.
pub fn small_disk(on: &Path, bytes: u64) {
    let options = CString::new(format!("size={bytes},mode=0755")).expect("no zero in it");
    rustix::mount::mount("none", on, "tmpfs", MountFlags::empty(), options.as_c_str()).expect("root may mount");
}

/// What lies below a folder is shown at another place too.
pub fn show(folder: &Path, at: &Path) {
    rustix::mount::mount_bind_recursive(folder, at).expect("root may mount");
}

/// Makes a folder read-only, with what is below it.
pub fn write_protect(folder: &Path) {
    rustix::mount::mount_bind(folder, folder).expect("root may mount");
    rustix::mount::mount_remount(folder, MountFlags::BIND | MountFlags::RDONLY, c"").expect("root may mount");
}

/// Undoes the last mount on a folder.
pub fn undo(folder: &Path) {
    rustix::mount::unmount(folder, rustix::mount::UnmountFlags::DETACH).expect("it was mounted");
}

/// From now on this thread's machine knows no Landlock: a filter answers as such a kernel does.
pub fn without_landlock() {
    let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
    let rules: BTreeMap<_, _> = calls.into_iter().map(|call| (call, vec![])).collect();
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into().expect("a known architecture");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, architecture).expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a program");
    seccompiler::apply_filter(&program).expect("this machine has seccomp");
}

/// From now on nobody on this thread's machine may make user namespaces: who does not live in the real root may not,
/// and this thread's root becomes another view of it, at `place`.
pub fn without_user_namespaces(place: &Path) {
    std::fs::create_dir_all(place).expect("room for a folder");
    show(Path::new("/"), place);
    rustix::process::chroot(place).expect("root may change its root");
    rustix::process::chdir("/").expect("there is a root");
}
