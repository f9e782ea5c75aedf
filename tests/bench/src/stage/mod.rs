//! The real kernel, sandbox and compiler with stand-ins around them: a powerbox that does what the row says, a service
//! that serves a plain directory, and native clients. The stand-ins are this same program under the images' names.

mod channel;
mod client;
mod component;
mod kernel;
mod order;
mod powerbox;
mod relay;
mod service;
mod session;

pub(crate) use kernel::Stage;
pub(crate) use order::Part;

use std::path::Path;

/// A main function of a stand-in.
type Program = fn() -> Result<(), String>;

/// The image names that this program stands in for.
const POWERBOX: &str = "latch-powerbox";
const SERVICE_OR_CLIENT: &str = "latch-folder";

/// What to run where the kernel started this program as one of its images.
pub(crate) fn program(own_name: &str) -> Option<Program> {
    match Path::new(own_name).file_name()?.to_str()? {
        POWERBOX => Some(powerbox::run),
        SERVICE_OR_CLIENT => Some(service_or_client),
        _ => None,
    }
}

/// Of the image of folders there are two kinds; what it is told when it begins says which.
fn service_or_client() -> Result<(), String> {
    let born = vat::native::Born::take().map_err(|error| format!("no door: {error}"))?;
    if born.setup() == Part::CLIENT_SETUP { client::run(born) } else { service::run(born) }
}
