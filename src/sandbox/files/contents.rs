//! What is in the files of a tree, and what it costs.

use super::{Code, Content, Id, Kind, ROOT, Result, Stat, Terms, Time, Tree, writable};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Room that a small file may keep, bytes.
const SPARE: usize = 512;

impl Tree {
    /// A file's content.
    pub fn content(&self, id: Id) -> Result<&Content> {
        match &self.node(id)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder(_) => Err(Code::IsDirectory),
        }
    }

    /// Changes a content's length at most to `len`, then what `change` does; it must keep the length.
    fn change(&mut self, id: Id, len: usize, now: Time, change: impl FnOnce(&mut [u8])) -> Result<()> {
        let node = self.node_mut(id)?;
        let before = node.cost(0);
        let Kind::File(content) = &mut node.kind else { return Err(Code::IsDirectory) };
        if len == 0 {
            // Not copied, where others share it.
            *content = Content::default();
        } else {
            let content = Arc::make_mut(content);
            content.resize(len, 0);
            // What was cut off must not stay: it counts against no limit.
            if content.capacity() > 2 * len + SPARE {
                content.shrink_to_fit();
            }
            change(content);
        }
        (node.times.written, node.times.changed) = (now, now);
        let after = node.cost(0);
        self.cost = self.cost - before + after;
        Ok(())
    }

    /// How long a file may become.
    fn longest(&self, id: Id, terms: Terms) -> Result<usize> {
        let node = self.node(id)?;
        let room = terms.room.saturating_add(node.cost(0)).saturating_sub(self.cost);
        Ok(room.saturating_add(node.given.unwrap_or(0)).max(node.len()))
    }

    /// Cuts a file, or fills it up with zeros.
    pub fn resize(&mut self, id: Id, len: u64, terms: Terms) -> Result<()> {
        self.content(id)?;
        writable(terms)?;
        match usize::try_from(len) {
            Ok(len) if len <= self.longest(id, terms)? => self.change(id, len, terms.now, |_| {}),
            _ => Err(Code::InsufficientSpace),
        }
    }

    /// How many bytes a file takes at an offset, up to `len`; at least one.
    pub fn space(&self, id: Id, offset: u64, len: usize, terms: Terms) -> Result<usize> {
        self.content(id)?;
        writable(terms)?;
        let longest = self.longest(id, terms)?;
        match usize::try_from(offset) {
            Ok(offset) if offset < longest => Ok(len.min(longest - offset)),
            _ => Err(Code::InsufficientSpace),
        }
    }

    /// Writes what there is space for; how much that was.
    pub fn write(&mut self, id: Id, offset: u64, bytes: &[u8], terms: Terms) -> Result<usize> {
        if bytes.is_empty() {
            return self.content(id).and_then(|_| writable(terms)).map(|()| 0);
        }
        let count = self.space(id, offset, bytes.len(), terms)?;
        let start = usize::try_from(offset).map_err(|_| Code::InsufficientSpace)?;
        let len = self.content(id)?.len().max(start + count);
        self.change(id, len, terms.now, |content| content[start..start + count].copy_from_slice(&bytes[..count]))?;
        Ok(count)
    }

    pub fn stat(&self, id: Id) -> Result<Stat> {
        let node = self.node(id)?;
        let folder = matches!(node.kind, Kind::Folder(_));
        let links = u64::from(node.parent.is_some());
        Ok(Stat { folder, links, size: node.len() as u64, times: node.times })
    }

    /// Sets the times that are given.
    pub fn set_times(&mut self, id: Id, read: Option<Time>, written: Option<Time>, terms: Terms) -> Result<()> {
        self.node(id)?;
        writable(terms)?;
        let times = &mut self.node_mut(id)?.times;
        times.read = read.unwrap_or(times.read);
        times.written = written.unwrap_or(times.written);
        times.changed = terms.now;
        Ok(())
    }

    /// A file put here by the host: it costs the program nothing. The folders on its way are made.
    pub fn give(&mut self, path: &str, content: Content, now: Time) -> Result<()> {
        let terms = Terms { now, ..Terms::HOST };
        let mut folder = ROOT;
        let (head, name) = path.rsplit_once('/').unwrap_or(("", path));
        for part in head.split('/').filter(|part| !part.is_empty()) {
            folder = match self.child(folder, part)? {
                Some(id) => id,
                None => self.make(folder, part, Kind::Folder(BTreeMap::new()), terms)?,
            };
        }
        let id = match self.child(folder, name)? {
            Some(id) => id,
            None => self.make(folder, name, Kind::File(Content::default()), terms)?,
        };
        self.content(id)?;
        let node = self.node_mut(id)?;
        let before = node.cost(name.len());
        self.made -= usize::from(self.node(id)?.given.is_none());
        let node = self.node_mut(id)?;
        node.given = Some(content.len());
        node.kind = Kind::File(content);
        (node.times.written, node.times.changed) = (now, now);
        self.cost -= before;
        Ok(())
    }

    /// All files with their paths, sorted.
    pub fn files(&self) -> Vec<(String, &Content)> {
        let mut found = Vec::new();
        let mut folders = vec![(ROOT, String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for (name, &id) in self.entries(folder).into_iter().flatten() {
                match self.nodes.get(&id).map(|node| &node.kind) {
                    Some(Kind::File(content)) => found.push((format!("{prefix}{name}"), content)),
                    Some(Kind::Folder(_)) => folders.push((id, format!("{prefix}{name}/"))),
                    None => {}
                }
            }
        }
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Bytes that it takes in the host, about.
    pub fn bytes(&self) -> usize {
        self.nodes.values().map(|node| node.held() + 256).sum()
    }
}
