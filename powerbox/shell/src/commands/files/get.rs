//! `latch get`

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::{CWD, RenameFlags, rename, renameat_with};
use rustix::io::Errno;
use vat::Rights;

use super::progress::Progress;
use super::{Context, TARGET_HELP, open, open_file, sink};
use crate::failure::{Doing as _, Failure, Outcome};
use crate::node::Node;
use crate::signals::{unless_interrupted, unless_told_to_end};
use crate::text::escape;
use crate::{json, output};

/// Fetches a file
///
/// A local file appears whole or not at all. One that is there already is replaced only with --replace. On a terminal
/// only text and colours pass.
#[derive(Debug, Args)]
#[command(after_help = TARGET_HELP)]
pub(crate) struct Get {
    /// What it is in, see below
    target: String,
    /// Within it, such as notes/today.txt
    path: PathBuf,
    /// Where to [default: the same name here; -: standard output]
    local: Option<PathBuf>,
    /// Takes the place of a local file that is there
    #[arg(long)]
    replace: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Get) -> Outcome {
    // Only where the person says so: a file may be called `-` too.
    let to_stdout = command.local.as_deref() == Some(Path::new("-"));
    let name = || command.path.file_name().map(PathBuf::from);
    let local = command.local.clone().or_else(name).ok_or_else(|| Failure::usage("which file?"))?;
    let opened = open(context, node, &command.target, Rights::READ).await?;
    let file = open_file(&opened.object, &command.path, Rights::READ).await?;
    let size = {
        let response = file.stat_request().send().promise.await?;
        response.get()?.get_metadata()?.get_size()
    };
    let progress = Progress::new(&command.path.to_string_lossy(), Some(size));
    if to_stdout {
        return unless_interrupted(sink::print(&file, &command.path, &opened.exports, progress)).await.map(|_| ());
    }
    let partial = Partial::create(local, command.replace)?;
    let to = partial.file.try_clone().doing(|| "cannot write".to_owned())?;
    // A part that nobody wants any more is removed.
    let bytes = unless_told_to_end(sink::receive(&file, &command.path, &opened.exports, to, progress)).await?;
    let local = partial.keep()?;
    if context.json {
        return json::print(&serde_json::json!({ "path": local.to_string_lossy(), "bytes": bytes }));
    }
    output::line(&format!("{} ({bytes} bytes)", escape::path(&local)))
}

/// A local file under another name until all of it has come.
struct Partial {
    file: File,
    path: Option<PathBuf>,
    target: PathBuf,
    replace: bool,
}

impl Partial {
    fn create(mut target: PathBuf, replace: bool) -> Outcome<Self> {
        if target.is_dir() {
            return Err(Failure::usage(format!("{} is a folder", target.display())).next("name the local file"));
        }
        if !replace && target.symlink_metadata().is_ok() {
            return Err(is_there(&target));
        }
        let name =
            target.file_name().map(|name| name.to_os_string()).ok_or_else(|| Failure::usage("name the local file"))?;
        let mut partial_name = name.clone();
        partial_name.push(format!(".{}.part", std::process::id()));
        target.set_file_name(&partial_name);
        let path = target.clone();
        target.set_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.doing(|| format!("cannot write {}", target.display()))?;
        Ok(Self { file, path: Some(path), target, replace })
    }

    /// Gives it its name, once it is on disk.
    fn keep(mut self) -> Outcome<PathBuf> {
        self.file.sync_all().doing(|| format!("cannot write {}", self.target.display()))?;
        if let Some(path) = &self.path {
            match self.rename(path) {
                Err(Errno::EXIST) if !self.replace => return Err(is_there(&self.target)),
                renamed => renamed.doing(|| format!("cannot write {}", self.target.display()))?,
            }
            self.path = None;
        }
        Ok(std::mem::take(&mut self.target))
    }
}

impl Partial {
    fn rename(&self, path: &Path) -> rustix::io::Result<()> {
        let flags = if self.replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        match renameat_with(CWD, path, CWD, &self.target, flags) {
            // Not every file system can. That nothing was there was seen before the file came.
            Err(Errno::INVAL) if !self.replace => rename(path, &self.target),
            renamed => renamed,
        }
    }
}

fn is_there(target: &Path) -> Failure {
    Failure::new(format!("{} is there already", target.display())).next("--replace takes its place")
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed is named as a part.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("latch-get-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let target = folder.join("a.txt");
        let mut partial = Partial::create(target.clone(), false).unwrap();
        partial.file.write_all(b"half").unwrap();
        drop(partial);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        let mut partial = Partial::create(target.clone(), false).unwrap();
        partial.file.write_all(b"whole").unwrap();
        assert_eq!(partial.keep(), Ok(target.clone()));
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert!(Partial::create(target.clone(), false).err().unwrap().to_string().contains("--replace"));
        // One that came meanwhile is not replaced either.
        let other = folder.join("b.txt");
        let partial = Partial::create(other.clone(), false).unwrap();
        std::fs::write(&other, "mine").unwrap();
        assert!(partial.keep().unwrap_err().to_string().contains("--replace"));
        assert_eq!(std::fs::read(&other).unwrap(), b"mine");
        let mut partial = Partial::create(other.clone(), true).unwrap();
        partial.file.write_all(b"new").unwrap();
        assert_eq!(partial.keep(), Ok(other.clone()));
        assert_eq!(std::fs::read(&other).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
