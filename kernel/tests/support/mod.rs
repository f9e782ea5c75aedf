//! A real kernel on a temporary state, whose processes are all `fake_image`, and the test in their place.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod cgroups;
pub mod control;
pub mod packets;
pub mod stuck;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use vat::door::{Confinement, FromVat, ToVat};

use control::Powerbox;
use packets::{Socket, receive_text};

/// As the kernel chooses it.
const POWERBOX_UID: u32 = 2_000_000_000;

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_latch-kernel")).parent().unwrap().join("examples").join(name)
}

pub struct Node {
    pub folder: tempfile::TempDir,
    pub kernel: Child,
    listener: UnixListener,
    output: BufReader<std::process::ChildStdout>,
}

/// A process that the kernel started: the test speaks at its door.
pub struct Fake {
    pub image: String,
    pub process: u64,
    pub uid: u32,
    /// Environment variables and open descriptors that it was born with.
    pub variables: usize,
    pub open: usize,
    pub resource_names: String,
    pub resources: Vec<OwnedFd>,
    pub door: Socket,
    control: Option<Socket>,
    driver: UnixStream,
}

impl Fake {
    pub fn confine(&self) {
        let confinement = Confinement { profile: "fake".into(), ..Confinement::default() };
        self.say(&FromVat::Confined(confinement));
    }

    pub fn say(&self, message: &FromVat) {
        self.door.send(&message.encode().unwrap(), &[]).unwrap();
    }

    /// The next message at its door.
    pub fn hear(&self) -> (ToVat, Vec<OwnedFd>) {
        let (bytes, descriptors) = self.door.receive().expect("a message at the door");
        (ToVat::decode(&bytes).unwrap(), descriptors)
    }

    /// The next message at its door, which must be a link.
    pub fn link(&self) -> (vat::door::Link, UnixStream) {
        match self.hear() {
            (ToVat::Link(link), mut ends) => {
                let end = UnixStream::from(ends.pop().expect("an end"));
                end.set_nonblocking(false).unwrap();
                end.set_read_timeout(Some(packets::PATIENCE)).unwrap();
                (link, end)
            }
            (other, _) => panic!("not a link: {other:?}"),
        }
    }

    pub fn notice(&self) -> vat::door::Notice {
        match self.hear() {
            (ToVat::Notice(notice), _) => notice,
            (other, _) => panic!("not a notice: {other:?}"),
        }
    }

    pub fn exit(&mut self, code: u8) {
        self.driver.write_all(&[b'x', code]).unwrap();
    }

    /// Waits for its end: nobody else holds the other end of its socket to this test.
    pub fn is_dead(&self) -> bool {
        matches!((&self.driver).read(&mut [0]), Ok(0))
    }

    /// Whether it can have so much memory.
    pub fn can_take_mib(&mut self, mib: u8) -> bool {
        self.can(b'm', mib)
    }

    fn can(&mut self, what: u8, number: u8) -> bool {
        self.driver.write_all(&[what, number]).unwrap();
        let mut answer = [0; 2];
        self.driver.read_exact(&mut answer).unwrap();
        answer[0] == b'+'
    }

    pub fn write_error(&mut self) {
        self.driver.write_all(b"o.").unwrap();
        self.driver.read_exact(&mut [0]).unwrap();
    }
}

impl Node {
    /// The kernel, started, and its powerbox, which has said nothing yet.
    pub fn start() -> (Node, Powerbox) {
        Self::start_with(|_| {})
    }

    pub fn start_with(adjust: impl FnOnce(&mut Command)) -> (Node, Powerbox) {
        Self::start_with_images(&[], adjust)
    }

    /// With other programs than `fake_image` as some of the images.
    pub fn start_with_images(images: &[(&str, &str)], adjust: impl FnOnce(&mut Command)) -> (Node, Powerbox) {
        let node = Self::bare(images, adjust);
        let powerbox = node.powerbox();
        (node, powerbox)
    }

