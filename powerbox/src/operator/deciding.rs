//! Offers, requests and grants, for people.

use schema::operator_capnp::{budget, choice, grant, operator};
use vat::words::{EndReason, Method, Rights, clip};

use super::{Operator, PAGE_ROWS, count, page, text};
use crate::caveats::Caveats;
use crate::choosing::{Choice, Pick, methods as bounded};
use crate::core::Core;
use crate::grants::Node;
use crate::matching::{provider, providers};
use crate::record::{Asked, interface_name};
use crate::words::{PATH_LIMIT, PHRASE_LIMIT, REASON_LIMIT, phrase, plain};

/// What a person picks, from a message.
pub(super) fn read_choice(reader: choice::Reader<'_>) -> Result<Choice, capnp::Error> {
    let pick = match reader.which()? {
        choice::Which::Folder(token) => Pick::Folder(token),
        choice::Which::Offer(name) => Pick::Offer(text(name?)?),
        choice::Which::Target(target) => Pick::Target(text(target?)?),
    };
    let caveats = Caveats {
        rights: Rights::read_from(reader.get_rights()?),
        expires_at_ms: reader.get_expires_at_ms(),
        calls: read_budget(reader.get_calls()?),
        bytes: read_budget(reader.get_bytes()?),
        quota: read_budget(reader.get_quota()?),
        methods: bounded(reader.get_methods()?.iter().map(Method::read_from)),
    };
    Ok(Choice { pick, caveats })
}

fn read_budget(reader: budget::Reader<'_>) -> Option<u64> {
    reader.get_limited().then(|| reader.get_amount())
}

fn write_budget(limit: Option<u64>, mut builder: budget::Builder<'_>) {
    builder.set_limited(limit.is_some());
    builder.set_amount(limit.unwrap_or(0));
}

pub(super) async fn offers(
    of: &Operator,
    params: operator::OffersParams,
    mut results: operator::OffersResults,
) -> Result<(), capnp::Error> {
    let cursor = params.get()?.get_cursor();
    let (rows, next) = of.core.look(move |core| Ok(page(core.offers(), cursor))).await?;
    let mut list = results.get().init_rows(count(rows.len()));
    for (index, row) in (0..).zip(&rows) {
        let mut builder = list.reborrow().get(index);
        builder.set_name(&row.name);
        builder.set_provider(row.provider());
        builder.set_interface(row.interface);
        builder.set_interface_name(row.interface_name());
        row.rights.write_to(builder.reborrow().init_rights());
        builder.set_grants(row.grants);
        builder.set_resolver(row.source.is_none());
    }
    results.get().set_cursor(next);
    Ok(())
}

pub(super) async fn requests(
    of: &Operator,
    params: operator::RequestsParams,
    mut results: operator::RequestsResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let (after, instance, wait) = (params.get_after(), text(params.get_instance()?)?, params.get_wait());
    let cursor = params.get_cursor();
    let (rows, version, next) = of
        .core
        .wait(move |core| async move {
            if wait {
                core.bells
                    .requests
                    .until(|| (core.bells.requests.count() + 1 > after || core.stopping.get()).then_some(()))
                    .await;
            }
            // Versions begin at 1, so that 0 is before all of them.
            let version = core.bells.requests.count() + 1;
            let (state, live) = (core.state.borrow(), core.live.borrow());
            let offers = core.offers();
            let is_wanted =
                |asked: &&Asked| asked.request > cursor && (instance.is_empty() || asked.instance == instance);
            let pending = state.requests.pending().filter(is_wanted).take(PAGE_ROWS);
            let rows: Vec<(Asked, Vec<String>, u32)> = pending
                .map(|asked| {
                    let again = live.coalesced.get(&asked.request).copied().unwrap_or(0);
                    (asked.clone(), providers(&offers, asked.interface), again)
                })
                .collect();
            let next = if rows.len() == PAGE_ROWS { rows.last().map_or(0, |(asked, ..)| asked.request) } else { 0 };
            Ok((rows, version, next))
        })
        .await?;
    let mut list = results.get().init_rows(count(rows.len()));
    for (index, (asked, providers, again)) in (0..).zip(&rows) {
        let mut builder = list.reborrow().get(index);
        builder.set_id(asked.request);
        builder.set_instance(&asked.instance);
        builder.set_label(&asked.label);
        let mut query = builder.reborrow().init_query();
        query.set_interface(asked.interface);
        query.set_hint(phrase(&asked.hint, PHRASE_LIMIT));
        builder.set_interface_name(interface_name(asked.interface));
        asked.rights.write_to(builder.reborrow().init_rights());
        builder.set_reason(phrase(&asked.reason, REASON_LIMIT));
        builder.set_asked_at_ms(asked.at_ms);
        builder.set_coalesced(*again);
        let mut names = builder.init_providers(count(providers.len()));
        for (index, name) in (0..).zip(providers) {
            // As it is, like in `offers`: this is what comes back as the choice. Who shows it escapes it.
            names.set(index, name);
        }
    }
    results.get().set_version(version);
    results.get().set_cursor(next);
    Ok(())
}

