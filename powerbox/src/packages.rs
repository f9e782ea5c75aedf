//! Installing and removing packages, and whom to trust. Nothing of a package is kept before everything about it is
//! known to be right.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use package::{Manifest, Signed};
use vat::door::ResourceKind;
use vat::words::EndReason;

use crate::compile::{FOLDER as COMPILED, blocking};
use crate::core::Core;
use crate::problem::{Problem, on_disk};
use crate::record::{Author, Holder, Installed, Record, hexadecimal};
use crate::state::Instance;
use crate::words::{PHRASE_LIMIT, plain, quoted};

/// Where packages are, in the powerbox's folder.
const FOLDER: &str = "packages";
/// At most so many: more than a host runs, at 64 MiB each well under what a disk has.
const PACKAGES_LIMIT: usize = 1_000;
/// At most so many trusted authors.
const AUTHORS_LIMIT: usize = 10_000;

/// What an installation did.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) installed: Installed,
    /// The version that was there before.
    pub(crate) replaced: String,
}

impl Core {
    /// Installs the package in a file that a shell brought.
    pub(crate) async fn install(
        self: &Rc<Self>,
        by: String,
        shell: u64,
        token: u64,
        trust_author: bool,
    ) -> Result<Outcome, Problem> {
        let brought = self.brought(shell, token).await?;
        let (ResourceKind::File, Some(descriptor)) = (brought.kind, brought.descriptor) else {
            return Err(Problem::refused("what was brought is not a file. Name a .latch file"));
        };
        self.need_room()?;
        let incoming = self.folder.join(FOLDER).join(format!("incoming-{}", self.new_id()?));
        let removed = RemoveOnDrop(incoming.clone());
        let signed = blocking({
            let incoming = incoming.clone();
            move || take_in(File::from(descriptor), &incoming)
        })
        .await?;
        self.admit(&signed.manifest, trust_author)?;
        let open = {
            let (incoming, offset) = (incoming.clone(), signed.component_offset());
            async move || open_component(&incoming, offset)
        };
        // The compiler looks into it: not a component, another world, or too much is refused here.
        self.compiled(&signed.manifest, open).await?;
        let replaced = self.admit(&signed.manifest, trust_author)?;
        let installed = Installed {
            digest: signed.digest,
            bytes: signed.header.file_bytes(),
            at_ms: self.now_ms(),
            manifest: signed.manifest,
        };
        let (path, folder) = (self.package_path(&installed.digest), self.folder.join(FOLDER));
        blocking(move || {
            std::fs::rename(&incoming, &path)
                .and_then(|()| File::open(folder)?.sync_all())
                .map_err(on_disk("the package could not be kept"))
        })
        .await?;
        std::mem::forget(removed);
        crate::fault::point("install.kept");
        if trust_author && !self.state.borrow().authors.contains_key(&installed.manifest.author) {
            // What an author is called here is the person's word alone, never the author's own.
            let author = Author { key: installed.manifest.author, name: String::new(), at_ms: self.now_ms() };
            self.record(&by, Record::Trusted(author))?;
        }
        self.commit(&by, Record::Installed(installed.clone())).await?;
        self.remove_stray_files();
        Ok(Outcome { installed, replaced })
    }

    /// Whether a package may be installed; the version that it replaces.
    fn admit(&self, manifest: &Manifest, trust_author: bool) -> Result<String, Problem> {
        let state = self.state.borrow();
        if !trust_author && !state.authors.contains_key(&manifest.author) {
            return Err(Problem::refused(format!(
                "the author of {} is unknown here: key {}, who calls themselves {}. Find out whether that is who you \
                 think, then `latch trust` the key, or install with --trust",
                manifest.name,
                hexadecimal(&manifest.author),
                quoted(&manifest.author_name, PHRASE_LIMIT)
            )));
        }
        match state.packages.get(&manifest.name) {
            Some(other) if other.manifest.author != manifest.author => Err(Problem::refused(format!(
                "another author's package is installed under the name {}, and what it was granted is not for this one. \
                 `latch uninstall {}` first",
                manifest.name, manifest.name
            ))),
            Some(before) => Ok(before.manifest.version.clone()),
            None if state.packages.len() >= PACKAGES_LIMIT => {
                Err(Problem::refused(format!("{PACKAGES_LIMIT} packages are installed already. Uninstall some")))
            }
            None => Ok(String::new()),
        }
    }

