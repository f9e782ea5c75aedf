//! The log, for people.

use schema::operator_capnp::operator;

use super::{Operator, PAGE_ROWS, count};
use crate::compile::blocking;
use crate::core::Core;
use crate::log::{self, Known, Verification};
use crate::problem::Problem;
use crate::record::describe;

pub(super) async fn log(
    of: &Operator,
    params: operator::LogParams,
    mut results: operator::LogResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let (after, wait) = (params.get_after(), params.get_wait());
    let limit = match usize::try_from(params.get_limit()).unwrap_or(0) {
        0 => PAGE_ROWS,
        limit => limit.min(PAGE_ROWS),
    };
    let (records, last) = of
        .core
        .wait(move |core| async move {
            if wait {
                core.grown_beyond(after).await;
            }
            let (place, reached) = (core.with_log(|log| log.place_after(after)), core.reached_position());
            if after >= reached {
                return Ok((Vec::new(), reached));
            }
            let folder = core.folder.clone();
            let records = blocking(move || Ok(log::read(&folder, place, after, limit, reached)?)).await?;
            Ok((records, reached))
        })
        .await?;
    let mut list = results.get().init_records(count(records.len()));
    for (index, (entry, hash)) in (0..).zip(&records) {
        let line = describe(entry);
        let mut builder = list.reborrow().get(index);
        builder.set_position(entry.position);
        builder.set_at_ms(entry.at_ms);
        builder.set_kind(line.kind);
        builder.set_text(&line.text);
        builder.set_hash(hash);
        let fields: Vec<(&str, String)> = std::iter::once(("by", entry.by.clone())).chain(line.fields).collect();
        let mut list = builder.init_fields(count(fields.len()));
        for (index, (name, value)) in (0..).zip(&fields) {
            let mut field = list.reborrow().get(index);
            field.set_name(name);
            field.set_value(value);
        }
    }
    results.get().set_last(last);
    Ok(())
}

/// Checks the whole log, and says with what it is signed now.
pub(super) async fn verified(core: &Core) -> Result<(Verification, [u8; 32]), Problem> {
    let unknown = |why| Problem::refused(format!("the log cannot be verified: {why}. `latch status` shows what runs"));
    let keys = core.log_keys().await.map_err(unknown)?;
    let key = keys.last().copied().unwrap_or_default();
    let known = core.with_log(|log| Known { keys, position: log.position(), head: log.head() });
    core.durable(known.position).await?;
    let folder = core.folder.clone();
    let found = blocking(move || Ok(log::verify(&folder, &known))).await?;
    Ok((found, key))
}

pub(super) async fn verify_log(
    of: &Operator,
    _: operator::VerifyLogParams,
    mut results: operator::VerifyLogResults,
) -> Result<(), capnp::Error> {
    let (found, key) = of
        .core
        .act(|core| async move {
            // Signed, so that all of it can be checked.
            core.signed().await;
            verified(&core).await
        })
        .await?;
    let mut builder = results.get().init_result();
    builder.set_ok(found.problem.is_none());
    builder.set_records(found.records);
    builder.set_checkpoints(found.checkpoints);
    builder.set_head(&found.head);
    builder.set_log_key(&key);
    builder.set_problem(found.problem.unwrap_or_default());
    builder.set_tail_unsigned(found.tail_unsigned);
    builder.set_unknown_key(found.unknown_key.is_some());
    Ok(())
}
