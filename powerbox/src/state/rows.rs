//! The state as rows, each with a key, for the index: what changed is written, what was written is read back.

use capnp::message::Builder;
use schema::log_capnp as wire;

use super::{Instance, State};
use crate::caveats::Left;
use crate::grants::{End, Node};
use crate::record::{Asked, Author, Denied, Granted, Installed, Leased, Ran, RecordError};
use crate::record::{array, open, text};
use crate::requests::Standing;

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A trusted author.
    Author([u8; 32]),
    /// An installed package.
    Package(String),
    /// An instance.
    Instance(String),
    /// A grant.
    Grant(u64),
    /// An undecided request.
    Request(u64),
    /// What was decided against: instance and label.
    Settled(String, String),
    /// What the state counts.
    Counters,
}

impl Key {
    /// The key's bytes: a letter, then what it names.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let (letter, name) = match self {
            Key::Author(key) => (b'a', key.to_vec()),
            Key::Package(name) => (b'p', name.as_bytes().to_vec()),
            Key::Instance(name) => (b'i', name.as_bytes().to_vec()),
            Key::Grant(grant) => (b'g', grant.to_be_bytes().to_vec()),
            Key::Request(request) => (b'r', request.to_be_bytes().to_vec()),
            // Neither names nor labels hold a zero.
            Key::Settled(instance, label) => (b's', [instance.as_bytes(), &[0], label.as_bytes()].concat()),
            Key::Counters => (b'c', Vec::new()),
        };
        [&[letter][..], &name].concat()
    }
}

/// A row to write, or to remove where it has no value.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

impl State {
    /// Every row that changed since this was last asked.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut keys = std::mem::take(&mut self.changed);
        keys.insert(Key::Counters);
        keys.into_iter().map(|key| (key.bytes(), self.row(&key))).collect()
    }

    /// Every row there is, for an index that begins anew.
    pub fn all_rows(&mut self) -> Vec<Change> {
        let pending: Vec<Key> = self.requests.pending().map(|asked| Key::Request(asked.request)).collect();
        let settled: Vec<Key> = self
            .requests
            .settled()
            .map(|((instance, label), _)| Key::Settled(instance.clone(), label.clone()))
            .collect();
        self.changed.extend(self.authors.keys().copied().map(Key::Author));
        self.changed.extend(self.packages.keys().cloned().map(Key::Package));
        self.changed.extend(self.instances.keys().cloned().map(Key::Instance));
        self.changed.extend(self.grants.iter().map(|(grant, _)| Key::Grant(*grant)));
        self.changed.extend(pending.into_iter().chain(settled));
        self.take_changes()
    }

    fn row(&self, key: &Key) -> Option<Vec<u8>> {
        let mut message = Builder::new_default();
        let mut row = message.init_root::<wire::row::Builder<'_>>();
        match key {
            Key::Author(key) => self.authors.get(key)?.write_to(row.init_author()),
            Key::Package(name) => self.packages.get(name)?.write_to(row.init_package()),
            Key::Instance(name) => write_instance(self.instances.get(name)?, row.init_instance()),
            Key::Grant(grant) => write_grant(self.grants.get(*grant)?, row.init_grant()),
            Key::Request(request) => self.requests.get(*request)?.write_to(row.init_request()),
            Key::Settled(instance, label) => {
                let Standing::Settled(how) = self.requests.standing(instance, label)? else { return None };
                Denied { instance: instance.clone(), label: label.clone(), how }.write_to(row.init_settled());
            }
            Key::Counters => {
                let mut counters = row.reborrow().init_counters();
                counters.set_next_grant(self.grants.next());
                counters.set_next_request(self.requests.next());
                counters.set_reserved(self.reserved);
                counters.set_last_at_ms(self.last_at_ms);
                counters.set_started_at_ms(self.started_at_ms);
                counters.set_signed(self.signed);
                let ended: Vec<u64> = self.grants.forgettable().collect();
                crate::record::set_numbers(&ended, |count| counters.init_ended_grants(count));
            }
        }
        Some(capnp::serialize::write_message_to_words(&message))
    }

    /// Puts one row back. The rows may come in any order.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        use wire::row::Which;
        let message = open(bytes)?;
        match message.get_root::<wire::row::Reader<'_>>()?.which()? {
            Which::Author(author) => {
                let author = Author::read_from(author?)?;
                self.authors.insert(author.key, author);
            }
            Which::Package(package) => {
                let package = Installed::read_from(package?)?;
                self.packages.insert(package.manifest.name.clone(), package);
            }
            Which::Instance(instance) => {
                let instance = read_instance(instance?)?;
                self.instances.insert(instance.run.instance.clone(), instance);
            }
            Which::Grant(grant) => self.grants.restore(read_grant(grant?)?),
            Which::Request(request) => self.requests.ask(Asked::read_from(request?)?),
            Which::Settled(denied) => self.requests.restore_settled(&Denied::read_from(denied?)?),
            Which::Counters(counters) => {
                let counters = counters?;
                self.grants.restore_order(counters.get_ended_grants()?.iter(), counters.get_next_grant());
                self.requests.restore_next(counters.get_next_request());
                self.reserved = counters.get_reserved();
                self.last_at_ms = counters.get_last_at_ms();
                self.started_at_ms = counters.get_started_at_ms();
                self.signed = counters.get_signed();
            }
        }
        Ok(())
    }
}

