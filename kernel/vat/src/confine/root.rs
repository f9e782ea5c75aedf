//! The root directory of a confined process.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{CWD, stat};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, unmount,
};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

/// Makes `folder`, or an empty read-only file system, the root and the working directory. Returns whether the
/// machine allowed it: that takes CAP_SYS_ADMIN and CAP_SYS_CHROOT over the mount namespace, which the kernel leaves to a process that
/// is born in one of its own. Where it did not, `folder` is the working directory all the same; an error is about that.
pub(super) fn change(folder: Option<BorrowedFd<'_>>) -> Result<bool> {
    let emptied = empty_root().is_ok();
    let Some(folder) = folder else { return Ok(emptied) };
    fchdir(folder)?;
    // The folder is mounted in the namespace of whoever opened it, outside the emptied one: as the root it has no
    // parent, while as a mere working directory ".." would lead up from it.
    Ok(emptied && chroot(".").is_ok())
}

/// Whether the parent has the same mounts. A process that is not allowed to look at its parent is not one that could
/// change the parent's mounts either.
fn shares_mounts() -> bool {
    let parent = rustix::process::getppid().map_or(0, |parent| parent.as_raw_pid());
    let namespace = |process: &str| stat(format!("/proc/{process}/ns/mnt")).map(|it| (it.st_dev, it.st_ino));
    namespace("self").is_ok_and(|own| namespace(&parent.to_string()) == Ok(own))
}

/// Mounts an empty file system over the root and leaves the old one behind.
fn empty_root() -> Result<()> {
    // Started by root's own hand: it would take away everybody's root.
    if shares_mounts() {
        return Err(Errno::PERM);
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // One inode, its own, and one page: a tmpfs has no smaller bounds, 0 means none.
    for (key, value) in [("mode", "0555"), ("nr_inodes", "1"), ("size", "4k")] {
        fsconfig_set_string(context.as_fd(), key, value)?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let empty = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    move_mount(empty.as_fd(), "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    fchdir(empty.as_fd())?;
    // The old root lands on the new one, under the same name, and is detached from there.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}
