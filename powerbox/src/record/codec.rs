//! Between records and their messages. The log is ours, yet a damaged one must not do more than fail to be read.

use capnp::message::{Builder, ReaderOptions};
use package::Manifest;
use schema::log_capnp as wire;
use schema::log_capnp::folder_identity;
use vat::door::{Identity, Resource, ResourceKind};
use vat::words::{Method, Rights};

use super::{
    Asked, Author, Checkpoint, Denied, Ended, Entry, Exited, Folder, Granted, Holder, Installed, Leased, Object, Ran,
    Record, Service, Source,
};
use crate::caveats::Caveats;

/// The longest record. The longest there are: a manifest (64 KiB) and a grant with a path of 4 KiB and 1,024 methods.
pub(crate) const RECORD_LIMIT_BYTES: usize = 128 * 1024;

/// Bytes of the log that are no record of this version.
#[derive(Debug)]
pub struct RecordError(String);

impl std::fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "not a record of this version: {}", self.0)
    }
}

impl std::error::Error for RecordError {}

impl From<capnp::Error> for RecordError {
    fn from(error: capnp::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<capnp::NotInSchema> for RecordError {
    fn from(error: capnp::NotInSchema) -> Self {
        Self(error.to_string())
    }
}

type Decoded<T> = Result<T, RecordError>;

/// A message of the log or the index, for bounded reading.
pub(crate) fn open(bytes: &[u8]) -> Decoded<capnp::message::Reader<capnp::serialize::OwnedSegments>> {
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(RECORD_LIMIT_BYTES / 8 * 4)).nesting_limit(16);
    Ok(capnp::serialize::read_message(bytes, options)?)
}

impl Entry {
    /// The bytes of this record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Builder::new_default();
        let mut entry = message.init_root::<wire::entry::Builder<'_>>();
        entry.set_position(self.position);
        entry.set_at_ms(self.at_ms);
        entry.set_by(&self.by);
        write_record(&self.record, entry);
        capnp::serialize::write_message_to_words(&message)
    }

    /// The record in these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Entry, RecordError> {
        let message = open(bytes)?;
        let entry = message.get_root::<wire::entry::Reader<'_>>()?;
        Ok(Entry {
            position: entry.get_position(),
            at_ms: entry.get_at_ms(),
            by: text(entry.get_by()?)?,
            record: read_record(entry)?,
        })
    }
}

fn write_record(record: &Record, mut entry: wire::entry::Builder<'_>) {
    match record {
        Record::Opened { version, node_start } => {
            let mut opened = entry.init_opened();
            opened.set_version(version);
            opened.set_node_start(*node_start);
        }
        Record::Trusted(author) => author.write_to(entry.init_trusted()),
        Record::Distrusted(key) => entry.set_distrusted(key),
        Record::Installed(installed) => installed.write_to(entry.init_installed()),
        Record::Uninstalled(name) => entry.set_uninstalled(name),
        Record::Ran(ran) => ran.write_to(entry.init_ran()),
        Record::Exited(exited) => {
            let mut builder = entry.init_exited();
            builder.set_instance(&exited.instance);
            builder.set_process(exited.process);
            builder.set_code(exited.code);
            builder.set_last(&exited.last);
        }
        Record::Stopped(instance) => entry.set_stopped(instance),
        Record::Asked(asked) => asked.write_to(entry.init_asked()),
        Record::Denied(denied) => denied.write_to(entry.init_denied()),
        Record::Granted(granted) => granted.write_to(entry.init_granted()),
        Record::Ended(ended) => {
            let mut builder = entry.init_ended();
            set_numbers(&ended.grants, |count| builder.reborrow().init_grants(count));
            builder.set_reason(ended.reason);
            builder.set_detail(&ended.detail);
        }
        Record::Leased(leased) => leased.write_to(entry.init_leased()),
        Record::Returned(leased) => leased.write_to(entry.init_returned()),
        Record::Lost(leased) => leased.write_to(entry.init_lost()),
        Record::Reserved(up_to) => entry.set_reserved(*up_to),
        Record::Checkpoint(checkpoint) => {
            let mut builder = entry.init_checkpoint();
            builder.set_position(checkpoint.position);
            builder.set_head(&checkpoint.head);
            builder.set_key(&checkpoint.key);
            builder.set_signature(&checkpoint.signature);
        }
        Record::Note(note) => entry.set_note(note),
    }
}

