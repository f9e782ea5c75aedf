//! The door of a running process.

use super::stream::Stream;
use super::unsafe_descriptors::watch;
use crate::door::{Badge, Carries, FromVat, Notice, Resource, Role, ToVat};
use crate::socket::{receive, send};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A link that was delivered.
#[derive(Debug)]
pub struct Arrived {
    /// Node-wide.
    pub id: u64,
    /// Which end this is.
    pub role: Role,
    /// What goes over it.
    pub carries: Carries,
    /// What it was asked for under.
    pub label: String,
    /// The powerbox's word about it; nothing on raw links.
    pub badge: Option<Badge>,
    /// This end of it.
    pub socket: UnixStream,
}

impl Arrived {
    /// The link for the engine.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn into_stream(self) -> io::Result<Stream> {
        Stream::new(self.socket)
    }

    /// The link as plain bytes.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn into_raw(self) -> io::Result<tokio::net::UnixStream> {
        self.socket.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(self.socket)
    }
}

/// What comes through a door.
#[derive(Debug)]
pub enum Delivery {
    /// One end of a link.
    Link(Arrived),
    /// A thing.
    Resource(Resource, OwnedFd),
    /// Why a link ended, or that what serves it is away.
    Notice(Notice),
    /// Finish what runs and exit.
    Stop,
}

/// The door of a running process, within a tokio runtime.
#[derive(Debug)]
pub struct Door {
    socket: AsyncFd<OwnedFd>,
}

impl Door {
    /// A door on that socket.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn new(socket: OwnedFd) -> io::Result<Door> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Door { socket: watch(socket)? })
    }

    /// The next thing that comes; nothing when the kernel has closed the door.
    ///
    /// # Errors
    /// Something came that is not a door's message, or descriptors were lost: the process should exit.
    pub async fn next(&self) -> io::Result<Option<Delivery>> {
        loop {
            let received = self.socket.async_io(Interest::READABLE, |socket| receive(socket)).await;
            let packet = match received {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            };
            let message = ToVat::decode(&packet.bytes).map_err(io::Error::other)?;
            let mut descriptors = packet.descriptors.into_iter();
            let delivery = match (message, descriptors.next()) {
                (ToVat::Begin(_), None) => continue,
                (ToVat::Link(link), Some(descriptor)) => {
                    let badge = match link.carries {
                        Carries::Raw => None,
                        Carries::Session | Carries::Grant => {
                            Some(Badge::decode(&link.badge).map_err(io::Error::other)?)
                        }
                    };
                    Delivery::Link(Arrived {
                        id: link.id,
                        role: link.role,
                        carries: link.carries,
                        label: link.label,
                        badge,
                        socket: UnixStream::from(descriptor),
                    })
                }
                (ToVat::Resource(resource), Some(descriptor)) => Delivery::Resource(resource, descriptor),
                (ToVat::Notice(notice), None) => Delivery::Notice(notice),
                (ToVat::Stop, None) => Delivery::Stop,
                _ => return Err(io::Error::other("a door's message without its descriptor, or with one too many")),
            };
            if descriptors.next().is_some() {
                return Err(io::Error::other("more than one descriptor on a door's message"));
            }
            return Ok(Some(delivery));
        }
    }

    /// Confirms that no call of that cut link starts any more, and none runs.
    ///
    /// # Errors
    /// Those of the door.
    pub async fn ended(&self, link: u64) -> io::Result<()> {
        self.say(&FromVat::Ended { link }, &[]).await
    }

    /// Hands a thing to the powerbox. Shells only.
    ///
    /// # Errors
    /// Those of the door.
    pub async fn resource(&self, resource: Resource, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        self.say(&FromVat::Resource(resource), &[descriptor]).await
    }

    /// Says why this process is about to exit.
    pub async fn last(&self, word: &str) {
        // a door that takes nothing more has nobody who would read it
        let _ = self.say(&FromVat::Last(word.to_owned()), &[]).await;
    }

    async fn say(&self, message: &FromVat, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = message.encode().map_err(io::Error::other)?;
        self.socket.async_io(Interest::WRITABLE, |socket| send(socket, &bytes, descriptors)).await
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}
