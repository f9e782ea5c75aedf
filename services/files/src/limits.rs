//! The bounds that hold for every tree, with their derivation.

/// Bytes of one `read`, `write`, `append` or stream chunk: the contract's 1 MiB.
pub const TRANSFER_LIMIT_BYTES: usize = 1 << 20;

/// Entries of a page, the contract's maximum.
pub const PAGE_LIMIT_ENTRIES: usize = 1_000;

/// Bytes of a page, so that a reply stays far below a message's limit: one entry is a list element of 2 words and
/// a data pointer with 5 words of metadata beside its name, 64 bytes in all with what rounds a name up; so a full
/// page of the names that people use (up to 190 bytes) fits, and one of 255-byte names is cut to some 800 entries.
pub const PAGE_LIMIT_BYTES: usize = 256 << 10;

/// What an entry counts beside its name. See [`PAGE_LIMIT_BYTES`].
pub const ENTRY_OVERHEAD_BYTES: usize = 64;

/// Files and directories that one grant may hold open: a search with many files in flight over a deep tree holds some
/// hundreds; more than this is an app that drops nothing.
pub const OPEN_PER_GRANT: usize = 1_024;

/// Disk operations at once in this process, a thread each: as many as the runtime has threads for (tokio's 512, half of what
/// the kernel lets this process have). Threads are made when they are needed, and end after some seconds without work.
pub const DISK_OPERATIONS: usize = 512;

/// Disk operations at once of one grant. They may all wait for a file system that never answers, also after the grant was
/// cut; so this many grants of one process can do that, 128, before anybody else waits for them, each of which a person gave.
/// Eight busy ones keep the queue of a fast disk (32 deep) full.
pub const DISK_OPERATIONS_PER_GRANT: usize = DISK_OPERATIONS / 128;

/// One chunk of `readTo`, unless a tree asks for another: as large as the engine's window of a stream, so that one is read while another is on its
/// way. 128 and 256 KiB were measured no faster, and hold more for each slow reader.
pub const STREAM_CHUNK_BYTES: usize = 64 << 10;