pub(super) async fn approve(
    of: &Operator,
    params: operator::ApproveParams,
    mut results: operator::ApproveResults,
) -> Result<(), capnp::Error> {
    let (request, choice) = (params.get()?.get_request(), read_choice(params.get()?.get_choice()?)?);
    let (shell, uid) = (of.shell, of.uid);
    let grant = of.core.act(move |core| async move { core.approve(shell, uid, request, choice).await }).await?;
    results.get().set_grant(grant);
    Ok(())
}

pub(super) async fn deny(
    of: &Operator,
    params: operator::DenyParams,
    _: operator::DenyResults,
) -> Result<(), capnp::Error> {
    let (uid, request, always) = (of.uid, params.get()?.get_request(), params.get()?.get_always());
    of.core.act(move |core| async move { core.deny(uid, request, always).await }).await?;
    Ok(())
}

pub(super) async fn grant(
    of: &Operator,
    params: operator::GrantParams,
    mut results: operator::GrantResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let (instance, label) = (text(params.get_instance()?)?, text(params.get_label()?)?);
    let choice = read_choice(params.get_choice()?)?;
    let (shell, uid) = (of.shell, of.uid);
    let grant =
        of.core.act(move |core| async move { core.grant_label(shell, uid, instance, label, choice).await }).await?;
    results.get().set_grant(grant);
    Ok(())
}

pub(super) async fn open(
    of: &Operator,
    params: operator::OpenParams,
    mut results: operator::OpenResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let (target, label) = (text(params.get_target()?)?, text(params.get_label()?)?);
    let choice = read_choice(params.get_choice()?)?;
    let (shell, uid) = (of.shell, of.uid);
    let grant =
        of.core.act(move |core| async move { core.open_for_shell(shell, uid, target, choice, label).await }).await?;
    results.get().set_grant(grant);
    Ok(())
}

/// A grant as it is listed.
struct Row {
    node: Node,
    open: bool,
    calls_left: u64,
    bytes_left: u64,
    used: crate::usage::Totals,
    depth: u16,
}

fn row(core: &Core, number: u64, node: &Node) -> Row {
    let (state, live, usage) = (core.state.borrow(), core.live.borrow(), core.usage.borrow());
    let on_link =
        live.open.get(&number).and_then(|link| live.links.get(link)).map(|link| link.used).unwrap_or_default();
    let lease = node.lease.unwrap_or_default();
    Row {
        open: live.open.contains_key(&number),
        calls_left: node.left.calls.unwrap_or(0) + lease.calls.saturating_sub(on_link.calls),
        bytes_left: node.left.bytes.unwrap_or(0) + lease.bytes.saturating_sub(on_link.bytes),
        used: usage.of(number),
        depth: state.grants.depth(number),
        node: node.clone(),
    }
}

