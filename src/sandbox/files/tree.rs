//! A tree of files in memory: what a file system does, with bounds, and nothing of the host.
//!
//! Nodes and contents are shared between copies until they are written, so that a copy of a tree costs as much as its list
//! of nodes, and a copy of an `Arc` of it nothing.

use super::code::{Code, Result};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

#[path = "contents.rs"]
mod contents;

/// Number of a node; no number comes twice.
pub(super) type Id = u64;
pub(super) const ROOT: Id = 0;
/// Files and folders that a program may make.
const MOST_NODES: usize = 4096;
/// Folders within folders.
pub(super) const MOST_DEPTH: usize = 64;
/// Bytes of a path, and of one name in it: as on Linux.
pub(super) const MOST_PATH: usize = 4096;
pub(super) const MOST_NAME: usize = 255;

pub(super) type Content = Arc<Vec<u8>>;

/// Seconds since 1970 and nanoseconds; none for when the guest's clock started.
pub(super) type Time = Option<(u64, u32)>;

/// When a node was read (as far as a program says so), its content changed, and anything of it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sandbox) struct Times {
    pub read: Time,
    pub written: Time,
    pub changed: Time,
}

impl Times {
    fn all(now: Time) -> Self {
        Self { read: now, written: now, changed: now }
    }
}

/// What a program may do to a tree.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Terms {
    /// Bytes that it may add.
    pub room: usize,
    pub now: Time,
}

impl Terms {
    /// What the host itself may do.
    pub const HOST: Self = Self { room: usize::MAX, now: None };
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    File(Content),
    Folder(BTreeMap<Arc<str>, Id>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    /// None of what was removed while it was open.
    parent: Option<Id>,
    kind: Kind,
    times: Times,
    /// Bytes that do not count, of what the host put here; none of what a program made.
    given: Option<usize>,
}

impl Node {
    fn len(&self) -> usize {
        match &self.kind {
            Kind::File(content) => content.len(),
            Kind::Folder(_) => 0,
        }
    }

    /// Memory of its content.
    pub(super) fn held(&self) -> usize {
        match &self.kind {
            Kind::File(content) => content.capacity(),
            Kind::Folder(_) => 0,
        }
    }

    /// What a program pays for it, if it has a name of so many bytes.
    fn cost(&self, name: usize) -> usize {
        match self.given {
            Some(free) => self.len().saturating_sub(free),
            None => self.len() + name,
        }
    }
}

/// What `stat` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Stat {
    pub folder: bool,
    pub links: u64,
    pub size: u64,
    pub times: Times,
}

/// How to open.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)]
pub(in crate::sandbox) struct Opening {
    pub create: bool,
    pub folder: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub write: bool,
}

/// The last step of a path.
struct Spot<'p> {
    folder: Id,
    /// None where the path ends in a folder's own name, `.` or `..`.
    name: Option<&'p str>,
    /// It must be a folder, as a slash follows.
    slash: bool,
}

/// Files and folders. A copy shares what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Tree {
    nodes: BTreeMap<Id, Arc<Node>>,
    next: Id,
    /// What a program pays for: bytes of contents and names.
    cost: usize,
    /// Nodes that a program made.
    made: usize,
}

impl Default for Tree {
    /// A root with an empty folder for temporary files.
    fn default() -> Self {
        let folder = |parent, children| {
            let kind = Kind::Folder(children);
            Arc::new(Node { parent, kind, times: Times::default(), given: Some(0) })
        };
        let root = folder(Some(ROOT), BTreeMap::from([("tmp".into(), 1)]));
        let nodes = BTreeMap::from([(ROOT, root), (1, folder(Some(ROOT), BTreeMap::new()))]);
        Self { nodes, next: 2, cost: 0, made: 0 }
    }
}

impl Tree {
    fn node(&self, id: Id) -> Result<&Node> {
        self.nodes.get(&id).map(Arc::as_ref).ok_or(Code::BadDescriptor)
    }

