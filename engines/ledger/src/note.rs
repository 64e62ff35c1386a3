//! Signed notes (C2SP signed-note): a text and signatures by named keys. Ed25519 is type 1, which
//! any tool for notes verifies; ML-DSA-87 has no number there and is the type 0xff with the
//! identifier [`ML_DSA_87_ID`], as the specification provides. Unknown signatures are kept and ignored.

use crate::{Error, sha256};
use aws_lc_rs::signature::{ED25519, ML_DSA_87, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Follows the type byte 0xff of ML-DSA-87 keys, and begins what they sign.
pub const ML_DSA_87_ID: &str = "org.quantumos.note.ml-dsa-87.v1";
/// Signatures that a note may carry.
pub const SIGNATURES_MAX: usize = 32;
/// Bytes that a note may have.
pub const NOTE_MAX: usize = 1 << 18;
/// Bytes that a key's name may have.
const NAME_MAX: usize = 255;

/// The types of signature that this crate makes and verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// RFC 8032 over the text.
    Ed25519,
    /// FIPS 204, pure, empty context, over [`ML_DSA_87_ID`], a newline, and the text.
    MlDsa87,
}

impl Kind {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::MlDsa87];

    /// The algorithm's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// What stands before the public key in a verifier key and in what a key id hashes.
    fn prefix(self) -> Vec<u8> {
        match self {
            Self::Ed25519 => vec![1],
            Self::MlDsa87 => [&[0xff], ML_DSA_87_ID.as_bytes()].concat(),
        }
    }

    /// Lengths of a public key and of a signature in bytes.
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::Ed25519 => (32, 64),
            Self::MlDsa87 => (2592, 4627),
        }
    }

    /// The bytes that a key of this type signs for a text.
    #[must_use]
    pub fn message(self, text: &str) -> Vec<u8> {
        match self {
            Self::Ed25519 => text.as_bytes().to_vec(),
            Self::MlDsa87 => [ML_DSA_87_ID, "\n", text].concat().into_bytes(),
        }
    }
}

/// A public key with the name that notes know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: Kind,
    public: Vec<u8>,
}

fn check_name(name: &str) -> Result<(), Error> {
    let why = if name.is_empty() {
        "the name of a key is empty"
    } else if name.len() > NAME_MAX {
        "the name of a key has more than 255 bytes"
    } else if name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control()) {
        "the name of a key holds a space, a control character or a plus"
    } else {
        return Ok(());
    };
    Err(Error::malformed("key name", why))
}

impl VerifierKey {
    /// Names a public key.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a name that notes don't allow and for a wrong length.
    pub fn new(name: &str, kind: Kind, public: &[u8]) -> Result<Self, Error> {
        check_name(name)?;
        let (want, _) = kind.lengths();
        if public.len() != want {
            let why = format!("{} bytes, {} has {want}", public.len(), kind.name());
            return Err(Error::malformed("public key", why));
        }
        Ok(Self {
            name: name.into(),
            kind,
            public: public.into(),
        })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its signatures.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Four bytes that say which key of this name it is.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let parts = [
            self.name.as_bytes(),
            b"\n",
            &self.kind.prefix(),
            &self.public,
        ];
        let hash = sha256(&parts);
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Whether `signature` (without the key id) is this key's over `text`.
    #[must_use]
    pub fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        let message = self.kind.message(text);
        match self.kind {
            Kind::Ed25519 => UnparsedPublicKey::new(&ED25519, &self.public)
                .verify(&message, signature)
                .is_ok(),
            Kind::MlDsa87 => UnparsedPublicKey::new(&ML_DSA_87, &self.public)
                .verify(&message, signature)
                .is_ok(),
        }
    }

    /// For messages: name and type.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} ({})", self.name, self.kind.name())
    }
}

/// `NAME+ID+BASE64`, as `sumdb/note` and its kin take it.
impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = [self.kind.prefix(), self.public.clone()].concat();
        let id = crate::hash::hex(&self.id());
        write!(f, "{}+{id}+{}", self.name, STANDARD.encode(key))
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::malformed("verifier key", why);
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("not NAME+ID+BASE64"));
        };
        let key = STANDARD.decode(key).map_err(|_| bad("no base64"))?;
        let (kind, public) = Kind::ALL
            .into_iter()
            .find_map(|kind| Some((kind, key.strip_prefix(&kind.prefix()[..])?)))
            .ok_or_else(|| bad("neither Ed25519 nor ML-DSA-87"))?;
        let key = Self::new(name, kind, public)?;
        if crate::hash::hex(&key.id()) != id {
            return Err(bad("its id is not that of the name and key"));
        }
        Ok(key)
    }
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: [u8; 4],
    /// The signature itself.
    pub bytes: Vec<u8>,
}

