//! What is tried.

use schema::filesystem_capnp::directory;
use schema::session_capnp::session;
use std::fmt;

/// One attempt and what came of it: what was reached, or why not.
pub(crate) struct Attempt {
    name: &'static str,
    outcome: Result<String, String>,
}

impl Attempt {
    fn new(name: &'static str, outcome: capnp::Result<String>) -> Self {
        // the text after the engine's own words is the service's
        let why = |error: capnp::Error| error.extra.rsplit("remote exception: ").next().unwrap_or_default().to_owned();
        Self { name, outcome: outcome.map_err(why) }
    }

    pub(crate) fn reached(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(what) => write!(formatter, "{}: REACHED: {what}", self.name),
            Err(why) => write!(formatter, "{}: refused: {why}", self.name),
        }
    }
}

/// Out of the folder, and more than reading in it.
pub(crate) async fn on_the_folder(folder: &directory::Client) -> Vec<Attempt> {
    vec![
        Attempt::new("sibling by ..", read(folder, b"../secret.txt").await),
        Attempt::new("deep sibling by ..", read(folder, b"inside/../../secret.txt").await),
        Attempt::new("absolute path", read(folder, b"/etc/passwd").await),
        Attempt::new("absolute symlink", read(folder, b"absolute-link").await),
        Attempt::new("symlink to a sibling", read(folder, b"sibling-link/secret.txt").await),
        Attempt::new("list the parent", list(folder, b"..").await),
        Attempt::new("create a file", create(folder).await),
        Attempt::new("overwrite a file", overwrite(folder).await),
        Attempt::new("remove a file", remove(folder).await),
    ]
}

/// What other apps hold.
pub(crate) async fn on_the_session(session: &session::Client) -> Vec<Attempt> {
    vec![
        Attempt::new("another app's grant by its id", ask_for(session, "#1").await),
        Attempt::new("another app's grant by its name", ask_for(session, "search-folder").await),
        Attempt::new("release what another app holds", release(session).await),
    ]
}

/// Links that were never delivered.
pub(crate) fn on_the_door() -> Vec<Attempt> {
    let outcome = match crate::foreign_links_take() {
        0 => Err(capnp::Error::failed("no such link: no byte was taken".to_owned())),
        bytes => Ok(format!("{bytes} bytes were taken")),
    };
    vec![Attempt::new("write to links of others", outcome)]
}

pub(crate) async fn read(folder: &directory::Client, path: &[u8]) -> capnp::Result<String> {
    let mut open = folder.open_file_request();
    open.get().set_path(path);
    open.get().init_rights().set_read(true);
    let mut read = open.send().pipeline.get_file().read_request();
    read.get().set_length(64);
    let answer = read.send().promise.await?;
    Ok(String::from_utf8_lossy(answer.get()?.get_bytes()?).into_owned())
}

async fn list(folder: &directory::Client, path: &[u8]) -> capnp::Result<String> {
    let mut open = folder.open_directory_request();
    open.get().set_path(path);
    open.get().init_rights().set_read(true);
    let answer = open.send().pipeline.get_directory().list_request().send().promise.await?;
    Ok(format!("{} entries", answer.get()?.get_entries()?.len()))
}

async fn create(folder: &directory::Client) -> capnp::Result<String> {
    let mut create = folder.create_request();
    create.get().set_path(b"made-by-probe");
    create.send().promise.await.map(|_| "it was created".to_owned())
}

async fn overwrite(folder: &directory::Client) -> capnp::Result<String> {
    let mut open = folder.open_file_request();
    open.get().set_path(b"inside/kept.txt");
    let mut rights = open.get().init_rights();
    rights.set_read(true);
    rights.set_append(true);
    rights.set_write(true);
    let mut write = open.send().pipeline.get_file().write_request();
    write.get().set_bytes(b"overwritten");
    write.send().promise.await.map(|_| "it was overwritten".to_owned())
}

async fn remove(folder: &directory::Client) -> capnp::Result<String> {
    let mut remove = folder.remove_request();
    remove.get().set_path(b"inside/kept.txt");
    remove.send().promise.await.map(|_| "it was removed".to_owned())
}

async fn ask_for(session: &session::Client, label: &str) -> capnp::Result<String> {
    let mut ask = session.request_request();
    ask.get().set_label(label);
    ask.get().init_query().set_interface(<directory::Client as capnp::traits::HasTypeId>::TYPE_ID);
    ask.get().init_rights().set_read(true);
    let decision = ask.send().promise.await?.get()?.get_decision()?;
    match decision {
        schema::session_capnp::Decision::Granted => Ok("it was granted".to_owned()),
        other => Err(capnp::Error::failed(format!("{other:?}: the package does not announce it"))),
    }
}

async fn release(session: &session::Client) -> capnp::Result<String> {
    let mut release = session.release_request();
    release.get().set_label("search-folder");
    release.send().promise.await.map(|_| "it was released".to_owned())
}
