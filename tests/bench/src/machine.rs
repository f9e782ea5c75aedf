//! What was measured on, and against which versions.

use std::path::{Path, PathBuf};

/// For the head of a table.
pub(crate) fn describe() -> String {
    let system = rustix::system::uname();
    let cores = crate::place::cores().map_or(0, |cores| cores.len());
    format!(
        "{} {} · {cores} cores · {} · capnp-rpc {}",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        processor(),
        locked_version("capnp-rpc").unwrap_or("?"),
    )
}

/// Where Latchkey's own programs are: `$LATCH_BINARIES`, which `cargo xtask` sets, or beside this one.
pub(crate) fn binaries() -> PathBuf {
    let beside = || std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_path_buf));
    std::env::var_os("LATCH_BINARIES").map(PathBuf::from).or_else(beside).unwrap_or_default()
}

/// The package of one of the guests that are only there to be measured.
pub(crate) fn package(name: &str) -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/apps");
    packages.join(name).with_extension("latch")
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    name.unwrap_or("unknown processor").to_owned()
}

/// The version that this program was built with.
fn locked_version(package: &str) -> Option<&'static str> {
    let lock = include_str!("../../../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

/// Many links need many descriptors; the hard limit is the system's.
pub(crate) fn raise_descriptor_limit() -> Result<(), String> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(|error| format!("cannot raise the limit of descriptors: {error}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_engine_s_version_is_known() {
        assert!(super::locked_version("capnp-rpc").is_some_and(|version| version.starts_with("0.")));
        assert_eq!(super::locked_version("no-such-crate"), None);
    }
}
