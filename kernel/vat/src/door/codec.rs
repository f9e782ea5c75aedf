//! Between the values of a door and their packets.

use capnp::message::{Builder, HeapAllocator};
use schema::common_capnp::lease;
use schema::door_capnp as wire;

use super::packet::{pack, unpack};
use super::{
    Account, Badge, Begin, Confinement, DETAIL_LIMIT_BYTES, DoorError, FromVat, HANDLE_LIMIT_BYTES, Identity,
    LABEL_LIMIT_BYTES, LAST_LIMIT_BYTES, Lease, Link, Notice, OBJECT_LIMIT_BYTES, PATH_LIMIT_BYTES, Resource, ToVat,
};
use crate::words::{Method, Rights, clip};

/// At most so many layers are listed: there are four.
const LAYERS_LIMIT: u32 = 32;
/// At most so many methods in a badge: a packet holds about 2,000 more than that, and nobody picks so many.
const METHODS_LIMIT: u32 = 1_024;
/// At most so many accounts: a grant has one for each grant above it that has a quota, and delegation is not that deep.
pub const ACCOUNTS_LIMIT: u32 = 64;

fn text(
    reader: capnp::Result<capnp::text::Reader<'_>>,
    limit: usize,
    field: &'static str,
) -> Result<String, DoorError> {
    let text = reader?.to_str().map_err(|error| DoorError::Malformed(format!("{field}: {error}")))?;
    if text.len() > limit { Err(DoorError::TooLong(field)) } else { Ok(text.to_owned()) }
}

/// A message whose first segment has room for `variable_bytes` of text and data beside the fixed fields.
fn message(variable_bytes: usize) -> Builder<HeapAllocator> {
    /// Words of the fixed fields and pointers of the largest message, rounded up generously.
    const FIXED_WORDS: usize = 64;
    let words = u32::try_from(FIXED_WORDS + variable_bytes / 8).unwrap_or(u32::MAX);
    Builder::new(HeapAllocator::new().first_segment_words(words))
}

impl ToVat {
    /// The packet for this message. Fails only where it does not fit into one.
    pub fn encode(&self) -> Result<Vec<u8>, DoorError> {
        let mut message = message(match self {
            ToVat::Begin(begin) => begin.setup.len(),
            ToVat::Link(link) => link.label.len() + link.badge.len(),
            ToVat::Resource(resource) => resource.variable_bytes(),
            ToVat::Notice(notice) => notice.label.len() + notice.detail.len(),
            ToVat::Stop => 0,
        });
        let mut root = message.init_root::<wire::to_vat::Builder<'_>>();
        match self {
            ToVat::Begin(begin) => begin.write_to(root.init_begin()),
            ToVat::Link(link) => link.write_to(root.init_link()),
            ToVat::Resource(resource) => resource.write_to(root.init_resource()),
            ToVat::Notice(notice) => notice.write_to(root.init_notice()),
            ToVat::Stop => root.set_stop(()),
        }
        pack::<wire::to_vat::Owned>(&message)
    }

    /// The message in a packet.
    pub fn decode(packet: &[u8]) -> Result<ToVat, DoorError> {
        use wire::to_vat::Which;
        let message = unpack(packet)?;
        Ok(match message.get_root::<wire::to_vat::Reader<'_>>()?.which()? {
            Which::Begin(begin) => ToVat::Begin(Begin::read_from(begin?)?),
            Which::Link(link) => ToVat::Link(Link::read_from(link?)?),
            Which::Resource(resource) => ToVat::Resource(Resource::read_from(resource?)?),
            Which::Notice(notice) => ToVat::Notice(Notice::read_from(notice?)?),
            Which::Stop(()) => ToVat::Stop,
        })
    }
}

impl FromVat {
    /// The packet for this message. Fails only where it does not fit into one.
    pub fn encode(&self) -> Result<Vec<u8>, DoorError> {
        let mut message = message(match self {
            FromVat::Resource(resource) => resource.variable_bytes(),
            _ => LAST_LIMIT_BYTES,
        });
        let mut root = message.init_root::<wire::from_vat::Builder<'_>>();
        match self {
            FromVat::Confined(confinement) => confinement.write_to(root.init_confined()),
            FromVat::Ended { link } => root.init_ended().set_link(*link),
            FromVat::Resource(resource) => resource.write_to(root.init_resource()),
            FromVat::Last(last) => root.set_last(clip(last, LAST_LIMIT_BYTES)),
        }
        pack::<wire::from_vat::Owned>(&message)
    }

