//! The interfaces of Latchkey and the code generated from them. The contracts stand in the `.capnp` files; write
//! the code anew with `cargo xtask schema` after changing one.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

pub mod filesystem_word;
pub mod keys_word;

macro_rules! generated {
    ($($module:ident = $file:literal),* $(,)?) => {
        $(pub mod $module { include!(concat!("generated/", $file)); })*
    };
}

generated! {
    common_capnp = "common_capnp.rs",
    stream_capnp = "stream_capnp.rs",
    filesystem_capnp = "filesystem_capnp.rs",
    session_capnp = "session_capnp.rs",
    package_capnp = "package_capnp.rs",
    keys_capnp = "keys_capnp.rs",
    storage_capnp = "storage_capnp.rs",
    door_capnp = "internal/door_capnp.rs",
    kernel_capnp = "internal/kernel_capnp.rs",
    setup_capnp = "internal/setup_capnp.rs",
    operator_capnp = "internal/operator_capnp.rs",
    log_capnp = "internal/log_capnp.rs",
}
