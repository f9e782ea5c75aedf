//! Paths inside a folder: names joined by '/', as bytes.

/// The path of something in a directory of the folder.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    if name.is_empty() {
        return directory.to_vec();
    }
    [directory, name].join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn an_empty_path_is_the_folder_itself() {
        assert_eq!(join(b"", b"a"), b"a");
        assert_eq!(join(b"a/b", b"c"), b"a/b/c");
        assert_eq!(join(b"a", b""), b"a");
    }
}
