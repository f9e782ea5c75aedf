//! `latch status` and `latch doctor`.

use schema::operator_capnp::{finding, status};
use serde::Serialize;

use super::{at_ms, text, texts};
use crate::failure::Outcome;

/// The node as a whole.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    /// `ready`, `recovering`, or what is wrong.
    pub(crate) state: String,
    pub(crate) started_at_ms: Option<u64>,
    pub(crate) grants: u64,
    pub(crate) links: u64,
    /// Requests that nobody has decided.
    pub(crate) pending: u64,
    pub(crate) log_records: u64,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) processes: Vec<Process>,
}

/// Something that a person should know.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Warning {
    pub(crate) text: String,
    /// When that happened; null: it is so now.
    pub(crate) at_ms: Option<u64>,
}

/// One process of the node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) pid: Option<u32>,
    pub(crate) uid: u32,
    /// `running`, `starting`, `backing off`
    pub(crate) state: String,
    pub(crate) restarts: u32,
    pub(crate) links: u32,
    pub(crate) resident_bytes: u64,
    pub(crate) cpu_us: u64,
    /// What holds it in.
    pub(crate) confinement: Vec<String>,
    /// What this machine could not do.
    pub(crate) missing: Vec<String>,
    pub(crate) last_exit: String,
}

impl Status {
    pub(crate) fn read(reader: status::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            version: text(reader.get_version())?,
            state: text(reader.get_state())?,
            started_at_ms: at_ms(reader.get_started_at_ms()),
            grants: reader.get_grants(),
            links: reader.get_links(),
            pending: reader.get_pending(),
            log_records: reader.get_log_records(),
            warnings: reader.get_warnings()?.iter().map(Warning::read).collect::<Outcome<_>>()?,
            processes: reader.get_processes()?.iter().map(Process::read).collect::<Outcome<_>>()?,
        })
    }
}

impl Warning {
    fn read(reader: status::warning::Reader<'_>) -> Outcome<Self> {
        Ok(Self { text: text(reader.get_text())?, at_ms: at_ms(reader.get_at_ms()) })
    }
}

impl Process {
    fn read(reader: status::process::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            name: text(reader.get_name())?,
            image: text(reader.get_image())?,
            pid: Some(reader.get_pid()).filter(|pid| *pid != 0),
            uid: reader.get_uid(),
            state: text(reader.get_state())?,
            restarts: reader.get_restarts(),
            links: reader.get_links(),
            resident_bytes: reader.get_resident_bytes(),
            cpu_us: reader.get_cpu_us(),
            confinement: texts(reader.get_confinement())?,
            missing: texts(reader.get_missing())?,
            last_exit: text(reader.get_last_exit())?,
        })
    }
}

/// One thing that `latch doctor` looked at.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) ok: bool,
    pub(crate) subject: String,
    pub(crate) text: String,
    /// What to do about it; empty where nothing need be done.
    pub(crate) remedy: String,
}

impl Finding {
    pub(crate) fn read(reader: finding::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            ok: reader.get_ok(),
            subject: text(reader.get_subject())?,
            text: text(reader.get_text())?,
            remedy: text(reader.get_remedy())?,
        })
    }

    /// All is well.
    pub(crate) fn good(subject: &str, text: impl Into<String>) -> Self {
        Self { ok: true, subject: subject.to_owned(), text: text.into(), remedy: String::new() }
    }

    /// Something that the person should know, with what to do.
    pub(crate) fn bad(subject: &str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { ok: false, subject: subject.to_owned(), text: text.into(), remedy: remedy.into() }
    }
}
