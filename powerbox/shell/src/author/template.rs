//! `latch new`: the tutorial app under another name.

use std::fs;
use std::path::Path;

use super::checkout::Checkout;
use super::manifest_file;
use crate::failure::{Doing as _, Failure, Outcome};

/// The name that the tutorial itself has.
const TUTORIAL: &str = "hello";
/// The tutorial's program and manifest, read from the checkout so that a new app always fits its SDK.
const PROGRAM: &str = "apps/hello/src/main.rs";
const MANIFEST: &str = "apps/hello/latch.toml";
/// What its author's line is: a new app has another.
const AUTHOR_LINE: &str = "author_name = \"Latchkey\"";
const IGNORE_FILE: &str = ".gitignore";
/// What builds leave in an app's folder.
const IGNORED: &str = "/target\n*.latch\n";

/// Makes an app in that folder, which must not hold one.
///
/// # Errors
/// The name cannot be an app's, the folder holds something already, or the SDK is not found.
pub(crate) fn new(name: &str, author: &str, folder: &Path) -> Outcome {
    if !package::is_app_name(name) {
        return Err(Failure::usage(format!("{name:?} cannot be an app's name")).because(
            "it takes 1 to 64 of a-z, 0-9 and '-', begins with a letter, and is none of the system's own words",
        ));
    }
    let checkout = Checkout::find()?;
    let tutorial = |path: &str| {
        let path = checkout.root.join(path);
        fs::read_to_string(&path).doing(|| format!("cannot read {}", path.display()))
    };
    // Before anything is written, so that nothing is left where this fails.
    let (program, manifest) = (tutorial(PROGRAM)?, tutorial(MANIFEST)?);
    let files = [
        ("Cargo.toml", cargo_manifest(name, &checkout)),
        ("Cargo.lock", tutorial("Cargo.lock")?),
        (manifest_file::NAME, named(&manifest, name, author)),
        ("src/main.rs", program),
        (IGNORE_FILE, IGNORED.to_owned()),
    ];
    for (file, _) in &files {
        if folder.join(file).exists() && *file != IGNORE_FILE {
            return Err(Failure::new(format!("{} exists already", folder.join(file).display()))
                .next(format!("choose another folder: latch new {name} --into DIR")));
        }
    }
    fs::create_dir_all(folder.join("src")).doing(|| format!("cannot make {}", folder.display()))?;
    for (file, text) in files {
        let path = folder.join(file);
        // The folder may be part of something that has one.
        if file == IGNORE_FILE && path.exists() {
            continue;
        }
        fs::write(&path, text).doing(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The versions come with the checkout's own lock file, so that nothing new is fetched.
fn cargo_manifest(name: &str, checkout: &Checkout) -> String {
    let sdk = toml::Value::String(checkout.sdk().to_string_lossy().into_owned());
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\nsdk = {{ path = {sdk} }}\n\n\
         # A workspace of its own, wherever the folder is.\n[workspace]\n"
    )
}

/// The tutorial's manifest under another name, and of another author.
fn named(manifest: &str, name: &str, author: &str) -> String {
    let author = toml::Value::String(author.to_owned());
    manifest.replacen(&format!("name = \"{TUTORIAL}\""), &format!("name = \"{name}\""), 1).replacen(
        AUTHOR_LINE,
        &format!("author_name = {author}"),
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_app_is_the_persons_own() {
        let manifest = include_str!("../../../../apps/hello/latch.toml");
        let named: toml::Table = named(manifest, "greet", "Ada \"L\" \\").parse().unwrap();
        assert_eq!((named["name"].as_str(), named["author_name"].as_str()), (Some("greet"), Some("Ada \"L\" \\")));
    }
}
