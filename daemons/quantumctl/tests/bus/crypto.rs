//! `quantumctl crypto` and `wave`, which work where no bus is: files and pipes there and back, and
//! every refusal with its exit code, its name and no output.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value as Json;

/// A directory with keys, and the binary with no bus to reach.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        place.write("key", &[7; 32]);
        place.write("other", &[8; 32]);
        place.write("word", b"correct horse\nsecond line");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn run(&self, line: &str, input: Option<&[u8]>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quantumctl"));
        command
            .args(line.split_whitespace())
            .current_dir(self.directory.path())
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
            .env("TMPDIR", self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let Some(input) = input else {
            return command.output().unwrap();
        };
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // It may stop reading early, which is no failure of the test.
        let writer = std::thread::spawn(move || {
            let _ = std::io::Write::write_all(&mut stdin, &input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }

    /// Runs what has to succeed, and gives standard output.
    fn ok(&self, line: &str, input: Option<&[u8]>) -> Vec<u8> {
        let output = self.run(line, input);
        assert!(output.status.success(), "{line}: {output:?}");
        output.stdout
    }

    /// Runs what has to fail: exit code, name of the error, nothing on standard output.
    fn refused(&self, line: &str, input: Option<&[u8]>, code: i32, name: &str) {
        let output = self.run(&format!("{line} --json"), input);
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        let error: Json = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["error"]["name"], name, "{line}: {output:?}");
        assert!(output.stdout.is_empty(), "{line}");
    }

    /// What lies around, but for hidden names.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

#[test]
fn files_and_pipes_of_any_length_go_there_and_back() {
    let place = Place::new();
    // Nothing, less than a chunk, whole chunks, more than a thread takes at a time.
    for len in [0, 10, 65_536, 524_288, 3_000_001] {
        let text = message(len);
        place.write("plain", &text);
        for threads in [1, 3] {
            let seal = format!("crypto encrypt --key-file key --threads {threads}");
            let open = format!("crypto decrypt --key-file key --threads {threads}");
            place.ok(&format!("{seal} plain -o sealed --force"), None);
            let piped = place.ok(&seal, Some(&text));
            let onto = place.ok(&format!("{seal} plain"), None);
            assert_eq!(place.read("sealed").len(), piped.len());
            for sealed in [&place.read("sealed"), &piped, &onto] {
                place.write("sealed", sealed);
                place.ok(&format!("{open} sealed -o back --force"), None);
                assert!(place.read("back") == text, "{len} by file");
                assert!(place.ok(&open, Some(sealed)) == text, "{len} by pipe");
                assert!(place.ok(&format!("{open} sealed"), None) == text);
                place.ok(&format!("{open} - -o back --force"), Some(sealed));
                assert!(place.read("back") == text);
            }
        }
    }
    assert_eq!(
        place.names(),
        ["back", "key", "other", "plain", "sealed", "word"]
    );
}

#[test]
fn passphrases_ciphers_and_contexts() {
    let place = Place::new();
    for cipher in ["aes", "xchacha"] {
        let line = format!(
            "crypto encrypt --passphrase-file word --memory 1 --context a.txt --cipher {cipher}"
        );
        let sealed = place.ok(&line, Some(b"text"));
        let open = "crypto decrypt --passphrase-file word --context a.txt";
        assert_eq!(place.ok(open, Some(&sealed)), b"text");
        let other = "crypto decrypt --passphrase-file word --context b.txt";
        place.refused(other, Some(&sealed), 7, "wrong-key");
        let by_key = "crypto decrypt --key-file key --context a.txt";
        place.refused(by_key, Some(&sealed), 2, "other-source");
    }
    let text = place.ok(
        "crypto encrypt --text --passphrase-file word --memory 1",
        Some("Zażółć".as_bytes()),
    );
    assert!(text.is_ascii());
    assert_eq!(
        place.ok("crypto decrypt --text --passphrase-file word", Some(&text)),
        "Zażółć".as_bytes()
    );
}

#[test]
fn damage_has_a_name_and_leaves_nothing() {
    let place = Place::new();
    let text = message(200_000);
    place.write("plain", &text);
    let sealed = place.ok("crypto encrypt plain --key-file key", None);
    let chunk = 65_536 + 16;
    let header = sealed.len() - 200_000 - 4 * 16;
    let altered = |at: usize| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let (first, second) = (header..header + chunk, header + chunk..header + 2 * chunk);
    let swapped = [
        &sealed[..header],
        &sealed[second.clone()],
        &sealed[first.clone()],
        &sealed[second.end..],
    ]
    .concat();
    let doubled = [&sealed[..], &sealed[first]].concat();
    for (bytes, name) in [
        (altered(0), "foreign"),
        (altered(4), "unknown-version"),
        (altered(20), "damaged"),
        (altered(header + 70_000), "altered"),
        (altered(sealed.len() - 1), "cut-or-altered"),
        (swapped, "out-of-order"),
        (sealed[..header + 2 * chunk].to_vec(), "truncated"),
        (sealed[..20].to_vec(), "truncated"),
        (Vec::new(), "truncated"),
        (doubled, "altered"),
    ] {
        place.write("bad", &bytes);
        let open = "crypto decrypt --key-file key --threads 2";
        place.refused(&format!("{open} bad"), None, 7, name);
        place.refused(open, Some(&bytes), 7, name);
        place.refused(&format!("{open} bad -o out"), None, 7, name);
        place.refused(&format!("{open} - -o out"), Some(&bytes), 7, name);
    }
    let open = "crypto decrypt --key-file other -o out";
    place.refused(open, Some(&sealed), 7, "wrong-key");
    assert_eq!(place.names(), ["bad", "key", "other", "plain", "word"]);
}

#[test]
fn usage_is_checked_before_anything_is_written() {
    let place = Place::new();
    place.write("there", b"old");
    let line = "crypto encrypt key --key-file key -o there";
    place.refused(line, None, 2, "usage");
    assert_eq!(place.read("there"), b"old");
    place.write("short", b"1234");
    place.refused("crypto encrypt key --key-file short", None, 2, "too-short");
    place.refused("crypto encrypt none --key-file key", None, 1, "file");
    place.refused("crypto encrypt key --key-file none", None, 1, "file");
    place.write("empty", b"\n");
    let line = "crypto encrypt key --passphrase-file empty";
    place.refused(line, None, 2, "usage");
    let line = "crypto encrypt key --key-file key --text";
    place.refused(line, None, 2, "usage");
}

#[test]
fn hashes_and_macs() {
    let place = Place::new();
    place.write("wave", b"0.1, 0.5 0.9\n0.5 -0.0");
    place.write("phases", b"[0.25, 1]");
    let run = |line: &str| -> Json { serde_json::from_slice(&place.ok(line, None)).unwrap() };
    let plain = run("crypto hash wave --json");
    assert_eq!(plain["algorithm"], "SHA3-256");
    assert_eq!(plain["values"], 5);
    assert!(plain["summary"].as_str().unwrap().starts_with('A'));
    place.write("same", b"[0.1, 0.5, 0.9, 0.5, 0]");
    assert_eq!(run("crypto hash same --json")["hash"], plain["hash"]);
    // Two values of one parity swapped: the seed's own hash does not see it.
    place.write("swapped", b"0.9 0.5 0.1 0.5 0");
    assert_ne!(run("crypto hash swapped --json")["hash"], plain["hash"]);
    let keyed = run("crypto hash wave --key-file key --phases phases --json");
    assert_eq!(keyed["algorithm"], "KMAC256");
    assert_ne!(keyed["hash"], plain["hash"]);
    place.refused("crypto hash", Some(b"1 nan"), 2, "not-finite");
    place.refused("crypto hash", Some(b""), 2, "too-short");
    place.refused("crypto hash", Some(b"1 x"), 2, "usage");

    let line = "crypto hmac --key-file key --phases phases";
    let value = String::from_utf8(place.ok(&format!("{line} wave"), None)).unwrap();
    let piped = place.ok(line, Some(&place.read("wave")));
    assert_eq!(piped, value.as_bytes());
    let check = format!("{line} wave --verify {value}");
    assert!(!place.ok(&check, None).is_empty());
    let other = format!("crypto hmac --key-file other --phases phases wave --verify {value}");
    let output = place.run(&other, None);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn waveforms_are_transformed_and_back() {
    let place = Place::new();
    for (len, options) in [
        (5, ""),
        (1024, ""),
        (1500, ""),
        (1500, "--block 700"),
        (64, "--key-file key"),
    ] {
        let wave: Vec<f64> = (0..len).map(|i| f64::from(i % 17) - 3.5).collect();
        place.write("wave", serde_json::to_string(&wave).unwrap().as_bytes());
        let line = format!("wave transform wave {options} --json");
        let spectrum = place.ok(&line, None);
        let shown: Json = serde_json::from_slice(&spectrum).unwrap();
        assert_eq!(shown["phases"].as_array().unwrap().len(), wave.len());
        let line = format!("wave inverse {options} --json");
        let back: Json = serde_json::from_slice(&place.ok(&line, Some(&spectrum))).unwrap();
        let back: Vec<f64> = serde_json::from_value(back["waveform"].clone()).unwrap();
        let far = wave.iter().zip(&back).map(|(a, b)| (a - b).abs());
        assert!(far.fold(0.0, f64::max) < 1e-11, "{len} {options}");
    }
    let keyed = place.ok("wave transform wave --key-file key --json", None);
    place.refused("wave inverse --key-file other", Some(&keyed), 2, "usage");
    place.refused("wave inverse", Some(b"{}"), 2, "usage");
    place.refused("wave transform", Some(b"1 inf"), 2, "not-finite");
    place.refused("wave transform", Some(b""), 2, "too-short");
}

#[test]
fn messages_travel_as_light() {
    let place = Place::new();
    for method in ["FSE", "ame", "PME", "QIML"] {
        let line = format!("wave encode --method {method} --key-file key");
        let frames = place.ok(&line, Some(b"a message"));
        assert_eq!(
            place.ok("wave decode --key-file key", Some(&frames)),
            b"a message"
        );
        let shown = place.ok("wave frames --limit 3 --json", Some(&frames));
        let shown: Json = serde_json::from_slice(&shown).unwrap();
        assert_eq!(shown["method"], method.to_uppercase());
        assert_eq!(shown["frames"].as_array().unwrap().len(), 3);
        let nm = shown["frames"][2]["wavelength_nm"].as_f64().unwrap();
        assert!((380.0..780.0).contains(&nm));
        place.refused(
            "wave decode --key-file other",
            Some(&frames),
            7,
            "wrong-key",
        );
        let mut bad = frames.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        place.refused("wave decode --key-file key", Some(&bad), 7, "damaged");
        let cut = &frames[..frames.len() - 1];
        place.refused("wave decode --key-file key", Some(cut), 7, "truncated");
    }
    place.refused("wave decode --key-file key", Some(b"other"), 7, "foreign");
}

/// The signature verifies without any service, and the five numbers come with it.
#[test]
fn a_five_dimensional_signature_is_checked_offline() {
    let place = Place::new();
    let key = quantumos_pqc::SigningKey::from_seed(&quantumos_pqc::Secret::random().unwrap());
    let key = key.unwrap();
    let signature = key.sign(b"message", b"quantumos 5d signature v1").unwrap();
    place.write("sig", signature.as_bytes());
    place.write("pub", key.public_key().as_bytes());
    let line = "wave sign5d --signature sig --public-key pub";
    let shown = place.ok(&format!("{line} --json"), Some(b"message"));
    let shown: Json = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["valid"], true);
    assert_eq!(shown["digest"].as_str().unwrap().len(), 40);
    place.refused(line, Some(b"massage"), 7, "bad-signature");
}
