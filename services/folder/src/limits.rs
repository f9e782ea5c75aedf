//! The bounds of this service beside those that hold for every tree (`files::limits`), with their derivation.

/// The part of this process's descriptors that files and directories may have: a quarter, 4,096 of the 16,384 that the
/// kernel gives a service. Links have the rest, since a new link that finds none left ends the process.
pub const OPEN_PART: usize = 4;

/// A file whose size the system does not know beforehand (those of /proc) is read in pieces of this size.
pub const UNSIZED_READ_BYTES: usize = 16 << 10;

/// How often names may change under a path that is being resolved before that is an error. Each try is some
/// microseconds; a rename storm on the same machine makes one in a few tries fail.
pub const RESOLVE_TRIES: usize = 256;

/// Levels of directories below the folder that are served: a walk of `..` that long (3 bytes each) fits into one path.
pub const LEVELS_LIMIT: usize = 1_000;
