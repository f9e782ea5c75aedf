//! The bounds of what is served, with their derivation.

use files::limits::{ENTRY_OVERHEAD_BYTES, OPEN_PER_GRANT, PAGE_LIMIT_BYTES};
use files::path::NAME_LIMIT_BYTES;

/// Files and directories that all grants together may hold open: some hundred bytes each, and 64 grants that hold all they
/// may. Some 10 MiB in all.
pub(super) const OPEN: usize = 64 * OPEN_PER_GRANT;

/// Entries of a page: a page of the longest names stays within the bytes that a page may have.
pub(super) const PAGE_ENTRIES: usize = PAGE_LIMIT_BYTES / (NAME_LIMIT_BYTES + ENTRY_OVERHEAD_BYTES);

/// What one repair tells the node's log of: so many lines can be read by a person, and what fills them is mostly one damage.
pub(super) const LOGGED: usize = 100;

/// One chunk of `readTo`. Whatever its length, a chunk costs a way through a disk thread, the file's metadata read and opened,
/// and looks into the index: with 64 KiB about a quarter of the processor time of a stream. Up to two of them are on their
/// way to each reader.
pub const STREAM_CHUNK_BYTES: usize = 256 << 10;

/// What a check has found and its reporter has not taken yet: enough that one need not wait for the other all the time.
pub(super) const FINDINGS: usize = 16;

/// Accounts of one status: 40 bytes each, so that it stays well below a message's limit.
pub(super) const ACCOUNTS: usize = 10_000;

/// Texts that people were told and are not told again, at most 300 bytes each.
pub(super) const TOLD: usize = 256;

/// Texts that wait for the RPC thread, which does nothing but pass them on.
pub(super) const TROUBLES: usize = 2 * LOGGED;
