//! Verifies a ledger from its files alone: every record, tile and signature, and for a key ledger
//! every entry. Takes the directory of a running ledger (an append file) and a published one (entry
//! bundles) alike, and says what is wrong and where.

use crate::checkpoint::Checkpoint;
use crate::entry::EntryType;
use crate::files::{CHECKPOINT, Files, KEYS, TilesOf, keys};
use crate::frame::{self, Tail};
use crate::history::KeyLedger;
use crate::note::{NOTE_MAX, Note, VerifierKey};
use crate::seal::{self, Seal};
use crate::tile::{FromTiles, Grower};
use crate::{Damage, Error, Hash, from_hex, merkle};

mod tree;
use tree::Tree;

/// Bytes of the file of public keys, at most.
const KEYS_MAX: usize = 1 << 16;

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Bytes aren't those that were written, or are missing.
    Damage,
    /// Behind the last whole record is a write that was interrupted, or altered since.
    Interrupted,
    /// A signature is missing, of an unknown key, or doesn't verify.
    Signature,
    /// An entry contradicts the ones before it.
    History,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Damage => "damage",
            Self::Interrupted => "interrupted",
            Self::Signature => "signature",
            Self::History => "history",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub kind: Kind,
    /// What and where.
    pub damage: Damage,
}

/// What verifying found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// Number of whole records.
    pub size: u64,
    /// Root of their tree.
    pub root: Hash,
    /// The keys that had to have signed; pinned by the caller, or as the files have them.
    pub keys: Vec<VerifierKey>,
    /// Whether the caller gave the keys.
    pub pinned: bool,
    /// Number of records that the signed checkpoint speaks for; `None` without one that verifies.
    pub signed: Option<u64>,
    /// Number of records that the seal speaks for; `None` without one that verifies.
    pub sealed: Option<u64>,
    /// Tiles that were compared.
    pub tiles: u64,
    /// The state of the key ledger, if it is one.
    pub ledger: Option<KeyLedger>,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
}

/// Whether a log of this name is a key ledger: its last part is `keys`.
#[must_use]
pub fn is_key_ledger(origin: &str) -> bool {
    origin.rsplit('/').next() == Some("keys")
}

impl Report {
    fn find(&mut self, kind: Kind, file: &str, why: impl Into<String>) {
        let damage = Damage {
            file: file.into(),
            offset: None,
            records: None,
            why: why.into(),
        };
        self.findings.push(Finding { kind, damage });
    }
}

/// What was signed about the log, before it is compared with the records.
#[derive(Debug, Default)]
struct Claims {
    checkpoint: Option<Checkpoint>,
    seal: Option<Seal>,
}

/// Records as they are read, taken into the key ledger.
#[derive(Debug, Default)]
struct Replay {
    ledger: KeyLedger,
    broken: Option<Finding>,
    /// Size and root that commits say was before them, and their own numbers.
    commits: Vec<(u64, Hash)>,
    /// Hash of the entry that a seal ends with.
    sealed_hash: Option<Hash>,
}

impl Replay {
    fn take(
        &mut self,
        file: &str,
        offset: Option<u64>,
        index: u64,
        bytes: &[u8],
        seal: Option<u64>,
    ) {
        if self.broken.is_some() {
            return;
        }
        match self.ledger.replay(bytes) {
            Ok(entry) => {
                if entry.event.entry_type == EntryType::Commit
                    && let Some(root) = entry.event.data.text("root").and_then(from_hex)
                {
                    self.commits.push((index, root));
                }
                if seal == Some(index + 1) {
                    self.sealed_hash = Some(entry.entry_hash);
                }
            }
            Err(error) => {
                let damage = Damage {
                    file: file.into(),
                    offset,
                    records: Some((index, index)),
                    why: error.to_string(),
                };
                self.broken = Some(Finding {
                    kind: Kind::History,
                    damage,
                });
            }
        }
    }
}

