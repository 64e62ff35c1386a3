//! The tables, and how a store of an earlier release becomes one of this. Each step is one
//! transaction: after a crash there is the old schema or the new one.

use rusqlite::Connection;

/// Marks the file as ours: "QKEY".
pub(super) const APPLICATION: i64 = 0x514B_4559;
/// The schema of this release.
pub(super) const SCHEMA: i64 = 4;

const TABLES: &str = "
CREATE TABLE root (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16),
    kek INTEGER NOT NULL CHECK (kek > 0)
) STRICT;
CREATE TABLE keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    algorithm TEXT NOT NULL,
    label TEXT NOT NULL,
    owner INTEGER NOT NULL,
    protection TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    reason TEXT,
    grants BLOB NOT NULL,
    grants_tag BLOB NOT NULL,
    CHECK ((revoked_at IS NULL) = (reason IS NULL))
) STRICT, WITHOUT ROWID;
CREATE TABLE versions (
    key BLOB NOT NULL REFERENCES keys (id),
    number INTEGER NOT NULL CHECK (number > 0),
    created_at INTEGER NOT NULL,
    public BLOB NOT NULL,
    wrapped BLOB,
    PRIMARY KEY (key, number)
) STRICT, WITHOUT ROWID;
";

/// What schema 3 has beyond 2.
const CREDENTIALS: &str = "
CREATE TABLE credentials (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version > 0),
    changed_at INTEGER NOT NULL,
    random INTEGER NOT NULL,
    every INTEGER NOT NULL,
    units TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What schema 4 has beyond 3: the backups that were restored, so that none is twice.
const RESTORED: &str = "
CREATE TABLE restored (
    backup BLOB PRIMARY KEY CHECK (length(backup) = 16),
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// From one version of each key, with its material in the same row.
const FROM_1: &str = "
ALTER TABLE root RENAME TO root_1;
ALTER TABLE keys RENAME TO keys_1;
";

const FROM_1_COPY: &str = "
INSERT INTO root SELECT one, fingerprint, 1 FROM root_1;
INSERT INTO keys SELECT id, algorithm, label, owner, protection, created_at, revoked_at, reason, x'', x''
    FROM keys_1;
INSERT INTO versions SELECT id, version, created_at, public, wrapped FROM keys_1;
DROP TABLE keys_1;
DROP TABLE root_1;
";

/// Makes the tables of this release, of those of `version` or of nothing (0).
pub(super) fn make(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if version == 1 {
        transaction.execute_batch(FROM_1)?;
    }
    if version < 2 {
        transaction.execute_batch(TABLES)?;
    }
    if version == 1 {
        transaction.execute_batch(FROM_1_COPY)?;
    }
    if version < 3 {
        transaction.execute_batch(CREDENTIALS)?;
    }
    transaction.execute_batch(RESTORED)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}
