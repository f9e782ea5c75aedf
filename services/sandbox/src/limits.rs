//! What a guest may use, and the words for having used more. All of it is on by default.

use schema::package_capnp::limits as node;
use std::fmt;
use wasmtime::ResourceLimiter;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Elements of all tables together, 8 bytes each: functions that are called by pointer. The largest programs have some
/// tens of thousands.
const TABLE_ELEMENTS: usize = 1 << 20;
/// Core instances: the program, the adapter to WASI 0.2 and two for their wiring, with room for components composed of
/// several.
pub(crate) const INSTANCES: usize = 64;
/// Memories and tables: each core instance may have some of its own.
pub(crate) const MEMORIES: usize = 16;
/// See [`MEMORIES`].
pub(crate) const TABLES: usize = 64;

/// The limits of one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: u64,
    pub(crate) turn_ms: u32,
    pub(crate) output_bytes: u64,
    pub(crate) stack_bytes: u64,
}

impl Limits {
    /// What the package wants, within what the node gives at most.
    pub(crate) fn read_from(wanted: node::Reader<'_>) -> Self {
        let within = |wanted: u64, default: u64, minimum: u64, maximum: u64| {
            if wanted == 0 { default } else { wanted.clamp(minimum, maximum) }
        };
        let turn_ms = wanted.get_turn_ms();
        Self {
            memory_bytes: within(
                wanted.get_memory_bytes(),
                node::MEMORY_DEFAULT_BYTES,
                node::MEMORY_MINIMUM_BYTES,
                node::MEMORY_MAXIMUM_BYTES,
            ),
            turn_ms: if turn_ms == 0 { node::TURN_DEFAULT_MS } else { turn_ms.min(node::TURN_MAXIMUM_MS) },
            output_bytes: within(
                wanted.get_output_bytes(),
                node::OUTPUT_DEFAULT_BYTES,
                node::OUTPUT_MINIMUM_BYTES,
                node::OUTPUT_MAXIMUM_BYTES,
            ),
            stack_bytes: within(
                wanted.get_stack_bytes(),
                node::STACK_DEFAULT_BYTES,
                node::STACK_MINIMUM_BYTES,
                node::STACK_MAXIMUM_BYTES,
            ),
        }
    }
}

/// A limit that the guest went over; shown to people as what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Memory { limit_bytes: u64 },
    Tables,
    Turn { limit_ms: u32 },
    Stack { limit_bytes: u64 },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Memory { limit_bytes } => write!(formatter, "used more than {} of memory", Size(limit_bytes)),
            Self::Tables => write!(formatter, "used more than {TABLE_ELEMENTS} table elements"),
            Self::Turn { limit_ms } => {
                write!(formatter, "computed for more than {} without asking its door", Time(limit_ms))
            }
            Self::Stack { limit_bytes } => write!(formatter, "used more than {} of stack", Size(limit_bytes)),
        }
    }
}

impl std::error::Error for Exceeded {}

struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % MIB == 0 => write!(formatter, "{} MiB", bytes / MIB),
            bytes if bytes % KIB == 0 => write!(formatter, "{} KiB", bytes / KIB),
            bytes => write!(formatter, "{bytes} bytes"),
        }
    }
}

struct Time(u32);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1_000) {
            write!(formatter, "{} s", self.0 / 1_000)
        } else {
            write!(formatter, "{} ms", self.0)
        }
    }
}

/// Refuses growth over the limits, and remembers that it did: a guest that cannot have memory usually traps, and then
/// this is why.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit_bytes: u64,
    memory_bytes: u64,
    table_elements: usize,
    pub(crate) refused: Option<Exceeded>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory_limit_bytes: limits.memory_bytes, memory_bytes: 0, table_elements: 0, refused: None }
    }
}

impl ResourceLimiter for Limiter {
    /// All memories together count.
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        let allowed = total <= self.memory_limit_bytes;
        if allowed {
            self.memory_bytes = total;
        } else {
            self.refused = Some(Exceeded::Memory { limit_bytes: self.memory_limit_bytes });
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        let allowed = total <= TABLE_ELEMENTS;
        if allowed {
            self.table_elements = total;
        } else {
            self.refused = Some(Exceeded::Tables);
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(set: impl FnOnce(node::Builder<'_>)) -> Limits {
        let mut message = capnp::message::Builder::new_default();
        set(message.init_root());
        Limits::read_from(message.get_root_as_reader().unwrap())
    }

    #[test]
    fn nothing_asked_for_is_the_default_and_not_nothing() {
        let limits = limits(|_| {});
        assert_eq!(limits.memory_bytes, node::MEMORY_DEFAULT_BYTES);
        assert_eq!(limits.turn_ms, node::TURN_DEFAULT_MS);
        assert_eq!(limits.output_bytes, node::OUTPUT_DEFAULT_BYTES);
        assert_eq!(limits.stack_bytes, node::STACK_DEFAULT_BYTES);
    }

    #[test]
    fn a_package_gets_no_more_than_the_node_has() {
        let limits = limits(|mut wanted| {
            wanted.set_memory_bytes(u64::MAX);
            wanted.set_turn_ms(u32::MAX);
            wanted.set_output_bytes(1);
            wanted.set_stack_bytes(u64::MAX);
        });
        assert_eq!(limits.memory_bytes, node::MEMORY_MAXIMUM_BYTES);
        assert_eq!(limits.turn_ms, node::TURN_MAXIMUM_MS);
        assert_eq!(limits.output_bytes, node::OUTPUT_MINIMUM_BYTES);
        assert_eq!(limits.stack_bytes, node::STACK_MAXIMUM_BYTES);
    }

    #[test]
    fn all_memories_count_together_and_a_refusal_takes_nothing() {
        let mut limiter = Limiter::new(&limits(|mut wanted| wanted.set_memory_bytes(3 * MIB)));
        let (one, two) = (MIB as usize, 2 * MIB as usize);
        assert!(limiter.memory_growing(0, two, None).unwrap());
        assert!(!limiter.memory_growing(0, two, None).unwrap());
        assert_eq!(limiter.refused, Some(Exceeded::Memory { limit_bytes: 3 * MIB }));
        assert!(limiter.memory_growing(0, one, None).unwrap());
        assert!(!limiter.memory_growing(one, two, None).unwrap());
    }

    #[test]
    fn limits_are_shown_in_the_largest_whole_unit() {
        assert_eq!(Exceeded::Memory { limit_bytes: 256 * MIB }.to_string(), "used more than 256 MiB of memory");
        assert_eq!(Exceeded::Stack { limit_bytes: 65 * KIB }.to_string(), "used more than 65 KiB of stack");
        assert_eq!(
            Exceeded::Turn { limit_ms: 1_500 }.to_string(),
            "computed for more than 1500 ms without asking its door"
        );
    }
}