/// Verifies the ledger in `files`. With `pinned` keys, all of those have to have signed; without, the
/// keys that lie with the files, which shows that the files belong together but not whose they are.
///
/// # Errors
/// [`Error::Storage`] when files can't be read, [`Error::Malformed`] when there is no ledger.
pub fn verify(files: &impl Files, pinned: &[VerifierKey]) -> Result<Report, Error> {
    let mut report = Report {
        keys: pinned.to_vec(),
        pinned: !pinned.is_empty(),
        ..Report::default()
    };
    let claims = claims(files, &mut report)?;
    let mut tree = Tree::new(files);
    let mut replay = Replay::default();
    let seal = claims.seal.as_ref().map(|seal| seal.checkpoint.size);
    let signed = claims.checkpoint.as_ref().map_or(0, |signed| signed.size);
    let grower = match files.open(frame::NAME)? {
        Some(log) => {
            let mut first = true;
            let mut keys = false;
            // The origin is in the header, which the first record is behind.
            let origin = origin_of(files)?;
            let each = |entry: frame::Entry<'_>| {
                if std::mem::take(&mut first) {
                    keys = is_key_ledger(&origin);
                }
                if keys {
                    let offset = Some(entry.offset);
                    replay.take(frame::NAME, offset, entry.index, entry.bytes, seal);
                }
                Ok(())
            };
            let scanned = frame::scan(log, signed, each, |tile, hashes| {
                tree.compare(tile, &hashes).map(drop)
            });
            match scanned {
                Ok(scanned) => {
                    if let Tail::Torn { offset, why } = scanned.tail {
                        let records = Some((scanned.log.size(), scanned.log.size()));
                        let why = format!("{why}; a write that was interrupted, or altered since");
                        report.findings.push(Finding {
                            kind: Kind::Interrupted,
                            damage: Damage {
                                file: frame::NAME.into(),
                                offset: Some(offset),
                                records,
                                why,
                            },
                        });
                    }
                    report.origin = scanned.log.origin().into();
                    Some(scanned.log.tree().clone())
                }
                Err(Error::Damage(damage)) => {
                    report.origin = origin;
                    let kind = Kind::Damage;
                    report.findings.push(Finding { kind, damage });
                    None
                }
                Err(other) => return Err(other),
            }
        }
        None => published(files, &claims, &mut report, &mut tree, &mut replay)?,
    };
    report.tiles = tree.compared;
    report.findings.append(&mut tree.findings);
    report.findings.extend(replay.broken.take());
    if is_key_ledger(&report.origin) {
        report.ledger = Some(replay.ledger.clone());
    }
    if let Some(grower) = grower {
        report.size = grower.size();
        report.root = grower.root();
        if claims.checkpoint.is_none() && report.findings.is_empty() && report.size > 0 {
            report.find(
                Kind::Signature,
                CHECKPOINT,
                "there is none: nothing is signed",
            );
        }
        compare(files, &grower, &claims, &replay, &mut report);
    }
    Ok(report)
}

/// The name in the append file's header; empty when that doesn't parse, which reading it will tell.
fn origin_of(files: &impl Files) -> Result<String, Error> {
    let Some(log) = files.open(frame::NAME)? else {
        return Ok(String::new());
    };
    Ok(frame::origin(log).unwrap_or_default())
}

/// Reads keys, checkpoint and seal and verifies their signatures.
fn claims(files: &impl Files, report: &mut Report) -> Result<Claims, Error> {
    let mut claims = Claims::default();
    if !report.pinned
        && let Some(text) = files.read(KEYS, KEYS_MAX)?
    {
        match keys(&text) {
            Ok(keys) => report.keys = keys,
            Err(error) => report.find(Kind::Damage, KEYS, error.to_string()),
        }
    }
    if let Some(bytes) = files.read(CHECKPOINT, NOTE_MAX)? {
        let opened = Note::parse(&bytes).and_then(|note| {
            note.verify_all(&report.keys)?;
            Checkpoint::parse(note.text())
        });
        match opened {
            Ok(checkpoint) => claims.checkpoint = Some(checkpoint),
            Err(error) => report.find(Kind::Signature, CHECKPOINT, error.to_string()),
        }
    }
    if let Some(bytes) = files.read(seal::NAME, seal::SEAL_MAX)? {
        let opened = Seal::parse(&bytes).and_then(|seal| {
            seal.verify(&report.keys)?;
            Ok(seal)
        });
        match opened {
            Ok(seal) => claims.seal = Some(seal),
            Err(error) => report.find(Kind::Signature, seal::NAME, error.to_string()),
        }
    }
    Ok(claims)
}

