//! The manifest as an owned value, and every rule that it must keep.

use capnp::message::{Builder, HeapAllocator, Reader};
use schema::package_capnp as wire;
use vat::door::packet;
use vat::words::Rights;

use crate::refusal::Refusal;

/// The longest manifest: a message of one segment, as a door's packets are, so that the same bounded reader takes it.
pub const MANIFEST_LIMIT_BYTES: usize = packet::PACKET_LIMIT_BYTES;
/// At most so many things are announced: a person could not judge more, and with the longest texts they fit.
pub const REQUESTS_LIMIT: usize = 64;
/// The one world that apps target.
pub const WORLD: &str = "latchkey:door/app@0.1.0";

const NAME_LIMIT_BYTES: usize = 64;
const LABEL_LIMIT_BYTES: usize = 64;
const VERSION_LIMIT_BYTES: usize = 64;
const AUTHOR_NAME_LIMIT_BYTES: usize = 100;
const DESCRIPTION_LIMIT_BYTES: usize = 200;
const REASON_LIMIT_BYTES: usize = 300;
const WORLD_LIMIT_BYTES: usize = 100;

/// What the author of an app signs. See `schema/package.capnp` for what each field means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The app's name, see [`is_app_name`].
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// The author's public key.
    pub author: [u8; 32],
    /// The author's own words.
    pub author_name: String,
    /// BLAKE3 of the component.
    pub component: [u8; 32],
    /// Everything that the app may ask for.
    pub requests: Vec<Announced>,
    /// What the app wants.
    pub limits: Limits,
    /// The WIT world, [`WORLD`].
    pub world: String,
    /// One line.
    pub description: String,
}

/// One thing that the app may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// The label that it will be asked for under, see [`is_label`].
    pub label: String,
    /// Schema id of the interface.
    pub interface: u64,
    /// The most that will be asked for.
    pub rights: Rights,
    /// The author's words.
    pub reason: String,
}

/// What the app wants; 0: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory.
    pub memory_bytes: u64,
    /// Time between two waits at the door.
    pub turn_ms: u32,
    /// Output of a detached run that is kept.
    pub output_bytes: u64,
    /// Stack.
    pub stack_bytes: u64,
}

/// Names that the system says of itself: an app or an instance of that name would speak in its place.
const RESERVED: [&str; 12] =
    ["latch", "shell", "kernel", "powerbox", "node", "host", "system", "keys", "storage", "network", "chain", "http"];

/// Whether this can name an app: 1 to 64 bytes of `[a-z0-9-]`, beginning with a letter, and no name of the system's own.
#[must_use]
pub fn is_app_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_LIMIT_BYTES).contains(&name.len())
        && name.bytes().all(fits)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !RESERVED.contains(&name)
}

/// Whether this can name an instance: what can name an app, and perhaps `#` and a number.
#[must_use]
pub fn is_instance_name(name: &str) -> bool {
    let (app, number) = name.split_once('#').map_or((name, None), |(app, number)| (app, Some(number)));
    let is_number = |number: &str| (1..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    is_app_name(app) && number.is_none_or(is_number)
}

/// Whether this can be a label: 1 to 64 bytes of `[a-z0-9._-]`.
#[must_use]
pub fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=LABEL_LIMIT_BYTES).contains(&label.len()) && label.bytes().all(fits)
}

/// Whether this is a semantic version: three numbers, then perhaps a pre-release and build words.
fn is_version(version: &str) -> bool {
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(numbers, pre)| (numbers, Some(pre)));
    let is_number = |part: &str| {
        (1..=9).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let is_words = |words: &str| {
        words
            .split('.')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
    };
    version.len() <= VERSION_LIMIT_BYTES
        && numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && pre.is_none_or(is_words)
        && build.is_none_or(is_words)
}

impl Manifest {
    /// What was announced under a label.
    #[must_use]
    pub fn announced(&self, label: &str) -> Option<&Announced> {
        self.requests.iter().find(|announced| announced.label == label)
    }

    /// Whether every rule is kept; otherwise which one is not.
    pub fn check(&self) -> Result<(), Refusal> {
        let rule = |kept: bool, rule: &str| if kept { Ok(()) } else { Err(Refusal::Manifest(rule.to_owned())) };
        rule(
            is_app_name(&self.name),
            &format!(
                "its name must be 1 to 64 characters of a-z, 0-9 and '-', begin with a letter, and not be one of the \
                 system's own ({})",
                RESERVED.join(", ")
            ),
        )?;
        rule(is_version(&self.version), "its version must be a semantic version, such as 1.2.3")?;
        rule(self.author_name.len() <= AUTHOR_NAME_LIMIT_BYTES, "its authorName has more than 100 bytes")?;
        rule(self.description.len() <= DESCRIPTION_LIMIT_BYTES, "its description has more than 200 bytes")?;
        rule(!self.description.contains('\n'), "its description has more than one line")?;
        if self.world != WORLD {
            let asked = self.world.chars().take(WORLD_LIMIT_BYTES).collect::<String>();
            let text = format!("it targets the world {asked:?}, and this node runs {WORLD:?}");
            return Err(Refusal::Manifest(text));
        }
        rule(self.requests.len() <= REQUESTS_LIMIT, "it announces more than 64 requests")?;
        for (index, announced) in self.requests.iter().enumerate() {
            rule(is_label(&announced.label), "a label must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-'")?;
            rule(announced.interface != 0, "a request names no interface")?;
            rule(announced.reason.len() <= REASON_LIMIT_BYTES, "a request's reason has more than 300 bytes")?;
            let is_new = self.requests[..index].iter().all(|earlier| earlier.label != announced.label);
            rule(is_new, "it announces one label twice")?;
        }
        Ok(())
    }

