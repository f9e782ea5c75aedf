//! The first moments of a process: what it is told, what it is given, and its confinement; before any thread.

use super::door::Door;
use super::unsafe_descriptors::{DOOR_DESCRIPTOR, take_inherited};
use crate::confine::{Allow, Profile, enter};
use crate::door::{Begin, Confinement, FromVat, LAST_LIMIT_BYTES, Resource, ToVat};
use crate::socket::{receive, send};
use crate::words::{Rights, clip};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A resource with its descriptor.
#[derive(Debug)]
pub struct Given {
    /// What it is.
    pub resource: Resource,
    /// The thing itself.
    pub descriptor: OwnedFd,
}

/// A process that has been told what it is and has not confined itself yet.
#[derive(Debug)]
pub struct Born {
    door: OwnedFd,
    begin: Begin,
    resources: Vec<Given>,
}

impl Born {
    /// Waits at the door that this process was born with for what it is told and given. No thread may run yet. From
    /// then on a panic anywhere in this process is its last word, unless another follows.
    ///
    /// # Errors
    /// There is no door, or what came through it is not what a beginning is: exit.
    pub fn take() -> io::Result<Born> {
        let door = take_inherited(DOOR_DESCRIPTOR)?;
        say_panics(door.try_clone()?);
        Born::at(door)
    }

    /// The same at any door.
    ///
    /// # Errors
    /// As for [`Born::take`].
    pub fn at(door: OwnedFd) -> io::Result<Born> {
        let (ToVat::Begin(begin), None) = next(&door)? else {
            return Err(io::Error::other("the door's first message is not a beginning"));
        };
        let mut resources = Vec::new();
        for _ in 0..begin.resources {
            let (ToVat::Resource(resource), Some(descriptor)) = next(&door)? else {
                return Err(io::Error::other("the door's next message is not one of the resources announced"));
            };
            resources.push(Given { resource, descriptor });
        }
        Ok(Born { door, begin, resources })
    }

    /// This process's number.
    #[must_use]
    pub fn process(&self) -> u64 {
        self.begin.process
    }

    /// What the image is told, see `setup.capnp`.
    #[must_use]
    pub fn setup(&self) -> &[u8] {
        &self.begin.setup
    }

    /// Whether an operator allowed a start with less confinement than a whole one.
    #[must_use]
    pub fn is_reduced(&self) -> bool {
        self.begin.reduced
    }

    /// Takes the resource of that name.
    pub fn take_resource(&mut self, name: &str) -> Option<Given> {
        let at = self.resources.iter().position(|given| given.resource.name == name)?;
        Some(self.resources.remove(at))
    }

    /// What was given and not taken yet.
    #[must_use]
    pub fn resources(&self) -> &[Given] {
        &self.resources
    }

    /// The door, for whoever must let it through a filter.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.door.as_fd()
    }

    /// Confines this process for good and reports it: links come only after that. Where it fails the reason is this
    /// process's last word, and it must exit.
    ///
    /// # Errors
    /// The process could not be confined, or the door failed.
    pub fn confine(&self, profile: Profile, folder: Option<(BorrowedFd<'_>, Rights)>) -> io::Result<Confinement> {
        match enter(profile, Allow { folder, reduced: self.begin.reduced }) {
            Ok(confinement) => {
                self.confined(&confinement)?;
                Ok(confinement)
            }
            Err(error) => {
                self.last(&error.to_string());
                Err(io::Error::other(error))
            }
        }
    }

    /// Reports the confinement in force.
    ///
    /// # Errors
    /// Those of the door.
    pub fn confined(&self, confinement: &Confinement) -> io::Result<()> {
        say(&self.door, &FromVat::Confined(confinement.clone()))
    }

    /// Says why this process is about to exit.
    pub fn last(&self, word: &str) {
        // a door that takes nothing more has nobody who would read it
        let _ = say(&self.door, &FromVat::Last(word.to_owned()));
    }

    /// The door from now on, within a tokio runtime.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn into_door(self) -> io::Result<Door> {
        Door::new(self.door)
    }
}

fn next(door: &OwnedFd) -> io::Result<(ToVat, Option<OwnedFd>)> {
    let packet = receive(door)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let message = ToVat::decode(&packet.bytes).map_err(io::Error::other)?;
    let mut descriptors = packet.descriptors;
    if descriptors.len() > 1 {
        return Err(io::Error::other("more than one descriptor on a door's message"));
    }
    Ok((message, descriptors.pop()))
}

/// Standard error leads nowhere for most processes.
fn say_panics(door: OwnedFd) {
    let printed = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        printed(panic);
        // a door that takes nothing more has nobody who would read it
        let _ = say(&door, &FromVat::Last(clip(&panic.to_string(), LAST_LIMIT_BYTES).to_owned()));
    }));
}

fn say(door: &OwnedFd, message: &FromVat) -> io::Result<()> {
    send(door, &message.encode().map_err(io::Error::other)?, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn a_panic_is_the_last_word() {
        let ends = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (ours, kernels): (OwnedFd, OwnedFd) = ends;
        say_panics(ours);
        assert!(std::thread::spawn(|| panic!("out of luck")).join().is_err());
        drop(std::panic::take_hook());
        let packet = receive(&kernels).unwrap().unwrap();
        let FromVat::Last(word) = FromVat::decode(&packet.bytes).unwrap() else { panic!("something else") };
        assert!(word.contains("born.rs") && word.ends_with("out of luck"), "{word}");
    }
}
