//! `cargo xtask schema`: writes the Rust code of every interface into `schema/src/generated`.

use std::path::{Path, PathBuf};

/// Every schema, apart from those that only Latchkey's own processes use.
const PUBLIC: &[&str] = &["common", "stream", "filesystem", "session", "package", "keys", "storage"];
/// Schemas that apps never see.
const INTERNAL: &[&str] = &["door", "kernel", "setup", "operator", "log"];

/// Generates into `out`. Needs the `capnp` tool and the standard schemas that come with it.
pub(crate) fn generate(root: &Path, out: &Path) -> Result<(), String> {
    let schema = root.join("schema");
    let mut command = capnpc::CompilerCommand::new();
    command.src_prefix(&schema).output_path(out).import_path("/usr/include");
    let public = PUBLIC.iter().map(|name| PathBuf::from(format!("{name}.capnp")));
    let internal = INTERNAL.iter().map(|name| PathBuf::from(format!("internal/{name}.capnp")));
    for file in public.chain(internal) {
        command.file(schema.join(file));
    }
    command.run().map_err(|error| format!("capnp could not compile the schemas: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_generated_code_is_what_the_schemas_say() {
        let fresh = tempfile::tempdir().expect("a temporary folder");
        generate(&crate::root(), fresh.path()).expect("the schemas compile");
        let kept = contents(&crate::root().join("schema/src/generated"));
        assert!(contents(fresh.path()) == kept, "the generated code is stale: run `cargo xtask schema`");
        assert_eq!(kept.len(), PUBLIC.len() + INTERNAL.len(), "a generated file belongs to no schema");
    }

    fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
        let names = [folder.to_path_buf(), folder.join("internal")];
        let entries = names.iter().flat_map(|folder| std::fs::read_dir(folder).expect("the folder is there"));
        let files = entries.map(|entry| entry.expect("the folder can be listed").path()).filter(|path| path.is_file());
        let relative = |path: &Path| path.strip_prefix(folder).map(Path::to_path_buf).unwrap_or_default();
        files.map(|path| (relative(&path), std::fs::read_to_string(&path).expect("code is text"))).collect()
    }
}
