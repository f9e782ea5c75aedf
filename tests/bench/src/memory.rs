//! What the system says of a process's memory.

use rustix::process::Pid;

/// Memory that only this process has, in bytes: what would be free if it were gone.
pub(crate) fn private_bytes(process: Pid) -> Result<u64, String> {
    let path = format!("/proc/{}/smaps_rollup", process.as_raw_nonzero());
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(sum_of_private(&text))
}

/// Lines such as `Private_Dirty:      128 kB`.
fn sum_of_private(rollup: &str) -> u64 {
    let private = rollup.lines().filter(|line| line.starts_with("Private_") && !line.starts_with("Private_Hugetlb"));
    let kibibytes = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_private_memory_counts() {
        let rollup = "Rss: 900 kB\nShared_Clean: 500 kB\nPrivate_Clean: 3 kB\nPrivate_Dirty: 4 kB\nPrivate_Hugetlb: 0 kB\n";
        assert_eq!(super::sum_of_private(rollup), 7 * 1024);
    }

    #[test]
    fn a_process_can_be_read() {
        assert!(super::private_bytes(rustix::process::getpid()).unwrap() > 0);
    }
}
