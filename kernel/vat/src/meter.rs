//! What went over a link: calls by interface and method, bytes, errors, latencies.

use crate::bounds::METERED_METHODS_LIMIT;
use crate::words::Method;
use schema::session_capnp::{method_usage, usage};

/// What calls of methods beyond [`METERED_METHODS_LIMIT`] are counted under.
pub const OTHER_METHODS: Method = Method { interface: 0, ordinal: u16::MAX };

/// Steps for each doubling of a latency: a figure is at most an eighth too large.
const STEPS: usize = 8;

/// From 2^8 ns (a quarter of a microsecond; less counts as that) to 2^40 ns (18 minutes; more counts as that).
const FIRST_OCTAVE: u32 = 8;
const LAST_OCTAVE: u32 = 40;
const CELLS: usize = (LAST_OCTAVE - FIRST_OCTAVE) as usize * STEPS;

/// A histogram of latencies with a constant relative error.
#[derive(Clone, Debug)]
struct Latencies {
    cells: Box<[u32; CELLS]>,
    total: u64,
}

impl Latencies {
    fn new() -> Latencies {
        Latencies { cells: Box::new([0; CELLS]), total: 0 }
    }

    fn cell(latency_ns: u64) -> usize {
        let value = latency_ns.clamp(1 << FIRST_OCTAVE, (1 << LAST_OCTAVE) - 1);
        let octave = value.ilog2();
        let step = (value >> (octave - STEPS.ilog2())) as usize & (STEPS - 1);
        (octave - FIRST_OCTAVE) as usize * STEPS + step
    }

    /// The upper edge of a cell.
    fn edge_ns(cell: usize) -> u64 {
        let octave = FIRST_OCTAVE as usize + cell / STEPS;
        let width = 1u64 << (octave - STEPS.ilog2() as usize);
        (1u64 << octave) + (cell % STEPS + 1) as u64 * width
    }

    fn add(&mut self, latency_ns: u64) {
        let cell = &mut self.cells[Latencies::cell(latency_ns)];
        *cell = cell.saturating_add(1);
        self.total += 1;
    }

    /// The latency that so many of a hundred calls did not exceed; 0 without calls.
    fn percentile_ns(&self, hundredths: u64) -> u64 {
        let wanted = (self.total * hundredths).div_ceil(100).max(1);
        let mut seen = 0;
        for (cell, count) in self.cells.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return Latencies::edge_ns(cell);
            }
        }
        0
    }
}

#[derive(Clone, Debug)]
struct Metered {
    method: Method,
    calls: u64,
    errors: u64,
    latencies: Latencies,
}

/// Counts what goes over one link.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    calls: u64,
    refused: u64,
    errors: u64,
    bytes_in: u64,
    bytes_out: u64,
    methods: Vec<Metered>,
}

impl Meter {
    /// A call of this method ended, after so long, well or not.
    pub fn call(&mut self, method: Method, latency_ns: u64, failed: bool) {
        self.calls += 1;
        self.errors += u64::from(failed);
        let metered = self.metered(method);
        metered.calls += 1;
        metered.errors += u64::from(failed);
        metered.latencies.add(latency_ns);
    }

    /// A call was refused: it did not start.
    pub fn refused(&mut self) {
        self.refused += 1;
    }

    /// A message came in.
    pub fn bytes_in(&mut self, bytes: usize) {
        self.bytes_in += bytes as u64;
    }

    /// A message went out.
    pub fn bytes_out(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    /// Few methods are in use on a link, the same ones again and again: a list is faster than a map.
    fn metered(&mut self, method: Method) -> &mut Metered {
        let known = self.methods.iter().position(|metered| metered.method == method);
        let at = known.unwrap_or_else(|| {
            let key = if self.methods.len() < METERED_METHODS_LIMIT { method } else { OTHER_METHODS };
            self.methods.iter().position(|metered| metered.method == key).unwrap_or_else(|| {
                self.methods.push(Metered { method: key, calls: 0, errors: 0, latencies: Latencies::new() });
                self.methods.len() - 1
            })
        });
        &mut self.methods[at]
    }

    /// Takes what was counted since the last time; counting begins anew.
    pub fn take(&mut self) -> UsageReport {
        let Meter { calls, refused, errors, bytes_in, bytes_out, methods } = std::mem::take(self);
        let methods = methods
            .iter()
            .map(|metered| MethodUsage {
                method: metered.method,
                calls: metered.calls,
                errors: metered.errors,
                latency_p50_ns: metered.latencies.percentile_ns(50),
                latency_p99_ns: metered.latencies.percentile_ns(99),
            })
            .collect();
        UsageReport { calls, refused, errors, bytes_in, bytes_out, methods, ..UsageReport::default() }
    }
}

/// What went over a link since the last report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageReport {
    /// Calls that started and ended.
    pub calls: u64,
    /// Calls that a caveat forbade: they did not start.
    pub refused: u64,
    /// Calls that started and failed.
    pub errors: u64,
    /// Of messages that came in.
    pub bytes_in: u64,
    /// Of messages that went out.
    pub bytes_out: u64,
    /// By method.
    pub methods: Vec<MethodUsage>,
    /// What is left of the link's lease of calls; 0 where there is none.
    pub unused_calls: u64,
    /// What is left of the link's lease of bytes; 0 where there is none.
    pub unused_bytes: u64,
}

