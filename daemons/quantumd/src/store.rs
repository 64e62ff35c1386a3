//! The key store on disk: SQLite in WAL mode with full synchronisation, so that after a crash at
//! any write there is the old state or the new one. Seeds are in it wrapped only; a revoked key's
//! is overwritten. A file that isn't sound is refused, never replaced.

use crate::Error;
use crate::record::{KeyId, Record, Revocation};
use crate::vault::Protection;
use quantumos_pqc::PublicKey;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use std::path::{Path, PathBuf};

/// Marks the file as ours: "QKEY".
const APPLICATION: i64 = 0x514B_4559;
const SCHEMA: i64 = 1;

const CREATE: &str = "
CREATE TABLE root (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16)
) STRICT;
CREATE TABLE keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    algorithm TEXT NOT NULL,
    label TEXT NOT NULL,
    owner INTEGER NOT NULL,
    version INTEGER NOT NULL,
    protection TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    reason TEXT,
    public BLOB NOT NULL,
    wrapped BLOB,
    CHECK ((revoked_at IS NULL) = (reason IS NULL)),
    CHECK ((revoked_at IS NULL) = (wrapped IS NOT NULL))
) STRICT, WITHOUT ROWID;
";

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Where the store is.
    #[must_use]
    pub fn path_in(state: &Path) -> PathBuf {
        state.join("keys.sqlite")
    }

    /// Opens the store, or makes it. With `enrolled`, when there is a root key already, a missing
    /// or empty file is an error: keys have been lost then.
    ///
    /// # Errors
    /// See [`Error`]; an unsound file is left as it is.
    pub fn open(state: &Path, enrolled: bool) -> Result<Self, Error> {
        let path = Self::path_in(state);
        let size = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(Error::file(&path, error)),
        };
        // In WAL mode a store that was made an instant ago may be in its log only.
        let log = path.with_extension("sqlite-wal");
        if size == 0 && enrolled && !std::fs::metadata(log).is_ok_and(|m| m.len() > 0) {
            return Err(Error::StoreMissing(path));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let opened = Connection::open_with_flags(&path, flags);
        let connection = opened.map_err(|e| database(&path, e))?;
        let mut store = Self { connection, path };
        store.prepare()?;
        Ok(store)
    }

    fn prepare(&mut self) -> Result<(), Error> {
        self.run(|c| {
            c.pragma_update(None, "journal_mode", "wal")?;
            c.pragma_update(None, "synchronous", "full")?;
            c.pragma_update(None, "secure_delete", "on")?;
            c.pragma_update(None, "foreign_keys", "on")?;
            c.pragma_update(None, "trusted_schema", "off")?;
            // A few pages are enough, and there is nothing to gain from mapping the file.
            c.pragma_update(None, "cache_size", -256)?;
            c.busy_timeout(std::time::Duration::from_secs(5))
        })?;
        let pragma =
            |name: &str| self.run(|c| c.pragma_query_value(None, name, |row| row.get::<_, i64>(0)));
        let (application, version) = (pragma("application_id")?, pragma("user_version")?);
        let tables: i64 =
            self.run(|c| c.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)))?;
        match (application, version) {
            (0, 0) if tables == 0 => self.create(),
            (APPLICATION, SCHEMA) => self.check(),
            (APPLICATION, newer) => Err(self.damaged(format!(
                "its schema has version {newer}, this release knows version {SCHEMA}"
            ))),
            _ => Err(self.damaged("it is a database, but no key store".into())),
        }
    }

    fn create(&mut self) -> Result<(), Error> {
        let path = self.path.clone();
        let mut made = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            transaction.execute_batch(CREATE)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            transaction.commit()
        };
        made().map_err(|e| database(&path, e))
    }

    fn check(&self) -> Result<(), Error> {
        let answer: String =
            self.run(|c| c.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))?;
        if answer == "ok" {
            Ok(())
        } else {
            let first = answer.lines().next().unwrap_or_default();
            Err(self.damaged(format!("it is damaged: {first}")))
        }
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        work(&self.connection).map_err(|e| database(&self.path, e))
    }

    fn damaged(&self, why: String) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            why,
        }
    }

    /// The fingerprint of the root key that the store was enrolled with.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn fingerprint(&self) -> Result<Option<[u8; 16]>, Error> {
        self.run(|c| {
            c.query_row("SELECT fingerprint FROM root", [], |row| row.get(0))
                .optional()
        })
    }

    /// Remembers the root key's fingerprint, once.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn enrol(&self, fingerprint: &[u8; 16]) -> Result<(), Error> {
        self.run(|c| {
            c.execute(
                "INSERT INTO root (one, fingerprint) VALUES (1, ?1)",
                [fingerprint],
            )
        })
        .map(drop)
    }

    /// All records.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        let rows = self.run(|c| {
            c.prepare(
                "SELECT id, algorithm, label, owner, version, protection, created_at,
                        revoked_at, reason, public FROM keys",
            )?
            .query_map([], |row| Ok(record(row)))?
            .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter()
            .map(|row| row.map_err(|why| self.damaged(why)))
            .collect()
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`Error::Database`]; nothing is added then.
    pub fn insert(&self, record: &Record, wrapped: &[u8]) -> Result<(), Error> {
        self.run(|c| {
            c.execute(
                "INSERT INTO keys (id, algorithm, label, owner, version, protection, created_at,
                                   public, wrapped)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    record.id.0,
                    record.algorithm.name(),
                    record.label,
                    record.owner,
                    record.version,
                    record.protection.name(),
                    record.created_at as i64,
                    record.public.as_bytes(),
                    wrapped,
                ],
            )
        })
        .map(drop)
    }

    /// The wrapped seed of an active key.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::NoSuchKey`].
    pub fn wrapped(&self, id: KeyId) -> Result<Vec<u8>, Error> {
        self.run(|c| {
            c.query_row("SELECT wrapped FROM keys WHERE id = ?1", [id.0], |row| {
                row.get::<_, Option<Vec<u8>>>(0)
            })
            .optional()
        })?
        .flatten()
        .ok_or_else(|| Error::NoSuchKey(id.to_string()))
    }

    /// Wraps all seeds anew and remembers the new root key, all or nothing. `rewrap` gets each active
    /// record and its wrapped seed, and gives both as they are to be. The old forms are destroyed, in
    /// the file and in its log.
    ///
    /// # Errors
    /// [`Error::Database`] and what `rewrap` gives; nothing changes then.
    pub fn rewrap(
        &mut self,
        fingerprint: &[u8; 16],
        mut rewrap: impl FnMut(Record, &[u8]) -> Result<(Record, Vec<u8>), Error>,
    ) -> Result<Vec<Record>, Error> {
        let path = self.path.clone();
        let fail = |e| database(&path, e);
        let mut changed = Vec::new();
        for record in self.records()? {
            if record.revoked.is_none() {
                let wrapped = self.wrapped(record.id)?;
                changed.push(rewrap(record, &wrapped)?);
            }
        }
        let transaction = self.connection.transaction().map_err(fail)?;
        for (record, wrapped) in &changed {
            let values = params![record.id.0, wrapped, record.protection.name()];
            transaction
                .execute(
                    "UPDATE keys SET wrapped = ?2, protection = ?3 WHERE id = ?1",
                    values,
                )
                .map_err(fail)?;
        }
        transaction
            .execute("UPDATE root SET fingerprint = ?1", [fingerprint])
            .map_err(fail)?;
        transaction.commit().map_err(fail)?;
        self.empty_log("wrapped seeds from before");
        Ok(changed.into_iter().map(|(record, _)| record).collect())
    }

    /// Takes what was overwritten out of the log too. It is wrapped there as it was before, so a
    /// failure is worth a warning only; the next checkpoint does it.
    fn empty_log(&self, what: &str) {
        let emptied = self.run(|c| {
            c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            })
        });
        if !matches!(emptied, Ok(0)) {
            tracing::warn!("the store's log still holds {what}");
        }
    }

    /// Revokes an active key and destroys its wrapped seed, in the file and in its log.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::NoSuchKey`]; the key stays active then.
    pub fn revoke(&self, id: KeyId, revocation: &Revocation) -> Result<(), Error> {
        let changed = self.run(|c| {
            c.execute(
                "UPDATE keys SET wrapped = NULL, revoked_at = ?2, reason = ?3
                 WHERE id = ?1 AND revoked_at IS NULL",
                params![id.0, revocation.at as i64, revocation.reason],
            )
        })?;
        if changed != 1 {
            return Err(Error::NoSuchKey(id.to_string()));
        }
        self.empty_log("the wrapped seed of a revoked key");
        Ok(())
    }
}