/// A text and its signatures, verified or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// Signs notes with one key. Where the secret is, is the caller's affair.
pub trait Signer {
    /// The key's public half and name.
    fn key(&self) -> &VerifierKey;
    /// Signs a message, the one that [`Kind::message`] makes.
    ///
    /// # Errors
    /// Why it couldn't, in words.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}

fn check_text(text: &str) -> Result<(), Error> {
    let bad = |why: &str| Err(Error::malformed("note", why));
    if !text.ends_with('\n') {
        return bad("the text doesn't end in a newline");
    }
    if text.contains(|c: char| c < ' ' && c != '\n') {
        return bad("a control character");
    }
    Ok(())
}

impl Note {
    /// Signs `text` with each of `signers`, and checks each signature before it leaves.
    ///
    /// # Errors
    /// [`Error::Malformed`] for the text, [`Error::Signer`], [`Error::Unsigned`] without signers.
    pub fn sign(text: &str, signers: &[&dyn Signer]) -> Result<Self, Error> {
        check_text(text)?;
        if signers.is_empty() {
            return Err(Error::Unsigned("there is no key to sign with".into()));
        }
        let sign = |signer: &&dyn Signer| {
            let key = signer.key();
            let fails = |why: String| Error::Signer {
                name: key.shown(),
                why,
            };
            let bytes = signer.sign(&key.kind.message(text)).map_err(fails)?;
            if !key.verifies(text, &bytes) {
                return Err(fails("its signature does not verify".into()));
            }
            Ok(Signature {
                name: key.name.clone(),
                id: key.id(),
                bytes,
            })
        };
        Ok(Self {
            text: text.into(),
            signatures: signers.iter().map(sign).collect::<Result<_, _>>()?,
        })
    }

    /// Parses a note; no signature is verified yet.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the line, [`Error::Limit`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > NOTE_MAX {
            return Err(Error::Limit {
                what: "bytes of a note",
                limit: NOTE_MAX as u64,
                got: bytes.len() as u64,
            });
        }
        let note = std::str::from_utf8(bytes).map_err(|error| {
            Error::malformed("note", format!("byte {}: no UTF-8", error.valid_up_to()))
        })?;
        check_text(note)?;
        // The last empty line divides; the text keeps its own newline.
        let (text, lines) = note
            .rfind("\n\n")
            .map(|at| (&note[..=at], &note[at + 2..]))
            .ok_or_else(|| Error::malformed("note", "no empty line before signatures"))?;
        let before = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let mut signatures = Vec::new();
        for (at, line) in lines.lines().enumerate() {
            if at == SIGNATURES_MAX {
                return Err(Error::Limit {
                    what: "signatures of a note",
                    limit: SIGNATURES_MAX as u64,
                    got: lines.lines().count() as u64,
                });
            }
            let bad = |why| {
                let line = before + at + 1;
                Error::malformed("note", format!("line {line}: {why}"))
            };
            signatures.push(signature(line).map_err(bad)?);
        }
        if signatures.is_empty() {
            return Err(Error::malformed("note", "no signature"));
        }
        Ok(Self {
            text: text.into(),
            signatures,
        })
    }

    /// The signed text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, known or not.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Verifies every signature by one of `keys` and gives those keys, each once.
    ///
    /// # Errors
    /// [`Error::BadSignature`] when one of a known key fails, [`Error::Unsigned`] when no key is known.
    pub fn verify<'a>(&self, keys: &'a [VerifierKey]) -> Result<Vec<&'a VerifierKey>, Error> {
        let mut good: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let known = |key: &&VerifierKey| key.name == signature.name && key.id() == signature.id;
            let Some(key) = keys.iter().find(known) else {
                continue;
            };
            if !key.verifies(&self.text, &signature.bytes) {
                return Err(Error::BadSignature(key.shown()));
            }
            if !good.contains(&key) {
                good.push(key);
            }
        }
        if good.is_empty() {
            let names: Vec<&str> = self.signatures.iter().map(|s| s.name.as_str()).collect();
            return Err(Error::Unsigned(format!("signed by {}", names.join(", "))));
        }
        Ok(good)
    }

    /// As [`Note::verify`], and every one of `keys` has to have signed: a note with one signature taken out
    /// doesn't verify.
    ///
    /// # Errors
    /// As [`Note::verify`].
    pub fn verify_all(&self, keys: &[VerifierKey]) -> Result<(), Error> {
        let by = self.verify(keys)?;
        match keys.iter().find(|key| !by.contains(key)) {
            Some(missing) => Err(Error::Unsigned(format!("{} is missing", missing.shown()))),
            None => Ok(()),
        }
    }
}

/// The note's own form.
impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        for Signature { name, id, bytes } in &self.signatures {
            let encoded = STANDARD.encode([&id[..], bytes].concat());
            writeln!(f, "\u{2014} {name} {encoded}")?;
        }
        Ok(())
    }
}

fn signature(line: &str) -> Result<Signature, &'static str> {
    let rest = line
        .strip_prefix("\u{2014} ")
        .ok_or("no signature: it doesn't begin with a dash and a space")?;
    let (name, encoded) = rest.split_once(' ').ok_or("no name and signature")?;
    check_name(name).map_err(|_| "the key's name is empty or holds what names may not")?;
    let bytes = STANDARD.decode(encoded).map_err(|_| "no base64")?;
    match bytes.split_first_chunk::<4>() {
        Some((id, rest)) if !rest.is_empty() => Ok(Signature {
            name: name.into(),
            id: *id,
            bytes: rest.into(),
        }),
        _ => Err("too short for a key id and a signature"),
    }
}

#[cfg(test)]
#[path = "note_tests.rs"]
pub(crate) mod tests;
