//! `latch ps`.

use schema::operator_capnp::instance;
use serde::Serialize;

use super::{at_ms, text};
use crate::failure::Outcome;

/// One instance of an app.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) app: String,
    pub(crate) version: String,
    /// The node's number of the run; null: not running.
    pub(crate) process: Option<u64>,
    pub(crate) pid: Option<u32>,
    /// Runs without a terminal and is started again with the node.
    pub(crate) detached: bool,
    /// `running`, `starting`, `stopping`, `stopped`, `exited N`, or in words that it is started again or given up
    pub(crate) state: String,
    pub(crate) started_at_ms: Option<u64>,
    /// Grants that it holds.
    pub(crate) grants: u32,
    /// Requests that nobody has decided.
    pub(crate) pending: u32,
    pub(crate) cpu_us: u64,
    pub(crate) resident_bytes: u64,
    /// How it last ended.
    pub(crate) last: String,
    /// Detached, and should run: it does, or is started again, or the node has given it up.
    pub(crate) wanted: bool,
}

impl Instance {
    pub(crate) fn read(reader: instance::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            name: text(reader.get_name())?,
            app: text(reader.get_app())?,
            version: text(reader.get_version())?,
            process: at_ms(reader.get_process()),
            pid: Some(reader.get_pid()).filter(|pid| *pid != 0),
            detached: reader.get_detached(),
            state: text(reader.get_state())?,
            started_at_ms: at_ms(reader.get_started_at_ms()),
            grants: reader.get_grants(),
            pending: reader.get_pending(),
            cpu_us: reader.get_cpu_us(),
            resident_bytes: reader.get_resident_bytes(),
            last: text(reader.get_last())?,
            wanted: reader.get_wanted(),
        })
    }

    /// Whether it runs now.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it is to be seen without `--all`: it runs, or it should.
    pub(crate) fn is_shown(&self) -> bool {
        self.is_running() || self.wanted
    }
}
