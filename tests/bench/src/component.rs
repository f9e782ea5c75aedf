//! A component, out of its package.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A file with the component that every process of the run may read; it goes with its handle.
pub(crate) fn of(package: &Path) -> Result<tempfile::NamedTempFile, String> {
    let said = |error: String| format!("{}: {error}", package.display());
    let mut source = File::open(package).map_err(|error| said(format!("{error}; `cargo xtask bench` builds it")))?;
    let length = source.metadata().map_err(|error| said(error.to_string()))?.len();
    let signed = package::read_signed(&mut source, length).map_err(|error| said(error.to_string()))?;
    let mut file = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
    package::copy_component(&mut source, &signed, &mut file).map_err(|error| said(error.to_string()))?;
    std::fs::set_permissions(file.path(), Permissions::from_mode(0o644))
        .map_err(|error| format!("cannot open a temporary file to others: {error}"))?;
    Ok(file)
}
