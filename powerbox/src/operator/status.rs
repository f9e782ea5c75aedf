//! How the node is: `status`, `doctor`, and its end.

use schema::operator_capnp::operator;

use super::record::verified;
use super::{Operator, count};
use crate::core::Core;
use crate::live::{Kind, Process};
use crate::warnings::{Cause, Warning};
use crate::words::{PATH_LIMIT, REASON_LIMIT, phrase, plain};

/// What to do where something was signed with keys that are not here.
const NEWER_KEYS: &str = "restore the latest backup of the keys: latch down, move the file keys/keyring of the state away, \
                          latch up, latch keys restore BACKUP";

const LOCKED: &str = "the node's keys are locked: nothing is signed, and of the store nothing is made durable or opened anew. \
                      `latch keys unlock` opens them";

/// A process as it is listed.
struct Row {
    number: u64,
    process: Process,
    links: u32,
    figures: crate::live::Figures,
}

struct Status {
    started_at_ms: u64,
    rows: Vec<Row>,
    grants: u64,
    links: u64,
    pending: u64,
    records: u64,
    state: String,
    warnings: Vec<Warning>,
}

/// One thing that the doctor looked at.
struct Finding {
    ok: bool,
    subject: &'static str,
    text: String,
    remedy: &'static str,
}

pub(super) async fn status(
    of: &Operator,
    _: operator::StatusParams,
    mut results: operator::StatusResults,
) -> Result<(), capnp::Error> {
    let status = of
        .core
        .act(|core| async move {
            core.refresh_usage().await;
            let locked = core.keys_are_locked().await;
            let mut status = look(&core);
            status.warnings.extend(locked.then(|| Warning::now(LOCKED.into())));
            Ok(status)
        })
        .await?;
    let mut builder = results.get().init_status();
    builder.set_started_at_ms(status.started_at_ms);
    builder.set_version(env!("CARGO_PKG_VERSION"));
    builder.set_grants(status.grants);
    builder.set_links(status.links);
    builder.set_pending(status.pending);
    builder.set_log_records(status.records);
    builder.set_state(&status.state);
    let mut warnings = builder.reborrow().init_warnings(count(status.warnings.len()));
    for (index, warning) in (0..).zip(&status.warnings) {
        let mut builder = warnings.reborrow().get(index);
        builder.set_text(&warning.text);
        builder.set_at_ms(warning.at_ms);
    }
    let mut list = builder.init_processes(count(status.rows.len()));
    for (index, row) in (0..).zip(&status.rows) {
        let mut builder = list.reborrow().get(index);
        let process = &row.process;
        builder.set_name(plain(&process.name, PATH_LIMIT));
        builder.set_image(image(row.number, process));
        builder.set_pid(process.pid);
        builder.set_uid(process.uid);
        builder.set_state(if process.confined {
            "running"
        } else if process.backing_off {
            "backing off"
        } else {
            "starting"
        });
        builder.set_restarts(process.restarts);
        builder.set_links(row.links);
        builder.set_resident_bytes(row.figures.resident_bytes);
        builder.set_cpu_us(row.figures.cpu_us);
        builder.set_last_exit(phrase(&process.last_exit, REASON_LIMIT));
        for (texts, applied) in [(&process.confinement.applied, true), (&process.confinement.missing, false)] {
            let mut list = if applied {
                builder.reborrow().init_confinement(count(texts.len()))
            } else {
                builder.reborrow().init_missing(count(texts.len()))
            };
            for (index, text) in (0..).zip(texts) {
                list.set(index, text);
            }
        }
    }
    Ok(())
}

fn image(number: u64, process: &Process) -> &'static str {
    use schema::kernel_capnp::Image;
    match (&process.kind, process.image) {
        _ if number == 0 => "powerbox",
        (Kind::Shell, _) => "shell",
        (_, Some(Image::Folder)) => "folder",
        (_, Some(Image::Sandbox)) => "sandbox",
        (_, Some(Image::Compile)) => "compile",
        (_, Some(Image::Keys)) => "keys",
        (_, Some(Image::Storage)) => "storage",
        _ => "powerbox",
    }
}

fn look(core: &Core) -> Status {
    let (state, live) = (core.state.borrow(), core.live.borrow());
    let mut own = Process::starting(Kind::Unknown, None, "powerbox".into());
    own.pid = std::process::id();
    own.uid = rustix::process::getuid().as_raw();
    own.confined = true;
    own.restarts = live.own_restarts;
    own.confinement = core.confinement.clone();
    let mut warnings = noted(core);
    warnings.extend(core.need_room().err().filter(|_| !core.stopping.get()).map(|full| Warning::now(full.to_string())));
    warnings.extend(std::iter::once(&own).chain(live.processes.values()).filter_map(unconfined).map(Warning::now));
    let powerbox = std::iter::once((0, own));
    let rows = powerbox.chain(live.processes.iter().map(|(number, process)| (*number, process.clone()))).map(
        |(number, process)| Row {
            number,
            links: live.links_of(number),
            figures: live.figures.get(&number).copied().unwrap_or_default(),
            process,
        },
    );
    for (instance, times) in &live.unannounced {
        let text = format!("{instance} asked {times} times for what its package does not announce");
        warnings.push(Warning::now(text));
    }
    Status {
        started_at_ms: state.started_at_ms,
        rows: rows.collect(),
        grants: grants_of_others(&state.grants),
        links: live.links.values().filter(|link| link.grant != 0).count() as u64,
        pending: state.requests.pending().count() as u64,
        records: state.position,
        state: if core.stopping.get() {
            "stopping".into()
        } else if core.recovering.get() {
            "recovering".into()
        } else {
            "ready".into()
        },
        warnings,
    }
}

