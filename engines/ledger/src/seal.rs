//! The finality seal of a key ledger, `KEY_FINALITY_SEAL.json`: the signed checkpoint, the end of the
//! chain of entries, and signatures over all of that. There is no seal without its signatures.

use crate::checkpoint::Checkpoint;
use crate::json::{Object, Value};
use crate::note::{Note, Signer, VerifierKey};
use crate::{Error, Hash, from_hex, hex};

/// The file's name.
pub const NAME: &str = "KEY_FINALITY_SEAL.json";
/// Bytes of a seal, at most.
pub const SEAL_MAX: usize = 1 << 18;

const COMPONENT: &str = "KEY_FINALITY_SEAL";
const VERSION: &str = "1";
/// The first line of what is signed, so that a seal is no checkpoint.
const DOMAIN: &str = "org.quantumos.key-finality-seal.v1";

/// A seal and its signatures, verified or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Microseconds since 1970, by the caller's clock.
    pub timestamp: u64,
    /// The checkpoint that was sealed.
    pub checkpoint: Checkpoint,
    /// Its signed note.
    pub note: Note,
    /// Hash of the last entry that the checkpoint covers.
    pub last_hash: Hash,
    /// The public keys.
    pub keys: Vec<VerifierKey>,
    /// Further facts, by the caller.
    pub quantum_metadata: Object,
    signed: Note,
}

fn bad(why: impl Into<String>) -> Error {
    Error::malformed("seal", why)
}

/// What is sealed.
#[derive(Debug, Clone)]
pub struct Content<'a> {
    /// Microseconds since 1970, at most 2^53 - 1.
    pub timestamp: u64,
    /// The signed checkpoint.
    pub note: &'a Note,
    /// Hash of the last entry that the checkpoint covers.
    pub last_hash: Hash,
    /// Further facts.
    pub quantum_metadata: Object,
}

impl Content<'_> {
    fn object(&self, keys: &[VerifierKey]) -> Result<(Checkpoint, Object), Error> {
        let checkpoint = Checkpoint::parse(self.note.text())?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let keys: Vec<Value> = keys.iter().map(|key| key.to_string().into()).collect();
        let object = Object::default()
            .with("component", COMPONENT)
            .with("version", VERSION)
            .with("timestamp", number(self.timestamp))
            .with("ledger_entries_count", number(checkpoint.size))
            .with("ledger_hash_chain", hex(&self.last_hash))
            .with("ledger_root", hex(&checkpoint.root))
            .with("checkpoint", self.note.to_string())
            .with("verifier_keys", keys)
            .with("quantum_metadata", self.quantum_metadata.clone());
        Ok((checkpoint, object))
    }
}

fn signed_text(object: &Object) -> Result<String, Error> {
    Ok(format!("{DOMAIN}\n{}\n", object.canonical()?))
}

impl Seal {
    /// Seals with every signer.
    ///
    /// # Errors
    /// [`Error::Signer`] when one can't sign: there is no seal then. As [`Note::sign`].
    pub fn sign(content: Content<'_>, signers: &[&dyn Signer]) -> Result<Self, Error> {
        let keys: Vec<VerifierKey> = signers.iter().map(|signer| signer.key().clone()).collect();
        content.note.verify(&keys)?;
        let (checkpoint, object) = content.object(&keys)?;
        Ok(Self {
            signed: Note::sign(&signed_text(&object)?, signers)?,
            checkpoint,
            timestamp: content.timestamp,
            note: content.note.clone(),
            last_hash: content.last_hash,
            keys,
            quantum_metadata: content.quantum_metadata,
        })
    }

