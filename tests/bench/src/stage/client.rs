//! A native client in an app's place: holds its links, and calls over the first of them as it is told on its standard
//! input, in the words of the guest in `tests/guests/bench`.

use futures::stream::{FuturesUnordered, StreamExt};
use schema::filesystem_capnp::directory;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use vat::Bounds;
use vat::confine::Profile;
use vat::door::Carries;
use vat::native::{Arrived, Born, Delivery, SystemClock};

type Root = Rc<RefCell<Option<directory::Client>>>;

pub(super) fn run(born: Born) -> Result<(), String> {
    born.confine(Profile::Sandbox, None).map_err(|error| format!("not confined: {error}"))?;
    vat::native::run(attend(born)).map_err(|error| format!("no runtime: {error}"))?
}

async fn attend(born: Born) -> Result<(), String> {
    let door = born.into_door().map_err(|error| format!("no door: {error}"))?;
    let clock = Rc::new(SystemClock::new());
    let root = Root::default();
    let mut streams = Vec::new();
    loop {
        match door.next().await.map_err(|error| format!("the door failed: {error}"))? {
            Some(Delivery::Link(arrived)) if arrived.carries == Carries::Raw => {
                streams.push(arrived.into_raw().map_err(|error| format!("no stream: {error}"))?);
                if streams.len() == super::relay::STREAMS.len() {
                    let mut streams = streams.drain(..);
                    if let (Some(input), Some(output)) = (streams.next(), streams.next()) {
                        tokio::task::spawn_local(obey(input, output, root.clone()));
                    }
                }
            }
            Some(Delivery::Link(arrived)) => hold(arrived, &clock, &root)?,
            Some(Delivery::Stop) | None => return Ok(()),
            Some(_) => {}
        }
    }
}

/// Keeps a link until it ends.
fn hold(arrived: Arrived, clock: &Rc<SystemClock>, root: &Root) -> Result<(), String> {
    let stream = arrived.into_stream().map_err(|error| format!("no link: {error}"))?;
    let connected = vat::connect(stream, Bounds::for_peer(vat::Peer::Service), clock.clone());
    let object: directory::Client = capnp::capability::FromClientHook::new(connected.root.hook);
    root.borrow_mut().get_or_insert_with(|| object.clone());
    tokio::task::spawn_local(async move {
        let _held = object;
        connected.driving.await;
    });
    Ok(())
}

async fn obey(input: UnixStream, mut output: UnixStream, root: Root) {
    let mut lines = BufReader::new(input).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let object = root.borrow().clone();
        let answer = match object {
            Some(object) => answer(&object, &line).await.unwrap_or_else(|error| format!("failed: {error}")),
            None => "no link".to_owned(),
        };
        if output.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            break;
        }
    }
}

async fn answer(object: &directory::Client, line: &str) -> Result<String, capnp::Error> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse().ok()).unwrap_or(0);
    match words.first() {
        Some(&"each") => {
            let gaps = each(object, number(1)).await?;
            Ok(gaps.iter().map(u64::to_string).collect::<Vec<_>>().join(" "))
        }
        Some(&"deep") => Ok(deep(object, number(1), number(2)).await?.to_string()),
        _ => Ok("?".to_owned()),
    }
}

/// When the service took the call, by its own clock.
async fn call(object: &directory::Client) -> Result<u64, capnp::Error> {
    let mut request = object.stat_request();
    // the same bytes as the guest's
    request.get().set_path(b"");
    request.get().set_follow_link(true);
    let response = request.send().promise.await?;
    Ok(response.get()?.get_metadata()?.get_modified_ns().unsigned_abs())
}

async fn each(object: &directory::Client, count: u64) -> Result<Vec<u64>, capnp::Error> {
    let mut before = call(object).await?;
    let mut gaps = Vec::new();
    for _ in 0..count {
        let now = call(object).await?;
        gaps.push(now.saturating_sub(before));
        before = now;
    }
    Ok(gaps)
}

async fn deep(object: &directory::Client, count: u64, depth: u64) -> Result<u64, capnp::Error> {
    let mut running = FuturesUnordered::new();
    let (mut first, mut last) = (u64::MAX, 0);
    for begun in 0..count {
        if begun >= depth
            && let Some(answered) = running.next().await
        {
            let moment = answered?;
            (first, last) = (first.min(moment), last.max(moment));
        }
        running.push(call(object));
    }
    while let Some(answered) = running.next().await {
        let moment = answered?;
        (first, last) = (first.min(moment), last.max(moment));
    }
    Ok(last.saturating_sub(first))
}