    /// The message in a packet.
    pub fn decode(packet: &[u8]) -> Result<FromVat, DoorError> {
        use wire::from_vat::Which;
        let message = unpack(packet)?;
        Ok(match message.get_root::<wire::from_vat::Reader<'_>>()?.which()? {
            Which::Confined(confinement) => FromVat::Confined(Confinement::read_from(confinement?)?),
            Which::Ended(ended) => FromVat::Ended { link: ended?.get_link() },
            Which::Resource(resource) => FromVat::Resource(Resource::read_from(resource?)?),
            Which::Last(last) => FromVat::Last(text(last, LAST_LIMIT_BYTES, "last word")?),
        })
    }
}

impl Begin {
    fn write_to(&self, mut builder: wire::begin::Builder<'_>) {
        builder.set_process(self.process);
        builder.set_setup(&self.setup);
        builder.set_resources(self.resources);
        builder.set_reduced(self.reduced);
    }

    fn read_from(reader: wire::begin::Reader<'_>) -> Result<Begin, DoorError> {
        Ok(Begin {
            process: reader.get_process(),
            setup: reader.get_setup()?.to_vec(),
            resources: reader.get_resources(),
            reduced: reader.get_reduced(),
        })
    }
}

impl Link {
    fn write_to(&self, mut builder: wire::link::Builder<'_>) {
        builder.set_id(self.id);
        builder.set_role(self.role);
        builder.set_carries(self.carries);
        builder.set_label(self.label.as_str());
        builder.set_badge(&self.badge);
    }

    fn read_from(reader: wire::link::Reader<'_>) -> Result<Link, DoorError> {
        Ok(Link {
            id: reader.get_id(),
            role: reader.get_role()?,
            carries: reader.get_carries()?,
            label: text(reader.get_label(), LABEL_LIMIT_BYTES, "label")?,
            badge: reader.get_badge()?.to_vec(),
        })
    }
}

impl Resource {
    fn variable_bytes(&self) -> usize {
        self.name.len() + self.path.len() + self.identity.handle.len()
    }

    /// Into a message; also used in the control messages that hold one.
    pub fn write_to(&self, mut builder: wire::resource::Builder<'_>) {
        builder.set_kind(self.kind);
        builder.set_name(self.name.as_str());
        builder.set_token(self.token);
        builder.set_path(self.path.as_str());
        builder.set_file_system(self.identity.file_system);
        builder.set_handle(&self.identity.handle);
        builder.set_inode(self.identity.inode);
    }

    /// From a message; also used in the control messages that hold one.
    pub fn read_from(reader: wire::resource::Reader<'_>) -> Result<Resource, DoorError> {
        let handle = reader.get_handle()?.to_vec();
        if handle.len() > HANDLE_LIMIT_BYTES {
            return Err(DoorError::TooLong("handle"));
        }
        Ok(Resource {
            kind: reader.get_kind()?,
            name: text(reader.get_name(), LABEL_LIMIT_BYTES, "resource name")?,
            token: reader.get_token(),
            path: text(reader.get_path(), PATH_LIMIT_BYTES, "path")?,
            identity: Identity { file_system: reader.get_file_system(), handle, inode: reader.get_inode() },
        })
    }
}

impl Notice {
    /// Into a message; also used in the control messages that hold one.
    pub fn write_to(&self, mut builder: wire::notice::Builder<'_>) {
        builder.set_link(self.link);
        builder.set_label(self.label.as_str());
        builder.set_reason(self.reason);
        builder.set_detail(clip(&self.detail, DETAIL_LIMIT_BYTES));
    }

    /// From a message; also used in the control messages that hold one.
    pub fn read_from(reader: wire::notice::Reader<'_>) -> Result<Notice, DoorError> {
        Ok(Notice {
            link: reader.get_link(),
            label: text(reader.get_label(), LABEL_LIMIT_BYTES, "label")?,
            reason: reader.get_reason()?,
            detail: text(reader.get_detail(), DETAIL_LIMIT_BYTES, "detail")?,
        })
    }
}

impl Confinement {
    /// Into a message; also used in the control messages that hold one.
    pub fn write_to(&self, mut builder: wire::confinement::Builder<'_>) {
        fn fill(mut list: capnp::text_list::Builder<'_>, layers: &[String]) {
            for (index, layer) in (0..list.len()).zip(layers) {
                list.set(index, clip(layer, LABEL_LIMIT_BYTES));
            }
        }
        let count = |layers: &[String]| u32::try_from(layers.len()).unwrap_or(u32::MAX).min(LAYERS_LIMIT);
        builder.set_profile(clip(&self.profile, LABEL_LIMIT_BYTES));
        fill(builder.reborrow().init_applied(count(&self.applied)), &self.applied);
        fill(builder.init_missing(count(&self.missing)), &self.missing);
    }

