//! The stand-in service: a folder that costs nothing, in the profile of the real one, by the library's own main loop.

use crate::peer::{Maker, Object, Work};
use vat::confine::Profile;
use vat::native::{Born, Service};

pub(super) fn run(born: Born) -> Result<(), String> {
    born.confine(Profile::Folder, None).map_err(|error| format!("not confined: {error}"))?;
    Service::run(born, |_, exports| {
        let maker = Maker::Guarded(exports.clone());
        Ok(maker.make(Object::new(Work::Answer, maker.clone())).client)
    })
    .map_err(|error| format!("the service failed: {error}"))
}
