//! Where the state is, and what is there besides.

use crate::support::{furnish, search};
use std::path::Path;
use tests::machine::{alone, write_protect};
use tests::node::Node;

#[test]
fn a_state_may_lie_deeper_than_a_sockets_name_reaches() {
    /// `sun_path`, by unix(7).
    const SOCKET_NAME_BYTES: usize = 108;
    let node = Node::prepare_in(&std::env::temp_dir());
    let deep = node.scratch().join("d".repeat(100)).join("e".repeat(100)).join("state");
    assert!(deep.as_os_str().len() > SOCKET_NAME_BYTES);
    let node = node.with_state(deep);
    node.up();
    furnish(&node);
    search(&node);
}

#[test]
fn without_a_home_one_is_asked_for_a_place() {
    let node = Node::prepare_in(&std::env::temp_dir());
    for word in ["up", "doctor", "status"] {
        let mut command = node.latch([word]);
        for variable in ["LATCH_STATE", "XDG_STATE_HOME", "HOME"] {
            command.env_remove(variable);
        }
        let output = command.output().expect("latch runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("$HOME") && told.contains("--state DIR"), "{told}");
    }
    // and with a place none is needed
    let mut command = node.latch(["up"]);
    let output = command.env_remove("HOME").output().expect("latch runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn temporary_files_are_not_needed() {
    alone(|| {
        let node = Node::prepare_in(Path::new(env!("CARGO_TARGET_TMPDIR")));
        write_protect(Path::new("/tmp"));
        node.up();
        furnish(&node);
        search(&node);
    });
}
