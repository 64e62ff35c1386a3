//! Backups that were restored: their keys come in together with the mark that they did.

use super::{Store, insert};
use crate::Error;
use crate::record::{KeyId, Record};
use rusqlite::{OptionalExtension, params};

impl Store {
    /// When a backup was restored, if it was (microseconds of CLOCK_REALTIME).
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn restored(&self, backup: KeyId) -> Result<Option<u64>, Error> {
        let at: Option<i64> = self.run(|c| {
            c.query_row(
                "SELECT at FROM restored WHERE backup = ?1",
                [backup.0],
                |row| row.get(0),
            )
            .optional()
        })?;
        Ok(at.map(|at| at.max(0) as u64))
    }

    /// Adds keys with the wrapped seeds of their versions, and remembers the backup that they come from.
    ///
    /// # Errors
    /// [`Error::Database`]; nothing is added then.
    pub fn restore(
        &mut self,
        backup: KeyId,
        at: u64,
        keys: &[(Record, Vec<Option<Vec<u8>>>)],
    ) -> Result<(), Error> {
        self.write(|t| {
            for (record, wrapped) in keys {
                insert(t, record, wrapped)?;
            }
            t.execute(
                "INSERT INTO restored (backup, at) VALUES (?1, ?2)",
                params![backup.0, at as i64],
            )
            .map(drop)
        })
    }
}
