//! The manifest beside a capture: what is read is written and read again the same, and whether it is whole is said
//! alike by both.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

// The module alone: all of quantumctl would bring the build of everything with it. What it takes from there:
#[path = "../../../daemons/quantumctl/src/security/manifest.rs"]
mod manifest;

mod error {
    use std::path::PathBuf;

    #[derive(Debug)]
    pub enum Error {
        Answer(String),
        BadSignature,
        Capture { place: String, reason: String },
        File(PathBuf, std::io::Error),
    }

    impl Error {
        pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
            Self::File(path.into(), source)
        }
    }

    impl std::fmt::Display for Error {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{self:?}")
        }
    }
}

mod keys {
    use crate::error::Error;
    use std::path::Path;

    pub fn decoded(path: &Path) -> Result<Vec<u8>, Error> {
        std::fs::read(path).map_err(|source| Error::file(path, source))
    }
}

use manifest::Manifest;
use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a directory"));

fuzz_target!(|bytes: &[u8]| {
    let capture = FOLDER.path().join("capture");
    std::fs::write(manifest::path_of(&capture), bytes).expect("the file");
    let part = manifest::part(&capture);
    match serde_json::from_slice::<Manifest>(bytes) {
        Ok(read) => {
            assert_eq!(part, read.part());
            let whole = read.complete && read.dropped == Some(0);
            assert_eq!(part.is_none(), whole);
            let text = read.text().expect("it is written");
            assert_eq!(serde_json::from_slice::<Manifest>(&text).ok(), Some(read));
        }
        Err(_) => assert!(part.is_some_and(|part| part.contains("can't be read"))),
    }
});
