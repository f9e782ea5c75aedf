//! The stand-in powerbox's end of an app's session: everything is granted at once.

use crate::peer::badge;
use capnp::capability::Rc;
use schema::session_capnp::{Decision, session};
use std::os::unix::net::UnixStream;
use vat::Bounds;
use vat::native::{Stream, SystemClock};

struct Granting;

impl session::Server for Granting {
    async fn request(
        self: Rc<Self>,
        _: session::RequestParams,
        mut results: session::RequestResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_decision(Decision::Granted);
        Ok(())
    }
}

/// Serves it on a thread of its own until it ends.
pub(super) fn serve(link: UnixStream) {
    std::thread::spawn(move || {
        let served = vat::native::run(async move {
            let stream = Stream::new(link).map_err(|error| error.to_string())?;
            let clock = std::rc::Rc::new(SystemClock::new());
            let root = |exports: &vat::Exports| exports.export::<session::Client, _>(Granting).client;
            vat::serve(stream, &badge_of_session()?, Bounds::for_operator_session(), clock, root).await;
            Ok::<(), String>(())
        });
        if let Ok(Err(error)) = served {
            eprintln!("a session failed: {error}");
        }
    });
}

fn badge_of_session() -> Result<vat::Badge, String> {
    Ok(vat::Badge { grant: 0, methods: Vec::new(), ..badge()? })
}
