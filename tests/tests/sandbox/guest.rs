//! One guest in one sandbox, with its standard streams at hand.

use super::fake_kernel::{self, Process};
use schema::setup_capnp::{compile_setup, sandbox_setup};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use vat::door::{Carries, Role};

/// What the compiler said of a component.
pub(crate) struct Compiled {
    pub(crate) code: i32,
    pub(crate) last_word: Option<String>,
    pub(crate) file: File,
}

/// Runs the compiler process on these bytes.
pub(crate) fn compile(component: &[u8]) -> Compiled {
    let source = fake_kernel::memory(component);
    let file = fake_kernel::memory(b"");
    let resources = [("component", source.as_fd()), ("compiled", file.as_fd())];
    let mut process = Process::start("latch-compile", compile_setup(false), &resources);
    let code = process.end();
    Compiled { code, last_word: process.last_word.take(), file }
}

pub(crate) fn compile_setup(check: bool) -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    message.init_root::<compile_setup::Builder<'_>>().set_check(check);
    capnp::serialize::write_message_to_words(&message)
}

/// The component in a package of the checkout.
pub(crate) fn component(app: &str) -> Vec<u8> {
    let path = tests::package(app);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}: run cargo xtask guests", path.display()));
    let signed = package::verify(&file).expect("a package");
    let mut bytes = vec![0; (file.metadata().unwrap().len() - signed.component_offset()) as usize];
    file.read_exact_at(&mut bytes, signed.component_offset()).unwrap();
    bytes
}

/// The hostile guest, compiled once for all tests.
fn hostile() -> &'static File {
    static COMPILED: OnceLock<File> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let compiled = compile(&component("hostile"));
        assert_eq!((compiled.code, compiled.last_word), (0, None));
        fake_kernel::seal(&compiled.file);
        compiled.file
    })
}

/// The limits of the tests: small, so that they are soon reached.
const MEMORY_BYTES: u64 = 32 << 20;
const TURN_MS: u32 = 1_000;
pub(crate) const OUTPUT_BYTES: u64 = 16 << 10;

fn setup(way: &[&str], output: sandbox_setup::Output) -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    let mut setup = message.init_root::<sandbox_setup::Builder<'_>>();
    setup.set_name("hostile");
    setup.set_output(output);
    let mut limits = setup.reborrow().init_limits();
    limits.set_memory_bytes(MEMORY_BYTES);
    limits.set_turn_ms(TURN_MS);
    limits.set_output_bytes(OUTPUT_BYTES);
    let mut arguments = setup.init_arguments(way.len() as u32);
    (0..).zip(way).for_each(|(at, word)| arguments.set(at, *word));
    capnp::serialize::write_message_to_words(&message)
}

/// A guest in the foreground.
pub(crate) struct Guest {
    pub(crate) process: Process,
    pub(crate) input: Option<UnixStream>,
    pub(crate) output: BufReader<UnixStream>,
    pub(crate) error: UnixStream,
}

impl Guest {
    pub(crate) fn start(way: &[&str]) -> Self {
        Self::start_compiled(hostile(), way)
    }

    pub(crate) fn start_compiled(compiled: &File, way: &[&str]) -> Self {
        let setup = setup(way, sandbox_setup::Output::Links);
        let mut process = Process::start("latch-sandbox", setup, &[("component", compiled.as_fd())]);
        let input = process.link(Role::Client, Carries::Raw, "hostile/stdin");
        let output = process.link(Role::Client, Carries::Raw, "hostile/stdout");
        let error = process.link(Role::Client, Carries::Raw, "hostile/stderr");
        Self { process, input: Some(input), output: BufReader::new(output), error }
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// All that it still prints, what it says on standard error, and its exit code.
    pub(crate) fn end(mut self) -> Ended {
        let mut error = self.error.try_clone().unwrap();
        // Both at once: it may fill either first.
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            error.read_to_end(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        });
        let mut output = Vec::new();
        self.output.read_to_end(&mut output).unwrap();
        let code = self.process.end();
        Ended {
            code,
            last_word: self.process.last_word.clone(),
            output: String::from_utf8(output).unwrap(),
            error: reading.join().unwrap(),
            confirmed: self.process.ended.clone(),
        }
    }
}

/// How a guest ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) last_word: Option<String>,
    pub(crate) output: String,
    pub(crate) error: String,
    pub(crate) confirmed: Vec<u64>,
}

/// A guest without a shell, with these two files for its output.
pub(crate) fn start_detached(way: &[&str], files: &[File; 2]) -> Process {
    let setup = setup(way, sandbox_setup::Output::Files);
    let resources = [("component", hostile().as_fd()), ("output.0", files[0].as_fd()), ("output.1", files[1].as_fd())];
    Process::start("latch-sandbox", setup, &resources)
}
