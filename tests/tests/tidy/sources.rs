//! Rules over the text of the sources.

use std::path::{Path, PathBuf};

/// Everything that only the kernel runs: its own crate, in lines of code. What it shares with every vat (the messages
/// of doors, packets with descriptors) is theirs as well; comments and blank lines explain and are not run.
const KERNEL_LINES_MAXIMUM: usize = 1_500;

/// A file longer than this has more than one idea. A ratchet: the numbers only ever go down.
const FILE_LINES_MAXIMUM: usize = 500;

/// The same for files of tests, where cases of one kind stand together.
const TEST_LINES_MAXIMUM: usize = 800;

#[test]
fn the_kernel_can_be_read_in_one_sitting() {
    let files = rust_files(&tests::checkout().join("kernel/src"));
    let counted = files.iter().filter(|file| !file.ends_with("tests.rs")).map(|file| (file, code_lines(file)));
    let counts: Vec<_> = counted.collect();
    let total: usize = counts.iter().map(|(_, lines)| lines).sum();
    assert!(total > 0, "found no source of the kernel");
    assert!(
        total <= KERNEL_LINES_MAXIMUM,
        "the kernel has {total} lines, more than {KERNEL_LINES_MAXIMUM}: {counts:#?}"
    );
}

#[test]
fn unsafe_code_is_only_in_files_named_for_it() {
    let named = |file: &Path| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("unsafe_") || name == "sys.rs"
    };
    // written so that this file does not contain the words itself
    let words = ["{", "fn", "impl"].map(|rest| format!("{} {rest}", "unsafe"));
    for file in sources() {
        let text = std::fs::read_to_string(&file).expect("sources are text");
        let used = text.lines().map(code).find(|line| words.iter().any(|word| line.contains(word.as_str())));
        if let Some(line) = used {
            assert!(named(&file), "{}: unsafe code in a file that is not named for it: {line}", file.display());
        }
    }
}

#[test]
fn files_have_one_idea() {
    for file in sources() {
        let lines = std::fs::read_to_string(&file).expect("sources are text").lines().count();
        let maximum = if is_test(&file) { TEST_LINES_MAXIMUM } else { FILE_LINES_MAXIMUM };
        assert!(lines <= maximum, "{} has {lines} lines: split it by idea", file.display());
    }
}

#[test]
fn no_promise_is_left_in_the_code() {
    // written so that this file does not contain the words itself
    let words = ["todo", "unimplemented"].map(|word| format!("{word}!("));
    for file in sources() {
        let text = std::fs::read_to_string(&file).expect("sources are text");
        for word in &words {
            assert!(!text.contains(word.as_str()), "{}: {word}…)", file.display());
        }
    }
}

/// What makes a capability, or a whole engine, without the gate and the meter that `Exports` puts in front of each call.
const UNGUARDED: [&str; 6] = [
    "new_client(",
    "new_client_from_rc(",
    "new_promise_client(",
    "new_future_client(",
    "CapabilityServerSet",
    "RpcSystem",
];

#[test]
fn what_is_served_is_served_through_exports() {
    for file in ["services", "apps", "powerbox"].iter().flat_map(|room| rust_files(&tests::checkout().join(room))) {
        let text = std::fs::read_to_string(&file).expect("sources are text");
        let found = UNGUARDED.iter().find(|word| text.lines().map(code).any(|line| line.contains(**word)));
        assert!(
            found.is_none() || is_test(&file) || file.ends_with("tests.rs"),
            "{}: {found:?}: serve through vat's Exports",
            file.display()
        );
    }
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests")
}

/// All Rust sources that people write.
fn sources() -> Vec<PathBuf> {
    let rooms = ["kernel", "powerbox", "services", "apps", "tests", "xtask"].map(|room| tests::checkout().join(room));
    rooms.iter().flat_map(|room| rust_files(room)).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Lines of code outside of test modules.
fn code_lines(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).expect("sources are text");
    let before_tests = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    before_tests.lines().filter(|line| !code(line).trim().is_empty()).count()
}

fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}
