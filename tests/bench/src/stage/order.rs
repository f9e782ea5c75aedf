//! What the driver tells the stand-in powerbox.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is started by order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Part {
    /// Serves a plain directory.
    Service,
    /// Holds links, and calls the first of them as it is told.
    Client,
    /// An app: the component that was compiled last, in a real sandbox. It calls as it is told.
    Guest,
}

impl Part {
    /// What a client is told when it begins.
    pub(super) const CLIENT_SETUP: &'static [u8] = b"client";
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Compile the component in this file, for guests.
    Compile { component: PathBuf },
    /// Start a process; answers with its pid once it is confined.
    Start { process: u64, part: Part },
    /// Link each of these clients with the service in turn, so many times in all; each link is a grant of its own.
    Link { service: u64, clients: Vec<u64>, count: u32 },
    /// Revoke grants and grant each anew: so many times, one after the other, so many at once.
    Revoke { times: u32, at_once: u32 },
    /// Write a line to a client's or a guest's standard input; answers with the next line of its output.
    Tell { process: u64, line: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Pid(u32),
    Line(String),
    Revoked(Revoked),
    Failed(String),
}

/// How long each revocation took, from the command.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Revoked {
    /// Until the kernel had cut.
    pub(crate) cut_ns: Vec<u64>,
    /// Until the service had confirmed.
    pub(crate) quiet_ns: Vec<u64>,
}
