//! One log in a directory: an append file, its full tiles, the signed checkpoint and the public keys.
//! An append is durable when it returns. After any error of the disk the store takes nothing more
//! until it is opened again, since what is on the disk then has to be read, not guessed.

use super::files::{Directory, ReadAt};
use crate::Error;
use nix::fcntl::{Flock, FlockArg};
use quantumos_ledger::checkpoint::Checkpoint;
use quantumos_ledger::files::{CHECKPOINT, Files, KEYS, TilesOf};
use quantumos_ledger::frame::{self, Entry, Log, Tail};
use quantumos_ledger::note::{NOTE_MAX, Note, Signer, VerifierKey};
use quantumos_ledger::tile::{FULL, FromTiles, Tile, WIDTH};
use quantumos_ledger::{Damage, Error as LedgerError, Hash, files, merkle};
use std::fs::{File, OpenOptions};
use std::io::BufReader;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

/// Bytes of the file of public keys, at most.
const KEYS_MAX: usize = 1 << 16;
/// The file is made longer by as much as it has, but by this much at least and at most: an append into room that was
/// written before waits for the data only, not for the file system's journal.
const ROOM: std::ops::RangeInclusive<u64> = (1 << 20)..=(8 << 20);

/// What opening found besides the records, to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// An interrupted write behind the last whole record was cut off: at which byte, and why it was none.
    pub cut: Option<(u64, String)>,
    /// Full tiles that weren't what the records say; written anew, the old ones set aside.
    pub repaired: Vec<String>,
    /// Records that no checkpoint was signed for yet.
    pub unsigned: u64,
}

/// An open log.
#[derive(Debug)]
pub struct Store {
    directory: Directory,
    file: Flock<File>,
    log: Log,
    /// Of every 256th record: where its frame begins, and with which record.
    starts: Vec<(u64, u64)>,
    room: u64,
    unsynced: Vec<String>,
    keys: Vec<VerifierKey>,
    checkpoint: Option<(Checkpoint, Note)>,
    buffer: Vec<u8>,
    failed: Option<String>,
}

fn damaged(file: &str, why: impl Into<String>) -> Error {
    let damage = Damage {
        file: file.into(),
        offset: None,
        records: None,
        why: why.into(),
    };
    LedgerError::Damage(damage).into()
}

impl Store {
    /// Makes a log of this name in a directory where none is.
    ///
    /// # Errors
    /// [`Error::File`], also when there is one; [`Error::Ledger`] for the name.
    pub fn create(directory: Directory, origin: &str) -> Result<Self, Error> {
        let (_, header) = Log::new(origin)?;
        directory.create()?;
        if directory.open(frame::NAME)?.is_some() {
            let there = std::io::ErrorKind::AlreadyExists.into();
            return Err(Error::file(&directory.at(frame::NAME), there));
        }
        directory.replace(frame::NAME, &header)?;
        Self::open(directory, |_| Ok(())).map(|(store, _)| store)
    }

    /// Whether there is a log in a directory.
    ///
    /// # Errors
    /// [`Error::Ledger`] when that can't be told.
    pub fn exists(directory: &Directory) -> Result<bool, Error> {
        Ok(directory.open(frame::NAME)?.is_some())
    }

