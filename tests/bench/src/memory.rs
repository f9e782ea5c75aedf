//! What the system says of processes, their memory and their time.

use rustix::process::Pid;

/// Memory that only this process has, in bytes: what would be free if it were gone.
pub(crate) fn private_bytes(process: Pid) -> Result<u64, String> {
    Ok(sum(&rollup(process)?, &["Private_Clean:", "Private_Dirty:"]))
}

/// Memory of this process, in bytes; of what it shares with others, its share.
pub(crate) fn share_bytes(process: Pid) -> Result<u64, String> {
    Ok(sum(&rollup(process)?, &["Pss:"]))
}

/// Processor time that a process has used, in nanoseconds, without that of threads that have ended.
pub(crate) fn processor_ns(process: Pid) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).into_iter().flatten().flatten();
    let used = tasks.filter_map(|task| {
        let line = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    used.sum()
}

/// Who started a process, or has taken it over.
pub(crate) fn parent(process: Pid) -> Option<Pid> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Pid::from_raw(line.trim().parse().ok()?)
}

/// The processes whose parent this is.
pub(crate) fn children(process: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter(|candidate| parent(*candidate) == Some(process)).collect()
}

fn rollup(process: Pid) -> Result<String, String> {
    let path = format!("/proc/{}/smaps_rollup", process.as_raw_nonzero());
    std::fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))
}

/// The sum of lines such as `Private_Dirty:      128 kB`.
fn sum(rollup: &str, names: &[&str]) -> u64 {
    let wanted = rollup.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    let kibibytes = wanted.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_summed() {
        let rollup = "Rss: 900 kB\nPss: 450 kB\nPss_Dirty: 9 kB\nShared_Clean: 500 kB\nPrivate_Clean: 3 kB\nPrivate_Dirty: 4 kB\n";
        assert_eq!(sum(rollup, &["Private_Clean:", "Private_Dirty:"]), 7 * 1024);
        assert_eq!(sum(rollup, &["Pss:"]), 450 * 1024);
    }

    #[test]
    fn a_process_can_be_read() {
        let own = rustix::process::getpid();
        assert!(private_bytes(own).unwrap() > 0);
        assert!(share_bytes(own).unwrap() > 0);
        assert!(processor_ns(own) > 0);
        assert!(parent(own).is_some());
    }

    #[test]
    fn a_child_is_found() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(children(rustix::process::getpid()).contains(&Pid::from_child(&child)));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
