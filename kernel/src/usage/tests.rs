use super::*;

#[test]
fn the_systems_tables_are_read_whatever_a_process_calls_itself() {
    let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 1 0 5 1 2";
    assert_eq!(ticks(line), 42);
    assert_eq!(ticks(""), 0);
    let status = "Name:\tVmRSS: 7\nUid:\t1000\t1001\t0\t0\nVmHWM:\t  9 kB\nVmRSS:\t     20 kB\n";
    assert_eq!((number(status, "VmRSS:"), number(status, "Uid:")), (Some(20), Some(1000)));
    assert_eq!(number(status, "VmSwap:"), None);
}

#[test]
fn this_process_uses_something() {
    let used = measure(std::process::id());
    assert!(used[1] > 0);
    assert_eq!(user(std::process::id()), Some(rustix::process::getuid().as_raw()));
}
