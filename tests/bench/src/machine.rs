//! What was measured on, and against which versions.

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

#[cfg(test)]
mod tests {
    #[test]
    fn the_engine_s_version_is_known() {
        assert!(super::locked_version("capnp-rpc").is_some_and(|version| version.starts_with("0.")));
        assert_eq!(super::locked_version("no-such-crate"), None);
    }
}
