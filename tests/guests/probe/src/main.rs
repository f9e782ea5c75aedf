//! Tries to reach more than it was given: by calls that it makes up itself, over the bare door and the bare generated
//! interfaces, so that nothing of the SDK stands between it and the system.
//!
//! With the argument `neighbour` it is innocent, and lives beside hostile apps.
//!
//! Prints one line for each attempt: `name: refused: why`, or `name: REACHED: what`. The exit code is 0 where all were refused.
#![forbid(unsafe_code)]

mod attempts;
mod links;
mod neighbour;

use attempts::Attempt;
use vat::guest::{HostDoor, WasiDoor};

fn main() {
    let outcome = vat::guest::run(Box::new(WasiDoor), |guest| async move {
        let (session, folder) = links::obtain(&guest).await?;
        if std::env::args().nth(1).as_deref() == Some("neighbour") {
            neighbour::answer_lines(&session, &folder).await?;
            return Ok(Vec::new());
        }
        let mut tried = attempts::on_the_folder(&folder).await;
        tried.extend(attempts::on_the_session(&session).await);
        tried.extend(attempts::on_the_door());
        Ok::<_, capnp::Error>(tried)
    });
    let tried: Vec<Attempt> = match outcome {
        Ok(Ok(tried)) => tried,
        Ok(Err(error)) => {
            println!("the probe could not begin: {error}");
            std::process::exit(2);
        }
        Err(stalled) => {
            println!("the probe could not begin: {stalled}");
            std::process::exit(2);
        }
    };
    tried.iter().for_each(|attempt| println!("{attempt}"));
    let reached = tried.iter().filter(|attempt| attempt.reached()).count();
    std::process::exit(i32::from(reached > 0));
}

/// A link that this app was never given: it cannot be written to, whatever its number.
fn foreign_links_take() -> usize {
    (1..64).map(|number| WasiDoor.send(1_000 + number, b"let me in")).sum()
}
