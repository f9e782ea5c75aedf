//! Readcaps and writecaps: what may be read and written of a store elsewhere, as data.
#![forbid(unsafe_code)]