fn read_record(entry: wire::entry::Reader<'_>) -> Decoded<Record> {
    use wire::entry::Which;
    Ok(match entry.which()? {
        Which::Opened(opened) => {
            let opened = opened?;
            Record::Opened { version: text(opened.get_version()?)?, node_start: opened.get_node_start() }
        }
        Which::Trusted(author) => Record::Trusted(Author::read_from(author?)?),
        Which::Distrusted(key) => Record::Distrusted(array(key?)?),
        Which::Installed(installed) => Record::Installed(Installed::read_from(installed?)?),
        Which::Uninstalled(name) => Record::Uninstalled(text(name?)?),
        Which::Ran(ran) => Record::Ran(Ran::read_from(ran?)?),
        Which::Exited(exited) => {
            let exited = exited?;
            Record::Exited(Exited {
                instance: text(exited.get_instance()?)?,
                process: exited.get_process(),
                code: exited.get_code(),
                last: text(exited.get_last()?)?,
            })
        }
        Which::Stopped(instance) => Record::Stopped(text(instance?)?),
        Which::Asked(asked) => Record::Asked(Asked::read_from(asked?)?),
        Which::Denied(denied) => Record::Denied(Denied::read_from(denied?)?),
        Which::Granted(granted) => Record::Granted(Box::new(Granted::read_from(granted?)?)),
        Which::Ended(ended) => {
            let ended = ended?;
            Record::Ended(Ended {
                grants: ended.get_grants()?.iter().collect(),
                reason: ended.get_reason()?,
                detail: text(ended.get_detail()?)?,
            })
        }
        Which::Leased(leased) => Record::Leased(Leased::read_from(leased?)),
        Which::Returned(leased) => Record::Returned(Leased::read_from(leased?)),
        Which::Lost(leased) => Record::Lost(Leased::read_from(leased?)),
        Which::Reserved(up_to) => Record::Reserved(up_to),
        Which::Checkpoint(checkpoint) => {
            let checkpoint = checkpoint?;
            Record::Checkpoint(Checkpoint {
                position: checkpoint.get_position(),
                head: array(checkpoint.get_head()?)?,
                key: array(checkpoint.get_key()?)?,
                signature: array(checkpoint.get_signature()?)?,
            })
        }
        Which::Note(note) => Record::Note(text(note?)?),
    })
}

pub(crate) fn text(reader: capnp::text::Reader<'_>) -> Decoded<String> {
    reader.to_string().map_err(|error| RecordError(error.to_string()))
}

pub(crate) fn array<const N: usize>(bytes: &[u8]) -> Decoded<[u8; N]> {
    bytes.try_into().map_err(|_| RecordError(format!("a key, hash or signature of {} bytes", bytes.len())))
}

/// Lists in messages count in 32 bits; ours are bounded far below.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

pub(crate) fn set_numbers<'a>(numbers: &[u64], list: impl FnOnce(u32) -> capnp::primitive_list::Builder<'a, u64>) {
    let mut list = list(count(numbers.len()));
    for (index, number) in (0..).zip(numbers) {
        list.set(index, *number);
    }
}

impl Author {
    pub(crate) fn write_to(&self, mut builder: wire::author::Builder<'_>) {
        builder.set_key(&self.key);
        builder.set_name(&self.name);
        builder.set_at_ms(self.at_ms);
    }

    pub(crate) fn read_from(reader: wire::author::Reader<'_>) -> Decoded<Self> {
        Ok(Self { key: array(reader.get_key()?)?, name: text(reader.get_name()?)?, at_ms: reader.get_at_ms() })
    }
}

impl Installed {
    pub(crate) fn write_to(&self, mut builder: wire::installed::Builder<'_>) {
        self.manifest.write_to(builder.reborrow().init_manifest());
        builder.set_digest(&self.digest);
        builder.set_bytes(self.bytes);
        builder.set_at_ms(self.at_ms);
    }