/// Reads the bundles of a published log. Without a checkpoint nobody knows how many there are.
fn published(
    files: &impl Files,
    claims: &Claims,
    report: &mut Report,
    tree: &mut Tree<'_, impl Files>,
    replay: &mut Replay,
) -> Result<Option<Grower>, Error> {
    let Some(checkpoint) = &claims.checkpoint else {
        if report.findings.is_empty() {
            return Err(Error::malformed("ledger", "neither a log nor a checkpoint"));
        }
        return Ok(None);
    };
    report.origin.clone_from(&checkpoint.origin);
    let keys = is_key_ledger(&checkpoint.origin);
    let seal = claims.seal.as_ref().map(|seal| seal.checkpoint.size);
    let mut grower = Grower::default();
    let whole = tree::bundles(
        files,
        checkpoint.size,
        &mut grower,
        tree,
        |file, index, entry| {
            if keys {
                replay.take(file, None, index, entry, seal);
            }
        },
    )?;
    if let Err(damage) = whole {
        let kind = Kind::Damage;
        report.findings.push(Finding { kind, damage });
        return Ok(None);
    }
    for (tile, hashes) in grower.partial() {
        tree.compare(tile, hashes)?;
    }
    Ok(Some(grower))
}

/// Compares what is signed with the records.
fn compare(
    files: &impl Files,
    grower: &Grower,
    claims: &Claims,
    replay: &Replay,
    report: &mut Report,
) {
    let hashes = FromTiles(TilesOf {
        files,
        tree: grower,
    });
    let root = |size: u64| match size == grower.size() {
        true => Ok(grower.root()),
        false => merkle::root(&hashes, size),
    };
    let other = |what: &Checkpoint| {
        if what.origin != report.origin {
            return Some(format!(
                "it is of {}, the log is {}",
                what.origin, report.origin
            ));
        }
        if what.size > grower.size() {
            let (said, have) = (what.size, grower.size());
            return Some(format!("it speaks for {said} records, there are {have}"));
        }
        match root(what.size) {
            Ok(root) if root == what.root => None,
            Ok(_) => Some(format!("the first {} records are others", what.size)),
            Err(error) => Some(error.to_string()),
        }
    };
    let checkpoint = claims
        .checkpoint
        .as_ref()
        .map(|signed| (signed.size, other(signed)));
    let seal = claims.seal.as_ref().map(|seal| {
        let chain = || {
            let same = seal.checkpoint.size == 0 || replay.sealed_hash == Some(seal.last_hash);
            (!same).then(|| "the chain of entries ends in another hash".to_owned())
        };
        let size = seal.checkpoint.size;
        (size, other(&seal.checkpoint).or_else(chain))
    });
    let commits: Vec<u64> = replay
        .commits
        .iter()
        .filter(|(size, said)| root(*size).as_ref() != Ok(said))
        .map(|(size, _)| *size)
        .collect();
    match checkpoint {
        Some((size, None)) => report.signed = Some(size),
        Some((_, Some(why))) => report.find(Kind::Damage, CHECKPOINT, why),
        None => {}
    }
    match seal {
        Some((size, None)) => report.sealed = Some(size),
        Some((_, Some(why))) => report.find(Kind::Damage, seal::NAME, why),
        None => {}
    }
    for index in commits {
        let damage = Damage {
            file: frame::NAME.into(),
            offset: None,
            records: Some((index, index)),
            why: "the commit's root is not that of the records before it".into(),
        };
        let kind = Kind::History;
        report.findings.push(Finding { kind, damage });
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
pub(crate) mod tests;
