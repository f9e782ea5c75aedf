//! Which file systems have an answer for whoever cannot wait.
//!
//! A file system that another process or another machine serves may have to ask there whenever a file is opened, looked at or
//! closed, even when it is asked what kind of file system it is; and an answer may never come. The few that are named here keep
//! what the system has looked at in memory: to look at it again, or to open it for reading, takes a walk through memory only.
//!
//! The question is for a disk thread, then. From what is known to be local the RPC thread goes on by itself without asking
//! again, because it never crosses a mount point (RESOLVE_NO_XDEV): what it reaches is on the same file system.

use std::os::fd::AsFd;

/// ext2, ext3 and ext4; XFS; Btrfs; F2FS; tmpfs. As their headers have it, in 32 bits.
const LOCAL: [u32; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

/// Whether the descriptor's own file system is one of these. It may wait.
pub fn is_local(descriptor: impl AsFd) -> bool {
    // The type has 64 bits here, of which the file systems use the lower half.
    rustix::fs::fstatfs(descriptor)
        .is_ok_and(|found| LOCAL.iter().any(|&local| i128::from(found.f_type) == local.into()))
}
