//! Compiling components: one confined process for each, whose product is sealed in memory before anything looks at it,
//! and kept on disk for the next start.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use capnp::message::Builder;
use rustix::fs::{MemfdFlags, SealFlags};
use schema::kernel_capnp::Image;
use schema::setup_capnp::compile_setup;
use vat::door::ResourceKind;

use crate::bells::Bell;
use crate::core::{Core, Start, setup};
use crate::live::Kind;
use crate::problem::{Problem, on_disk};
use crate::record::hexadecimal;

/// Where compiled components are, in the powerbox's folder.
pub(crate) const FOLDER: &str = "compiled";
/// The longest product that is taken: machine code is about three times as long as the component, and twice that.
const COMPILED_LIMIT_BYTES: u64 = 6 * package::COMPONENT_LIMIT_BYTES;
/// Processor time of one compilation. The search app takes one second.
const CPU_SECONDS: u64 = 60;
/// Memory of one compilation.
const MEMORY_BYTES: u64 = 1 << 30;
/// The compatibility hash is a short line.
const COMPATIBILITY_LIMIT_BYTES: u64 = 128;
/// Compilations at a time: each takes a core and up to its memory.
const AT_ONCE: usize = 2;

/// What is known of compiling.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    compatibility: RefCell<Option<String>>,
    /// Exit code and last word of compilations that ended.
    ended: RefCell<HashMap<u64, (i32, String)>>,
    running: RefCell<HashSet<u64>>,
    /// Components that are being compiled.
    busy: RefCell<HashSet<[u8; 32]>>,
    bell: Bell,
}

impl Compiler {
    /// A compilation's process ended.
    pub(crate) fn ended(&self, process: u64, code: i32, last: &str) {
        if self.running.borrow_mut().remove(&process) {
            self.ended.borrow_mut().insert(process, (code, last.to_owned()));
        }
        self.bell.ring();
    }
}

/// Takes a component off the list of those being compiled, however that ends.
struct Turn<'a>(&'a Compiler, [u8; 32]);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.borrow_mut().remove(&self.1);
        self.0.bell.ring();
    }
}

impl Core {
    /// The compiled form of a component in sealed memory: from memory, from disk, or compiled now.
    pub(crate) async fn compiled(
        self: &Rc<Self>,
        hash: [u8; 32],
        component: impl AsyncFnOnce() -> Result<File, Problem>,
    ) -> Result<Rc<OwnedFd>, Problem> {
        let compiler = &self.compiler;
        // One compilation of the same component at a time; who comes second finds the product.
        let turn = compiler
            .bell
            .until(|| {
                let mut busy = compiler.busy.borrow_mut();
                // Lazily: a turn that was not had must not be given back.
                (busy.len() < AT_ONCE && busy.insert(hash)).then(|| Turn(compiler, hash))
            })
            .await;
        if let Some(found) = self.live.borrow().compiled.get(&hash) {
            return Ok(found.clone());
        }
        let path = self.compiled_path(hash).await?;
        let from_disk = blocking({
            let path = path.clone();
            move || Ok(read_kept(&path))
        });
        let product = match from_disk.await? {
            Some(kept) => kept,
            None => {
                let product = self.compile(component().await?).await?;
                let keep = product.try_clone().map_err(on_disk("the compiled code cannot be kept"))?;
                blocking(move || {
                    keep_on_disk(keep, &path);
                    Ok(())
                })
                .await?;
                product
            }
        };
        let product = Rc::new(OwnedFd::from(product));
        self.live.borrow_mut().compiled.insert(hash, product.clone());
        drop(turn);
        Ok(product)
    }

    async fn compiled_path(self: &Rc<Self>, hash: [u8; 32]) -> Result<PathBuf, Problem> {
        let compatibility = self.compatibility().await?;
        Ok(self.folder.join(FOLDER).join(format!("{}-{compatibility}", hexadecimal(&hash))))
    }

