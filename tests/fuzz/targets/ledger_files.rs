//! A whole ledger as somebody hands it over: a running one's append file or a published one's bundles, tiles, checkpoint,
//! keys, seal. Verifying never trusts them, and an archive that opens has the records that its checkpoint speaks for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_ledger::archive::Archive;
use quantumos_ledger::files::Files;
use quantumos_ledger::{Error, verify};
use std::collections::BTreeMap;
use std::io::Read;

/// The files that a ledger may have; which of them there are, and how long, the input says.
const NAMES: [&str; 9] = [
    "log",
    "checkpoint",
    "verifier-keys",
    "KEY_FINALITY_SEAL.json",
    "tile/entries/000",
    "tile/entries/000.p/1",
    "tile/entries/000.p/2",
    "tile/0/000",
    "tile/0/000.p/1",
];

struct Given<'a>(BTreeMap<&'static str, &'a [u8]>);

impl Files for Given<'_> {
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, Error> {
        let found = self.0.get(name);
        Ok(found.map(|bytes| Box::new(*bytes) as Box<dyn Read>))
    }
}

fn given(mut bytes: &[u8]) -> Given<'_> {
    let mut files = BTreeMap::new();
    while let Some(([which, high, low], rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (content, rest) = rest.split_at(length);
        files.insert(NAMES[usize::from(*which) % NAMES.len()], content);
        bytes = rest;
    }
    Given(files)
}

fuzz_target!(|bytes: &[u8]| {
    let files = given(bytes);
    if let Ok(report) = verify::verify(&files, &[]) {
        assert!(!report.pinned);
    }
    let Ok(archive) = Archive::open(&files) else {
        return;
    };
    let size = archive.checkpoint().size;
    for index in [0, size / 2, size.saturating_sub(1), size] {
        let proof = archive.inclusion(index);
        assert!(proof.is_err() || index < size);
        let _ = archive.consistency(index);
    }
});