    pub(crate) fn read_from(reader: wire::installed::Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            manifest: Manifest::read_from(reader.get_manifest()?)?,
            digest: array(reader.get_digest()?)?,
            bytes: reader.get_bytes(),
            at_ms: reader.get_at_ms(),
        })
    }
}

impl Ran {
    pub(crate) fn write_to(&self, mut builder: wire::ran::Builder<'_>) {
        builder.set_instance(&self.instance);
        builder.set_app(&self.app);
        builder.set_version(&self.version);
        builder.set_digest(&self.digest);
        builder.set_process(self.process);
        builder.set_detached(self.detached);
        builder.set_shell(self.shell);
        builder.set_uid(self.uid);
        let mut arguments = builder.init_arguments(count(self.arguments.len()));
        for (index, argument) in (0..).zip(&self.arguments) {
            arguments.set(index, argument);
        }
    }

    pub(crate) fn read_from(reader: wire::ran::Reader<'_>) -> Decoded<Self> {
        let mut arguments = Vec::new();
        for argument in reader.get_arguments()? {
            arguments.push(text(argument?)?);
        }
        Ok(Self {
            instance: text(reader.get_instance()?)?,
            app: text(reader.get_app()?)?,
            version: text(reader.get_version()?)?,
            digest: array(reader.get_digest()?)?,
            process: reader.get_process(),
            detached: reader.get_detached(),
            arguments,
            shell: reader.get_shell(),
            uid: reader.get_uid(),
        })
    }
}

impl Asked {
    pub(crate) fn write_to(&self, mut builder: wire::asked::Builder<'_>) {
        builder.set_request(self.request);
        builder.set_instance(&self.instance);
        builder.set_label(&self.label);
        builder.set_interface(self.interface);
        builder.set_hint(&self.hint);
        builder.set_reason(&self.reason);
        builder.set_at_ms(self.at_ms);
        self.rights.write_to(builder.init_rights());
    }

    pub(crate) fn read_from(reader: wire::asked::Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            request: reader.get_request(),
            instance: text(reader.get_instance()?)?,
            label: text(reader.get_label()?)?,
            interface: reader.get_interface(),
            hint: text(reader.get_hint()?)?,
            rights: Rights::read_from(reader.get_rights()?),
            reason: text(reader.get_reason()?)?,
            at_ms: reader.get_at_ms(),
        })
    }
}

impl Denied {
    pub(crate) fn write_to(&self, mut builder: wire::denied::Builder<'_>) {
        builder.set_instance(&self.instance);
        builder.set_label(&self.label);
        builder.set_how(self.how);
    }

    pub(crate) fn read_from(reader: wire::denied::Reader<'_>) -> Decoded<Self> {
        Ok(Self { instance: text(reader.get_instance()?)?, label: text(reader.get_label()?)?, how: reader.get_how()? })
    }
}

impl Leased {
    pub(crate) fn write_to(self, mut builder: wire::leased::Builder<'_>) {
        builder.set_grant(self.grant);
        builder.set_link(self.link);
        builder.set_calls(self.calls);
        builder.set_bytes(self.bytes);
    }

    pub(crate) fn read_from(reader: wire::leased::Reader<'_>) -> Self {
        Self {
            grant: reader.get_grant(),
            link: reader.get_link(),
            calls: reader.get_calls(),
            bytes: reader.get_bytes(),
        }
    }
}

