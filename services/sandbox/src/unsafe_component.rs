//! Takes a compiled component from a descriptor. Unsafe because compiled code is run as it is: what may be loaded, and
//! why nobody can change it afterwards, is said at each block.
#![allow(unsafe_code)]

use rustix::fd::AsFd;
use rustix::fs::SealFlags;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::ptr::NonNull;
use std::sync::Arc;
use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine};

/// Text is mapped from a file, so pages are those of the machine; compiled code is aligned to at least this.
const PAGE_BYTES: usize = 4_096;

/// Seals without which the compiled code could change under us.
const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW);

/// Makes the engine and loads the component from a sealed memfd, without copying it: the pages are shared by all
/// processes that run it.
pub(crate) fn load(config: &mut Config, memfd: impl AsFd) -> wasmtime::Result<(Engine, Component)> {
    let seals = rustix::fs::fcntl_get_seals(&memfd)?;
    if !seals.contains(SEALS) {
        return Err(wasmtime::format_err!("the compiled component is not sealed"));
    }
    let size_bytes = usize::try_from(rustix::fs::fstat(&memfd)?.st_size)?;
    let engine = Engine::new(config.with_custom_code_memory(Some(Arc::new(MappedText))))?;
    // SAFETY: a new private mapping at an address of the kernel's choice touches no memory that is in use.
    let start =
        unsafe { rustix::mm::mmap(std::ptr::null_mut(), size_bytes, ProtFlags::READ, MapFlags::PRIVATE, &memfd, 0)? };
    let start = NonNull::new(start.cast::<u8>()).ok_or_else(|| wasmtime::format_err!("mapped at address zero"))?;
    let image = NonNull::slice_from_raw_parts(start, size_bytes);
    // SAFETY: the mapping is never unmapped or written, and the seals keep everybody else from changing the file. The
    // bytes come from the powerbox, which has them from our own compiler process: `precompile_component` of this
    // wasmtime. The header's version and configuration are checked here. Were they forged nevertheless, they would
    // run with what this process may do, which is what the guest may do.
    let component = unsafe { Component::deserialize_raw(&engine, image)? };
    Ok((engine, component))
}

/// Makes the code in the mapping executable.
struct MappedText;

impl CustomCodeMemory for MappedText {
    fn required_alignment(&self) -> usize {
        PAGE_BYTES
    }

    fn publish_executable(&self, start: *const u8, len: usize) -> wasmtime::Result<()> {
        // SAFETY: wasmtime passes the text section of the image that `load` mapped; it is only ever read and run.
        unsafe { rustix::mm::mprotect(start.cast_mut().cast(), len, MprotectFlags::READ | MprotectFlags::EXEC)? };
        Ok(())
    }

    fn unpublish_executable(&self, start: *const u8, len: usize) -> wasmtime::Result<()> {
        // SAFETY: as above; wasmtime calls this when no code of the section runs any more.
        unsafe { rustix::mm::mprotect(start.cast_mut().cast(), len, MprotectFlags::READ)? };
        Ok(())
    }
}