/// How one method was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodUsage {
    /// Which.
    pub method: Method,
    /// Calls that ended.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// From reading a call to its result, half of the calls: nanoseconds.
    pub latency_p50_ns: u64,
    /// The same for 99 of 100.
    pub latency_p99_ns: u64,
}

impl MethodUsage {
    /// From a message.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_from(reader: method_usage::Reader<'_>) -> capnp::Result<MethodUsage> {
        Ok(MethodUsage {
            method: Method::read_from(reader.get_method()?),
            calls: reader.get_calls(),
            errors: reader.get_errors(),
            latency_p50_ns: reader.get_latency_p50_ns(),
            latency_p99_ns: reader.get_latency_p99_ns(),
        })
    }

    /// Into a message.
    pub fn write_to(&self, mut builder: method_usage::Builder<'_>) {
        self.method.write_to(builder.reborrow().init_method());
        builder.set_calls(self.calls);
        builder.set_errors(self.errors);
        builder.set_latency_p50_ns(self.latency_p50_ns);
        builder.set_latency_p99_ns(self.latency_p99_ns);
    }

    /// Counts calls of the same method in. A latency is that of the slower: half of all calls, and 99 of 100, took no
    /// longer than that.
    pub fn add(&mut self, more: &MethodUsage) {
        self.calls = self.calls.saturating_add(more.calls);
        self.errors = self.errors.saturating_add(more.errors);
        self.latency_p50_ns = self.latency_p50_ns.max(more.latency_p50_ns);
        self.latency_p99_ns = self.latency_p99_ns.max(more.latency_p99_ns);
    }
}

impl UsageReport {
    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls == 0 && self.refused == 0 && self.bytes_in == 0 && self.bytes_out == 0
    }

    /// Into a `Usage` of a session, but for the link, the grant and how it ended.
    pub fn write_to(&self, mut builder: usage::Builder<'_>) {
        builder.set_calls(self.calls);
        builder.set_refused(self.refused);
        builder.set_errors(self.errors);
        builder.set_bytes_in(self.bytes_in);
        builder.set_bytes_out(self.bytes_out);
        builder.set_unused_calls(self.unused_calls);
        builder.set_unused_bytes(self.unused_bytes);
        // at most METERED_METHODS_LIMIT and one, so it fits
        let mut methods = builder.init_methods(self.methods.len() as u32);
        for (index, usage) in self.methods.iter().enumerate() {
            usage.write_to(methods.reborrow().get(index as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Method = Method { interface: 7, ordinal: 1 };

    #[test]
    fn a_percentile_is_never_too_small_and_at_most_an_eighth_too_large() {
        for latency_ns in [256, 257, 300, 1_000, 4_095, 4_096, 20_000, 1_234_567, 999_999_999, (1 << 40) - 1] {
            let mut latencies = Latencies::new();
            latencies.add(latency_ns);
            let shown = latencies.percentile_ns(50);
            assert!(shown > latency_ns && shown - latency_ns <= latency_ns / 8 + 1, "{latency_ns} shows as {shown}");
        }
    }

    #[test]
    fn latencies_beyond_the_ends_count_at_the_ends() {
        for (latency_ns, shown) in [(0, Latencies::edge_ns(0)), (u64::MAX, 1 << 40)] {
            let mut latencies = Latencies::new();
            latencies.add(latency_ns);
            assert_eq!(latencies.percentile_ns(99), shown);
        }
    }

    #[test]
    fn one_slow_call_in_a_hundred_moves_only_the_99th_after_it() {
        let mut latencies = Latencies::new();
        for _ in 0..99 {
            latencies.add(1_000);
        }
        latencies.add(1_000_000);
        assert!(latencies.percentile_ns(50) < 1_200 && latencies.percentile_ns(99) < 1_200);
        latencies.add(1_000_000);
        assert!(latencies.percentile_ns(99) > 1_000_000);
    }

    #[test]
    fn a_peer_that_calls_every_method_there_is_does_not_make_the_meter_grow() {
        let mut meter = Meter::default();
        for ordinal in 0..10_000 {
            meter.call(Method { interface: 1, ordinal }, 1, true);
        }
        let report = meter.take();
        assert_eq!(report.methods.len(), METERED_METHODS_LIMIT + 1);
        assert_eq!(report.methods.iter().map(|method| method.calls).sum::<u64>(), 10_000);
        assert_eq!(report.methods.last().unwrap().method, OTHER_METHODS);
    }

    #[test]
    fn taking_begins_anew() {
        let mut meter = Meter::default();
        meter.call(READ, 5_000, false);
        meter.bytes_in(10);
        meter.bytes_out(20);
        let first = meter.take();
        assert_eq!((first.calls, first.errors, first.bytes_in, first.bytes_out), (1, 0, 10, 20));
        assert!(meter.take().is_empty());
    }
}
