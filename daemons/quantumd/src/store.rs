//! The key store on disk: SQLite in WAL mode with full synchronisation, so that after a crash at
//! any write there is the old state or the new one. Seeds are in it wrapped only; a revoked key's
//! is overwritten. A file that isn't sound is refused, never replaced.

mod backups;
mod credentials;
mod rows;
mod schema;

use crate::Error;
use crate::credential::Credential;
use crate::grant;
use crate::record::{Grants, KeyId, Record, Revocation, Version};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use schema::{APPLICATION, SCHEMA};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the store remembers of the root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolment {
    /// Which root key it is.
    pub fingerprint: [u8; 16],
    /// The version of the key encryption key that all seeds are wrapped under.
    pub kek: u32,
}

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
            (0, 0) if tables == 0 => self.make(0),
            (APPLICATION, SCHEMA) => self.check(),
            (APPLICATION, older @ 1..SCHEMA) => self.check().and_then(|()| self.make(older)),
            (APPLICATION, newer) => Err(self.damaged(format!(
                "its schema has version {newer}, this release knows version {SCHEMA}"
            ))),
            _ => Err(self.damaged("it is a database, but no key store".into())),
        }
    }

    fn make(&mut self, from: i64) -> Result<(), Error> {
        schema::make(&mut self.connection, from).map_err(|e| database(&self.path, e))
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

    /// What the store was enrolled with.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn enrolment(&self) -> Result<Option<Enrolment>, Error> {
        self.run(|c| {
            c.query_row("SELECT fingerprint, kek FROM root", [], |row| {
                Ok(Enrolment {
                    fingerprint: row.get(0)?,
                    kek: row.get(1)?,
                })
            })
            .optional()
        })
    }

    /// Remembers the root key, once.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn enrol(&self, enrolment: &Enrolment) -> Result<(), Error> {
        self.run(|c| {
            c.execute(
                "INSERT INTO root (one, fingerprint, kek) VALUES (1, ?1, ?2)",
                params![enrolment.fingerprint, enrolment.kek],
            )
        })
        .map(drop)
    }

    /// All records.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        let mut versions: BTreeMap<KeyId, Vec<rows::RawVersion>> = BTreeMap::new();
        let read = self.run(|c| {
            c.prepare("SELECT key, number, created_at, public FROM versions ORDER BY key, number")?
                .query_map([], |row| Ok(rows::version(row)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for version in read {
            let version = version.map_err(|why| self.damaged(why))?;
            versions.entry(version.0).or_default().push(version);
        }
        let read = self.run(|c| {
            c.prepare(
                "SELECT id, algorithm, label, owner, protection, created_at, revoked_at, reason,
                        grants, grants_tag FROM keys",
            )?
            .query_map([], |row| Ok(rows::record(row)))?
            .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let complete = |record: Result<Record, String>| {
            let mut record = record?;
            for raw in versions.remove(&record.id).unwrap_or_default() {
                record.versions.push(rows::decoded(record.algorithm, raw)?);
            }
            rows::check_versions(&record).map(|()| record)
        };
        read.into_iter()
            .map(complete)
            .collect::<Result<_, String>>()
            .map_err(|why| self.damaged(why))
    }

    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let write = || {
            let transaction = self.connection.transaction()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        write().map_err(|e| database(&self.path, e))
    }

    /// Adds a key with all its versions, each with its wrapped seed (none for a revoked key).
    ///
    /// # Errors
    /// [`Error::Database`]; nothing is added then.
    pub fn insert(&mut self, record: &Record, wrapped: &[Option<Vec<u8>>]) -> Result<(), Error> {
        self.write(|t| insert(t, record, wrapped))
    }

    /// Adds a version to a key.
    ///
    /// # Errors
    /// [`Error::Database`]; nothing is added then.
    pub fn add_version(
        &mut self,
        id: KeyId,
        version: &Version,
        wrapped: &[u8],
    ) -> Result<(), Error> {
        self.write(|t| insert_version(t, id, version, Some(wrapped)))
    }

    /// Replaces the grants of a key.
    ///
    /// # Errors
    /// [`Error::Database`]; the old ones stay then.
    pub fn set_grants(&mut self, id: KeyId, grants: &Grants) -> Result<(), Error> {
        self.write(|t| set_grants(t, id, grants))
    }

    /// The wrapped seed of a version of an active key.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::NoSuchKey`].
    pub fn wrapped(&self, id: KeyId, version: u32) -> Result<Vec<u8>, Error> {
        self.run(|c| {
            c.query_row(
                "SELECT wrapped FROM versions WHERE key = ?1 AND number = ?2",
                params![id.0, version],
                |row| row.get::<_, Option<Vec<u8>>>(0),
            )
            .optional()
        })?
        .flatten()
        .ok_or_else(|| Error::NoSuchKey(id.to_string()))
    }

    /// Wraps all seeds anew and remembers under what, all or nothing. `rewrap` gets each record and the wrapped
    /// seeds of its versions, none for a revoked one, and gives all of it as it is to be. The old forms are
    /// destroyed, in the file and in its log. `reseal` does the same for the value of each credential.
    ///
    /// # Errors
    /// [`Error::Database`] and what the two give; nothing changes then.
    pub fn rewrap(
        &mut self,
        enrolment: &Enrolment,
        mut reseal: impl FnMut(&Credential, &[u8]) -> Result<Vec<u8>, Error>,
        mut rewrap: impl FnMut(Record, Vec<Vec<u8>>) -> Result<(Record, Vec<Vec<u8>>), Error>,
    ) -> Result<Vec<Record>, Error> {
        let mut changed = Vec::new();
        for record in self.records()? {
            let active = record.versions.iter().filter(|_| record.revoked.is_none());
            let wrapped = active.map(|version| self.wrapped(record.id, version.number));
            let wrapped = wrapped.collect::<Result<_, _>>()?;
            changed.push(rewrap(record, wrapped)?);
        }
        let mut values = Vec::new();
        for credential in self.credentials()? {
            if let Some((credential, sealed)) = self.credential(&credential.name)? {
                let sealed = reseal(&credential, &sealed)?;
                values.push((credential, sealed));
            }
        }
        self.write(|t| {
            for (credential, sealed) in &values {
                credentials::write(t, credential, sealed)?;
            }
            for (record, wrapped) in &changed {
                t.execute(
                    "UPDATE keys SET protection = ?2 WHERE id = ?1",
                    params![record.id.0, record.protection.name()],
                )?;
                set_grants(t, record.id, &record.grants)?;
                for (version, wrapped) in record.versions.iter().zip(wrapped) {
                    t.execute(
                        "UPDATE versions SET wrapped = ?3 WHERE key = ?1 AND number = ?2",
                        params![record.id.0, version.number, wrapped],
                    )?;
                }
            }
            t.execute(
                "UPDATE root SET fingerprint = ?1, kek = ?2",
                params![enrolment.fingerprint, enrolment.kek],
            )
        })?;
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

    /// Revokes an active key and destroys its wrapped seeds, in the file and in its log.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::NoSuchKey`]; the key stays active then.
    pub fn revoke(&mut self, id: KeyId, revocation: &Revocation) -> Result<(), Error> {
        let changed = self.write(|t| {
            t.execute("UPDATE versions SET wrapped = NULL WHERE key = ?1", [id.0])?;
            t.execute(
                "UPDATE keys SET revoked_at = ?2, reason = ?3 WHERE id = ?1 AND revoked_at IS NULL",
                params![id.0, revocation.at as i64, revocation.reason],
            )
        })?;
        if changed != 1 {
            return Err(Error::NoSuchKey(id.to_string()));
        }
        self.empty_log("wrapped seeds of a revoked key");
        Ok(())
    }
}

fn insert(
    t: &Transaction<'_>,
    record: &Record,
    wrapped: &[Option<Vec<u8>>],
) -> rusqlite::Result<()> {
    t.execute(
        "INSERT INTO keys (id, algorithm, label, owner, protection, created_at, revoked_at, reason,
                           grants, grants_tag)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            record.id.0,
            record.algorithm.name(),
            record.label,
            record.owner,
            record.protection.name(),
            record.created_at as i64,
            record.revoked.as_ref().map(|revoked| revoked.at as i64),
            record.revoked.as_ref().map(|revoked| &revoked.reason),
            grant::to_bytes(&record.grants.list),
            record.grants.tag,
        ],
    )?;
    for (version, wrapped) in record.versions.iter().zip(wrapped) {
        insert_version(t, record.id, version, wrapped.as_deref())?;
    }
    Ok(())
}

fn insert_version(
    t: &Transaction<'_>,
    id: KeyId,
    version: &Version,
    wrapped: Option<&[u8]>,
) -> rusqlite::Result<()> {
    let (created, public) = (version.created_at as i64, version.public.as_bytes());
    t.execute(
        "INSERT INTO versions (key, number, created_at, public, wrapped) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id.0, version.number, created, public, wrapped],
    )
    .map(drop)
}

fn set_grants(t: &Transaction<'_>, id: KeyId, grants: &Grants) -> rusqlite::Result<()> {
    t.execute(
        "UPDATE keys SET grants = ?2, grants_tag = ?3 WHERE id = ?1",
        params![id.0, grant::to_bytes(&grants.list), grants.tag],
    )
    .map(drop)
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

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