    fn node_mut(&mut self, id: Id) -> Result<&mut Node> {
        self.nodes.get_mut(&id).map(Arc::make_mut).ok_or(Code::BadDescriptor)
    }

    fn entries(&self, id: Id) -> Result<&BTreeMap<Arc<str>, Id>> {
        match &self.node(id)?.kind {
            Kind::Folder(entries) => Ok(entries),
            Kind::File(_) => Err(Code::NotDirectory),
        }
    }

    fn entries_mut(&mut self, id: Id, now: Time) -> Result<&mut BTreeMap<Arc<str>, Id>> {
        let node = self.node_mut(id)?;
        (node.times.written, node.times.changed) = (now, now);
        match &mut node.kind {
            Kind::Folder(entries) => Ok(entries),
            Kind::File(_) => Err(Code::NotDirectory),
        }
    }

    /// The folder above; above the root there is the root.
    fn above(&self, id: Id) -> Result<Id> {
        self.entries(id)?;
        self.node(id)?.parent.ok_or(Code::NoEntry)
    }

    fn depth(&self, mut id: Id) -> Result<usize> {
        let mut depth = 0;
        while id != ROOT {
            id = self.node(id)?.parent.ok_or(Code::NoEntry)?;
            depth += 1;
        }
        Ok(depth)
    }

    /// How many levels there are below, itself included.
    fn height(&self, id: Id) -> usize {
        let Ok(entries) = self.entries(id) else { return 1 };
        // No deeper than `MOST_DEPTH`.
        1 + entries.values().map(|&child| self.height(child)).max().unwrap_or(0)
    }

    /// What a folder has under a name.
    fn child(&self, folder: Id, name: &str) -> Result<Option<Id>> {
        let entries = self.entries(folder)?;
        if name.len() > MOST_NAME { Err(Code::NameTooLong) } else { Ok(entries.get(name).copied()) }
    }

    fn step(&self, at: Id, name: &str) -> Result<Id> {
        self.entries(at)?;
        match name {
            "" | "." => Ok(at),
            ".." => self.above(at),
            name => self.child(at, name)?.ok_or(Code::NoEntry),
        }
    }

    /// What a path names, seen from a folder.
    pub fn find(&self, from: Id, path: &str) -> Result<Id> {
        check(path)?;
        path.split('/').try_fold(from, |at, name| self.step(at, name))
    }

