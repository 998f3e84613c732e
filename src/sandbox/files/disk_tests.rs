//! Handles of strangers, files that are open when they are removed, copies.

use super::*;

const NEW: Opening = Opening { create: true, folder: false, exclusive: false, truncate: false, write: true };
const OLD: Opening = Opening { create: false, write: false, ..NEW };

fn disk() -> Disk {
    Disk { room: 1 << 20, ..Disk::default() }
}

#[test]
fn forged_handles_are_refused() {
    let mut disk = disk();
    let file = disk.open(ROOT_HANDLE, "x", NEW, true, None).unwrap();
    assert_eq!(file, FIRST_HANDLE);
    for handle in [0, file + 1, 1000, u32::MAX] {
        assert_eq!(disk.handle(handle), Err(Code::BadDescriptor));
        assert_eq!(disk.open(handle, "x", OLD, true, None), Err(Code::BadDescriptor));
        assert_eq!(disk.list(handle), Err(Code::BadDescriptor));
        assert_eq!(disk.next_entry(handle), Err(Code::BadDescriptor));
        disk.close(handle);
        disk.close_listing(handle);
    }
    assert_eq!(disk.list(file), Err(Code::NotDirectory));
    assert_eq!(disk.open(file, "x", OLD, true, None), Err(Code::NotDirectory));
    disk.close(ROOT_HANDLE);
    assert!(disk.handle(ROOT_HANDLE).is_ok());
}

#[test]
fn a_removed_file_lives_while_it_is_open() {
    let mut disk = disk();
    let first = disk.open(ROOT_HANDLE, "x", NEW, true, None).unwrap();
    let second = disk.open(ROOT_HANDLE, "x", OLD, true, None).unwrap();
    let id = disk.writable(first).unwrap();
    disk.write(id, 0, b"abc", None).unwrap();
    disk.remove(ROOT_HANDLE, "x", false, None).unwrap();
    assert_eq!(disk.find(ROOT_HANDLE, "x"), Err(Code::NoEntry));
    disk.close(first);
    assert_eq!(disk.readable(second).unwrap().1.as_slice(), b"abc");
    assert_eq!(disk.stat(id).unwrap().links, 0);
    disk.close(second);
    assert_eq!(disk.stat(id), Err(Code::BadDescriptor));
    disk.tree.check();
}

#[test]
fn a_folder_is_listed_while_it_is_emptied() {
    let mut disk = disk();
    for name in ["c", "a", "b"] {
        let file = disk.open(ROOT_HANDLE, name, NEW, true, None).unwrap();
        disk.close(file);
    }
    let listing = disk.list(ROOT_HANDLE).unwrap();
    let mut found = Vec::new();
    while let Some((name, folder)) = disk.next_entry(listing).unwrap() {
        if !folder {
            disk.remove(ROOT_HANDLE, &name, false, None).unwrap();
        }
        found.push(name);
    }
    assert_eq!(found.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["a", "b", "c", "tmp"]);
    disk.close_listing(listing);
    assert_eq!(disk.next_entry(listing), Err(Code::BadDescriptor));
}

#[test]
fn there_is_an_end_of_handles() {
    let mut disk = disk();
    for _ in 0..MOST_OPEN {
        disk.open(ROOT_HANDLE, "x", NEW, true, None).unwrap();
        disk.list(ROOT_HANDLE).unwrap();
    }
    assert_eq!(disk.open(ROOT_HANDLE, "x", OLD, true, None), Err(Code::Quota));
    assert_eq!(disk.list(ROOT_HANDLE), Err(Code::Quota));
    disk.close(FIRST_HANDLE + 5);
    assert_eq!(disk.open(ROOT_HANDLE, "x", OLD, true, None), Ok(FIRST_HANDLE + 5));
}

#[test]
fn reading_copies_nothing() {
    let mut disk = Disk::of(Arc::default());
    disk.give("in", Content::new(vec![1; 100]), None).unwrap();
    let copy = disk.clone();
    let file = disk.open(ROOT_HANDLE, "in", OLD, true, None).unwrap();
    assert_eq!(disk.readable(file).unwrap().1.len(), 100);
    assert!(disk.find(ROOT_HANDLE, "none").is_err() && disk.open(ROOT_HANDLE, "none", OLD, true, None).is_err());
    disk.close(file);
    assert!(Arc::ptr_eq(disk.tree(), copy.tree()));
}

#[test]
fn without_room_and_without_files_there_is_nothing() {
    let mut disk = Disk::default();
    assert_eq!(disk.find(ROOT_HANDLE, "."), Err(Code::NoEntry));
    assert_eq!(disk.list(ROOT_HANDLE), Err(Code::NoEntry));
    assert_eq!(disk.make_folder(ROOT_HANDLE, "x", None), Err(Code::NoEntry));
    disk.give("in", Content::default(), None).unwrap();
    assert!(disk.find(ROOT_HANDLE, "in").is_ok());
    assert_eq!(disk.make_folder(ROOT_HANDLE, "x", None), Err(Code::ReadOnly));
    assert_eq!(disk.open(ROOT_HANDLE, "in", Opening { write: true, ..OLD }, true, None), Err(Code::ReadOnly));
}