    /// The file: canonical JSON and a newline.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let content = Content {
            timestamp: self.timestamp,
            note: &self.note,
            last_hash: self.last_hash,
            quantum_metadata: self.quantum_metadata.clone(),
        };
        let (_, object) = content.object(&self.keys)?;
        // A note is its text, an empty line and one line a signature.
        let note = self.signed.to_string();
        let lines = note.get(self.signed.text().len() + 1..).unwrap_or_default();
        let lines: Vec<Value> = lines.lines().map(Value::from).collect();
        let text = object.with("signatures", lines).canonical()?;
        Ok([text.as_bytes(), b"\n"].concat())
    }

    /// Parses a seal; no signature is verified yet.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the field, [`Error::Limit`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > SEAL_MAX {
            return Err(Error::Limit {
                what: "bytes of a seal",
                limit: SEAL_MAX as u64,
                got: bytes.len() as u64,
            });
        }
        let body = bytes
            .strip_suffix(b"\n")
            .ok_or_else(|| bad("it doesn't end in a newline"))?;
        let mut object = Object::parse_canonical(body)?;
        let lines = match object.remove("signatures") {
            Some(Value::List(lines)) => lines,
            _ => return Err(bad("signatures is no list")),
        };
        let mut note = format!("{}\n", signed_text(&object)?);
        for line in &lines {
            match line {
                Value::Text(line) if !line.contains('\n') => {
                    note.push_str(line);
                    note.push('\n');
                }
                _ => return Err(bad("signatures holds no signature line")),
            }
        }
        let signed = Note::parse(note.as_bytes())?;
        let text = |name: &str| {
            let found = object.text(name).map(str::to_owned);
            found.ok_or_else(|| bad(format!("{name} is no string")))
        };
        if text("component")? != COMPONENT || text("version")? != VERSION {
            return Err(bad("component and version are not those of this release"));
        }
        let timestamp = object.integer("timestamp");
        let timestamp = timestamp.and_then(|number| u64::try_from(number).ok());
        let Some(Value::List(keys)) = object.get("verifier_keys") else {
            return Err(bad("verifier_keys is no list"));
        };
        let key = |key: &Value| match key {
            Value::Text(text) => text.parse(),
            _ => Err(bad("verifier_keys holds no key")),
        };
        let keys = keys.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        let Some(Value::Object(quantum_metadata)) = object.get("quantum_metadata") else {
            return Err(bad("quantum_metadata is no object"));
        };
        let note = Note::parse(text("checkpoint")?.as_bytes())?;
        let content = Content {
            timestamp: timestamp.ok_or_else(|| bad("timestamp is no time"))?,
            note: &note,
            last_hash: from_hex(&text("ledger_hash_chain")?)
                .ok_or_else(|| bad("ledger_hash_chain is no hash"))?,
            quantum_metadata: quantum_metadata.clone(),
        };
        let (checkpoint, again) = content.object(&keys)?;
        if again != object {
            let differs = object
                .iter()
                .find(|(name, value)| again.get(name) != Some(*value));
            let name = differs.map_or("a field", |(name, _)| name);
            return Err(bad(format!("{name} is not what the checkpoint says")));
        }
        Ok(Self {
            timestamp: content.timestamp,
            last_hash: content.last_hash,
            quantum_metadata: content.quantum_metadata,
            checkpoint,
            note,
            keys,
            signed,
        })
    }

    /// Verifies the seal's own signatures and those of its checkpoint. Every one of `keys` has to
    /// have signed both: a seal with one signature taken out doesn't verify.
    ///
    /// # Errors
    /// [`Error::BadSignature`], [`Error::Unsigned`].
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(), Error> {
        self.signed.verify_all(keys)?;
        self.note.verify_all(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::tests::Keys;

    fn seal(keys: &Keys) -> Seal {
        let checkpoint = Checkpoint::new("example.com/log", 3, [5; 32]);
        let note = keys.sign(&checkpoint.text());
        let content = Content {
            timestamp: 9,
            note: &note,
            last_hash: [7; 32],
            quantum_metadata: Object::default().with("pqc_scheme", "ML-DSA-87"),
        };
        let signers = keys.signers();
        let signers: Vec<&dyn Signer> = signers.iter().map(|s| s as &dyn Signer).collect();
        Seal::sign(content, &signers).unwrap()
    }

    #[test]
    fn sealed_written_read_and_verified() {
        let keys = Keys::new("example.com/log", 1);
        let seal = seal(&keys);
        let bytes = seal.to_bytes().unwrap();
        let read = Seal::parse(&bytes).unwrap();
        assert_eq!(read, seal);
        assert_eq!(read.to_bytes().unwrap(), bytes);
        assert_eq!(read.checkpoint.size, 3);
        read.verify(&keys.public()).unwrap();
        read.verify(&read.keys).unwrap();
        let other = Keys::new("example.com/log", 2).public();
        assert!(matches!(read.verify(&other), Err(Error::Unsigned(_))));
    }

    #[test]
    fn every_changed_byte_is_found() {
        let keys = Keys::new("example.com/log", 1);
        let bytes = seal(&keys).to_bytes().unwrap();
        // Every byte of the text, and of the large base64 some.
        let step = |at: usize| if at < 900 { 1 } else { 37 };
        let mut at = 0;
        while at < bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let verified = Seal::parse(&changed).and_then(|seal| seal.verify(&keys.public()));
            assert!(verified.is_err(), "byte {at}");
            at += step(at);
        }
    }

    #[test]
    fn a_seal_with_a_signature_taken_out_does_not_verify() {
        let keys = Keys::new("example.com/log", 1);
        let text = String::from_utf8(seal(&keys).to_bytes().unwrap()).unwrap();
        let at = text.find("\"signatures\":[").unwrap() + 14;
        let comma = at + text[at..].find(',').unwrap();
        let without = format!("{}{}", &text[..at], &text[comma + 1..]);
        let read = Seal::parse(without.as_bytes()).unwrap();
        let error = read.verify(&keys.public()).unwrap_err().to_string();
        assert!(error.contains("Ed25519"), "{error}");
    }
}
