use super::*;

#[test]
fn groups_come_from_the_hosts_list() {
    assert_eq!(entry("ada:x:1000:1001:Ada:/home/ada:/bin/sh", 1000), Some(1001));
    assert_eq!(entry("ada:x:1000:1001:Ada:/home/ada:/bin/sh", 1001), None);
    assert_eq!(entry("not a line", 0), None);
    assert_eq!(group_of(0), 0);
}

#[test]
fn a_folder_that_was_replaced_is_another() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("docs");
    std::fs::create_dir(&path).unwrap();
    let identity = Identity::of(File::open(&path).unwrap().as_fd()).unwrap();
    let path_text = path.to_str().unwrap().to_owned();
    let named = Resource { path: path_text, identity, ..Resource::new(ResourceKind::Folder, "folder") };
    assert!(reopen(&named).is_ok());
    std::fs::rename(&path, scratch.path().join("old")).unwrap();
    assert!(reopen(&named).unwrap_err().to_string().contains("cannot be opened: No such file"));
    std::fs::create_dir(&path).unwrap();
    assert!(reopen(&named).unwrap_err().to_string().ends_with("is not the folder that was granted"));
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(scratch.path().join("old"), &path).unwrap();
    assert!(reopen(&named).is_ok());
}
