//! Configuration files: applied, or refused with file and line.
#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use quantumos_service::{Invalid, Settings, load};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Example {
    number: u32,
    names: Vec<String>,
    nested: Nested,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Nested {
    share: f64,
    path: PathBuf,
}

impl Settings for Example {
    fn validate(&self) -> Result<(), Invalid> {
        match self.number {
            0..=100 => Ok(()),
            _ => Err(Invalid::new("number", "at most 100")),
        }
    }
}

static ROOT: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(root.path().join("etc/quantumos")).expect("a directory");
    root
});

fuzz_target!(|bytes: &[u8]| {
    let file = ROOT.path().join("etc/quantumos/fuzz.toml");
    fs::write(&file, bytes).expect("the file");
    match load::<Example>(ROOT.path(), "fuzz") {
        Ok(settings) => assert!(settings.number <= 100),
        Err(error) => assert!(error.to_string().contains("fuzz.toml"), "{error}"),
    }
});
