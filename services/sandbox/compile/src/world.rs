//! Whether a component is one that a sandbox can run: what it imports and exports, by name. That the types fit as
//! well is found out where the component is linked.

use std::fmt;
use wasmparser::{Parser, Payload};

/// Imports that a sandbox has: an exact name without its version, or a whole package with its slash.
const IMPORTS: &[(&str, &str)] = &[
    ("latchkey:door/door", "0.1."),
    ("wasi:cli/", "0.2."),
    ("wasi:clocks/", "0.2."),
    ("wasi:filesystem/", "0.2."),
    ("wasi:io/", "0.2."),
    ("wasi:random/", "0.2."),
];
/// What every app exports: its `main`.
const RUN: (&str, &str) = ("wasi:cli/run", "0.2.");

/// Why a component is refused; shown to whoever installs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misfit {
    NotAComponent,
    /// The bytes are not what they begin as.
    Malformed(String),
    Imports(String),
    NothingToRun,
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAComponent => formatter.write_str("not a component"),
            Self::Malformed(how) => write!(formatter, "not a component: {how}"),
            Self::Imports(name) => write!(formatter, "wrong world: imports {}, which no app is given", Shown(name)),
            Self::NothingToRun => write!(formatter, "wrong world: does not export {}", RUN.0),
        }
    }
}

/// Names are the author's: control characters are escaped and the rest is short.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT_CHARACTERS: usize = 100;
        self.0
            .chars()
            .take(LIMIT_CHARACTERS)
            .try_for_each(|character| write!(formatter, "{}", character.escape_debug()))
    }
}

/// Looks at the outermost component only: what it is composed of has no other imports than its own.
pub(crate) fn check(component: &[u8]) -> Result<(), Misfit> {
    if !Parser::is_component(component) {
        return Err(Misfit::NotAComponent);
    }
    let malformed = |error: wasmparser::BinaryReaderError| Misfit::Malformed(error.to_string());
    let (mut depth, mut runs) = (0_u32, false);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(malformed)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let name = import.map_err(malformed)?.name.name;
                    if !IMPORTS.iter().any(|&import| is_version_of(name, import)) {
                        return Err(Misfit::Imports(name.to_owned()));
                    }
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    runs |= is_version_of(export.map_err(malformed)?.name.name, RUN);
                }
            }
            _ => {}
        }
    }
    if runs { Ok(()) } else { Err(Misfit::NothingToRun) }
}

fn is_version_of(name: &str, (interface, version): (&str, &str)) -> bool {
    let Some((path, named_version)) = name.split_once('@') else { return false };
    let fits = if interface.ends_with('/') { path.starts_with(interface) } else { path == interface };
    fits && named_version.starts_with(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_interfaces_of_a_sandbox_are_known() {
        let known = |name: &str| IMPORTS.iter().any(|&import| is_version_of(name, import));
        assert!(known("latchkey:door/door@0.1.0"));
        assert!(known("latchkey:door/door@0.1.7"));
        assert!(known("wasi:io/streams@0.2.12"));
        for stranger in [
            "latchkey:door/door@0.2.0",
            "latchkey:door/doors@0.1.0",
            "latchkey:door/door",
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/types@0.2.0",
            "wasi:io/streams@0.3.0",
            "wasi:iota/streams@0.2.0",
        ] {
            assert!(!known(stranger), "{stranger}");
        }
    }

    #[test]
    fn junk_and_core_modules_are_no_components() {
        assert_eq!(check(b""), Err(Misfit::NotAComponent));
        assert_eq!(check(&[0x5a; 1 << 16]), Err(Misfit::NotAComponent));
        assert_eq!(check(b"\0asm\x01\0\0\0"), Err(Misfit::NotAComponent));
    }

    #[test]
    fn an_empty_component_has_nothing_to_run_and_a_broken_one_is_said_to_be() {
        assert_eq!(check(b"\0asm\x0d\0\x01\0"), Err(Misfit::NothingToRun));
        assert!(matches!(check(b"\0asm\x0d\0\x01\0\x0a\xff\xff\xff\xff\x0f"), Err(Misfit::Malformed(_))));
    }

    #[test]
    fn names_cannot_play_with_the_terminal() {
        let shown = Misfit::Imports("a\u{1b}[2J".into()).to_string();
        assert_eq!(shown, "wrong world: imports a\\u{1b}[2J, which no app is given");
    }
}
