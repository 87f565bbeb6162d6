//! A disk that keeps what was synced: it replays the log of `tests/fixtures/unsynced.c`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::chance::Chance;

/// Bytes that a disk keeps or loses together.
const BLOCK: usize = 4096;
/// Bytes of a record before its paths.
const HEADER: usize = 24;

/// A file or a folder, by its number.
type Node = usize;

/// What was done to a file since its last sync.
#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// What was done to the names in a folder since its last sync: those that are gone, those that
/// are new. Both sides of a rename come together.
#[derive(Clone, Default)]
struct Naming {
    gone: Option<String>,
    new: Option<(String, Node)>,
}

enum Content {
    File { kept: Vec<u8>, pending: Vec<Change> },
    Folder { kept: BTreeMap<String, Node>, pending: Vec<Naming> },
}

/// All of a disk.
pub(crate) struct Image {
    nodes: Vec<Content>,
    /// What the program saw, by path; the folder itself is "".
    now: BTreeMap<PathBuf, Node>,
    /// Operations in the log.
    pub(crate) operations: usize,
}

impl Image {
    /// The disk that held `before`, after the operations in `log`.
    pub(crate) fn replay(before: &Path, log: &Path) -> Self {
        let mut image = Self { nodes: Vec::new(), now: BTreeMap::new(), operations: 0 };
        image.load(before, Path::new(""));
        let bytes = std::fs::read(log).unwrap_or_default();
        let mut rest = &bytes[..];
        // The last record may be cut short with the program, before anything was done.
        while rest.len() >= HEADER {
            let size = |at: usize| {
                usize::try_from(u32::from_le_bytes(rest[at..at + 4].try_into().unwrap())).unwrap()
            };
            let (path, other, length) = (size(4), size(8), size(12));
            let offset = u64::from_le_bytes(rest[16..24].try_into().unwrap());
            if rest.len() < HEADER + path + other + length {
                break;
            }
            let text = |from: usize, length: usize| {
                let bytes = &rest[HEADER + from..HEADER + from + length];
                PathBuf::from(std::str::from_utf8(bytes).unwrap())
            };
            let data = &rest[HEADER + path + other..HEADER + path + other + length];
            let offset = usize::try_from(offset).unwrap();
            image.operate(rest[0], &text(0, path), &text(path, other), offset, data);
            image.operations += 1;
            rest = &rest[HEADER + path + other + length..];
        }
        image
    }

    fn add(&mut self, content: Content) -> Node {
        self.nodes.push(content);
        self.nodes.len() - 1
    }

