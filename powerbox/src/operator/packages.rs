//! Packages and authors, for people.

use schema::operator_capnp::{operator, package_info};

use super::{Operator, count, page, text};
use crate::record::Installed;
use crate::words::{PHRASE_LIMIT, REASON_LIMIT, phrase};

/// A package as it is listed.
struct Row {
    installed: Installed,
    trusted: bool,
    author_petname: String,
}

/// An author as it is listed.
struct AuthorRow {
    author: crate::record::Author,
    packages: Vec<String>,
}

pub(super) async fn install(
    of: &Operator,
    params: operator::InstallParams,
    mut results: operator::InstallResults,
) -> Result<(), capnp::Error> {
    let (token, trust) = (params.get()?.get_token(), params.get()?.get_trust_author());
    let (by, shell) = (of.by(), of.shell);
    let (row, replaced) = of
        .core
        .act(move |core| async move {
            let outcome = core.install(by, shell, token, trust).await?;
            Ok((row(&core, &outcome.installed), outcome.replaced))
        })
        .await?;
    write_row(&row, results.get().init_package());
    results.get().set_replaced(&replaced);
    Ok(())
}

fn row(core: &crate::core::Core, installed: &Installed) -> Row {
    let state = core.state.borrow();
    let author = state.authors.get(&installed.manifest.author);
    Row {
        installed: installed.clone(),
        trusted: author.is_some(),
        author_petname: author.map(|author| author.name.clone()).unwrap_or_default(),
    }
}

/// The author's words are escaped; the rest is what was checked at installation.
fn write_row(row: &Row, mut builder: package_info::Builder<'_>) {
    let mut manifest = row.installed.manifest.clone();
    manifest.author_name = phrase(&manifest.author_name, PHRASE_LIMIT);
    manifest.description = phrase(&manifest.description, PHRASE_LIMIT);
    for announced in &mut manifest.requests {
        announced.reason = phrase(&announced.reason, REASON_LIMIT);
    }
    manifest.write_to(builder.reborrow().init_manifest());
    builder.set_digest(&row.installed.digest);
    builder.set_trusted(row.trusted);
    builder.set_installed_at_ms(row.installed.at_ms);
    builder.set_author_petname(&row.author_petname);
    builder.set_bytes(row.installed.bytes);
}

pub(super) async fn packages(
    of: &Operator,
    params: operator::PackagesParams,
    mut results: operator::PackagesResults,
) -> Result<(), capnp::Error> {
    let cursor = params.get()?.get_cursor();
    let (rows, next) = of
        .core
        .look(move |core| {
            let installed: Vec<Installed> = core.state.borrow().packages.values().cloned().collect();
            Ok(page(installed.iter().map(|installed| row(core, installed)).collect(), cursor))
        })
        .await?;
    let mut list = results.get().init_rows(count(rows.len()));
    for (index, row) in (0..).zip(&rows) {
        write_row(row, list.reborrow().get(index));
    }
    results.get().set_cursor(next);
    Ok(())
}

pub(super) async fn uninstall(
    of: &Operator,
    params: operator::UninstallParams,
    mut results: operator::UninstallResults,
) -> Result<(), capnp::Error> {
    let (by, name) = (of.by(), text(params.get()?.get_name()?)?);
    let ended = of.core.act(move |core| async move { core.uninstall(by, name).await }).await?;
    results.get().set_grants_ended(ended);
    Ok(())
}

pub(super) async fn trust(
    of: &Operator,
    params: operator::TrustParams,
    _: operator::TrustResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let (by, key, name) = (of.by(), params.get_author()?.to_vec(), text(params.get_name()?)?);
    let remove = params.get_remove();
    of.core.act(move |core| async move { core.trust(by, key, name, remove).await }).await?;
    Ok(())
}

pub(super) async fn authors(
    of: &Operator,
    params: operator::AuthorsParams,
    mut results: operator::AuthorsResults,
) -> Result<(), capnp::Error> {
    let cursor = params.get()?.get_cursor();
    let (rows, next) = of
        .core
        .look(move |core| {
            let state = core.state.borrow();
            let packages_of = |key: &[u8; 32]| {
                let theirs = state.packages.values().filter(|installed| installed.manifest.author == *key);
                theirs.map(|installed| installed.manifest.name.clone()).collect()
            };
            let row = |author: &crate::record::Author| AuthorRow {
                author: author.clone(),
                packages: packages_of(&author.key),
            };
            Ok(page(state.authors.values().map(row).collect(), cursor))
        })
        .await?;
    let mut list = results.get().init_rows(count(rows.len()));
    for (index, row) in (0..).zip(&rows) {
        let mut builder = list.reborrow().get(index);
        builder.set_key(&row.author.key);
        builder.set_name(&row.author.name);
        builder.set_trusted_at_ms(row.author.at_ms);
        let mut packages = builder.init_packages(count(row.packages.len()));
        for (index, name) in (0..).zip(&row.packages) {
            packages.set(index, name);
        }
    }
    results.get().set_cursor(next);
    Ok(())
}