    /// From a message; also used in the control messages that hold one.
    pub fn read_from(reader: wire::confinement::Reader<'_>) -> Result<Confinement, DoorError> {
        fn layers(list: capnp::text_list::Reader<'_>) -> Result<Vec<String>, DoorError> {
            if list.len() > LAYERS_LIMIT {
                return Err(DoorError::TooLong("list of layers"));
            }
            list.iter().map(|layer| text(layer, LABEL_LIMIT_BYTES, "layer")).collect()
        }
        Ok(Confinement {
            profile: text(reader.get_profile(), LABEL_LIMIT_BYTES, "profile")?,
            applied: layers(reader.get_applied()?)?,
            missing: layers(reader.get_missing()?)?,
        })
    }
}

impl Lease {
    /// Into a badge, or a session's `renew`.
    pub fn write_to(self, mut builder: lease::Builder<'_>) {
        builder.set_limited(self.limited);
        builder.set_amount(self.amount);
        builder.set_more(self.more);
    }

    /// The other way.
    #[must_use]
    pub fn read_from(reader: lease::Reader<'_>) -> Lease {
        Lease { limited: reader.get_limited(), amount: reader.get_amount(), more: reader.get_more() }
    }
}

impl Badge {
    /// The badge as it travels in a link's delivery. Fails only where it does not fit into a packet.
    pub fn encode(&self) -> Result<Vec<u8>, DoorError> {
        let mut message =
            message(self.holder.len() + self.object.len() + (self.methods.len() + self.accounts.len()) * 16);
        let mut badge = message.init_root::<wire::badge::Builder<'_>>();
        badge.set_grant(self.grant);
        badge.set_interface(self.interface);
        self.rights.write_to(badge.reborrow().init_rights());
        badge.set_expires_at_ms(self.expires_at_ms);
        self.calls.write_to(badge.reborrow().init_calls());
        self.bytes.write_to(badge.reborrow().init_bytes());
        let count = u32::try_from(self.methods.len()).unwrap_or(u32::MAX);
        if count > METHODS_LIMIT {
            return Err(DoorError::TooLong("list of methods"));
        }
        let mut methods = badge.reborrow().init_methods(count);
        for (index, method) in (0..count).zip(&self.methods) {
            method.write_to(methods.reborrow().get(index));
        }
        badge.set_peer(self.peer);
        badge.set_holder(self.holder.as_str());
        badge.set_object(self.object.as_str());
        let count = u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        if count > ACCOUNTS_LIMIT {
            return Err(DoorError::TooLong("list of accounts"));
        }
        let mut accounts = badge.init_accounts(count);
        for (index, account) in (0..count).zip(&self.accounts) {
            let mut builder = accounts.reborrow().get(index);
            builder.set_grant(account.grant);
            builder.set_quota_bytes(account.quota_bytes);
        }
        pack::<wire::badge::Owned>(&message)
    }

    /// The badge in a link's delivery.
    pub fn decode(bytes: &[u8]) -> Result<Badge, DoorError> {
        let message = unpack(bytes)?;
        let badge = message.get_root::<wire::badge::Reader<'_>>()?;
        let methods = badge.get_methods()?;
        if methods.len() > METHODS_LIMIT {
            return Err(DoorError::TooLong("list of methods"));
        }
        let accounts = badge.get_accounts()?;
        if accounts.len() > ACCOUNTS_LIMIT {
            return Err(DoorError::TooLong("list of accounts"));
        }
        Ok(Badge {
            grant: badge.get_grant(),
            interface: badge.get_interface(),
            rights: Rights::read_from(badge.get_rights()?),
            expires_at_ms: badge.get_expires_at_ms(),
            calls: Lease::read_from(badge.get_calls()?),
            bytes: Lease::read_from(badge.get_bytes()?),
            methods: methods.iter().map(Method::read_from).collect(),
            peer: badge.get_peer()?,
            holder: text(badge.get_holder(), LABEL_LIMIT_BYTES, "holder")?,
            object: text(badge.get_object(), OBJECT_LIMIT_BYTES, "object")?,
            accounts: accounts.iter().map(account).collect(),
        })
    }
}

fn account(reader: wire::account::Reader<'_>) -> Account {
    Account { grant: reader.get_grant(), quota_bytes: reader.get_quota_bytes() }
}
