//! How a shell comes to the node: through the operator socket, which is a door.

use super::door::Door;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// The name of the operator socket in the state's folder.
const SOCKET_NAME: &str = "operator";

/// Comes to the node with that state. The address of a socket holds 107 bytes, so a longer path is reached through a
/// descriptor of its folder.
///
/// # Errors
/// `NotFound`: there is no such state. `ConnectionRefused`: no node runs with it. `PermissionDenied`: this user may not
/// operate it.
pub fn connect_operator(state_folder: &Path) -> io::Result<Door> {
    let folder = rustix::fs::open(state_folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let near = format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd());
    let address = SocketAddrUnix::new(near.as_str())?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &address)?;
    Door::new(socket)
}
