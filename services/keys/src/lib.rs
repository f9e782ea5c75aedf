//! The keys of a node: the one process that holds private keys.
#![forbid(unsafe_code)]
