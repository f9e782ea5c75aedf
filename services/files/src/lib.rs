//! Serving `Directory` and `File` of `filesystem.capnp` over any tree of files.
#![forbid(unsafe_code)]