/// What was noted for people and is still worth telling.
fn noted(core: &Core) -> Vec<Warning> {
    let (state, live) = (core.state.borrow(), core.live.borrow());
    let lasts = |name: &str, cause: Cause| match cause {
        Cause::Event => true,
        Cause::Unlinked(grant) => state.grants.is_alive(grant) && !live.open.contains_key(&grant),
        Cause::GivenUp => live.is_given_up(name),
    };
    let mut noted = core.warnings.borrow().shown(core.now_ms(), lasts);
    noted.extend(core.index_trouble().map(Warning::now));
    noted.extend(core.signing_trouble().map(Warning::now));
    noted
}

/// What a process should have around it and has not.
fn unconfined(process: &Process) -> Option<String> {
    let missing = &process.confinement.missing;
    let text = || format!("{} runs without {}", plain(&process.name, PATH_LIMIT), missing.join(", "));
    (!missing.is_empty()).then(text)
}

pub(super) async fn doctor(
    of: &Operator,
    _: operator::DoctorParams,
    mut results: operator::DoctorResults,
) -> Result<(), capnp::Error> {
    let findings = of.core.act(|core| async move { Ok(examine(&core).await) }).await?;
    let mut list = results.get().init_findings(count(findings.len()));
    for (index, finding) in (0..).zip(&findings) {
        let mut builder = list.reborrow().get(index);
        builder.set_ok(finding.ok);
        builder.set_subject(finding.subject);
        builder.set_text(&finding.text);
        builder.set_remedy(if finding.ok { "" } else { finding.remedy });
    }
    Ok(())
}

async fn examine(core: &std::rc::Rc<Core>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let missing = &core.setup.kernel_missing;
    findings.push(Finding {
        ok: missing.is_empty(),
        subject: "machine",
        text: if missing.is_empty() {
            "has everything that confinement uses".into()
        } else {
            format!("lacks {}", missing.join("; "))
        },
        remedy: "start the node as root, on a Linux with Landlock and user namespaces, for full confinement",
    });
    findings.push(Finding {
        ok: !core.setup.reduced,
        subject: "confinement",
        text: if core.setup.reduced {
            "a process starts even where Landlock or an empty root is missing (--reduced)".into()
        } else {
            "a process that this machine cannot confine in full is not started".into()
        },
        remedy: "start the node without --reduced",
    });
    // What a machine has of these decides nothing, so neither is wrong.
    findings.push(Finding {
        ok: true,
        subject: "memory",
        text: format!("limited by {}", core.setup.memory_limits),
        remedy: "",
    });
    let own = &core.confinement;
    findings.push(Finding {
        ok: own.missing.is_empty(),
        subject: "powerbox",
        text: format!("confined by {}{}", own.applied.join(", "), lacking(&own.missing)),
        remedy: "see machine",
    });
    let compiler = core.compatibility().await;
    findings.push(Finding {
        ok: compiler.is_ok(),
        subject: "compiler",
        text: compiler.map_or_else(|problem| problem.to_string(), |hash| format!("makes code for {hash}")),
        remedy: "install latch-compile beside latch-kernel",
    });
    let room = core.need_room();
    findings.push(Finding {
        ok: room.is_ok(),
        subject: "disk",
        text: room.map_or_else(|problem| problem.to_string(), |()| "there is room for the log".into()),
        remedy: "make room on the file system of the state folder",
    });
    // Where they do not answer, people see that of the keys themselves.
    if let Ok((found, _)) = verified(core).await {
        let records = found.records;
        findings.push(Finding {
            ok: found.problem.is_none(),
            subject: "log",
            text: found.problem.unwrap_or_else(|| format!("is whole: {records} records")),
            remedy: if found.unknown_key.is_some() {
                NEWER_KEYS
            } else {
                "compare it with a copy or a head that you kept elsewhere"
            },
        });
    }
    findings.extend(noted(core).into_iter().map(|Warning { text, .. }| Finding {
        ok: false,
        subject: "warning",
        text,
        remedy: "see `latch log` and kernel.log",
    }));
    findings
}

fn lacking(missing: &[String]) -> String {
    if missing.is_empty() { String::new() } else { format!("; without {}", missing.join(", ")) }
}

pub(super) async fn shutdown(
    of: &Operator,
    _: operator::ShutdownParams,
    _: operator::ShutdownResults,
) -> Result<(), capnp::Error> {
    let by = of.by();
    of.core.act(move |core| async move { core.shut_down(&by).await }).await?;
    Ok(())
}

/// How many grants are alive, without what parts of the node hold of each other.
fn grants_of_others(grants: &crate::grants::Tree) -> u64 {
    let own = grants.iter().filter(|(_, node)| node.ended.is_none() && node.granted.holder.is_own()).count();
    (grants.alive() - own) as u64
}
