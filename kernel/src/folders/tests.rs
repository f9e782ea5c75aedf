use std::fs::File;

use super::*;

#[test]
fn a_folder_service_runs_as_who_offered_it() {
    let folder: OwnedFd = File::open("/").unwrap().into();
    assert_eq!(run_as(1000, &folder), Ok(1000));
    assert_eq!(run_as(0, &folder), Ok(fstat(&folder).unwrap().st_uid));
}

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
    let identity = Identity::of(&File::open(&path).unwrap().into(), path.to_str().unwrap().to_owned()).unwrap();
    assert!(identity.reopen().is_ok());
    std::fs::rename(&path, scratch.path().join("old")).unwrap();
    assert!(identity.reopen().is_err());
    std::fs::create_dir(&path).unwrap();
    assert!(identity.reopen().is_err());
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(scratch.path().join("old"), &path).unwrap();
    assert!(identity.reopen().is_ok());
}
