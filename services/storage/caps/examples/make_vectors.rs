//! Writes the vectors into a folder: `cargo run -p caps --example make_vectors -- tests/vectors/caps`.
#![allow(clippy::unwrap_used, reason = "a tool that may stop at once")]

#[path = "../tests/common/mod.rs"]
mod common;

fn main() -> std::io::Result<()> {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "tests/vectors/caps".to_owned()));
    std::fs::create_dir_all(&folder)?;
    for (name, value) in common::vectors::files() {
        std::fs::write(folder.join(name), common::vectors::text(&value))?;
    }
    Ok(())
}