fn database(path: &Path, source: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match source.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => Error::Damaged {
            path: path.to_owned(),
            why: format!("{source}; it is left as it is"),
        },
        _ => Error::Database {
            path: path.to_owned(),
            source,
        },
    }
}

/// A record from its row, or what is wrong with the row.
fn record(row: &Row<'_>) -> Result<Record, String> {
    fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, name: &str) -> Result<T, String> {
        row.get(name).map_err(|e| format!("column {name}: {e}"))
    }
    let id = KeyId(column(row, "id")?);
    let of_key = |why: String| format!("key {id}: {why}");
    let read = || -> Result<Record, String> {
        let algorithm: String = column(row, "algorithm")?;
        let protection: String = column(row, "protection")?;
        let public: Vec<u8> = column(row, "public")?;
        let revoked_at: Option<i64> = column(row, "revoked_at")?;
        Ok(Record {
            id,
            algorithm: algorithm
                .parse()
                .map_err(|e: quantumos_pqc::Error| e.to_string())?,
            label: column(row, "label")?,
            owner: column(row, "owner")?,
            version: column(row, "version")?,
            protection: Protection::from_name(&protection)
                .ok_or_else(|| format!("unknown protection {protection:?}"))?,
            created_at: column::<i64>(row, "created_at")?.max(0) as u64,
            revoked: match revoked_at {
                Some(at) => Some(Revocation {
                    at: at.max(0) as u64,
                    reason: column(row, "reason")?,
                }),
                None => None,
            },
            public: PublicKey::from_bytes(&public).map_err(|e| e.to_string())?,
        })
    };
    read().map_err(of_key)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
