//! From what a compiler makes, a core module for WASI 0.1, to a component for WASI 0.2.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{ImportSection, Module};
use wasmparser::{Imports, Parser};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use crate::failure::{Failure, Outcome};

/// The interface that takes a whole exit code.
const EXIT_WIT: &str = include_str!("exit.wit");
/// The world in it.
const EXIT_WORLD: &str = "exits";
/// Its name as an import of a core module.
const EXIT_MODULE: &str = "wasi:cli/exit@0.2.12";
/// The function in it: a core function of the same type as WASI 0.1's own.
const EXIT_FUNCTION: &str = "exit-with-code";
/// What WASI 0.1 calls it.
const OLD_EXIT_FUNCTION: &str = "proc_exit";

/// The component; one that is a component already is passed on.
///
/// # Errors
/// The module is not one, or imports what is neither WASI 0.1 nor a door.
pub(super) fn from_module(module: Vec<u8>) -> Outcome<Vec<u8>> {
    if Parser::is_component(&module) {
        return Ok(module);
    }
    let encode = || -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let module = with_whole_exit_code(&module)?;
        let encoder = ComponentEncoder::default()
            .module(&module)?
            .validate(true)
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)?;
        let mut encoder = encoder;
        Ok(encoder.encode()?)
    };
    encode().map_err(|error| {
        Failure::new("cannot make a component of the program")
            .because(format!("{error:#}"))
            .next("an app imports its door, by the SDK, and what Rust's standard library needs of WASI; nothing else")
    })
}

/// The module with its exit going to the interface that takes the whole code. Without it `exit(3)` would arrive as 1.
fn with_whole_exit_code(module: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut redirect = RedirectExit::default();
    let mut encoded = Module::new();
    redirect.parse_core_module(&mut encoded, Parser::new(0), module).map_err(|error| error.to_string())?;
    let mut bytes = encoded.finish();
    if redirect.found {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("exit.wit", EXIT_WIT)?;
        let world = resolve.select_world(&[package], Some(EXIT_WORLD))?;
        wit_component::embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)?;
    }
    Ok(bytes)
}

#[derive(Default)]
struct RedirectExit {
    found: bool,
}

impl Reencode for RedirectExit {
    type Error = std::convert::Infallible;

    fn parse_imports(
        &mut self,
        section: &mut ImportSection,
        imports: Imports<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let imports = match imports {
            Imports::Single(at, import)
                if import.module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME && import.name == OLD_EXIT_FUNCTION =>
            {
                self.found = true;
                Imports::Single(at, wasmparser::Import { module: EXIT_MODULE, name: EXIT_FUNCTION, ..import })
            }
            other => other,
        };
        reencode::utils::parse_imports(self, section, imports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_is_refused_in_words() {
        let failure = from_module(b"\0asm\x01\0\0\0\xff".to_vec()).unwrap_err();
        assert!(failure.to_string().starts_with("latch: cannot make a component of the program"), "{failure}");
    }

    #[test]
    fn a_component_is_passed_on_as_it_is() {
        let component = b"\0asm\x0d\0\x01\0".to_vec();
        assert_eq!(from_module(component.clone()).unwrap(), component);
    }
}
