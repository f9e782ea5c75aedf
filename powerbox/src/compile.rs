//! Compiling components: one confined process for each, whose product is sealed in memory before anything looks at it,
//! and kept on disk for the next start.

pub(crate) mod process;

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use package::Manifest;
use rustix::fs::{MemfdFlags, SealFlags};
use tokio::sync::OnceCell;
use vat::door::ResourceKind;

use crate::bells::Bell;
use crate::core::Core;
use crate::problem::{Problem, on_disk};
use crate::record::hexadecimal;
use process::{Processes, Task};

/// Where compiled components are, in the powerbox's folder.
pub(crate) const FOLDER: &str = "compiled";
/// The longest product that is taken: machine code is about three times as long as the component, and twice that.
const COMPILED_LIMIT_BYTES: u64 = 6 * package::COMPONENT_LIMIT_BYTES;
/// The compatibility hash is a short line.
const COMPATIBILITY_LIMIT_BYTES: u64 = 128;
/// Compilations at a time: each takes a core and up to its memory. They are of different authors: what one author's
/// components do to the compiler keeps nobody else's waiting.
const AT_ONCE: usize = 2;

/// What is known of compiling.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    pub(crate) compatibility: OnceCell<String>,
    pub(crate) processes: Processes,
    /// Components that somebody looks for on the disk, or has compiled.
    sought: RefCell<HashSet<[u8; 32]>>,
    /// Authors one of whose components is being compiled.
    authors: RefCell<HashSet<[u8; 32]>>,
    /// Something of the two was given back.
    bell: Bell,
}

impl Compiler {
    /// Waits for a place on a list of so many, where each key has one at most.
    async fn place<'a>(&'a self, list: &'a RefCell<HashSet<[u8; 32]>>, limit: usize, key: [u8; 32]) -> Place<'a> {
        let place = self.bell.until(|| {
            let mut taken = list.borrow_mut();
            // Lazily: a place that was not had must not be given back.
            (taken.len() < limit && taken.insert(key)).then(|| Place { list, key, bell: &self.bell })
        });
        place.await
    }
}

/// A place on a list, given back however that for which it was taken ends.
struct Place<'a> {
    list: &'a RefCell<HashSet<[u8; 32]>>,
    key: [u8; 32],
    bell: &'a Bell,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.list.borrow_mut().remove(&self.key);
        self.bell.ring();
    }
}

impl Core {
    /// The compiled form of a package's component in sealed memory: from memory, from disk, or compiled now. Only the last
    /// needs a place: what was compiled before waits for no compilation, whoever brought that.
    pub(crate) async fn compiled(
        self: &Rc<Self>,
        manifest: &Manifest,
        component: impl AsyncFnOnce() -> Result<File, Problem>,
    ) -> Result<Rc<OwnedFd>, Problem> {
        let (compiler, hash) = (&self.compiler, manifest.component);
        // One at a time looks for the same component; who comes second finds what the first has found or made.
        let _sought = compiler.place(&compiler.sought, usize::MAX, hash).await;
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
                let _place = compiler.place(&compiler.authors, AT_ONCE, manifest.author).await;
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
        Ok(product)
    }

    async fn compiled_path(self: &Rc<Self>, hash: [u8; 32]) -> Result<PathBuf, Problem> {
        let compatibility = self.compatibility().await?;
        Ok(self.folder.join(FOLDER).join(format!("{}-{compatibility}", hexadecimal(&hash))))
    }

    /// What compiled code must match, as the compiler says. It is asked once, however many want to know.
    pub(crate) async fn compatibility(self: &Rc<Self>) -> Result<String, Problem> {
        self.compiler.compatibility.get_or_try_init(|| self.ask_compatibility()).await.cloned()
    }

    async fn ask_compatibility(self: &Rc<Self>) -> Result<String, Problem> {
        let memory = memory("compatibility")?;
        self.run_compiler(Task::Check, Vec::new(), &memory).await?;
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
        Ok(text)
    }

    async fn compile(self: &Rc<Self>, component: File) -> Result<File, Problem> {
        let memory = memory("compiled")?;
        let component = Rc::new(OwnedFd::from(component));
        let resources = vec![("component", ResourceKind::File, component)];
        self.run_compiler(Task::Component, resources, &memory).await?;
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
pub(crate) fn keep_on_disk(mut product: File, path: &std::path::Path) {
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