fn write_instance(instance: &Instance, mut builder: wire::instance_row::Builder<'_>) {
    instance.run.write_to(builder.reborrow().init_run());
    builder.set_started_at_ms(instance.started_at_ms);
    builder.set_running(instance.running);
    builder.set_wanted(instance.wanted);
    builder.set_code(instance.code);
    builder.set_last(&instance.last);
    builder.set_exited_at_ms(instance.exited_at_ms);
}

fn read_instance(reader: wire::instance_row::Reader<'_>) -> Result<Instance, RecordError> {
    Ok(Instance {
        run: Ran::read_from(reader.get_run()?)?,
        started_at_ms: reader.get_started_at_ms(),
        running: reader.get_running(),
        wanted: reader.get_wanted(),
        code: reader.get_code(),
        last: text(reader.get_last()?)?,
        exited_at_ms: reader.get_exited_at_ms(),
    })
}

fn write_grant(node: &Node, mut builder: wire::grant_row::Builder<'_>) {
    node.granted.write_to(builder.reborrow().init_granted());
    builder.set_at_ms(node.at_ms);
    builder.set_by(&node.by);
    builder.set_position(node.position);
    builder.set_reason(&node.reason);
    builder.set_calls_left(node.left.calls.unwrap_or(0));
    builder.set_bytes_left(node.left.bytes.unwrap_or(0));
    if let Some(lease) = node.lease {
        lease.write_to(builder.reborrow().init_lease());
    }
    if let Some(end) = &node.ended {
        builder.set_ended(true);
        builder.set_ended_at_ms(end.at_ms);
        builder.set_end_reason(end.reason);
        builder.set_end_detail(&end.detail);
        builder.set_ended_by(&end.by);
    }
}

fn read_grant(reader: wire::grant_row::Reader<'_>) -> Result<Node, RecordError> {
    let granted = Granted::read_from(reader.get_granted()?)?;
    let ended = if reader.get_ended() {
        Some(End {
            at_ms: reader.get_ended_at_ms(),
            by: text(reader.get_ended_by()?)?,
            reason: reader.get_end_reason()?,
            detail: text(reader.get_end_detail()?)?,
        })
    } else {
        None
    };
    // A grant that ended has nothing left, limited or not; see `Tree::end`.
    let left = |limit: Option<u64>, left: u64| if ended.is_some() { Some(0) } else { limit.map(|_| left) };
    Ok(Node {
        left: Left {
            calls: left(granted.caveats.calls, reader.get_calls_left()),
            bytes: left(granted.caveats.bytes, reader.get_bytes_left()),
        },
        lease: Some(Leased::read_from(reader.get_lease()?)).filter(|lease| lease.link != 0),
        granted,
        at_ms: reader.get_at_ms(),
        by: text(reader.get_by()?)?,
        position: reader.get_position(),
        reason: text(reader.get_reason()?)?,
        ended,
    })
}

/// What the index says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The last record that it holds.
    pub position: u64,
    /// That record's hash.
    pub head: [u8; 32],
    /// Over all rows.
    pub digest: [u8; 32],
}

impl Metadata {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Builder::new_default();
        let mut builder = message.init_root::<wire::metadata::Builder<'_>>();
        builder.set_position(self.position);
        builder.set_head(&self.head);
        builder.set_digest(&self.digest);
        capnp::serialize::write_message_to_words(&message)
    }

    /// From its bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let message = open(bytes)?;
        let reader = message.get_root::<wire::metadata::Reader<'_>>()?;
        Ok(Self {
            position: reader.get_position(),
            head: array(reader.get_head()?)?,
            digest: array(reader.get_digest()?)?,
        })
    }
}