    /// Stops a package's instances, ends what they hold, removes it. How many grants ended.
    pub(crate) async fn uninstall(self: &Rc<Self>, by: String, name: String) -> Result<u32, Problem> {
        if !self.state.borrow().packages.contains_key(&name) {
            let text = format!("no package {} is installed. `latch install` lists what is", plain(&name, PHRASE_LIMIT));
            return Err(Problem::refused(text));
        }
        let mut ended = 0;
        // Others take their turns meanwhile: who was started since, or was given something, is found by the next look.
        while let Some(instance) = self.in_use(&name) {
            self.end_instance(&by, &instance).await?;
            let holder = Holder::Instance(instance);
            let held: Vec<u64> = self.state.borrow().grants.held_by(&holder).map(|(grant, _)| grant).collect();
            let cut = self.end_grants(&by, &held, EndReason::Revoked, "the app was uninstalled").await?;
            ended += u32::try_from(cut.grants.len()).unwrap_or(u32::MAX);
        }
        let instances: Vec<String> = {
            let state = self.state.borrow();
            let of_app = state.instances.iter().filter(|(_, row)| row.run.app == name);
            of_app.map(|(instance, _)| instance.clone()).collect()
        };
        self.commit(&by, Record::Uninstalled(name)).await?;
        for instance in &instances {
            crate::output::remove(&self.folder, instance);
            let mut live = self.live.borrow_mut();
            live.failures.remove(instance);
            live.unannounced.remove(instance);
        }
        self.remove_stray_files();
        self.bells.requests.ring();
        Ok(ended)
    }

    /// An instance of an app that runs, is to be started again, or holds a grant.
    fn in_use(&self, app: &str) -> Option<String> {
        let state = self.state.borrow();
        let is_in_use = |instance: &str, row: &Instance| {
            row.running || row.wanted || state.grants.held_by(&Holder::Instance(instance.to_owned())).next().is_some()
        };
        let mut of_app = state.instances.iter().filter(|(_, row)| row.run.app == app);
        of_app.find(|(instance, row)| is_in_use(instance, row)).map(|(instance, _)| instance.clone())
    }

    /// Stops an instance and waits until its process is gone.
    async fn end_instance(self: &Rc<Self>, by: &str, instance: &str) -> Result<(), Problem> {
        if self.state.borrow().instances.get(instance).is_some_and(|row| row.wanted) {
            self.commit(by, Record::Stopped(instance.to_owned())).await?;
        }
        // One that was recorded and not started yet is waited for: it gets a process, or it has ended.
        let process = self.bells.processes.until(|| {
            let process = self.live.borrow().process_of_instance(instance);
            let running = self.state.borrow().instances.get(instance).is_some_and(|row| row.running);
            if running && process.is_none() { None } else { Some(process) }
        });
        if let Some(process) = process.await {
            self.stop_process(process, true);
            self.bells.processes.until(|| (!self.live.borrow().processes.contains_key(&process)).then_some(())).await;
        }
        Ok(())
    }

    /// Trusts an author from now on, or no longer.
    pub(crate) async fn trust(
        self: &Rc<Self>,
        by: String,
        key: Vec<u8>,
        name: String,
        remove: bool,
    ) -> Result<(), Problem> {
        let wrong_length =
            |_| Problem::refused("an author's key has 32 bytes (64 hexadecimal digits). Ask the author for it");
        let key: [u8; 32] = key.try_into().map_err(wrong_length)?;
        let known = self.state.borrow().authors.get(&key).map(|author| author.name.clone());
        if remove {
            if known.is_none() {
                return Err(Problem::refused("this author is not trusted anyway. `latch trust` lists who is"));
            }
            self.commit(&by, Record::Distrusted(key)).await?;
            return Ok(());
        }
        let name = plain(name.trim(), PHRASE_LIMIT);
        if name.is_empty() {
            return Err(Problem::refused("an author needs a name that you will recognise. Give one with the key"));
        }
        let taken = self.state.borrow().authors.values().any(|author| author.name == name && author.key != key);
        if taken {
            return Err(Problem::refused(format!("another author is called “{name}” here. Choose another name")));
        }
        self.need_room()?;
        if self.state.borrow().authors.len() >= AUTHORS_LIMIT {
            return Err(Problem::refused("too many authors are trusted. Remove some"));
        }
        let author = Author { key, name, at_ms: self.now_ms() };
        self.commit(&by, Record::Trusted(author)).await?;
        Ok(())
    }

