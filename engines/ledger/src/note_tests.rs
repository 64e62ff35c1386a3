use super::*;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, ML_DSA_87_SIGNING, PqdsaKeyPair};
use proptest::prelude::*;

/// Signers from fixed seeds.
pub struct Keys {
    ed25519: (VerifierKey, Ed25519KeyPair),
    ml_dsa: (VerifierKey, PqdsaKeyPair),
}

pub struct One<'a>(&'a Keys, Kind);

impl Signer for One<'_> {
    fn key(&self) -> &VerifierKey {
        match self.1 {
            Kind::Ed25519 => &self.0.ed25519.0,
            Kind::MlDsa87 => &self.0.ml_dsa.0,
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        match self.1 {
            Kind::Ed25519 => Ok(self.0.ed25519.1.sign(message).as_ref().to_vec()),
            Kind::MlDsa87 => {
                let mut out = vec![0; 4627];
                let signed = self.0.ml_dsa.1.sign(message, &mut out);
                signed.map(|_| out).map_err(|e| e.to_string())
            }
        }
    }
}

impl Keys {
    pub fn new(name: &str, seed: u8) -> Self {
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let ml_dsa = PqdsaKeyPair::from_seed(&ML_DSA_87_SIGNING, &[seed; 32]).unwrap();
        let key = |kind, public: &[u8]| VerifierKey::new(name, kind, public).unwrap();
        Self {
            ed25519: (key(Kind::Ed25519, ed25519.public_key().as_ref()), ed25519),
            ml_dsa: (key(Kind::MlDsa87, ml_dsa.public_key().as_ref()), ml_dsa),
        }
    }

    pub fn public(&self) -> Vec<VerifierKey> {
        vec![self.ed25519.0.clone(), self.ml_dsa.0.clone()]
    }

    pub fn signers(&self) -> [One<'_>; 2] {
        Kind::ALL.map(|kind| One(self, kind))
    }

    pub fn sign(&self, text: &str) -> Note {
        let (one, two) = (One(self, Kind::Ed25519), One(self, Kind::MlDsa87));
        Note::sign(text, &[&one, &two]).unwrap()
    }
}

/// The examples of C2SP signed-note and of Go's sumdb/note.
#[test]
fn published_notes_verify() {
    let cases = [
        (
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
        ),
        (
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
        ),
    ];
    for (key, text) in cases {
        let keys: [VerifierKey; 1] = [key.parse().unwrap()];
        assert_eq!(keys[0].to_string(), key);
        let note = Note::parse(text.as_bytes()).unwrap();
        assert_eq!(note.to_string(), text);
        assert_eq!(note.verify(&keys).unwrap(), [&keys[0]]);
        let other = text.replacen('h', "H", 1);
        let other = Note::parse(other.as_bytes()).unwrap();
        assert!(matches!(other.verify(&keys), Err(Error::BadSignature(_))));
    }
}

#[test]
fn both_kinds_sign_and_verify() {
    let keys = Keys::new("example.com/log", 1);
    let public = keys.public();
    for key in &public {
        assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), *key);
    }
    assert_ne!(public[0].id(), public[1].id());
    let note = keys.sign("one\n\ntwo\n");
    let parsed = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(parsed, note);
    assert_eq!(parsed.text(), "one\n\ntwo\n");
    assert_eq!(parsed.verify(&public).unwrap().len(), 2);
    for key in &public {
        let only = [key.clone()];
        assert_eq!(parsed.verify(&only).unwrap(), [key]);
    }
    // Other keys, of the same name or not, don't know it.
    for other in [Keys::new("example.com/log", 2), Keys::new("else", 1)] {
        let others = other.public();
        let unsigned = parsed.verify(&others);
        assert!(matches!(unsigned, Err(Error::Unsigned(_))));
    }
    // The post-quantum signature isn't one of the bare text.
    let bare = UnparsedPublicKey::new(&ML_DSA_87, public[1].public());
    assert!(
        bare.verify(note.text().as_bytes(), &note.signatures()[1].bytes)
            .is_err()
    );
}

#[test]
fn a_signer_that_fails_or_lies_gives_no_note() {
    struct Bad(VerifierKey, Result<Vec<u8>, String>);
    impl Signer for Bad {
        fn key(&self) -> &VerifierKey {
            &self.0
        }
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, String> {
            self.1.clone()
        }
    }
    let key = Keys::new("a", 1).public().remove(0);
    for answer in [Err("no".into()), Ok(vec![0; 64]), Ok(vec![])] {
        let signed = Note::sign("t\n", &[&Bad(key.clone(), answer)]);
        assert!(matches!(signed, Err(Error::Signer { .. })));
    }
    assert!(matches!(Note::sign("t\n", &[]), Err(Error::Unsigned(_))));
}

#[test]
fn malformed_notes_are_refused_by_line() {
    let good = "text\n\n\u{2014} a AAAAAAA=\n";
    Note::parse(good.as_bytes()).unwrap();
    let sixteen = format!("text\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(16));
    assert_eq!(
        Note::parse(sixteen.as_bytes()).unwrap().signatures().len(),
        16
    );
    let many = format!("text\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(33));
    for (bad, words) in [
        ("", "newline"),
        ("text\n", "no empty line"),
        ("text\n\n", "no signature"),
        ("text\n\n\u{2014} a AAAAAAA=", "newline"),
        ("te\txt\n\n\u{2014} a AAAAAAA=\n", "control"),
        ("text\r\n\n\u{2014} a AAAAAAA=\n", "control"),
        ("text\n\n- a AAAAAAA=\n", "line 3"),
        ("text\n\n\u{2014} a b AAAAAAA=\n", "line 3: no base64"),
        ("text\n\n\u{2014} a AAAAAAA=\n\u{2014} a\n", "line 4"),
        ("text\n\n\u{2014} a+b AAAAAAA=\n", "name"),
        ("text\n\n\u{2014} a AAAAAA==\n", "too short"),
        (many.as_str(), "33"),
    ] {
        let error = Note::parse(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{bad:?}: {error}");
    }
    assert!(Note::parse(b"\xff\n\n").is_err());
    assert!(Note::parse(&vec![b'a'; NOTE_MAX + 1]).is_err());
}

#[test]
fn malformed_keys_are_refused() {
    let good = Keys::new("n", 1).public()[0].to_string();
    let (name_id, _) = good.rsplit_once('+').unwrap();
    for bad in [
        String::new(),
        "n".into(),
        "n+00".into(),
        good.replace('n', "m"),
        good.replacen('+', "+0", 1),
        format!("{name_id}+AA=="),
        format!("{name_id}+?"),
        format!("{good}A"),
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\n", &"x".repeat(256)] {
        assert!(VerifierKey::new(name, Kind::Ed25519, &[0; 32]).is_err());
    }
    assert!(VerifierKey::new("a", Kind::Ed25519, &[0; 31]).is_err());
}

proptest! {
    #[test]
    fn what_parses_is_written_back(text in "([a-z\u{2014} ]{0,20}\n){1,4}", tail in ".{0,60}") {
        let note = format!("{text}\n\u{2014} a {tail}\n");
        if let Ok(parsed) = Note::parse(note.as_bytes()) {
            prop_assert_eq!(parsed.to_string(), note);
        }
    }
}
