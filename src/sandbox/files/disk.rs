//! The tree of one instance, and what its program has open.

use super::code::{Code, Result};
use super::tree::{Content, Id, Opening, ROOT, Stat, Terms, Time, Tree};
use std::sync::{Arc, LazyLock};

/// The handle of the root, which is always open.
pub(super) const ROOT_HANDLE: u32 = 1;
/// The handles of what a program opens.
const FIRST_HANDLE: u32 = 2;
/// Files, folders and listings that a program may have open, of each.
const MOST_OPEN: usize = 256;

static EMPTY: LazyLock<Arc<Tree>> = LazyLock::new(Arc::default);

/// An open file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    pub id: Id,
    pub read: bool,
    pub write: bool,
}

/// How far a folder was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listing {
    folder: Id,
    last: Option<Arc<str>>,
}

/// The files of an instance: part of every saved state, and cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Disk {
    tree: Arc<Tree>,
    open: Vec<Option<Open>>,
    listings: Vec<Option<Listing>>,
    /// Bytes that the program may add.
    pub room: usize,
    /// The host put files here.
    given: bool,
    /// The program asked for a file.
    pub touched: bool,
    /// What the next read or write of a stream means: file and offset.
    pub(super) reading: Option<(Id, u64)>,
    pub(super) writing: Option<(Id, u64)>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            tree: Arc::clone(&EMPTY),
            open: Vec::new(),
            listings: Vec::new(),
            room: 0,
            given: false,
            touched: false,
            reading: None,
            writing: None,
        }
    }
}

impl Disk {
    pub(super) fn of(tree: Arc<Tree>) -> Self {
        let given = !Arc::ptr_eq(&tree, &EMPTY);
        Self { tree, given, ..Self::default() }
    }

    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Bytes that it takes in the host, about.
    pub fn bytes(&self) -> usize {
        if Arc::ptr_eq(&self.tree, &EMPTY) { 0 } else { self.tree.bytes() }
    }

    fn terms(&self, now: Time) -> Terms {
        Terms { room: self.room, now }
    }

    /// The open file or folder of a handle, which may be forged.
    pub(super) fn handle(&mut self, handle: u32) -> Result<Open> {
        self.touched = true;
        if handle == ROOT_HANDLE {
            return Ok(Open { id: ROOT, read: true, write: false });
        }
        let index = handle.checked_sub(FIRST_HANDLE).ok_or(Code::BadDescriptor)?;
        self.open.get(index as usize).copied().flatten().ok_or(Code::BadDescriptor)
    }

    /// The folder of a handle, to name something from. Where nothing can be written and nothing was put, there is nothing:
    /// not even the root.
    fn from(&mut self, handle: u32) -> Result<Id> {
        let open = self.handle(handle)?;
        if self.room == 0 && !self.given { Err(Code::NoEntry) } else { Ok(open.id) }
    }

    /// Whether the program may write at all.
    pub(super) fn is_writable(&self) -> bool {
        self.room > 0
    }

    pub(super) fn find(&mut self, from: u32, path: &str) -> Result<Id> {
        let from = self.from(from)?;
        self.tree.find(from, path)
    }

    pub(super) fn open(&mut self, from: u32, path: &str, how: Opening, read: bool, now: Time) -> Result<u32> {
        let from = self.from(from)?;
        let slot = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if slot >= MOST_OPEN {
            return Err(Code::Quota);
        }
        let terms = self.terms(now);
        // The tree is copied only where something may change.
        let id = if how.create || how.write || how.truncate {
            Arc::make_mut(&mut self.tree).open(from, path, how, terms)?
        } else {
            let id = self.tree.find(from, path)?;
            if how.folder && !self.tree.stat(id)?.folder {
                return Err(Code::NotDirectory);
            }
            id
        };
        if slot == self.open.len() {
            self.open.push(None);
        }
        self.open[slot] = Some(Open { id, read, write: how.write });
        u32::try_from(slot).map(|slot| slot + FIRST_HANDLE).map_err(|_| Code::Quota)
    }

    pub(super) fn close(&mut self, handle: u32) {
        let index = handle.wrapping_sub(FIRST_HANDLE) as usize;
        if let Some(open) = self.open.get_mut(index).and_then(Option::take) {
            self.discard(open.id);
        }
    }

    /// Forgets what has neither a name nor a handle.
    fn discard(&mut self, id: Id) {
        if self.tree.is_detached(id) && !self.open.iter().flatten().any(|open| open.id == id) {
            Arc::make_mut(&mut self.tree).discard(id);
        }
    }

    pub(super) fn make_folder(&mut self, from: u32, path: &str, now: Time) -> Result<()> {
        let (from, terms) = (self.from(from)?, self.terms(now));
        Arc::make_mut(&mut self.tree).make_folder(from, path, terms).map(|_| ())
    }

