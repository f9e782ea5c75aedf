//! What each profile must still be able to do.

use std::io::{Error, Result, Write};

use vat::confine::Profile;

type Need = (&'static str, Result<()>);

pub(crate) fn all(profile: Profile) -> Vec<Need> {
    let mut needs = vec![
        ("start a thread", thread()),
        ("run tokio", tokio()),
        ("know the time and draw at random", chance()),
        ("write to standard error", std::io::stderr().write_all(b"")),
        ("grow", grow()),
    ];
    match profile {
        Profile::Powerbox | Profile::Storage => {
            needs.extend([("use its folder", folder("")), ("use its folder by a path", folder("/"))]);
        }
        Profile::Keys => needs.push(("replace a file of its folder", whole_file())),
        Profile::Folder => needs.push(("use its folder", folder_at())),
        Profile::Sandbox => needs.push(("map machine code", machine_code())),
        Profile::Compile => {}
    }
    if profile == Profile::Powerbox {
        needs.push(("know where it is", std::env::current_dir().map(drop)));
        needs.push(("seal memory", sealed_memory()));
    }
    needs
}

fn grow() -> Result<()> {
    Ok(Vec::<u8>::new().try_reserve_exact(32 << 20)?)
}

fn thread() -> Result<()> {
    let thread = std::thread::Builder::new().name("probe".to_owned()).spawn(|| 42)?;
    thread.join().map(drop).map_err(|_| Error::other("it panicked"))
}

fn tokio() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let blocking = tokio::task::spawn_blocking(|| 42).await;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        blocking.map(drop).map_err(Error::other)
    })
}

fn chance() -> Result<()> {
    let _ = std::time::SystemTime::now();
    let mut bytes = [0; 16];
    Ok(rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map(drop)?)
}

/// Everything that a store does with files.
fn folder(prefix: &str) -> Result<()> {
    let name = |name: &str| format!("{prefix}{name}");
    let (one, two, below) = (name("probe-one"), name("probe-two"), name("probe-folder"));
    std::fs::create_dir(&below)?;
    let mut file = std::fs::File::create(&one)?;
    file.write_all(b"content")?;
    file.sync_all()?;
    file.set_len(3)?;
    std::fs::rename(&one, &two)?;
    if std::fs::read(&two)? != b"con" {
        return Err(Error::other("another content"));
    }
    let names = std::fs::read_dir(if prefix.is_empty() { "." } else { prefix })?.count();
    std::fs::remove_file(&two)?;
    std::fs::remove_dir(&below)?;
    if names < 2 { Err(Error::other("not all is listed")) } else { Ok(()) }
}

/// The same for a service that goes from descriptor to descriptor.
fn folder_at() -> Result<()> {
    use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
    let here = rustix::fs::CWD;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let folder = rustix::fs::openat2(here, ".", OFlags::DIRECTORY, Mode::empty(), resolve)?;
    rustix::fs::mkdirat(&folder, "probe-folder", Mode::RWXU)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
    let file = rustix::fs::openat2(&folder, "probe-one", flags, Mode::RUSR | Mode::WUSR, resolve)?;
    rustix::io::pwrite(&file, b"content", 0)?;
    rustix::fs::ftruncate(&file, 3)?;
    rustix::fs::fsync(&file)?;
    rustix::fs::fsync(&folder)?;
    let mut read = [0; 8];
    let length = rustix::io::pread(&file, &mut read, 0)?;
    rustix::fs::renameat_with(&folder, "probe-one", &folder, "probe-two", rustix::fs::RenameFlags::NOREPLACE)?;
    let status = rustix::fs::statat(&folder, "probe-two", AtFlags::SYMLINK_NOFOLLOW)?;
    let names = rustix::fs::Dir::read_from(&folder)?.count();
    rustix::fs::unlinkat(&folder, "probe-two", AtFlags::empty())?;
    rustix::fs::unlinkat(&folder, "probe-folder", AtFlags::REMOVEDIR)?;
    if &read[..length] == b"con" && status.st_size == 3 && names >= 4 {
        Ok(())
    } else {
        Err(Error::other("another content"))
    }
}

/// The same for who only ever replaces a file by another.
fn whole_file() -> Result<()> {
    use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
    use std::fs::File;
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(rustix::fs::CWD, ".", flags, Mode::empty())?;
    rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(&folder, "probe-one", flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(b"content")?;
    file.sync_all()?;
    rustix::fs::renameat(&folder, "probe-one", &folder, "probe-two")?;
    rustix::fs::fsync(&folder)?;
    let read = File::from(rustix::fs::openat(&folder, "probe-two", OFlags::CLOEXEC, Mode::empty())?);
    let content = std::io::read_to_string(read)?;
    rustix::fs::unlinkat(&folder, "probe-two", AtFlags::empty())?;
    if content == "content" { Ok(()) } else { Err(Error::other("another content")) }
}

fn machine_code() -> Result<()> {
    Ok(crate::unsafe_calls::executable_memory(false)?)
}

fn sealed_memory() -> Result<()> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let memory = memfd_create("sealed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::io::write(&memory, b"content")?;
    Ok(fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SEAL)?)
}
