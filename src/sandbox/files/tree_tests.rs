//! Random changes: the books of the tree must balance, its bounds hold, and a copy never change with it.

use super::*;
use proptest::prelude::*;

const ROOM: usize = 400;
const TERMS: Terms = Terms { room: ROOM, now: Some((7, 0)) };

#[derive(Debug, Clone)]
enum Change {
    Open(String, Opening),
    Folder(String),
    Remove(String, bool),
    Rename(String, String),
    Write(String, u64, usize),
    Resize(String, u64),
    Give(String, usize),
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "tmp", "long-name"]),
        1 => prop::sample::select(vec!["..", ".", "", "é"]),
    ];
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn change() -> impl Strategy<Value = Change> {
    let opening = any::<(bool, bool, bool, bool, bool)>().prop_map(|(create, folder, exclusive, truncate, write)| {
        Opening { create, folder, exclusive, truncate, write }
    });
    let offset = prop_oneof![0..300u64, Just(u64::MAX), Just(1 << 40)];
    prop_oneof![
        (path(), opening).prop_map(|(path, how)| Change::Open(path, how)),
        path().prop_map(Change::Folder),
        (path(), any::<bool>()).prop_map(|(path, folder)| Change::Remove(path, folder)),
        (path(), path()).prop_map(|(old, new)| Change::Rename(old, new)),
        (path(), offset.clone(), 0..200usize).prop_map(|(path, offset, len)| Change::Write(path, offset, len)),
        (path(), offset).prop_map(|(path, len)| Change::Resize(path, len)),
        ("[ab]{1}(/[ab]){0,2}", 0..500usize).prop_map(|(path, len)| Change::Give(path, len)),
    ]
}

fn apply(tree: &mut Tree, change: &Change) -> Result<()> {
    match change {
        Change::Open(path, how) => tree.open(ROOT, path, *how, TERMS).map(|_| ()),
        Change::Folder(path) => tree.make_folder(ROOT, path, TERMS).map(|_| ()),
        Change::Remove(path, folder) => tree.remove(ROOT, path, *folder, TERMS).map(|id| tree.discard(id)),
        Change::Rename(old, new) => {
            tree.rename((ROOT, old), (ROOT, new), TERMS).map(|there| there.into_iter().for_each(|id| tree.discard(id)))
        }
        Change::Write(path, offset, len) => {
            let id = tree.find(ROOT, path)?;
            tree.write(id, *offset, &vec![7; *len], TERMS).map(|_| ())
        }
        Change::Resize(path, len) => {
            let id = tree.find(ROOT, path)?;
            tree.resize(id, *len, TERMS)
        }
        Change::Give(path, len) => tree.give(path, Content::new(vec![3; *len]), None),
    }
}

proptest! {
    #[test]
    fn books_balance(changes in prop::collection::vec(change(), 1..60)) {
        let mut tree = Tree::default();
        for change in &changes {
            let before = tree.clone();
            let files: Vec<_> = before.files().into_iter().map(|(path, content)| (path, content.to_vec())).collect();
            let done = apply(&mut tree, change);
            tree.check();
            prop_assert!(tree.cost <= ROOM, "{change:?}: {}", tree.cost);
            if done.is_err() && !matches!(change, Change::Give(..)) {
                prop_assert_eq!(&tree, &before, "{:?}", change);
            }
            let again: Vec<_> = before.files().into_iter().map(|(path, content)| (path, content.to_vec())).collect();
            prop_assert_eq!(files, again, "{:?} changed a copy", change);
        }
    }

    #[test]
    fn what_is_written_is_read(offset in 0..300u64, bytes in prop::collection::vec(any::<u8>(), 1..100)) {
        let mut tree = Tree::default();
        let how = Opening { create: true, write: true, ..Opening::default() };
        let id = tree.open(ROOT, "x", how, TERMS).unwrap();
        let count = tree.write(id, offset, &bytes, TERMS).unwrap();
        let start = usize::try_from(offset).unwrap();
        prop_assert_eq!(count, bytes.len().min(ROOM - 1 - start));
        let content = tree.content(id).unwrap();
        prop_assert_eq!(&content[start..], &bytes[..count]);
        prop_assert!(content[..start].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn nodes_and_depth_have_a_bound() {
    let terms = Terms { room: 1 << 30, now: None };
    let mut tree = Tree::default();
    for number in 0..MOST_NODES {
        tree.make_folder(ROOT, &format!("{number}"), terms).unwrap();
    }
    assert_eq!(tree.make_folder(ROOT, "x", terms), Err(Code::InsufficientSpace));
    let mut tree = Tree::default();
    let mut at = ROOT;
    for _ in 0..MOST_DEPTH {
        at = tree.make_folder(at, "d", terms).unwrap();
    }
    assert_eq!(tree.make_folder(at, "d", terms), Err(Code::NameTooLong));
    tree.make_folder(ROOT, "e", terms).unwrap();
    assert_eq!(tree.rename((ROOT, "d"), (ROOT, "e/d"), terms), Err(Code::NameTooLong));
    tree.check();
}

#[test]
fn what_the_host_put_costs_nothing_and_its_growth_does() {
    let mut tree = Tree::default();
    tree.give("a/in", Content::new(vec![0; 10_000]), None).unwrap();
    let id = tree.find(ROOT, "a/in").unwrap();
    assert_eq!((tree.cost, tree.made), (0, 0));
    assert_eq!(tree.write(id, 10_000, &[1; 1000], TERMS), Ok(ROOM));
    assert_eq!(tree.write(id, 10_000 + ROOM as u64, &[1], TERMS), Err(Code::InsufficientSpace));
    assert_eq!(tree.write(id, 5, &[1; 1000], TERMS), Ok(1000));
    tree.remove(ROOT, "a/in", false, TERMS).unwrap();
    tree.discard(id);
    assert_eq!(tree.cost, 0);
    tree.check();
}

#[test]
fn what_is_cut_off_a_file_takes_no_memory() {
    let terms = Terms { room: 1 << 20, now: None };
    let mut tree = Tree::default();
    let how = Opening { create: true, write: true, ..Opening::default() };
    for number in 0..100 {
        let id = tree.open(ROOT, &format!("{number}"), how, terms).unwrap();
        tree.resize(id, 1 << 19, terms).unwrap();
        assert!(tree.bytes() >= 1 << 19);
        tree.resize(id, 1, terms).unwrap();
    }
    assert!(tree.bytes() < 100_000, "{}", tree.bytes());
    tree.check();
}

#[test]
fn whole_paths_have_a_bound_also_by_renaming() {
    let terms = Terms { room: 1 << 20, now: None };
    let name = "n".repeat(MOST_NAME);
    let mut tree = Tree::default();
    let mut at = ROOT;
    let mut len = 0;
    while len + 1 + name.len() <= MOST_PATH {
        at = tree.make_folder(at, &name, terms).unwrap();
        len += name.len() + 1;
    }
    assert_eq!(tree.make_folder(at, &name, terms), Err(Code::NameTooLong));
    tree.make_folder(ROOT, "top", terms).unwrap();
    tree.make_folder(ROOT, &format!("top/{}", "m".repeat(MOST_NAME)), terms).unwrap();
    let below = format!("top/{}/x", "m".repeat(MOST_NAME));
    assert_eq!(tree.rename((ROOT, &name), (ROOT, &below), terms), Err(Code::NameTooLong));
    tree.rename((ROOT, &name), (ROOT, "x"), terms).unwrap();
    tree.check();
}