    /// The manifest's bytes, where it keeps the rules.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Refusal> {
        self.check()?;
        let mut message = Builder::new(HeapAllocator::new());
        self.write_to(message.init_root());
        let mut canonical = Builder::new(HeapAllocator::new().first_segment_words(MANIFEST_SEGMENT_WORDS));
        canonical
            .set_root_canonical(message.get_root_as_reader::<wire::manifest::Reader<'_>>().map_err(malformed)?)
            .map_err(malformed)?;
        packet::pack::<wire::manifest::Owned>(&canonical).map_err(|error| match error {
            vat::door::DoorError::TooLarge(bytes) => Refusal::ManifestTooLarge(bytes as u64),
            other => malformed(other),
        })
    }

    /// The manifest in these bytes, which the author is known to have signed.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Manifest, Refusal> {
        let message = packet::unpack(bytes).map_err(malformed)?;
        if !message.is_canonical().map_err(malformed)? {
            return Err(Refusal::Manifest("it is not in canonical form".into()));
        }
        let manifest = read_message(&message).map_err(malformed)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Into a message, as in a listing.
    pub fn write_to(&self, mut builder: wire::manifest::Builder<'_>) {
        builder.set_name(&self.name);
        builder.set_version(&self.version);
        builder.set_author(&self.author);
        builder.set_author_name(&self.author_name);
        builder.set_component(&self.component);
        builder.set_world(&self.world);
        builder.set_description(&self.description);
        let count = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        let mut requests = builder.reborrow().init_requests(count);
        for (index, announced) in (0..count).zip(&self.requests) {
            let mut slot = requests.reborrow().get(index);
            slot.set_label(&announced.label);
            slot.set_interface(announced.interface);
            slot.set_reason(&announced.reason);
            announced.rights.write_to(slot.init_rights());
        }
        self.limits.write_to(builder.init_limits());
    }

    /// From a message; [`Manifest::check`] is the caller's to call.
    pub fn read_from(reader: wire::manifest::Reader<'_>) -> capnp::Result<Manifest> {
        let mut requests = Vec::new();
        for announced in reader.get_requests()?.iter().take(REQUESTS_LIMIT + 1) {
            requests.push(Announced {
                label: text(announced.get_label()?)?,
                interface: announced.get_interface(),
                rights: Rights::read_from(announced.get_rights()?),
                reason: text(announced.get_reason()?)?,
            });
        }
        Ok(Manifest {
            name: text(reader.get_name()?)?,
            version: text(reader.get_version()?)?,
            author: hash(reader.get_author()?)?,
            author_name: text(reader.get_author_name()?)?,
            component: hash(reader.get_component()?)?,
            requests,
            limits: Limits::read_from(reader.get_limits()?),
            world: text(reader.get_world()?)?,
            description: text(reader.get_description()?)?,
        })
    }
}

impl Limits {
    /// From a message.
    #[must_use]
    pub fn read_from(reader: wire::limits::Reader<'_>) -> Limits {
        Limits {
            memory_bytes: reader.get_memory_bytes(),
            turn_ms: reader.get_turn_ms(),
            output_bytes: reader.get_output_bytes(),
            stack_bytes: reader.get_stack_bytes(),
        }
    }

    /// Into a message.
    pub fn write_to(self, mut builder: wire::limits::Builder<'_>) {
        builder.set_memory_bytes(self.memory_bytes);
        builder.set_turn_ms(self.turn_ms);
        builder.set_output_bytes(self.output_bytes);
        builder.set_stack_bytes(self.stack_bytes);
    }
}

/// Canonical form asks for one segment; the packer refuses what is longer than the limit.
const MANIFEST_SEGMENT_WORDS: u32 = (MANIFEST_LIMIT_BYTES / 8) as u32;

fn read_message(message: &Reader<capnp::serialize::OwnedSegments>) -> capnp::Result<Manifest> {
    Manifest::read_from(message.get_root::<wire::manifest::Reader<'_>>()?)
}

fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Manifest(format!("it cannot be read ({error})"))
}

fn text(reader: capnp::text::Reader<'_>) -> capnp::Result<String> {
    reader.to_string().map_err(|error| capnp::Error::failed(error.to_string()))
}

fn hash(bytes: &[u8]) -> capnp::Result<[u8; 32]> {
    bytes.try_into().map_err(|_| capnp::Error::failed("a key or hash must have 32 bytes".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_as_the_system_or_as_a_number() {
        for good in ["search", "a", "search-2", "latch-x", "search#2"] {
            assert!(is_instance_name(good), "{good}");
        }
        for bad in ["", "9", "9a", "-a", "#2", "search#", "search#x", "search#2#3", "Search"] {
            assert!(!is_instance_name(bad), "{bad}");
        }
        for word in RESERVED {
            assert!(!is_app_name(word) && !is_instance_name(word) && !is_instance_name(&format!("{word}#2")), "{word}");
        }
        assert!(!is_app_name("search#2"));
    }
}
