//! What security-ai believes of a published model: whatever link of the chain is broken, it says which.

use quantumos_learn::density::{Component, Density};
use quantumos_learn::manifest::{File, SIGNATURE_CONTEXT};
use quantumos_learn::{Manifest, features, onnx};
use quantumos_pqc::{Secret, SigningKey, sha256_hex};
use security_ai::model::{Model, Papers};
use std::path::Path;

const FILES: [&str; 4] = [
    "manifest.toml",
    "manifest.toml.sig",
    "model.onnx",
    "profile.bin",
];

fn load(folder: &Path, key: &[u8]) -> Result<(), String> {
    let papers = Papers::read(folder).map_err(|refused| refused.to_string())?;
    let loaded = Model::load(papers, &[key.to_vec()]);
    loaded.map(drop).map_err(|refused| refused.to_string())
}

fn copy(model: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in FILES {
        std::fs::copy(model.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

/// Copies a published model, breaks a link of its chain, and has security-ai's loader say which.
pub fn each_broken_link_is_refused_by_name(model: &Path, public: &[u8]) {
    type Break = fn(&Path);
    let table: [(&str, Break); 8] = [
        ("manifest.toml: No such file", |f| {
            std::fs::remove_file(f.join("manifest.toml")).unwrap();
        }),
        ("manifest.toml.sig: No such file", |f| {
            std::fs::remove_file(f.join("manifest.toml.sig")).unwrap();
        }),
        ("none of the 1 trusted keys", |f| {
            std::fs::write(f.join("manifest.toml.sig"), [0; 100]).unwrap();
        }),
        ("none of the 1 trusted keys", |f| {
            let text = std::fs::read_to_string(f.join("manifest.toml")).unwrap();
            let raised = text.replacen("threshold = ", "threshold = 9", 1);
            assert_ne!(raised, text);
            std::fs::write(f.join("manifest.toml"), raised).unwrap();
        }),
        ("the model has", |f| {
            let bytes = std::fs::read(f.join("model.onnx")).unwrap();
            std::fs::write(f.join("model.onnx"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("the model has digest", |f| {
            let mut bytes = std::fs::read(f.join("model.onnx")).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(f.join("model.onnx"), bytes).unwrap();
        }),
        ("profile.bin: No such file", |f| {
            std::fs::remove_file(f.join("profile.bin")).unwrap();
        }),
        ("model.onnx: longer than", |f| {
            std::fs::write(f.join("model.onnx"), vec![0; 1 << 20]).unwrap();
        }),
    ];
    assert_eq!(load(model, public), Ok(()));
    assert!(load(model, &public[1..]).is_err());
    for (wanted, break_it) in table {
        let copy = copy(model);
        break_it(copy.path());
        let told = load(copy.path(), public).unwrap_err();
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

/// Whoever has the key can sign what is no model of ours: the files themselves have to hold.
pub fn what_is_signed_and_hostile_is_refused_by_name(model: &Path) {
    type Change = fn(&mut Manifest, &mut Vec<u8>, &mut Vec<u8>);
    let table: [(&str, Change); 9] = [
        ("no graph", |_, model, _| model.clear()),
        ("truncated, or not protobuf", |_, model, _| {
            model.truncate(model.len() / 2);
        }),
        ("not the one that the trainer writes", |_, model, _| {
            // Another operator of the same length: the file stays whole, and would run.
            let at = model.windows(3).position(|part| part == b"Mul");
            model[at.unwrap()..][..3].copy_from_slice(b"Sub");
        }),
        ("holds a number that is not finite", |_, model, _| {
            *model = density(features::HOST.len(), f32::NAN);
        }),
        ("another number of features", |_, model, _| {
            *model = density(3, 0.5);
        }),
        ("numbers out of order", |_, _, profile| {
            let keys = &mut profile[16..32];
            keys.fill(0xff);
        }),
        ("truncated", |_, _, profile| {
            profile.truncate(profile.len() - 1);
        }),
        ("trained on other features", |manifest, _, _| {
            manifest.features.swap(0, 1);
        }),
        ("at least 0.8 expected", |manifest, _, _| {
            manifest.figures.auc = 0.5;
        }),
    ];
    let key = SigningKey::from_seed(&Secret::from_slice("seed", &[7; 32]).unwrap()).unwrap();
    for (wanted, change) in table {
        let copy = copy(model);
        let read = |name: &str| std::fs::read(copy.path().join(name)).unwrap();
        let mut manifest: Manifest = toml::from_slice(&read("manifest.toml")).unwrap();
        let (mut network, mut profile) = (read("model.onnx"), read("profile.bin"));
        change(&mut manifest, &mut network, &mut profile);
        let file = |bytes: &[u8]| File {
            size: bytes.len() as u64,
            sha256: sha256_hex(bytes),
        };
        (manifest.model, manifest.profile) = (file(&network), file(&profile));
        let text = toml::to_string(&manifest).unwrap();
        let signature = key.sign(text.as_bytes(), SIGNATURE_CONTEXT).unwrap();
        let contents: [&[u8]; 4] = [text.as_bytes(), signature.as_bytes(), &network, &profile];
        for (name, content) in FILES.iter().zip(contents) {
            std::fs::write(copy.path().join(name), content).unwrap();
        }
        let told = load(copy.path(), key.public_key().as_bytes()).unwrap_err();
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

/// A file as the trainer writes it, of any width and with any number in it.
fn density(width: usize, number: f32) -> Vec<u8> {
    let component = Component {
        a: vec![0.5; width * width],
        b: vec![number; width],
        o: 0.0,
    };
    onnx::write(&Density {
        width,
        components: vec![component],
    })
}