    /// Takes in a folder that is on the disk as it is.
    fn load(&mut self, folder: &Path, path: &Path) -> Node {
        let mut kept = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let inside = path.join(&name);
            let node = if entry.file_type().unwrap().is_dir() {
                self.load(&entry.path(), &inside)
            } else {
                let kept = std::fs::read(entry.path()).unwrap();
                let node = self.add(Content::File { kept, pending: Vec::new() });
                self.now.insert(inside, node);
                node
            };
            kept.insert(name, node);
        }
        let node = self.add(Content::Folder { kept, pending: Vec::new() });
        self.now.insert(path.to_owned(), node);
        node
    }

    fn operate(&mut self, kind: u8, path: &Path, other: &Path, offset: usize, data: &[u8]) {
        match kind {
            b'c' => {
                let content = Content::File { kept: Vec::new(), pending: Vec::new() };
                self.name(path, content);
            }
            b'm' => {
                let content = Content::Folder { kept: BTreeMap::new(), pending: Vec::new() };
                self.name(path, content);
            }
            b'w' => self.change(path, Change::Write(offset, data.to_vec())),
            b't' => self.change(path, Change::Truncate(offset)),
            b'u' => {
                if self.now.remove(path).is_some() {
                    self.rename(path, Naming { gone: Some(file_name(path)), new: None });
                }
            }
            b'r' => {
                let node = self.now.remove(path).unwrap();
                self.now.insert(other.to_owned(), node);
                assert_eq!(path.parent(), other.parent(), "renamed into another folder");
                let new = Some((file_name(other), node));
                self.rename(path, Naming { gone: Some(file_name(path)), new });
            }
            b's' => self.sync(path),
            other => panic!("an operation `{other}`"),
        }
    }

    fn name(&mut self, path: &Path, content: Content) {
        let node = self.add(content);
        self.now.insert(path.to_owned(), node);
        self.rename(path, Naming { gone: None, new: Some((file_name(path), node)) });
    }

    /// Notes a change of names in the folder of `path`.
    fn rename(&mut self, path: &Path, naming: Naming) {
        let folder = self.now[path.parent().unwrap()];
        let Content::Folder { pending, .. } = &mut self.nodes[folder] else { panic!("no folder") };
        pending.push(naming);
    }

    fn change(&mut self, path: &Path, change: Change) {
        // A file that another process of the test made is none of the program's.
        let Some(node) = self.now.get(path) else { return };
        let Content::File { pending, .. } = &mut self.nodes[*node] else { panic!("no file") };
        pending.push(change);
    }

    fn sync(&mut self, path: &Path) {
        let Some(node) = self.now.get(path) else { return };
        match &mut self.nodes[*node] {
            Content::File { kept, pending } => {
                for change in std::mem::take(pending) {
                    apply(kept, &change, &mut |_| true);
                }
            }
            Content::Folder { kept, pending } => {
                for naming in std::mem::take(pending) {
                    rename(kept, &naming);
                }
            }
        }
    }

    /// Writes what the disk has to `folder`: what was synced, and what `chance` keeps of the rest.
    pub(crate) fn write(&self, folder: &Path, mut chance: Option<Chance>) {
        self.write_node(self.now[Path::new("")], folder, &mut chance);
    }

    fn write_node(&self, node: Node, to: &Path, chance: &mut Option<Chance>) {
        let mut keeps = |_: usize| chance.as_mut().is_some_and(|chance| chance.once_in(2));
        match &self.nodes[node] {
            Content::File { kept, pending } => {
                let mut bytes = kept.clone();
                for change in pending {
                    apply(&mut bytes, change, &mut keeps);
                }
                std::fs::write(to, bytes).unwrap();
            }
            Content::Folder { kept, pending } => {
                let mut names = kept.clone();
                for (index, naming) in pending.iter().enumerate() {
                    if keeps(index) {
                        rename(&mut names, naming);
                    }
                }
                std::fs::create_dir_all(to).unwrap();
                for (name, node) in names {
                    // What is shared between processes is memory, and no file outlives its power.
                    if !name.ends_with("-shm") {
                        self.write_node(node, &to.join(name), chance);
                    }
                }
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn rename(names: &mut BTreeMap<String, Node>, naming: &Naming) {
    if let Some(gone) = &naming.gone {
        names.remove(gone);
    }
    if let Some((name, node)) = &naming.new {
        names.insert(name.clone(), *node);
    }
}

/// Does to a file what is kept of a change, block by block.
fn apply(bytes: &mut Vec<u8>, change: &Change, keeps: &mut impl FnMut(usize) -> bool) {
    match change {
        Change::Truncate(length) => {
            if keeps(0) {
                bytes.resize(*length, 0);
            }
        }
        Change::Write(offset, data) => {
            let mut at = 0;
            while at < data.len() {
                // Up to the next border of blocks.
                let length = (BLOCK - (offset + at) % BLOCK).min(data.len() - at);
                if keeps(at) {
                    let end = offset + at + length;
                    if bytes.len() < end {
                        bytes.resize(end, 0);
                    }
                    bytes[offset + at..end].copy_from_slice(&data[at..at + length]);
                }
                at += length;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, path: &str, data: &[u8]) -> Vec<u8> {
        let size = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
        let head = [[kind, 0, 0, 0], size(path.len()), size(0), size(data.len())].concat();
        [&head[..], &[0; 8][..], path.as_bytes(), data].concat()
    }

    /// The files of a disk after `log`, when everything that was not synced is lost.
    fn left(log: &[Vec<u8>]) -> Vec<(String, String)> {
        let folder = tempfile::TempDir::new().unwrap();
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        std::fs::create_dir_all(&before).unwrap();
        std::fs::write(before.join("old"), "old").unwrap();
        std::fs::write(folder.path().join("log"), log.concat()).unwrap();
        Image::replay(&before, &folder.path().join("log")).write(&after, None);
        let mut files: Vec<(String, String)> = std::fs::read_dir(&after)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (file_name(&path), std::fs::read_to_string(&path).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_file_needs_its_own_sync_and_that_of_its_folder() {
        let (make, write) = (record(b'c', "new", b""), record(b'w', "new", b"bytes"));
        let (sync, name) = (record(b's', "new", b""), record(b's', "", b""));
        let old = || ("old".to_owned(), "old".to_owned());
        let new = |content: &str| ("new".to_owned(), content.to_owned());
        let nothing = [make.clone(), write.clone()];
        assert_eq!(left(&nothing), [old()]);
        assert_eq!(left(&[make.clone(), write.clone(), sync.clone()]), [old()]);
        assert_eq!(left(&[make.clone(), write.clone(), name.clone()]), [new(""), old()]);
        assert_eq!(left(&[make, write, sync, name]), [new("bytes"), old()]);
        let gone = record(b'u', "old", b"");
        assert_eq!(left(std::slice::from_ref(&gone)), [old()]);
        assert_eq!(left(&[gone, record(b's', "", b"")]), []);
    }
}
