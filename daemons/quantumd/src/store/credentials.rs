//! The table of credentials.

use super::Store;
use crate::Error;
use crate::credential::{Credential, units_of};
use rusqlite::{OptionalExtension, Row, Transaction, params};

fn read(row: &Row<'_>) -> rusqlite::Result<(Credential, String)> {
    let units: String = row.get("units")?;
    let credential = Credential {
        name: row.get("name")?,
        version: row.get("version")?,
        changed_at: row.get::<_, i64>("changed_at")?.max(0) as u64,
        random: row.get("random")?,
        every: row.get("every")?,
        units: Vec::new(),
    };
    Ok((credential, units))
}

pub(super) fn write(
    t: &Transaction<'_>,
    credential: &Credential,
    sealed: &[u8],
) -> rusqlite::Result<()> {
    t.execute(
        "INSERT OR REPLACE INTO credentials (name, version, changed_at, random, every, units, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            credential.name,
            credential.version,
            credential.changed_at as i64,
            credential.random,
            credential.every,
            credential.units_text(),
            sealed,
        ],
    )
    .map(drop)
}

impl Store {
    fn whole(&self, (mut credential, units): (Credential, String)) -> Result<Credential, Error> {
        credential.units = units_of(&units)
            .map_err(|e| self.damaged(format!("credential {}: {e}", credential.name)))?;
        Ok(credential)
    }

    /// All credentials by name, without their values.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub fn credentials(&self) -> Result<Vec<Credential>, Error> {
        let rows = self.run(|c| {
            c.prepare(
                "SELECT name, version, changed_at, random, every, units FROM credentials
                 ORDER BY name",
            )?
            .query_map([], read)?
            .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter().map(|row| self.whole(row)).collect()
    }

    /// A credential and its sealed value, if there is one.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub fn credential(&self, name: &str) -> Result<Option<(Credential, Vec<u8>)>, Error> {
        let row = self.run(|c| {
            c.query_row(
                "SELECT name, version, changed_at, random, every, units, sealed FROM credentials
                 WHERE name = ?1",
                [name],
                |row| Ok((read(row)?, row.get("sealed")?)),
            )
            .optional()
        })?;
        row.map(|(row, sealed)| Ok((self.whole(row)?, sealed)))
            .transpose()
    }

    /// Adds or replaces a credential. The old value is destroyed, in the file and in its log.
    ///
    /// # Errors
    /// [`Error::Database`]; the old one stays then.
    pub fn set_credential(&mut self, credential: &Credential, sealed: &[u8]) -> Result<(), Error> {
        self.write(|t| write(t, credential, sealed))?;
        self.empty_log("an old value of a credential");
        Ok(())
    }

    /// Removes a credential and destroys its value; says whether there was one.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn remove_credential(&mut self, name: &str) -> Result<bool, Error> {
        let removed =
            self.write(|t| t.execute("DELETE FROM credentials WHERE name = ?1", [name]))?;
        self.empty_log("the value of a removed credential");
        Ok(removed == 1)
    }
}