pub(super) async fn grants(
    of: &Operator,
    params: operator::GrantsParams,
    mut results: operator::GrantsResults,
) -> Result<(), capnp::Error> {
    let (cursor, all) = (params.get()?.get_cursor(), params.get()?.get_all());
    let (rows, next) = of
        .core
        .look(move |core| {
            let state = core.state.borrow();
            let wanted = state.grants.after(cursor).filter(|(_, node)| all || node.ended.is_none());
            let rows: Vec<(u64, Row)> =
                wanted.take(PAGE_ROWS).map(|(number, node)| (*number, row(core, *number, node))).collect();
            let next = if rows.len() == PAGE_ROWS { rows.last().map_or(0, |(number, _)| *number) } else { 0 };
            Ok((rows, next))
        })
        .await?;
    let mut list = results.get().init_rows(count(rows.len()));
    for (index, (_, row)) in (0..).zip(&rows) {
        write_grant(row, list.reborrow().get(index));
    }
    results.get().set_cursor(next);
    Ok(())
}

fn write_grant(row: &Row, mut builder: grant::Builder<'_>) {
    let granted = &row.node.granted;
    let caveats = &granted.caveats;
    builder.set_id(granted.grant);
    builder.set_parent(granted.parent);
    builder.set_holder(granted.holder.to_string());
    builder.set_label(plain(&granted.label, PHRASE_LIMIT));
    builder.set_offer(plain(&granted.offer, PATH_LIMIT));
    builder.set_provider(provider(&row.node.granted.source));
    builder.set_interface_name(interface_name(granted.interface));
    caveats.rights.write_to(builder.reborrow().init_rights());
    builder.set_expires_at_ms(caveats.expires_at_ms);
    write_budget(caveats.calls, builder.reborrow().init_calls());
    write_budget(caveats.bytes, builder.reborrow().init_bytes());
    write_budget(caveats.quota, builder.reborrow().init_quota());
    builder.set_calls_left(row.calls_left);
    builder.set_bytes_left(row.bytes_left);
    builder.set_open(row.open);
    builder.set_own(granted.holder.is_own());
    builder.set_granted_at_ms(row.node.at_ms);
    builder.set_granted_by(&row.node.by);
    if let Some(end) = &row.node.ended {
        builder.set_ended_at_ms(end.at_ms);
        builder.set_end_reason(end.reason);
    }
    builder.set_used_calls(row.used.calls);
    builder.set_used_bytes(row.used.bytes_in.saturating_add(row.used.bytes_out));
    builder.set_errors(row.used.errors);
    builder.set_refused(row.used.refused);
    builder.set_self_reported(row.used.self_reported);
    builder.set_depth(row.depth);
    let mut methods = builder.init_methods(count(caveats.methods.len()));
    for (index, method) in (0..).zip(&caveats.methods) {
        method.write_to(methods.reborrow().get(index));
    }
}

pub(super) async fn revoke(
    of: &Operator,
    params: operator::RevokeParams,
    mut results: operator::RevokeResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let grants: Vec<u64> = params.get_grants()?.iter().collect();
    let reason = clip(&text(params.get_reason()?)?, REASON_LIMIT).to_owned();
    let by = of.by();
    let cut = of
        .core
        .act(move |core| async move {
            core.check_revocable(&grants)?;
            core.end_grants(&by, &grants, EndReason::Revoked, &reason).await
        })
        .await?;
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut builder = results.get();
    builder.set_grants_ended(count(cut.grants.len()));
    builder.set_cut(cut.links);
    builder.set_quiet(cut.quiet);
    builder.set_cut_after_us(micros(cut.cut_after));
    builder.set_quiet_after_us(micros(cut.quiet_after));
    let mut names = builder.init_unconfirmed(count(cut.unconfirmed.len()));
    for (index, name) in (0..).zip(&cut.unconfirmed) {
        names.set(index, plain(name, PATH_LIMIT));
    }
    Ok(())
}
