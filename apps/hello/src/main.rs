//! The tutorial: asks for a folder and shows what is in it.
#![forbid(unsafe_code)]

use sdk::{Folder, Kind, ask};

fn main() -> std::process::ExitCode {
    sdk::run(hello())
}

async fn hello() -> sdk::Result<()> {
    // A person picks the folder. The label and the rights are announced in latch.toml.
    let folder: Folder = ask("folder", "to show you what is in it").read().await?;

    // From here on it can be taken back at any moment: then the next call fails, says why, and `?` ends the app.
    let mut entries = folder.entries();
    let mut count = 0;
    while let Some(entry) = entries.next().await? {
        match entry.kind() {
            Kind::Folder => println!("{:>12}  {}/", "folder", entry.name()),
            Kind::File => println!("{:>12}  {}", entry.metadata().size(), entry.name()),
            Kind::Link | Kind::Other => println!("{:>12}  {}", "-", entry.name()),
        }
        count += 1;
    }
    println!("{count} entries");
    Ok(())
}