    fn spot<'p>(&self, from: Id, path: &'p str) -> Result<Spot<'p>> {
        check(path)?;
        let trimmed = path.trim_end_matches('/');
        let (head, last) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
        let folder = head.split('/').try_fold(from, |at, name| self.step(at, name))?;
        let slash = trimmed.len() < path.len();
        match last {
            "" | "." | ".." => Ok(Spot { folder: self.step(folder, last)?, name: None, slash }),
            name => {
                self.entries(folder)?;
                Ok(Spot { folder, name: Some(name), slash })
            }
        }
    }

    /// Opens a file or folder; where it is to be made, makes it.
    pub fn open(&mut self, from: Id, path: &str, how: Opening, terms: Terms) -> Result<Id> {
        let spot = self.spot(from, path)?;
        if how.create && spot.slash && spot.name.is_some() {
            return Err(Code::IsDirectory);
        }
        let known = match spot.name {
            None => Some(spot.folder),
            Some(name) => self.child(spot.folder, name)?,
        };
        let Some(id) = known else {
            return match spot.name {
                Some(_) if how.create && how.folder => Err(Code::Invalid),
                Some(name) if how.create => self.make(spot.folder, name, Kind::File(Content::default()), terms),
                _ => Err(Code::NoEntry),
            };
        };
        let folder = self.entries(id).is_ok();
        if how.create && how.exclusive {
            return Err(Code::Exist);
        }
        if folder && (how.write || how.truncate || how.create) {
            return Err(Code::IsDirectory);
        }
        if !folder && (how.folder || spot.slash) {
            return Err(Code::NotDirectory);
        }
        if how.truncate {
            self.resize(id, 0, terms)?;
        } else if how.write {
            writable(terms)?;
        }
        Ok(id)
    }

    pub fn make_folder(&mut self, from: Id, path: &str, terms: Terms) -> Result<Id> {
        let spot = self.spot(from, path)?;
        match spot.name {
            Some(name) if self.child(spot.folder, name)?.is_none() => {
                self.make(spot.folder, name, Kind::Folder(BTreeMap::new()), terms)
            }
            _ => Err(Code::Exist),
        }
    }

    /// Bytes of the path of a folder, with a slash after each name.
    fn prefix(&self, mut folder: Id) -> Result<usize> {
        let mut len = 0;
        while folder != ROOT {
            let above = self.above(folder)?;
            let name = self.entries(above)?.iter().find(|(_, child)| **child == folder).ok_or(Code::NoEntry)?.0;
            len += name.len() + 1;
            folder = above;
        }
        Ok(len)
    }

    /// Bytes of the longest path below, with a slash before each name. No deeper than `MOST_DEPTH`.
    fn longest_below(&self, id: Id) -> usize {
        let entries = self.entries(id).into_iter().flatten();
        entries.map(|(name, &child)| 1 + name.len() + self.longest_below(child)).max().unwrap_or(0)
    }

    fn make(&mut self, folder: Id, name: &str, kind: Kind, terms: Terms) -> Result<Id> {
        writable(terms)?;
        if self.depth(folder)? + 1 > MOST_DEPTH || self.prefix(folder)? + name.len() > MOST_PATH {
            return Err(Code::NameTooLong);
        }
        let host = terms.room == usize::MAX;
        let given = host.then_some(0);
        if !host && (self.made >= MOST_NODES || self.cost + name.len() > terms.room) {
            return Err(Code::InsufficientSpace);
        }
        let id = self.next;
        let node = Node { parent: Some(folder), kind, times: Times::all(terms.now), given };
        self.entries_mut(folder, terms.now)?.insert(name.into(), id);
        self.cost += node.cost(name.len());
        self.made += usize::from(!host);
        self.nodes.insert(id, Arc::new(node));
        self.next += 1;
        Ok(id)
    }

    /// Removes a name, and gives what it named: that stays until `discard`, as it may be open.
    pub fn remove(&mut self, from: Id, path: &str, folder: bool, terms: Terms) -> Result<Id> {
        let spot = self.spot(from, path)?;
        let Some(name) = spot.name else {
            return Err(if !folder {
                Code::IsDirectory
            } else if path.trim_end_matches('/').ends_with("..") {
                Code::NotEmpty
            } else if spot.folder == ROOT {
                Code::Busy
            } else {
                Code::Invalid
            });
        };
        let id = self.child(spot.folder, name)?.ok_or(Code::NoEntry)?;
        match self.entries(id) {
            Ok(_) if !folder => return Err(Code::IsDirectory),
            Ok(entries) if !entries.is_empty() => return Err(Code::NotEmpty),
            Err(_) if folder || spot.slash => return Err(Code::NotDirectory),
            _ => {}
        }
        writable(terms)?;
        self.detach(spot.folder, name, terms.now)?;
        Ok(id)
    }

    fn detach(&mut self, folder: Id, name: &str, now: Time) -> Result<()> {
        let id = self.entries_mut(folder, now)?.remove(name).ok_or(Code::NoEntry)?;
        let node = self.node_mut(id)?;
        node.parent = None;
        node.times.changed = now;
        let less = node.cost(name.len()) - node.cost(0);
        self.cost -= less;
        Ok(())
    }

    /// Forgets what has no name any more.
    pub fn discard(&mut self, id: Id) {
        if self.nodes.get(&id).is_some_and(|node| node.parent.is_none())
            && let Some(node) = self.nodes.remove(&id)
        {
            self.cost -= node.cost(0);
            self.made -= usize::from(node.given.is_none());
        }
    }

    /// Whether it is there without a name.
    pub fn is_detached(&self, id: Id) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.parent.is_none())
    }

    /// Moves; gives what was in the way, as `remove` does.
    pub fn rename(&mut self, old: (Id, &str), new: (Id, &str), terms: Terms) -> Result<Option<Id>> {
        let (source, target) = (self.spot(old.0, old.1)?, self.spot(new.0, new.1)?);
        let (Some(old_name), Some(new_name)) = (source.name, target.name) else { return Err(Code::Busy) };
        let id = self.child(source.folder, old_name)?.ok_or(Code::NoEntry)?;
        let there = self.child(target.folder, new_name)?;
        let folder = self.entries(id).is_ok();
        if !folder && (source.slash || target.slash) {
            return Err(Code::NotDirectory);
        }
        if there == Some(id) {
            return Ok(None);
        }
        let mut above = target.folder;
        while above != ROOT {
            if above == id {
                return Err(Code::Invalid);
            }
            above = self.above(above)?;
        }
        if let Some(there) = there {
            match self.entries(there) {
                Ok(_) if !folder => return Err(Code::IsDirectory),
                Ok(entries) if !entries.is_empty() => return Err(Code::NotEmpty),
                Err(_) if folder => return Err(Code::NotDirectory),
                _ => {}
            }
        }
        writable(terms)?;
        if self.depth(target.folder)? + self.height(id) > MOST_DEPTH
            || self.prefix(target.folder)? + new_name.len() + self.longest_below(id) > MOST_PATH
        {
            return Err(Code::NameTooLong);
        }
        let name = |id: Id, name: &str| self.node(id).map_or(0, |node| node.cost(name.len()) - node.cost(0));
        let (more, freed) = (name(id, new_name), name(id, old_name) + there.map_or(0, |there| name(there, new_name)));
        if more > freed && self.cost.saturating_add(more - freed) > terms.room {
            return Err(Code::InsufficientSpace);
        }
        if there.is_some() {
            self.detach(target.folder, new_name, terms.now)?;
        }
        self.detach(source.folder, old_name, terms.now)?;
        self.entries_mut(target.folder, terms.now)?.insert(new_name.into(), id);
        let node = self.node_mut(id)?;
        node.parent = Some(target.folder);
        let more = node.cost(new_name.len()) - node.cost(0);
        self.cost += more;
        Ok(there)
    }

    /// The entry of a folder that follows a name, and whether it is a folder.
    pub fn entry_after(&self, folder: Id, name: Option<&str>) -> Result<Option<(Arc<str>, bool)>> {
        let after = name.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.entries(folder)?.range::<str, _>((after, Bound::Unbounded)).next();
        Ok(next.map(|(name, &id)| (Arc::clone(name), self.entries(id).is_ok())))
    }

    #[cfg(test)]
    pub fn check(&self) {
        let mut cost = 0;
        for (&id, node) in &self.nodes {
            let mut name = 0;
            if let Some(parent) = node.parent.filter(|_| id != ROOT) {
                let entries = self.entries(parent).expect("a folder");
                name = entries.iter().find(|(_, child)| **child == id).expect("an entry").0.len();
            }
            cost += node.cost(name);
            for child in self.entries(id).into_iter().flat_map(BTreeMap::values) {
                assert_eq!(self.node(*child).expect("a node").parent, Some(id));
            }
        }
        assert_eq!(self.cost, cost);
        assert_eq!(self.made, self.nodes.values().filter(|node| node.given.is_none()).count());
    }
}

fn writable(terms: Terms) -> Result<()> {
    if terms.room == 0 { Err(Code::ReadOnly) } else { Ok(()) }
}

fn check(path: &str) -> Result<()> {
    match path {
        "" => Err(Code::NoEntry),
        path if path.len() > MOST_PATH => Err(Code::NameTooLong),
        path if path.starts_with('/') => Err(Code::NotPermitted),
        path if path.contains('\0') => Err(Code::IllegalByteSequence),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
