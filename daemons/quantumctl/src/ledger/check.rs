//! Verifies a directory or a file, whatever kind it is of, and sums up what was found.

use quantumos_ledger::{
    Error as LedgerError,
    checkpoint::Checkpoint,
    files::Files,
    hex,
    note::{Note, VerifierKey},
    proof::{Consistency, Inclusion},
    seal::Seal,
    verify::{self, Kind},
};
use serde_json::{Value, json};

use crate::error::Error;

/// Something that is wrong.
#[derive(Debug)]
pub struct Finding {
    /// `damage`, `interrupted`, `signature`, `history` or `proof`.
    pub kind: &'static str,
    /// File, if there is one to name.
    pub file: Option<String>,
    /// Byte in the file.
    pub offset: Option<u64>,
    /// First and last record.
    pub records: Option<(u64, u64)>,
    /// All of it, in words.
    pub text: String,
}

/// What verifying found.
#[derive(Debug, Default)]
pub struct Checked {
    /// What was verified: `ledger`, `seal`, `inclusion`, `consistency` or `checkpoint`.
    pub what: &'static str,
    /// The log's name.
    pub origin: String,
    /// Facts, by name.
    pub facts: Vec<(&'static str, Value)>,
    /// The keys that have signed all of it.
    pub keys: Vec<VerifierKey>,
    /// Whether the caller gave those keys.
    pub pinned: bool,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// As `--json` gives it.
    pub fn json(&self) -> Value {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "kind": finding.kind,
                "file": finding.file,
                "offset": finding.offset,
                "firstRecord": finding.records.map(|(first, _)| first),
                "lastRecord": finding.records.map(|(_, last)| last),
                "message": finding.text,
            })
        });
        let findings: Vec<Value> = findings.collect();
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        let mut document = json!({
            "what": self.what,
            "valid": self.findings.is_empty(),
            "origin": self.origin,
            "keys": keys,
            "keysGiven": self.pinned,
            "findings": findings,
        });
        for (name, value) in &self.facts {
            document[*name] = value.clone();
        }
        document
    }

    fn failed(mut self, error: &LedgerError) -> Self {
        let kind = match error {
            LedgerError::Proof { .. } | LedgerError::OutOfRange { .. } => "proof",
            LedgerError::Unsigned(_) | LedgerError::BadSignature(_) => "signature",
            _ => "damage",
        };
        self.findings.push(Finding {
            kind,
            file: None,
            offset: None,
            records: None,
            text: error.to_string(),
        });
        self
    }
}

/// Verifies a directory.
pub fn directory(files: &impl Files, keys: &[VerifierKey]) -> Result<Checked, Error> {
    let report = verify::verify(files, keys)?;
    let mut facts = vec![
        ("entries", json!(report.size)),
        ("root", json!(hex(&report.root))),
        ("signedEntries", json!(report.signed)),
        ("sealedEntries", json!(report.sealed)),
        ("tiles", json!(report.tiles)),
    ];
    if let Some(ledger) = &report.ledger {
        let revoked = ledger.keys().values().filter(|key| key.revoked.is_some());
        facts.push(("registeredKeys", json!(ledger.keys().len())));
        facts.push(("revokedKeys", json!(revoked.count())));
    }
    let findings = report.findings.into_iter().map(|finding| Finding {
        kind: Kind::name(finding.kind),
        text: finding.damage.to_string(),
        file: Some(finding.damage.file),
        offset: finding.damage.offset,
        records: finding.damage.records,
    });
    Ok(Checked {
        what: "ledger",
        origin: report.origin,
        facts,
        keys: report.keys,
        pinned: report.pinned,
        findings: findings.collect(),
    })
}

/// Verifies a file by what its beginning says that it is.
pub fn file(bytes: &[u8], keys: &[VerifierKey], entry: Option<Vec<u8>>) -> Result<Checked, Error> {
    if bytes.starts_with(b"{") {
        return seal(bytes, keys);
    }
    if keys.is_empty() {
        let why = "a proof or checkpoint holds no keys: give the log's with --key";
        return Err(Error::Usage(why.into()));
    }
    let checked = |what| Checked {
        what,
        keys: keys.to_vec(),
        pinned: true,
        ..Checked::default()
    };
    if bytes.starts_with(b"c2sp.org/tlog-proof@v1\n") {
        let checked = checked("inclusion");
        return Ok(match inclusion(bytes, keys, entry) {
            Ok((head, index)) => at(checked, &head, ("index", json!(index))),
            Err(error) => checked.failed(&error),
        });
    }
    if bytes.starts_with(b"org.quantumos.tlog-consistency@v1\n") {
        let checked = checked("consistency");
        let verified = Consistency::parse(bytes).and_then(|proof| {
            let new = proof.verify(keys)?;
            proof.note.verify_all(keys)?;
            Ok((new, proof.old))
        });
        return Ok(match verified {
            Ok((head, old)) => at(checked, &head, ("oldEntries", json!(old))),
            Err(error) => checked.failed(&error),
        });
    }
    let verified = Note::parse(bytes).and_then(|note| {
        note.verify_all(keys)?;
        Checkpoint::parse(note.text())
    });
    let checked = checked("checkpoint");
    Ok(match verified {
        Ok(head) => at(checked, &head, ("extensions", json!(head.extensions))),
        Err(error) => checked.failed(&error),
    })
}

fn at(mut checked: Checked, head: &Checkpoint, fact: (&'static str, Value)) -> Checked {
    checked.origin.clone_from(&head.origin);
    checked.facts.push(fact);
    checked.facts.push(("entries", json!(head.size)));
    checked.facts.push(("root", json!(hex(&head.root))));
    checked
}

fn inclusion(
    bytes: &[u8],
    keys: &[VerifierKey],
    entry: Option<Vec<u8>>,
) -> Result<(Checkpoint, u64), LedgerError> {
    let proof = Inclusion::parse(bytes)?;
    let entry = entry.or_else(|| proof.extra.clone());
    let missing = LedgerError::Unsigned("the proof holds no entry: give it with --entry".into());
    let head = proof.verify(&entry.ok_or(missing)?, keys)?;
    proof.note.verify_all(keys)?;
    Ok((head, proof.index))
}

fn seal(bytes: &[u8], keys: &[VerifierKey]) -> Result<Checked, Error> {
    let checked = Checked {
        what: "seal",
        keys: keys.to_vec(),
        pinned: !keys.is_empty(),
        ..Checked::default()
    };
    let seal = match Seal::parse(bytes) {
        Ok(seal) => seal,
        Err(error) => return Ok(checked.failed(&error)),
    };
    let keys = match checked.pinned {
        true => keys.to_vec(),
        false => seal.keys.clone(),
    };
    let verified = seal.verify(&keys);
    let checked = Checked { keys, ..checked };
    let sealed_at = ("timestamp", json!(seal.timestamp));
    Ok(match verified {
        Ok(()) => at(checked, &seal.checkpoint, sealed_at),
        Err(error) => checked.failed(&error),
    })
}
