//! Where the SDK is that apps are built with: in the checkout that this command was built from.

use std::path::{Path, PathBuf};

use crate::failure::{Doing as _, Failure, Outcome};

/// Overrides the search.
const VARIABLE: &str = "LATCH_SDK";
/// The SDK's folder in a checkout.
const SDK: &str = "apps/sdk";

/// A checkout with an SDK.
#[derive(Debug, Clone)]
pub(super) struct Checkout {
    pub(super) root: PathBuf,
}

impl Checkout {
    /// From `$LATCH_SDK`, else from where this command is: `<checkout>/target/debug/latch`.
    pub(super) fn find() -> Outcome<Self> {
        if let Some(sdk) = std::env::var_os(VARIABLE) {
            let sdk = std::fs::canonicalize(&sdk).doing(|| format!("${VARIABLE} is {}", Path::new(&sdk).display()))?;
            let root = sdk.ancestors().nth(2).filter(|root| root.join(SDK) == sdk && is_checkout(root));
            return root.map(|root| Self { root: root.to_path_buf() }).ok_or_else(|| {
                Failure::new(format!("${VARIABLE} is {}, which is no SDK", sdk.display()))
                    .next(format!("set it to <checkout>/{SDK}"))
            });
        }
        let own =
            std::env::current_exe().and_then(std::fs::canonicalize).doing(|| "cannot find this command".into())?;
        let root = own.ancestors().skip(1).find(|root| is_checkout(root));
        root.map(|root| Self { root: root.to_path_buf() }).ok_or_else(|| {
            Failure::new("cannot find the SDK that apps are built with")
                .because(format!("{} is not in a checkout", own.display()))
                .next(format!("set ${VARIABLE} to <checkout>/{SDK}"))
        })
    }

    pub(super) fn sdk(&self) -> PathBuf {
        self.root.join(SDK)
    }

    /// A compiler that set-up has unpacked here, where the installed one cannot compile apps.
    pub(super) fn unpacked_cargo(&self) -> Option<PathBuf> {
        let cargo = self.root.join("target/wasm-toolchain/cargo-wasm");
        cargo.is_file().then_some(cargo)
    }

    /// Where the SDK and the standard library are compiled for all apps together, if this person may write there.
    pub(super) fn target(&self) -> Option<PathBuf> {
        let target = self.root.join("target/guests");
        let writable = std::fs::create_dir_all(&target).is_ok()
            && rustix::fs::access(&target, rustix::fs::Access::WRITE_OK).is_ok();
        writable.then_some(target)
    }
}

fn is_checkout(root: &Path) -> bool {
    root.join(SDK).join("Cargo.toml").is_file() && root.join("Cargo.lock").is_file()
}