    /// Opens a log and checks all of it; each record goes to `each`.
    ///
    /// # Errors
    /// [`Error::Ledger`] with the place of what is damaged; nothing is changed then.
    pub fn open(
        directory: Directory,
        mut each: impl FnMut(Entry<'_>) -> Result<(), LedgerError>,
    ) -> Result<(Self, Found), Error> {
        let path = directory.at(frame::NAME);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).mode(0o600);
        let file = options
            .open(&path)
            .map_err(|error| Error::file(&path, error))?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| Error::file(&path, error.into()))?;
        let keys = match directory.read(KEYS, KEYS_MAX)? {
            Some(text) => files::keys(&text)?,
            None => Vec::new(),
        };
        let checkpoint = match directory.read(CHECKPOINT, NOTE_MAX)? {
            Some(bytes) => Some(opened(&bytes, &keys)?),
            None => None,
        };
        let signed = checkpoint.as_ref().map_or(0, |(signed, _)| signed.size);
        let mut starts = Vec::new();
        let mut found = Found::default();
        let mut unsynced = Vec::new();
        let reader = BufReader::with_capacity(1 << 18, ReadAt { file: &file, at: 0 });
        let mut frame_first = (0, 0);
        let each = |entry: Entry<'_>| {
            if entry.frame != frame_first.0 {
                frame_first = (entry.frame, entry.index);
            }
            if entry.index.is_multiple_of(WIDTH as u64) {
                starts.push(frame_first);
            }
            each(entry)
        };
        let full = |tile: Tile, hashes: Vec<Hash>| {
            let name = tile.path(WIDTH);
            let right = hashes.concat();
            let there = directory.read(&name, FULL + 32);
            if matches!(&there, Ok(Some(bytes)) if *bytes == right) {
                return Ok(());
            }
            let storage = |error: Error| LedgerError::Storage {
                what: name.clone(),
                why: error.to_string(),
            };
            // Tiles are synced before a checkpoint speaks for them: later ones may be torn or missing.
            if tile.records(0, WIDTH - 1).1 < signed {
                found.repaired.push(name.clone());
                if !matches!(there, Ok(None)) {
                    directory.set_aside(&name).map_err(storage)?;
                }
            }
            directory.write(&name, &right).map_err(storage)?;
            unsynced.push(name);
            Ok(())
        };
        let scanned = frame::scan(reader, signed, each, full)?;
        let mut store = Self {
            room: scanned.length,
            log: scanned.log,
            checkpoint: None,
            buffer: Vec::new(),
            failed: None,
            directory,
            file,
            starts,
            unsynced,
            keys,
        };
        store.check(checkpoint)?;
        found.unsigned = store.size() - signed;
        if let Tail::Torn { offset, why } = scanned.tail {
            store.cut(offset)?;
            found.cut = Some((offset, why));
        }
        Ok((store, found))
    }

    /// Takes the checkpoint if it is one of this log.
    fn check(&mut self, checkpoint: Option<(Checkpoint, Note)>) -> Result<(), Error> {
        let Some((signed, note)) = checkpoint else {
            return Ok(());
        };
        if signed.origin != self.log.origin() {
            let why = format!("it is of {}, not of {}", signed.origin, self.log.origin());
            return Err(damaged(CHECKPOINT, why));
        }
        if signed.root != self.root(signed.size)? {
            let size = signed.size;
            let why =
                format!("the {size} records that the signed checkpoint speaks for are others");
            return Err(damaged(frame::NAME, why));
        }
        self.checkpoint = Some((signed, note));
        Ok(())
    }

    fn cut(&mut self, offset: u64) -> Result<(), Error> {
        let cut = self
            .file
            .set_len(offset)
            .and_then(|()| self.file.sync_all());
        cut.map_err(|error| Error::file(&self.directory.at(frame::NAME), error))?;
        self.room = offset;
        Ok(())
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.log.origin()
    }

    /// Number of records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.log.size()
    }

    /// The public keys of the log; none before the first checkpoint.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// The last signed checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&(Checkpoint, Note)> {
        self.checkpoint.as_ref()
    }

    /// Why nothing can be appended any more, until the store is opened again.
    #[must_use]
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    fn alive(&self) -> Result<(), Error> {
        match &self.failed {
            Some(why) => Err(Error::LedgerClosed(why.clone())),
            None => Ok(()),
        }
    }

    /// Appends records, all or none, and waits until they are on the disk. Gives the first one's number.
    ///
    /// # Errors
    /// [`Error::Ledger`] for records that are too large or too many, [`Error::File`], and
    /// [`Error::LedgerClosed`] after an earlier error of the disk.
    pub fn append(&mut self, entries: &[impl AsRef<[u8]>]) -> Result<u64, Error> {
        self.alive()?;
        let (first, at) = (self.size(), self.log.end());
        let mut frame = std::mem::take(&mut self.buffer);
        frame.clear();
        let mut full = Vec::new();
        let mut log = self.log.clone();
        log.append(entries, &mut frame, |tile, hashes| {
            full.push((tile, hashes))
        })?;
        self.make_room(at + frame.len() as u64);
        let written = self.file.write_all_at(&frame, at);
        let durable = written.and_then(|()| self.file.sync_data());
        if let Err(error) = durable {
            let error = Error::file(&self.directory.at(frame::NAME), error);
            self.failed = Some(error.to_string());
            return Err(error);
        }
        let last = log.size() - 1;
        let due = first.div_ceil(WIDTH as u64)..=last / WIDTH as u64;
        self.starts.extend(due.map(|_| (at, first)));
        self.log = log;
        self.buffer = frame;
        for (tile, hashes) in full {
            let name = tile.path(WIDTH);
            // The records are durable; opening writes the tiles that they make.
            if let Err(error) = self.directory.write(&name, &hashes.concat()) {
                self.failed = Some(error.to_string());
            }
            self.unsynced.push(name);
        }
        Ok(first)
    }

    /// Writes zeros behind `end`, where the next records end, for those after them; they are on the disk with these. On a
    /// disk that is nearly full none are written, and the records have what there is.
    fn make_room(&mut self, end: u64) {
        if end <= self.room {
            return;
        }
        let wanted = end + self.room.clamp(*ROOM.start(), *ROOM.end());
        let zeros = vec![0; (wanted - end) as usize];
        self.room = match self.file.write_all_at(&zeros, end) {
            Ok(()) => wanted,
            Err(_) => {
                // What could be made in part only is given back. If that fails too, writing the records will say so.
                let _ = self.file.set_len(self.room);
                end
            }
        };
    }

    /// Signs the log as it is now, unless that is signed already, and puts the checkpoint on the disk.
    ///
    /// # Errors
    /// [`Error::Ledger`] when a signer fails or isn't one of this log, [`Error::File`].
    pub fn sign(&mut self, signers: &[&dyn Signer]) -> Result<&Note, Error> {
        self.alive()?;
        let keys: Vec<VerifierKey> = signers.iter().map(|signer| signer.key().clone()).collect();
        if self.keys.is_empty() && self.checkpoint.is_none() {
            let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
            self.directory.replace(KEYS, text.as_bytes())?;
            self.keys.clone_from(&keys);
        }
        if self.keys != keys {
            let why = "they are not the keys that are to sign now";
            return Err(damaged(KEYS, why));
        }
        let size = self.size();
        if self
            .checkpoint
            .as_ref()
            .is_none_or(|(signed, _)| signed.size != size)
        {
            self.directory.sync(&self.unsynced)?;
            self.unsynced.clear();
            let checkpoint = Checkpoint::new(self.log.origin(), size, self.log.root());
            let note = checkpoint.sign(signers)?;
            self.directory
                .replace(CHECKPOINT, note.to_string().as_bytes())?;
            self.checkpoint = Some((checkpoint, note));
        }
        match &self.checkpoint {
            Some((_, note)) => Ok(note),
            None => Err(damaged(CHECKPOINT, "there is none")),
        }
    }

    /// The root of the tree of the first `size` records.
    ///
    /// # Errors
    /// [`Error::Ledger`].
    pub fn root(&self, size: u64) -> Result<Hash, Error> {
        self.within(size)?;
        if size == self.size() {
            return Ok(self.log.root());
        }
        Ok(merkle::root(&self.hashes(), size)?)
    }

    /// That a record is among the first `size`.
    ///
    /// # Errors
    /// [`Error::Ledger`].
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        self.within(size)?;
        Ok(merkle::inclusion(&self.hashes(), index, size)?)
    }

    /// That the first `new` records begin with the first `old`.
    ///
    /// # Errors
    /// [`Error::Ledger`].
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
        self.within(new)?;
        Ok(merkle::consistency(&self.hashes(), old, new)?)
    }

    fn within(&self, size: u64) -> Result<(), LedgerError> {
        let (what, asked, have) = ("size", size, self.size());
        match size <= have {
            true => Ok(()),
            false => Err(LedgerError::OutOfRange {
                what,
                asked,
                size: have,
            }),
        }
    }

    fn hashes(&self) -> FromTiles<TilesOf<'_, Directory>> {
        FromTiles(TilesOf {
            files: &self.directory,
            tree: self.log.tree(),
        })
    }

    /// Gives records from `first` on, until `each` gives `false` or `count` were given.
    ///
    /// # Errors
    /// [`Error::Ledger`] for a range that isn't there and for damage, and what `each` gives.
    pub fn read(
        &self,
        first: u64,
        count: u64,
        mut each: impl FnMut(Entry<'_>) -> Result<bool, LedgerError>,
    ) -> Result<(), Error> {
        let end = first.saturating_add(count);
        self.within(end)?;
        let group = usize::try_from(first / WIDTH as u64).unwrap_or(usize::MAX);
        let Some((offset, from)) = self.starts.get(group).copied().filter(|_| count > 0) else {
            return Ok(());
        };
        let at = ReadAt {
            file: &self.file,
            at: offset,
        };
        let reader = BufReader::with_capacity(1 << 16, at);
        let each = |entry: Entry<'_>| match entry.index < first {
            true => Ok(true),
            false => each(entry),
        };
        Ok(frame::walk(reader, offset, from, end, each)?)
    }

    /// Puts a file of the caller's beside the log, as a whole and durably.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.directory.replace(name, bytes)
    }
}

fn opened(bytes: &[u8], keys: &[VerifierKey]) -> Result<(Checkpoint, Note), Error> {
    let why = |error: LedgerError| damaged(CHECKPOINT, error.to_string());
    let note = Note::parse(bytes).map_err(why)?;
    note.verify_all(keys).map_err(why)?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(why)?;
    Ok((checkpoint, note))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
