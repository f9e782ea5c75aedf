//! Making apps: `latch new` and `latch build`. Nothing here talks to a node.

mod checkout;
mod compile;
mod component;
mod key;
mod manifest_file;
pub(crate) mod person;
mod template;
mod wasm;

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Doing as _, Failure, Outcome};

pub(crate) use key::own as own_key;
pub(crate) use template::new;

/// How an app is built, as its author said.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildOptions {
    /// The app's folder, with its `latch.toml`.
    pub(crate) folder: PathBuf,
    /// Where the package goes; nothing: the app's folder.
    pub(crate) out: Option<PathBuf>,
    /// The author's key; nothing: the person's own, made when it is first needed.
    pub(crate) key: Option<PathBuf>,
    /// A component, or a core module for WASI 0.1, that is built already; nothing: cargo builds it.
    pub(crate) component: Option<PathBuf>,
}

/// A package that was made.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    /// The `.latch` file.
    pub(crate) package: PathBuf,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) bytes: usize,
    /// The author's public key.
    pub(crate) author: [u8; 32],
    /// Where a key was made, if one was.
    pub(crate) new_key: Option<PathBuf>,
}

/// Compiles, makes a component, and signs it with the manifest.
///
/// # Errors
/// In an author's words: what in the app, or on this machine, is missing or wrong.
pub(crate) fn build(options: &BuildOptions) -> Outcome<Built> {
    let manifest = manifest_file::read(&options.folder)?;
    let code = match &options.component {
        Some(path) => fs::read(path).doing(|| format!("cannot read {}", path.display()))?,
        None => compile::module(&options.folder)?,
    };
    let component = component::from_module(code)?;
    let key = key::load_or_make(options.key.as_deref())?;
    let package = package::sign(&manifest, &component, &key.signing)
        .map_err(|refusal| Failure::new(format!("cannot sign {}", manifest.name)).because(refusal))?;
    let folder = options.out.as_deref().unwrap_or(&options.folder);
    let path = folder.join(format!("{}.latch", manifest.name));
    write_whole(&path, &package)?;
    Ok(Built {
        package: path,
        name: manifest.name,
        version: manifest.version,
        bytes: package.len(),
        author: key.signing.verifying_key().to_bytes(),
        new_key: key.made.then_some(key.path),
    })
}

/// A reader never sees half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Outcome {
    let beside = path.with_extension("latch.new");
    fs::write(&beside, bytes).doing(|| format!("cannot write {}", beside.display()))?;
    fs::rename(&beside, path).doing(|| format!("cannot write {}", path.display()))
}
