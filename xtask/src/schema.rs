//! `cargo xtask schema`: writes the Rust code of every interface into `schema/src/generated`.

use std::path::{Path, PathBuf};

/// Every schema, apart from those that only Latchkey's own processes use.
const PUBLIC: &[&str] = &["common", "stream", "filesystem", "session", "package"];
/// Schemas that apps never see.
const INTERNAL: &[&str] = &["door", "kernel", "setup", "operator"];

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
