//! What a person writes on the command line: grants, targets, method names.

pub(crate) mod grant;
pub(crate) mod methods;
pub(crate) mod target;
