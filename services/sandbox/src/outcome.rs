//! How a guest ended, as the exit code of this process and its last word. The codes are those that shells and `timeout`
//! have for the same ends, so that none of them means two things: `setup.capnp` lists them.

use crate::limits::{Exceeded, Limiter, Limits};
use crate::stopping::Unheard;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

/// The guest was not begun: its compiled component could not be loaded or does not fit what a guest is given, or something
/// is wrong with this process's own beginning or with this machine. What a shell says of what it cannot execute.
pub(crate) const NOT_BEGUN: u8 = 126;
/// The guest trapped: a panic, an access out of bounds, a division by zero. What a shell shows for SIGABRT.
const TRAPPED: u8 = 134;
/// The guest went over one of its limits. What `timeout` says of who took too long.
const EXCEEDED: u8 = 124;
/// The guest was ended because it did not hear that it is to stop. What a shell shows for SIGTERM, and what an app
/// ends with that does hear it.
const STOPPED: u8 = 143;

/// How a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The guest's own code, passed on as it is.
    Exit(u8),
    Trapped(String),
    Exceeded(Exceeded),
    Refused(String),
    /// See [`Unheard`].
    Stopped,
}

impl Outcome {
    /// From what the guest's `run` came to.
    pub(crate) fn of(result: wasmtime::Result<Result<(), ()>>, limiter: &Limiter, limits: &Limits) -> Self {
        let error = match result {
            Ok(Ok(())) => return Self::Exit(0),
            Ok(Err(())) => return Self::Exit(1),
            Err(error) => error,
        };
        if let Some(I32Exit(code)) = error.downcast_ref() {
            // WASI's own type for it has eight bits.
            return Self::Exit(u8::try_from(*code).unwrap_or(1));
        }
        if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
            return Self::Exceeded(*exceeded);
        }
        if error.is::<Unheard>() {
            return Self::Stopped;
        }
        if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
            return Self::Exceeded(Exceeded::Stack { limit_bytes: limits.stack_bytes });
        }
        match limiter.refused {
            // What it did without memory is a consequence.
            Some(exceeded) => Self::Exceeded(exceeded),
            None => Self::Trapped(error.root_cause().to_string()),
        }
    }

    /// This process's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Exit(code) => *code,
            Self::Trapped(_) => TRAPPED,
            Self::Exceeded(_) => EXCEEDED,
            Self::Refused(_) => NOT_BEGUN,
            Self::Stopped => STOPPED,
        }
    }

    /// Why, for people; nothing where the guest ended by itself.
    pub(crate) fn last_word(&self) -> Option<String> {
        match self {
            Self::Exit(_) => None,
            Self::Trapped(how) => Some(format!("trapped: {}", how.trim_start_matches("wasm trap: "))),
            Self::Exceeded(exceeded) => Some(exceeded.to_string()),
            Self::Refused(why) => Some(why.clone()),
            Self::Stopped => Some(Unheard.to_string()),
        }
    }
}
