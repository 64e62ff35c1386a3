//! Text in, base64 out, and back.
#![allow(clippy::panic, clippy::unwrap_used)]

use quantumos_resonance::Error;
use quantumos_resonance::stream::{Cost, Options};
use quantumos_resonance::text::{decrypt, encrypt};

const CHEAP: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fn options() -> Options<'static> {
    Options {
        cost: CHEAP,
        ..Options::default()
    }
}

#[test]
fn text_round_trips() {
    for text in ["", "a", "Zażółć gęślą jaźń ❄", &"x".repeat(100_000)] {
        let sealed = encrypt(text, "key", &options()).unwrap();
        assert_eq!(*decrypt(&sealed, "key", b"", CHEAP).unwrap(), text);
        // Mail and terminals break lines.
        let broken: String = sealed
            .as_bytes()
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap().to_owned() + "\r\n")
            .collect();
        assert_eq!(*decrypt(&broken, "key", b"", CHEAP).unwrap(), text);
    }
}

#[test]
fn refusals_have_their_own_errors() {
    let sealed = encrypt("text", "key", &options()).unwrap();
    for (text, key, wanted) in [
        (
            sealed.as_str(),
            "Key",
            Error::WrongKey("passphrase or context"),
        ),
        (
            "not base64!",
            "key",
            Error::Malformed {
                what: "ciphertext",
                why: "is not base64",
            },
        ),
        ("aGVsbG8=", "key", Error::Foreign("resonance stream")),
        (
            &sealed[..sealed.len() - 24],
            "key",
            Error::Truncated {
                what: "resonance stream",
                after: 3,
            },
        ),
        (
            "",
            "key",
            Error::Truncated {
                what: "resonance stream",
                after: 0,
            },
        ),
    ] {
        assert_eq!(decrypt(text, key, b"", CHEAP).unwrap_err(), wanted);
    }
}
