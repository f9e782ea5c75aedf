//! Why a file is not taken as a package: what, why, and what to do next.

use crate::header::FORMAT;
use crate::manifest::MANIFEST_LIMIT_BYTES;
use crate::verify::COMPONENT_LIMIT_BYTES;

/// Why a file is not taken as a package.
#[derive(Debug)]
pub enum Refusal {
    /// It does not begin as one.
    NotAPackage,
    /// It is in another format.
    Format(u32),
    /// Its manifest would be so long.
    ManifestTooLarge(u64),
    /// Its component would be so long.
    ComponentTooLarge(u64),
    /// It ends early.
    Truncated {
        /// What the header promises, in bytes.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// It goes on after its end.
    Trailing {
        /// What the header promises, in bytes.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// The signature is not the author's for these bytes.
    Signature,
    /// The manifest breaks a rule.
    Manifest(String),
    /// The component is not the one that the manifest names.
    ComponentChanged,
    /// The content is not a WebAssembly component.
    NotAComponent,
    /// It could not be read.
    Read(std::io::Error),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const ANEW: &str = "Fetch it anew, or ask whoever gave it to you";
        match self {
            Refusal::NotAPackage => write!(
                formatter,
                "not a package: the file does not begin as a .latch file does. Make one of an app's folder: latch build DIR"
            ),
            Refusal::Format(format) => write!(
                formatter,
                "the package is in format {format}, and this version reads format {FORMAT}. Build it with a matching \
                 version of latch, or update this one"
            ),
            Refusal::ManifestTooLarge(bytes) => write!(
                formatter,
                "the package's manifest would have {bytes} bytes, and at most {MANIFEST_LIMIT_BYTES} are taken. Shorten \
                 its texts or ask for less"
            ),
            Refusal::ComponentTooLarge(bytes) => write!(
                formatter,
                "the package's component would have {bytes} bytes, and at most {COMPONENT_LIMIT_BYTES} are taken. Build \
                 it smaller (optimised, stripped)"
            ),
            Refusal::Truncated { expected, actual } => {
                write!(formatter, "the package is truncated: it has {actual} of {expected} bytes. {ANEW}")
            }
            Refusal::Trailing { expected, actual } => write!(
                formatter,
                "the package has {actual} bytes where its header says {expected}: something was added. {ANEW}"
            ),
            Refusal::Signature => write!(
                formatter,
                "the package's signature is wrong: it was changed after it was signed, or not signed by the author that \
                 it names. {ANEW}"
            ),
            Refusal::Manifest(rule) => {
                write!(formatter, "the package's manifest is refused: {rule}. Its author has to correct and sign it")
            }
            Refusal::ComponentChanged => write!(
                formatter,
                "the package's component is not the one that was signed: its bytes were changed afterwards. {ANEW}"
            ),
            Refusal::NotAComponent => write!(
                formatter,
                "the package's content is not a WebAssembly component. Build it with `latch build`, which makes one of a \
                 core module"
            ),
            Refusal::Read(error) => {
                write!(formatter, "the package could not be read: {error}. Look at the file and its permissions")
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Refusal::Read(error)
    }
}
