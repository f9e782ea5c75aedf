//! What a guest holds for one link.

/// Input that may wait in the guest for one link: the credit that its sandbox gets. One whole answer of the largest
/// kind (1 MiB of bytes, see `filesystem.capnp`, with 64 KiB for what is around them) fits, so that reading never
/// stops in the middle of one.
pub const INPUT_WINDOW_BYTES: u32 = (1 << 20) + (64 << 10);

/// Credit is given back when this much was consumed, so that a stream of small messages does not cost a crossing
/// each. At least three quarters of the window are always with the sandbox, so it never waits for want of this.
pub(super) const CREDIT_STEP_BYTES: u32 = INPUT_WINDOW_BYTES / 4;

/// Output that is gathered for one link before its writer has to wait: one largest message (1 MiB and its frame), so
/// that a write never stops in the middle of one because of this bound alone.
pub const OUTPUT_LIMIT_BYTES: usize = (1 << 20) + (64 << 10);

/// Output is handed over without waiting for the end of the turn once this much is there, so that the other side
/// works while the guest still computes.
pub(super) const OUTPUT_EARLY_BYTES: usize = 256 << 10;

const _: () = assert!(CREDIT_STEP_BYTES > 0 && CREDIT_STEP_BYTES < INPUT_WINDOW_BYTES);
const _: () = assert!(OUTPUT_EARLY_BYTES < OUTPUT_LIMIT_BYTES);