    /// What compiled code must match, as the compiler says.
    pub(crate) async fn compatibility(self: &Rc<Self>) -> Result<String, Problem> {
        if let Some(known) = self.compiler.compatibility.borrow().as_ref() {
            return Ok(known.clone());
        }
        let memory = memory("compatibility")?;
        self.run_compiler("the compiler's check", true, Vec::new(), &memory).await?;
        let mut text = String::new();
        let mut product = File::from(memory.try_clone().map_err(on_disk("the compiler's answer"))?);
        product
            .rewind()
            .and_then(|()| product.take(COMPATIBILITY_LIMIT_BYTES).read_to_string(&mut text))
            .map_err(on_disk("the compiler's answer"))?;
        let text = text.trim().to_owned();
        if text.len() < 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Problem::refused(
                "latch-compile does not say what it makes code for. Install a matching version",
            ));
        }
        *self.compiler.compatibility.borrow_mut() = Some(text.clone());
        Ok(text)
    }

    async fn compile(self: &Rc<Self>, component: File) -> Result<File, Problem> {
        let memory = memory("compiled")?;
        let component = Rc::new(OwnedFd::from(component));
        let resources = vec![("component", ResourceKind::File, component)];
        self.run_compiler("a compilation", false, resources, &memory).await?;
        let product = File::from(memory.try_clone().map_err(on_disk("the compiled code"))?);
        let length = product.metadata().map_err(on_disk("the compiled code"))?.len();
        if length == 0 || length > COMPILED_LIMIT_BYTES {
            return Err(Problem::refused(format!(
                "the component compiles to {length} bytes, and 1 to {COMPILED_LIMIT_BYTES} are taken. Build it smaller"
            )));
        }
        // From here on nobody can change it, whoever still has it open.
        seal(&product)?;
        Ok(product)
    }

    async fn run_compiler(
        self: &Rc<Self>,
        name: &str,
        check: bool,
        mut resources: Vec<(&str, ResourceKind, Rc<OwnedFd>)>,
        memory: &Rc<OwnedFd>,
    ) -> Result<(), Problem> {
        resources.push(("compiled", ResourceKind::Memory, memory.clone()));
        let mut message = Builder::new_default();
        message.init_root::<compile_setup::Builder<'_>>().set_check(check);
        let process = self.new_id()?;
        self.compiler.running.borrow_mut().insert(process);
        let started = self
            .start_process(Start {
                process,
                image: Image::Compile,
                kind: Kind::Compile,
                name: name.to_owned(),
                setup: setup(&message),
                resources,
                claim: None,
                folder: None,
                restart: false,
                memory_bytes: MEMORY_BYTES,
                cpu_seconds: CPU_SECONDS,
                file_bytes: COMPILED_LIMIT_BYTES,
            })
            .await;
        if let Err(problem) = started {
            self.compiler.running.borrow_mut().remove(&process);
            return Err(problem);
        }
        let (code, last) = self.compiler.bell.until(|| self.compiler.ended.borrow_mut().remove(&process)).await;
        let last = crate::words::plain(&last, crate::words::REASON_LIMIT);
        match code {
            0 => Ok(()),
            3 => Err(Problem::refused(format!("the component is refused: {last}. Build it with `latch build`"))),
            4 => Err(Problem::refused(format!(
                "the component is too large or too slow to compile: {last}. A component like this would keep the node busy: \
                 build it smaller"
            ))),
            code if code < 0 => Err(Problem::refused(format!(
                "compiling the component was ended ({}): it took more than {CPU_SECONDS} s of processor time or {} MiB of \
                 memory, or made more than {} MiB of code. Build it smaller",
                crate::record::exit_code(code),
                MEMORY_BYTES >> 20,
                COMPILED_LIMIT_BYTES >> 20
            ))),
            code => Err(Problem::refused(format!(
                "latch-compile failed with code {code}: {last}. The node's kernel.log may tell more"
            ))),
        }
    }
}

/// Work that waits for the disk, on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::Stopping)?
}

fn memory(name: &str) -> Result<Rc<OwnedFd>, Problem> {
    rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map(Rc::new)
        .map_err(|error| Problem::refused(format!("no memory file: {error}. Look at the node's limits")))
}

fn seal(memory: &File) -> Result<(), Problem> {
    rustix::fs::fcntl_add_seals(memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)
        .map_err(|error| Problem::refused(format!("the compiled code could not be sealed: {error}")))
}

/// What was kept, sealed in memory: a file is its content's BLAKE3, then the content. Anything else is no product.
fn read_kept(path: &std::path::Path) -> Option<File> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(COMPILED_LIMIT_BYTES + 33).read_to_end(&mut bytes).ok()?;
    let (hash, content) = bytes.split_first_chunk::<32>()?;
    if blake3::hash(content).as_bytes() != hash {
        return None;
    }
    let memory = rustix::fs::memfd_create("compiled", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).ok()?;
    let mut memory = File::from(memory);
    memory.write_all(content).ok()?;
    seal(&memory).ok()?;
    Some(memory)
}

/// Keeps a product. Where that fails, the next start compiles again.
fn keep_on_disk(mut product: File, path: &std::path::Path) {
    let mut write = || -> std::io::Result<()> {
        let mut bytes = Vec::new();
        product.rewind()?;
        product.read_to_end(&mut bytes)?;
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(blake3::hash(&bytes).as_bytes())?;
        file.write_all(&bytes)?;
        std::fs::rename(&beside, path)
    };
    if write().is_err() {
        let _ = std::fs::remove_file(path.with_extension("new"));
    }
}
