//! What this process has used so far. Unsafe because the C library fills in a structure of ours.
#![allow(unsafe_code)]

/// Since the process began.
pub(crate) struct Usage {
    /// Of all threads, in the program and in the system.
    pub(crate) cpu_s: u64,
    /// The most that was in memory at any time.
    pub(crate) memory_kib: i64,
}

/// Asks the system.
pub(crate) fn usage() -> Usage {
    // SAFETY: `rusage` holds only numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a structure of the right type that lives through the call.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let seconds = usage.ru_utime.tv_sec.saturating_add(usage.ru_stime.tv_sec);
    Usage { cpu_s: u64::try_from(seconds).unwrap_or(0), memory_kib: usage.ru_maxrss }
}