    pub(super) fn remove(&mut self, from: u32, path: &str, folder: bool, now: Time) -> Result<()> {
        let (from, terms) = (self.from(from)?, self.terms(now));
        let id = Arc::make_mut(&mut self.tree).remove(from, path, folder, terms)?;
        self.discard(id);
        Ok(())
    }

    pub(super) fn rename(&mut self, old: (u32, &str), new: (u32, &str), now: Time) -> Result<()> {
        let (source, target) = ((self.from(old.0)?, old.1), (self.from(new.0)?, new.1));
        let terms = self.terms(now);
        if let Some(id) = Arc::make_mut(&mut self.tree).rename(source, target, terms)? {
            self.discard(id);
        }
        Ok(())
    }

    pub(super) fn stat(&self, id: Id) -> Result<Stat> {
        self.tree.stat(id)
    }

    pub(super) fn set_times(&mut self, id: Id, times: [Option<Time>; 2], now: Time) -> Result<()> {
        let terms = self.terms(now);
        Arc::make_mut(&mut self.tree).set_times(id, times[0], times[1], terms)
    }

    pub(super) fn resize(&mut self, handle: u32, len: u64, now: Time) -> Result<()> {
        let (open, terms) = (self.handle(handle)?, self.terms(now));
        if !open.write {
            return Err(Code::Invalid);
        }
        Arc::make_mut(&mut self.tree).resize(open.id, len, terms)
    }

    /// Content of a file that is open for reading.
    pub(super) fn readable(&mut self, handle: u32) -> Result<(Id, &Content)> {
        let open = self.handle(handle)?;
        let content = self.tree.content(open.id)?;
        if open.read { Ok((open.id, content)) } else { Err(Code::BadDescriptor) }
    }

    pub(super) fn content(&self, id: Id) -> Result<&Content> {
        self.tree.content(id)
    }

    /// A file that is open for writing.
    pub(super) fn writable(&mut self, handle: u32) -> Result<Id> {
        let open = self.handle(handle)?;
        if open.write { Ok(open.id) } else { Err(Code::BadDescriptor) }
    }

    pub(super) fn space(&self, id: Id, offset: u64, len: usize) -> Result<usize> {
        self.tree.space(id, offset, len, self.terms(None))
    }

    pub(super) fn write(&mut self, id: Id, offset: u64, bytes: &[u8], now: Time) -> Result<usize> {
        let terms = self.terms(now);
        Arc::make_mut(&mut self.tree).write(id, offset, bytes, terms)
    }

    pub(super) fn list(&mut self, handle: u32) -> Result<u32> {
        let folder = self.from(handle)?;
        self.tree.entry_after(folder, None)?;
        let slot = self.listings.iter().position(Option::is_none).unwrap_or(self.listings.len());
        if slot >= MOST_OPEN {
            return Err(Code::Quota);
        }
        if slot == self.listings.len() {
            self.listings.push(None);
        }
        self.listings[slot] = Some(Listing { folder, last: None });
        u32::try_from(slot).map(|slot| slot + FIRST_HANDLE).map_err(|_| Code::Quota)
    }

    /// The next entry of a listing, in order; what is added or removed meanwhile disturbs nothing.
    pub(super) fn next_entry(&mut self, listing: u32) -> Result<Option<(Arc<str>, bool)>> {
        let index = listing.wrapping_sub(FIRST_HANDLE) as usize;
        let Some(listing) = self.listings.get_mut(index).and_then(Option::as_mut) else {
            return Err(Code::BadDescriptor);
        };
        // A folder that was removed has no entries.
        let next = self.tree.entry_after(listing.folder, listing.last.as_deref()).unwrap_or(None);
        if let Some((name, _)) = &next {
            listing.last = Some(Arc::clone(name));
        }
        Ok(next)
    }

    pub(super) fn close_listing(&mut self, listing: u32) {
        if let Some(listing) = self.listings.get_mut(listing.wrapping_sub(FIRST_HANDLE) as usize) {
            *listing = None;
        }
    }

    /// A file put here by the host.
    pub(super) fn give(&mut self, path: &str, content: Content, now: Time) -> Result<()> {
        self.given = true;
        Arc::make_mut(&mut self.tree).give(path, content, now)
    }

    /// A file taken away by the host; false where there is none.
    pub(super) fn take(&mut self, path: &str, now: Time) -> bool {
        let host = Terms { now, ..Terms::HOST };
        let removed = Arc::make_mut(&mut self.tree).remove(ROOT, path, false, host);
        removed.map(|id| self.discard(id)).is_ok()
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
