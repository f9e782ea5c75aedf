//! Instances, for people.

use schema::operator_capnp::operator;

use super::deciding::read_choice;
use super::{Operator, count, page, text};
use crate::core::Core;
use crate::instances::Wish;
use crate::record::{Holder, exit_code};
use crate::words::{PHRASE_LIMIT, REASON_LIMIT, phrase, plain};

/// An instance as it is listed.
struct Row {
    name: String,
    app: String,
    version: String,
    process: u64,
    pid: u32,
    detached: bool,
    state: String,
    started_at_ms: u64,
    grants: u32,
    pending: u32,
    cpu_us: u64,
    resident_bytes: u64,
    last: String,
    wanted: bool,
}

pub(super) async fn run(
    of: &Operator,
    params: operator::RunParams,
    mut results: operator::RunResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let mut arguments = Vec::new();
    for argument in params.get_arguments()? {
        arguments.push(text(argument?)?);
    }
    let mut given = Vec::new();
    for preset in params.get_grants()? {
        given.push((text(preset.get_label()?)?, read_choice(preset.get_choice()?)?));
    }
    let wish = Wish {
        app: text(params.get_app()?)?,
        instance: text(params.get_instance()?)?,
        arguments,
        detached: params.get_detached(),
        given,
        shell: of.shell,
        uid: of.uid,
    };
    let (instance, process) = of.core.act(move |core| async move { core.run(wish).await }).await?;
    results.get().set_instance(&instance);
    results.get().set_process(process);
    Ok(())
}

pub(super) async fn wait(
    of: &Operator,
    params: operator::WaitParams,
    mut results: operator::WaitResults,
) -> Result<(), capnp::Error> {
    let (instance, process) = (text(params.get()?.get_instance()?)?, params.get()?.get_process());
    let (code, last) = of.core.wait(move |core| async move { core.wait(&instance, process).await }).await?;
    results.get().set_code(code);
    results.get().set_last(phrase(&last, REASON_LIMIT));
    Ok(())
}

pub(super) async fn stop(
    of: &Operator,
    params: operator::StopParams,
    _: operator::StopResults,
) -> Result<(), capnp::Error> {
    let (by, instance, kill) = (of.by(), text(params.get()?.get_instance()?)?, params.get()?.get_kill());
    of.core.act(move |core| async move { core.stop(&by, &instance, kill).await }).await?;
    Ok(())
}

pub(super) async fn instances(
    of: &Operator,
    params: operator::InstancesParams,
    mut results: operator::InstancesResults,
) -> Result<(), capnp::Error> {
    let cursor = params.get()?.get_cursor();
    let (rows, next) = of
        .core
        .act(move |core| async move {
            core.refresh_usage().await;
            Ok(page(rows(&core), cursor))
        })
        .await?;
    let mut list = results.get().init_rows(count(rows.len()));
    for (index, row) in (0..).zip(&rows) {
        let mut builder = list.reborrow().get(index);
        builder.set_name(&row.name);
        builder.set_app(&row.app);
        builder.set_version(&row.version);
        builder.set_process(row.process);
        builder.set_pid(row.pid);
        builder.set_detached(row.detached);
        builder.set_state(&row.state);
        builder.set_started_at_ms(row.started_at_ms);
        builder.set_grants(row.grants);
        builder.set_pending(row.pending);
        builder.set_cpu_us(row.cpu_us);
        builder.set_resident_bytes(row.resident_bytes);
        builder.set_last(&row.last);
        builder.set_wanted(row.wanted);
    }
    results.get().set_cursor(next);
    Ok(())
}

fn rows(core: &Core) -> Vec<Row> {
    let (state, live) = (core.state.borrow(), core.live.borrow());
    state
        .instances
        .iter()
        .map(|(name, row)| {
            let process = live.processes.get(&row.run.process).filter(|_| row.running);
            let given_up = live.is_given_up(name);
            let current = match process {
                Some(process) if process.stopping => "stopping".to_owned(),
                Some(process) if process.confined => "running".to_owned(),
                Some(_) => "starting".to_owned(),
                None if row.wanted => format!("ended with {}, is started again", exit_code(row.code)),
                None if given_up => format!("given up: ended with {} each time", exit_code(row.code)),
                None if row.exited_at_ms == 0 => "stopped".to_owned(),
                None if row.code >= 0 => format!("exited {}", row.code),
                None => format!("ended by {}", exit_code(row.code)),
            };
            let used = live.figures.get(&row.run.process).copied().unwrap_or_default();
            Row {
                name: name.clone(),
                app: row.run.app.clone(),
                version: plain(&row.run.version, PHRASE_LIMIT),
                process: if process.is_some() { row.run.process } else { 0 },
                pid: process.map_or(0, |process| process.pid),
                detached: row.run.detached,
                state: current,
                started_at_ms: row.started_at_ms,
                grants: count(state.grants.held_by(&Holder::Instance(name.clone())).count()),
                pending: count(state.requests.pending().filter(|asked| asked.instance == *name).count()),
                cpu_us: used.cpu_us,
                resident_bytes: used.resident_bytes,
                last: phrase(&row.last, REASON_LIMIT),
                wanted: row.wanted || given_up,
            }
        })
        .collect()
}

pub(super) async fn logs(
    of: &Operator,
    params: operator::LogsParams,
    mut results: operator::LogsResults,
) -> Result<(), capnp::Error> {
    /// A message takes so much; who wants more asks again.
    const PIECE_LIMIT_BYTES: usize = 900 * 1024;
    let (instance, from) = (text(params.get()?.get_instance()?)?, params.get()?.get_from());
    let printed = of
        .core
        .act(move |core| async move {
            if !core.state.borrow().instances.contains_key(&instance) {
                let name = plain(&instance, PHRASE_LIMIT);
                let text = format!("there is no instance {name}. `latch ps --all` lists them");
                return Err(crate::problem::Problem::refused(text));
            }
            let folder = core.folder.clone();
            crate::compile::blocking(move || Ok(crate::output::read(&folder, &instance, from, PIECE_LIMIT_BYTES))).await
        })
        .await?;
    results.get().set_output(&printed.bytes);
    results.get().set_at(printed.at);
    results.get().set_end(printed.end);
    Ok(())
}
