//! Records from their rows; what a row can't hold is said with the key it belongs to.

use crate::grant;
use crate::record::{Grants, KeyId, Record, Revocation, Version};
use crate::vault::Protection;
use quantumos_pqc::{Algorithm, PublicHalf};
use rusqlite::Row;

fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, name: &str) -> Result<T, String> {
    row.get(name).map_err(|e| format!("column {name}: {e}"))
}

/// A record without its versions, or what is wrong with the row.
pub(super) fn record(row: &Row<'_>) -> Result<Record, String> {
    let id = KeyId(column(row, "id")?);
    let read = || -> Result<Record, String> {
        let algorithm: String = column(row, "algorithm")?;
        let protection: String = column(row, "protection")?;
        let revoked_at: Option<i64> = column(row, "revoked_at")?;
        let grants: Vec<u8> = column(row, "grants")?;
        Ok(Record {
            id,
            algorithm: algorithm
                .parse()
                .map_err(|e: quantumos_pqc::Error| e.to_string())?,
            label: column(row, "label")?,
            owner: column(row, "owner")?,
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
            versions: Vec::new(),
            grants: Grants {
                list: grant::from_bytes(&grants)?,
                tag: column(row, "grants_tag")?,
            },
        })
    };
    read().map_err(|why| format!("key {id}: {why}"))
}

/// The key that a version belongs to, and its number, time and public half still encoded.
pub(super) type RawVersion = (KeyId, u32, u64, Vec<u8>);

/// A version's row.
pub(super) fn version(row: &Row<'_>) -> Result<RawVersion, String> {
    let id = KeyId(column(row, "key")?);
    let read = || -> Result<RawVersion, String> {
        let created: i64 = column(row, "created_at")?;
        Ok((
            id,
            column(row, "number")?,
            created.max(0) as u64,
            column(row, "public")?,
        ))
    };
    read().map_err(|why| format!("key {id}: {why}"))
}

/// A version as its key has it.
pub(super) fn decoded(algorithm: Algorithm, raw: RawVersion) -> Result<Version, String> {
    let (id, number, created_at, public) = raw;
    Ok(Version {
        number,
        created_at,
        public: PublicHalf::from_bytes(algorithm, &public)
            .map_err(|e| format!("key {id}: version {number}: {e}"))?,
    })
}

/// What the versions of a key have to be: some, numbered without a gap.
pub(super) fn check_versions(record: &Record) -> Result<(), String> {
    let first = record.versions.first().map_or(0, |version| version.number);
    let gapless = record
        .versions
        .iter()
        .zip(first..)
        .all(|(version, number)| version.number == number);
    if first == 0 || !gapless {
        return Err(format!("key {}: its versions are not complete", record.id));
    }
    Ok(())
}