    /// The kernel alone: its powerbox does not look for this test.
    pub fn bare(images: &[(&str, &str)], adjust: impl FnOnce(&mut Command)) -> Node {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let (state, libexec) = (folder.path().join("state"), folder.path().join("libexec"));
        for made in [&state, &state.join("powerbox"), &libexec] {
            std::fs::create_dir(made).unwrap();
            std::fs::set_permissions(made, PermissionsExt::from_mode(0o700)).unwrap();
        }
        for image in ["powerbox", "folder", "sandbox", "compile", "keys", "storage"] {
            let program = images.iter().find(|(other, _)| *other == image).map_or("fake_image", |(_, program)| program);
            std::os::unix::fs::symlink(example(program), libexec.join(format!("latch-{image}"))).unwrap();
        }
        let socket = folder.path().join("driver");
        let listener = UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o777)).unwrap();
        let told = state.join("powerbox/driver");
        std::fs::write(&told, socket.to_str().unwrap()).unwrap();
        if is_root() {
            for owned in [&told, &state.join("powerbox")] {
                std::os::unix::fs::chown(owned, Some(POWERBOX_UID), Some(POWERBOX_UID)).unwrap();
            }
        }
        let mut command = kernel(&state, &libexec);
        adjust(&mut command);
        let mut kernel = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(kernel.stdout.take().unwrap());
        Node { folder, kernel, listener, output }
    }

    /// The kernel, and a powerbox that is confined and has read the (empty) inventory.
    pub fn ready() -> (Node, Powerbox) {
        let (mut node, mut powerbox) = Node::start();
        powerbox.fake.confine();
        node.await_ready();
        let rows = powerbox.inventory();
        assert_eq!(rows.processes.len(), 1);
        (node, powerbox)
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn await_ready(&mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "READY\n");
    }

    /// What a process is told, so that it finds this test.
    pub fn driver(&self) -> Vec<u8> {
        self.folder.path().join("driver").to_str().unwrap().as_bytes().to_vec()
    }

    /// The next process that the kernel started.
    pub fn born(&self) -> Fake {
        let (driver, _) = self.listener.accept().unwrap();
        let (text, mut descriptors) = receive_text(&driver);
        let words: Vec<&str> = text.trim_end_matches('\n').split(' ').collect();
        let [image, process, uid, variables, open, resource_names] = words[..] else { panic!("{text}") };
        let resources = descriptors.split_off(if image == "latch-powerbox" { 2 } else { 1 });
        let control = (image == "latch-powerbox").then(|| Socket::new(descriptors.pop().unwrap()));
        Fake {
            image: image.to_owned(),
            process: process.parse().unwrap(),
            uid: uid.parse().unwrap(),
            variables: variables.parse().unwrap(),
            open: open.parse().unwrap(),
            resource_names: resource_names.to_owned(),
            resources,
            door: Socket::new(descriptors.pop().unwrap()),
            control,
            driver,
        }
    }

    pub fn powerbox(&self) -> Powerbox {
        let mut fake = self.born();
        let control = fake.control.take().expect("the powerbox");
        Powerbox::new(fake, control)
    }

    /// Connects to the operator socket, like a shell.
    pub fn shell(&self) -> Socket {
        Socket::connect(&self.state().join("operator")).unwrap()
    }

    /// Waits for the kernel's end.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.kernel.wait().unwrap().code()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state().join("kernel.log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the kernel's log:\n{}", self.log());
        }
        let _ = self.kernel.kill();
        let _ = self.kernel.wait();
    }
}

pub fn kernel(state: &Path, libexec: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latch-kernel"));
    command.arg("--state").arg(state).arg("--libexec").arg(libexec).args(["--ready-fd", "1"]);
    command.stdin(Stdio::null());
    command
}

/// Waits for what comes about without an event to wait for.
pub fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let give_up = std::time::Instant::now() + packets::PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < give_up, "it never came");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
