//! Files of a guest: a tree in memory, of which the host's file system knows nothing.
//!
//! `tree` is the tree, `disk` what one instance has of it, `wasi` the guest's imports. Here is what the host's side sees.

mod code;
mod disk;
mod tree;
pub(super) mod wasi;

pub(super) use disk::Disk;

use crate::error::Error;
use code::Code;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use tree::{Content, MOST_DEPTH, MOST_NAME, MOST_PATH, ROOT, Tree};
use xxhash_rust::xxh3::Xxh3;

/// Files by path, such as those that a program finds. Cheap to clone.
///
/// ```
/// use mentor::sandbox::Files;
///
/// let files = Files::new([("data/in.csv", b"a,b\n1,2\n".as_slice())])?;
/// assert_eq!(files.get("data/in.csv"), Some(b"a,b\n1,2\n".as_slice()));
/// assert!(Files::new([("../in.csv", b"".as_slice())]).is_err());
/// # Ok::<(), mentor::error::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Files(Option<Arc<Given>>);

#[derive(Debug)]
struct Given {
    tree: Arc<Tree>,
    hash: OnceLock<u64>,
}

impl Files {
    /// Files of these contents. A path is relative, its parts are divided by `/`.
    pub fn new<P: AsRef<str>, B: Into<Vec<u8>>>(files: impl IntoIterator<Item = (P, B)>) -> Result<Self, Error> {
        Self::default().and(files)
    }

    /// The same with more files, which replace those of equal paths.
    pub fn and<P: AsRef<str>, B: Into<Vec<u8>>>(&self, files: impl IntoIterator<Item = (P, B)>) -> Result<Self, Error> {
        let mut tree = self.tree();
        let mut any = self.0.is_some();
        for (path, content) in files {
            give(Arc::make_mut(&mut tree), path.as_ref(), content.into())?;
            any = true;
        }
        Ok(Self(any.then(|| Arc::new(Given { tree, hash: OnceLock::new() }))))
    }

    /// The same with all files of another.
    pub fn with(&self, other: &Self) -> Result<Self, Error> {
        match (&self.0, &other.0) {
            (_, None) => Ok(self.clone()),
            (None, Some(_)) => Ok(other.clone()),
            (Some(own), Some(other)) => {
                let mut tree = Arc::clone(&own.tree);
                for (path, content) in other.tree.files() {
                    give_content(Arc::make_mut(&mut tree), &path, Arc::clone(content))?;
                }
                Ok(Self(Some(Arc::new(Given { tree, hash: OnceLock::new() }))))
            }
        }
    }

    /// Content of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        let tree = &self.0.as_ref()?.tree;
        let id = tree.find(ROOT, path).ok()?;
        tree.content(id).ok().map(|content| content.as_slice())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn tree(&self) -> Arc<Tree> {
        match &self.0 {
            Some(given) => Arc::clone(&given.tree),
            None => Arc::clone(Disk::default().tree()),
        }
    }

    pub(super) fn disk(&self) -> Disk {
        Disk::of(self.tree())
    }
}

impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.tree.files() == b.tree.files(),
            _ => false,
        }
    }
}

impl Eq for Files {}

impl Hash for Files {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let hash = self.0.as_ref().map(|given| {
            *given.hash.get_or_init(|| {
                let mut hash = Xxh3::new();
                given.tree.files().hash(&mut hash);
                hash.digest()
            })
        });
        hash.hash(state);
    }
}

fn give(tree: &mut Tree, path: &str, content: Vec<u8>) -> Result<(), Error> {
    check_path(path)?;
    give_content(tree, path, Content::new(content))
}

fn give_content(tree: &mut Tree, path: &str, content: Content) -> Result<(), Error> {
    tree.give(path, content, None).map_err(|code| conflict(path, code))
}

fn conflict(path: &str, code: Code) -> Error {
    Error::Input(match code {
        Code::IsDirectory => format!("the file {path:?} would take the place of a folder; use another path"),
        Code::NotDirectory => format!("the file {path:?} would lie within a file; use another path"),
        code => format!("the file {path:?} cannot be put here ({code:?}); use another path"),
    })
}

/// Refuses what is no relative path of whole names.
fn check_path(path: &str) -> Result<(), Error> {
    let problem = if path.is_empty() {
        "is empty"
    } else if path.contains('\\') {
        "has a backslash: divide its parts by '/'"
    } else if path.starts_with('/') {
        "is absolute: leave the first '/' out, the working folder is the root"
    } else if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        "has empty parts, '.' or '..': write it without them"
    } else if path.contains('\0') {
        "has a NUL character"
    } else if path.len() > MOST_PATH || path.split('/').any(|name| name.len() > MOST_NAME) {
        "is too long: 4096 bytes, and 255 for each name, are the most"
    } else if path.split('/').count() > MOST_DEPTH {
        "is too deep: 64 parts are the most"
    } else {
        return Ok(());
    };
    let shown: String = path.chars().take(100).collect();
    Err(Error::Input(format!("the path {shown:?} of a file {problem}, such as 'data/in.csv'")))
}

/// Files that a run made or changed, with their contents, sorted by path.
pub type Changes = Vec<(String, Arc<Vec<u8>>)>;

impl Disk {
    /// What is new or different since a former tree.
    pub(super) fn changes(&self, before: &Arc<Tree>) -> Changes {
        if Arc::ptr_eq(self.tree(), before) {
            return Changes::new();
        }
        let (now, before) = (self.tree().files(), before.files());
        let mut found = Changes::new();
        let mut before = before.into_iter().peekable();
        for (path, content) in now {
            while before.next_if(|(other, _)| *other < path).is_some() {}
            let known = before.next_if(|(other, _)| *other == path);
            if !known.is_some_and(|(_, old)| Arc::ptr_eq(old, content) || old == content) {
                found.push((path, Arc::clone(content)));
            }
        }
        found
    }

    /// Paths of all files, sorted.
    pub(super) fn paths(&self) -> Vec<String> {
        self.tree().files().into_iter().map(|(path, _)| path).collect()
    }

    /// Content of a file.
    pub(super) fn read(&self, path: &str) -> Option<Content> {
        check_path(path).ok()?;
        let id = self.tree().find(ROOT, path).ok()?;
        self.content(id).ok().map(Arc::clone)
    }

    /// Puts a file.
    pub(super) fn put(&mut self, path: &str, content: Vec<u8>, now: (u64, u32)) -> Result<(), Error> {
        check_path(path)?;
        self.give(path, Content::new(content), Some(now)).map_err(|code| conflict(path, code))
    }

    /// Removes a file; false where there is none.
    pub(super) fn drop_file(&mut self, path: &str, now: (u64, u32)) -> bool {
        check_path(path).is_ok() && self.take(path, Some(now))
    }
}
