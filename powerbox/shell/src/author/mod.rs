//! Making apps: `latch new` and `latch build`.

mod checkout;
mod compile;
mod component;
mod key;
mod manifest_file;
pub(crate) mod person;
mod signing;
mod template;
mod wasm;

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Doing as _, Failure, Outcome};
use crate::state::State;

use signing::Signing;
pub(crate) use template::new;

/// How an app is built, as its author said.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildOptions {
    /// The app's folder, with its `latch.toml`.
    pub(crate) folder: PathBuf,
    /// Where the package goes; nothing: the app's folder.
    pub(crate) out: Option<PathBuf>,
    /// A file with the author's key, made where there is none; nothing: the keys of the person's node sign.
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
pub(crate) async fn build(state: &Outcome<State>, options: &BuildOptions) -> Outcome<Built> {
    // First: nobody waits for a compiler in vain.
    let signing = Signing::of(state, options.key.as_deref()).await?;
    let manifest = manifest_file::read(&options.folder)?;
    let code = match &options.component {
        Some(path) => fs::read(path).doing(|| format!("cannot read {}", path.display()))?,
        None => compile::module(&options.folder)?,
    };
    let component = component::from_module(code)?;
    let author = signing.author();
    let draft = package::Draft::new(&manifest, &component, author)
        .map_err(|refusal| Failure::new(format!("cannot sign {}", manifest.name)).because(refusal))?;
    let signature = signing.sign(&draft.message()).await?;
    let package = draft.signed(signature);
    let folder = options.out.as_deref().unwrap_or(&options.folder);
    let path = folder.join(format!("{}.latch", manifest.name));
    write_whole(&path, &package)?;
    Ok(Built {
        package: path,
        name: manifest.name,
        version: manifest.version,
        bytes: package.len(),
        author,
        new_key: signing.made(),
    })
}

/// A reader never sees half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Outcome {
    let beside = path.with_extension("latch.new");
    fs::write(&beside, bytes).doing(|| format!("cannot write {}", beside.display()))?;
    fs::rename(&beside, path).doing(|| format!("cannot write {}", path.display()))
}
