//! An innocent app that lives beside hostile ones: for each line of its input it asks the powerbox what it holds, reads
//! its file, and says what it got.

use schema::filesystem_capnp::directory;
use schema::session_capnp::session;
use std::io::Write;

/// Answers line by line, until its input ends.
pub(crate) async fn answer_lines(session: &session::Client, folder: &directory::Client) -> capnp::Result<()> {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let held = session.list_request().send().promise.await?;
        let mut labels = Vec::new();
        for held in held.get()?.get_held()? {
            labels.push(held.get_label()?.to_string()?);
        }
        let text = crate::attempts::read(folder, b"a.txt").await?;
        println!("{line}: {} {text}", labels.join(","));
        // Nobody reads it any more: then nobody misses it.
        let _ = std::io::stdout().flush();
    }
    Ok(())
}
