//! The keys of a node: the one process that holds private keys. Others use them over links and never see them.
//!
//! # What is guaranteed
//! - **A key leaves this process in a backup only**, sealed under a passphrase. On disk it is sealed too ([`envelope`]).
//! - **One key, one purpose** ([`purpose`]): what was signed or sealed for one purpose means nothing for another.
//! - **What is locked is forgotten**: `lock` works at once, also while something slow runs, and erases what was secret, the
//!   stack included ([`secret::leaving_nothing`]); a test looks for it in the process's memory. Every signer asks anew at each
//!   call, so that none works with keys of before.
//! - **The file of keys is the old one or the new one** ([`whole`]), whenever power or process is lost. Changed bytes are
//!   found and never give a wrong key.
//! - **No caller holds up another**: deriving a key from a passphrase, the TPM and the disk are left to another thread,
//!   one piece of work at a time.
//!
//! # What is not
//! - Whoever has the file of before and its passphrase of before has the keys of before: to change a passphrase is no
//!   rotation.
//! - What came over a link (a passphrase, a secret to seal) was in that link's buffers, which are freed and not erased. The
//!   process leaves no core file and cannot be looked into by others; what of it the system writes to swap is the
//!   machine's to encrypt.
#![forbid(unsafe_code)]

pub mod bytes;
pub mod envelope;
pub mod keeper;
pub mod keyring;
pub mod limits;
pub mod lock;
pub mod passphrase;
pub mod problem;
pub mod public;
pub mod purpose;
pub mod sealing;
pub mod secret;
pub mod serve;
pub mod tpm;
pub mod whole;
