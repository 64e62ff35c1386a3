//! Checkpoints (C2SP tlog-checkpoint): a log's name, its size and the root of its tree, as the
//! text of a signed note.

use crate::note::{Note, Signer, VerifierKey};
use crate::{EMPTY_ROOT, Error, Hash};
use base64::{Engine, engine::general_purpose::STANDARD};

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
    /// Further lines, opaque.
    pub extensions: Vec<String>,
}

/// A number without sign and leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

/// A hash in base64.
pub(crate) fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

impl Checkpoint {
    /// The head of a log without extension lines.
    #[must_use]
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self {
            origin: origin.into(),
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// The text of the note.
    #[must_use]
    pub fn text(&self) -> String {
        let root = STANDARD.encode(self.root);
        let mut text = format!("{}\n{}\n{root}\n", self.origin, self.size);
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Signs it with every signer.
    ///
    /// # Errors
    /// As [`Note::sign`].
    pub fn sign(&self, signers: &[&dyn Signer]) -> Result<Note, Error> {
        Note::sign(&self.text(), signers)
    }

    /// Reads the text of a note.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::malformed("checkpoint", why);
        let body = text
            .strip_suffix('\n')
            .ok_or_else(|| bad("it doesn't end in a newline"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or_else(|| bad("line 1: no origin"))?;
        let size = lines.next().and_then(decimal);
        let size = size.ok_or_else(|| bad("line 2: no tree size"))?;
        let root = lines.next().and_then(hash);
        let root = root.ok_or_else(|| bad("line 3: no root hash in base64"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(bad("an empty line"));
        }
        if size == 0 && root != EMPTY_ROOT {
            return Err(bad("line 3: not the root of an empty tree"));
        }
        Ok(Self {
            origin: origin.into(),
            size,
            root,
            extensions,
        })
    }

    /// Parses a note, verifies it with `keys`, and reads the checkpoint in it.
    ///
    /// # Errors
    /// As [`Note::parse`], [`Note::verify`] and [`Checkpoint::parse`].
    pub fn open<'a>(
        note: &[u8],
        keys: &'a [VerifierKey],
    ) -> Result<(Self, Vec<&'a VerifierKey>), Error> {
        let note = Note::parse(note)?;
        let by = note.verify(keys)?;
        Ok((Self::parse(note.text())?, by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::tests::Keys;

    /// The example of the specification.
    const EXAMPLE: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn published_example_round_trips() {
        let checkpoint = Checkpoint::parse(EXAMPLE).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.text(), EXAMPLE);
        let extended = format!("{EXAMPLE}one\ntwo\n");
        let checkpoint = Checkpoint::parse(&extended).unwrap();
        assert_eq!(checkpoint.extensions, ["one", "two"]);
        assert_eq!(checkpoint.text(), extended);
    }

    #[test]
    fn signed_and_opened() {
        let keys = Keys::new("example.com/log", 3);
        let checkpoint = Checkpoint::new("example.com/log", 7, [5; 32]);
        let note = keys.sign(&checkpoint.text()).to_string();
        let public = keys.public();
        let (opened, by) = Checkpoint::open(note.as_bytes(), &public).unwrap();
        assert_eq!((opened, by.len()), (checkpoint, 2));
        let other = Keys::new("example.com/log", 4).public();
        assert!(Checkpoint::open(note.as_bytes(), &other).is_err());
    }

    #[test]
    fn malformed_texts_are_refused_by_line() {
        let root = EXAMPLE.lines().last().unwrap();
        for (bad, words) in [
            (String::new(), "newline"),
            ("a\n1\n".into(), "line 3"),
            (format!("\n1\n{root}\n"), "line 1"),
            (format!("a\n01\n{root}\n"), "line 2"),
            (format!("a\n+1\n{root}\n"), "line 2"),
            (format!("a\n\n{root}\n"), "line 2"),
            (format!("a\n18446744073709551616\n{root}\n"), "line 2"),
            (format!("a\n1\n{root}x\n"), "line 3"),
            ("a\n1\nAAAA\n".into(), "line 3"),
            (format!("a\n0\n{root}\n"), "empty tree"),
            (format!("a\n1\n{root}\n\nb\n"), "empty line"),
        ] {
            let error = Checkpoint::parse(&bad).unwrap_err().to_string();
            assert!(error.contains(words), "{bad:?}: {error}");
        }
    }
}