impl Granted {
    pub(crate) fn write_to(&self, mut builder: wire::granted::Builder<'_>) {
        builder.set_grant(self.grant);
        builder.set_parent(self.parent);
        builder.set_label(&self.label);
        builder.set_offer(&self.offer);
        builder.set_interface(self.interface);
        builder.set_transient(self.transient);
        let mut holder = builder.reborrow().init_holder();
        match &self.holder {
            Holder::Instance(name) => holder.set_instance(name),
            Holder::Shell { process, uid } => {
                holder.set_shell(*process);
                holder.set_uid(*uid);
            }
            Holder::Service(name) => holder.set_service(name),
        }
        let source = builder.reborrow().init_source();
        match &self.source {
            Source::Folder(folder) => {
                let mut source = source.init_folder();
                source.set_run_as(folder.run_as);
                folder.write_identity(source.init_identity());
            }
            Source::Object(object) => {
                let mut source = source.init_object();
                source.set_service(object.service.name());
                source.set_name(&object.name);
            }
        }
        self.caveats.rights.write_to(builder.reborrow().init_rights());
        builder.set_expires_at_ms(self.caveats.expires_at_ms);
        write_limit(self.caveats.calls, builder.reborrow().init_calls());
        write_limit(self.caveats.bytes, builder.reborrow().init_bytes());
        write_limit(self.caveats.quota, builder.reborrow().init_quota());
        let mut methods = builder.init_methods(count(self.caveats.methods.len()));
        for (index, method) in (0..).zip(&self.caveats.methods) {
            method.write_to(methods.reborrow().get(index));
        }
    }

    pub(crate) fn read_from(reader: wire::granted::Reader<'_>) -> Decoded<Self> {
        use wire::holder::Which as HolderKind;
        use wire::source::Which as SourceKind;
        let holder = reader.get_holder()?;
        let holder = match holder.which()? {
            HolderKind::Instance(name) => Holder::Instance(text(name?)?),
            HolderKind::Shell(process) => Holder::Shell { process, uid: holder.get_uid() },
            HolderKind::Service(name) => Holder::Service(text(name?)?),
        };
        let source = match reader.get_source()?.which()? {
            SourceKind::Folder(folder) => {
                let folder = folder?;
                Source::Folder(Folder::read_identity(folder.get_identity()?, folder.get_run_as())?)
            }
            SourceKind::Object(object) => {
                let object = object?;
                let service = text(object.get_service()?)?;
                let unknown = || RecordError(format!("the service {service}"));
                let service = Service::from_name(&service).ok_or_else(unknown)?;
                Source::Object(Object { service, name: text(object.get_name()?)? })
            }
        };
        Ok(Self {
            grant: reader.get_grant(),
            parent: reader.get_parent(),
            holder,
            label: text(reader.get_label()?)?,
            offer: text(reader.get_offer()?)?,
            source,
            interface: reader.get_interface(),
            caveats: Caveats {
                rights: Rights::read_from(reader.get_rights()?),
                expires_at_ms: reader.get_expires_at_ms(),
                calls: read_limit(reader.get_calls()?),
                bytes: read_limit(reader.get_bytes()?),
                quota: read_limit(reader.get_quota()?),
                methods: reader.get_methods()?.iter().map(Method::read_from).collect(),
            },
            transient: reader.get_transient(),
        })
    }
}

impl Folder {
    /// As the kernel takes it.
    pub(crate) fn resource(&self) -> Resource {
        let Self { path, file_system, handle, inode, .. } = self.clone();
        let identity = Identity { file_system, handle, inode };
        Resource { path, identity, ..Resource::new(ResourceKind::Folder, "folder") }
    }

    /// As a person of that uid brought it.
    pub(crate) fn brought(what: Resource, run_as: u32) -> Self {
        let Identity { file_system, handle, inode } = what.identity;
        Self { path: what.path, file_system, handle, inode, run_as }
    }

    /// Into a message for the log.
    fn write_identity(&self, mut builder: folder_identity::Builder<'_>) {
        builder.set_path(&self.path);
        builder.set_file_system(self.file_system);
        builder.set_handle(&self.handle);
        builder.set_inode(self.inode);
    }

    /// From a message of the log.
    fn read_identity(reader: folder_identity::Reader<'_>, run_as: u32) -> Result<Self, RecordError> {
        Ok(Self {
            path: text(reader.get_path()?)?,
            file_system: reader.get_file_system(),
            handle: reader.get_handle()?.to_vec(),
            inode: reader.get_inode(),
            run_as,
        })
    }
}

fn write_limit(limit: Option<u64>, mut builder: wire::limit::Builder<'_>) {
    builder.set_limited(limit.is_some());
    builder.set_amount(limit.unwrap_or(0));
}

fn read_limit(reader: wire::limit::Reader<'_>) -> Option<u64> {
    reader.get_limited().then(|| reader.get_amount())
}
