//! The fixed table of what can be started. Each image is opened once and executed by descriptor: a path that is swapped
//! later changes nothing.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};
use schema::kernel_capnp::Image;

/// Every image with its file's name, which is also its first argument. Each confines itself by its own profile.
const NAMES: [(Image, &CStr); 4] = [
    (Image::Powerbox, c"latch-powerbox"),
    (Image::Folder, c"latch-folder"),
    (Image::Sandbox, c"latch-sandbox"),
    (Image::Compile, c"latch-compile"),
];

/// A descriptor of an image gets at least this number, clear of those that a child is given.
const FIRST_DESCRIPTOR: RawFd = 16;

pub(crate) struct Images {
    opened: Vec<(Image, OwnedFd)>,
}

impl Images {
    /// Opens what is there. `others` says that users other than the file's owner must be able to execute it.
    pub(crate) fn open(folder: &Path, others: bool) -> io::Result<Images> {
        let mut opened = Vec::new();
        for (image, name) in NAMES {
            match File::open(folder.join(name.to_string_lossy().as_ref())) {
                Ok(file) => opened.push((image, executable(file, others)?)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Images { opened })
    }

    pub(crate) fn get(&self, image: Image) -> Option<(RawFd, &'static CStr)> {
        let (_, file) = self.opened.iter().find(|(known, _)| *known == image)?;
        Some((file.as_raw_fd(), name(image)))
    }

    /// The names of those that are not there.
    pub(crate) fn missing(&self) -> Vec<String> {
        let absent = |image: &Image| self.opened.iter().all(|(known, _)| known != image);
        NAMES.iter().filter(|(image, _)| absent(image)).map(|(_, name)| name.to_string_lossy().into_owned()).collect()
    }
}

/// The file's name of an image.
pub(crate) fn name(image: Image) -> &'static CStr {
    NAMES.iter().find(|(known, _)| *known == image).map_or(c"latch", |(_, name)| name)
}

/// The file itself, or, where a process of another user could not execute it, a sealed copy in memory.
fn executable(file: File, others: bool) -> io::Result<OwnedFd> {
    const EXECUTE_FOR_OTHERS: u32 = 0o001;
    let mut file = file;
    let copied = others && file.metadata()?.permissions().mode() & EXECUTE_FOR_OTHERS == 0;
    let opened = if copied {
        let memory = rustix::fs::memfd_create("image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut copy = File::from(memory);
        io::copy(&mut file, &mut copy)?;
        rustix::fs::fcntl_add_seals(&copy, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        // A file that is open for writing cannot be executed: go through a second, reading, opening of it.
        File::open(format!("/proc/self/fd/{}", copy.as_raw_fd()))?
    } else {
        file
    };
    Ok(rustix::io::fcntl_dupfd_cloexec(opened.as_fd(), FIRST_DESCRIPTOR)?)
}