    /// The component of an installed package, to be read.
    pub(crate) fn open_installed(path: &Path) -> Result<File, Problem> {
        let file = File::open(path).map_err(on_disk("the installed package cannot be read"))?;
        // It was checked before it was kept; this notices what the disk has done to it since.
        let signed = package::verify(&file)?;
        open_component(path, signed.component_offset())
    }

    /// Where an installed package is kept.
    pub(crate) fn package_path(&self, digest: &[u8; 32]) -> PathBuf {
        self.folder.join(FOLDER).join(file_name(digest))
    }

    /// Removes packages and compiled code that no installed package is: of installations that did not come to an end,
    /// of packages that were replaced or removed.
    pub(crate) fn remove_stray_files(self: &Rc<Self>) {
        let (packages, components): (Vec<String>, Vec<String>) = {
            let state = self.state.borrow();
            let packages = state.packages.values().map(|installed| file_name(&installed.digest)).collect();
            (packages, state.packages.values().map(|installed| hexadecimal(&installed.manifest.component)).collect())
        };
        {
            let state = self.state.borrow();
            let is_installed =
                |hash: &[u8; 32]| state.packages.values().any(|package| package.manifest.component == *hash);
            self.live.borrow_mut().compiled.retain(|hash, _| is_installed(hash));
        }
        // On this thread, so that no installation comes between the look and the removal.
        remove_others(&self.folder.join(FOLDER), |name| {
            packages.iter().any(|known| known == name) || name.starts_with("incoming-")
        });
        remove_others(&self.folder.join(COMPILED), |name| {
            components.iter().any(|known| name.starts_with(known.as_str()))
        });
    }
}

/// Removes half-taken packages of an earlier life. Called before anything is installed.
pub(crate) fn remove_incoming(folder: &Path) {
    remove_others(&folder.join(FOLDER), |name| !name.starts_with("incoming-"));
}

fn remove_others(folder: &Path, keep: impl Fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_none_or(|name| !keep(name)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn file_name(digest: &[u8; 32]) -> String {
    format!("{}.latch", hexadecimal(digest))
}

struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Checks a package while it is copied. The owner of the source may change it meanwhile: only the copy counts.
fn take_in(mut source: File, incoming: &Path) -> Result<Signed, Problem> {
    let unreadable = on_disk("the package could not be kept");
    let length = source.metadata().map_err(package::Refusal::Read)?.len();
    source.rewind().map_err(package::Refusal::Read)?;
    let signed = package::read_signed(&mut source, length)?;
    // Only now is anything kept: what follows is as long as its author signed.
    let mut copy = File::options().write(true).create_new(true).open(incoming).map_err(&unreadable)?;
    let mut head = vec![0; usize::try_from(signed.component_offset()).unwrap_or(0)];
    std::os::unix::fs::FileExt::read_exact_at(&source, &mut head, 0).map_err(package::Refusal::Read)?;
    copy.write_all(&head).map_err(&unreadable)?;
    package::copy_component(&mut source, &signed, &mut copy)?;
    copy.sync_all().map_err(&unreadable)?;
    // The head was read twice: what was kept must be what was checked.
    let kept = package::verify(&File::open(incoming).map_err(&unreadable)?)?;
    if kept.digest == signed.digest { Ok(signed) } else { Err(package::Refusal::Signature.into()) }
}

fn open_component(path: &Path, offset: u64) -> Result<File, Problem> {
    let mut file = File::open(path).map_err(on_disk("the package cannot be read"))?;
    file.seek(SeekFrom::Start(offset)).map_err(on_disk("the package cannot be read"))?;
    Ok(file)
}
