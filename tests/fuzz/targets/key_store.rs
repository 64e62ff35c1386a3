//! What quantumd reads besides keys: the root key at rest, grants, who asks for a credential, units, identifiers,
//! addresses of TPMs. What parses is written back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumd::grant::{self, Subject};
use quantumd::record::KeyId;
use quantumd::root_file::RootFile;
use quantumd::{credential, tpm::Tcti};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = RootFile::from_bytes(bytes) {
        assert_eq!(file.to_bytes(), bytes);
    }
    if let Ok(grants) = grant::from_bytes(bytes) {
        let written = grant::to_bytes(&grants);
        assert_eq!(grant::from_bytes(&written).as_ref(), Ok(&grants));
    }
    if let Some((unit, credential)) = credential::asked_for(bytes) {
        assert!(credential::check_name(credential).is_ok());
        assert!(!unit.contains('/') && !credential.contains('/'));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(id) = text.parse::<KeyId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(units) = credential::units_of(text) {
        assert!(units.iter().all(|unit| !unit.contains('\n')));
    }
    let _ = text.parse::<Tcti>();
    for kind in ["user", "group", "unit", text] {
        if let Ok(subject) = Subject::of(kind, text) {
            let again = Subject::of(subject.kind(), &subject.to_string());
            assert!(again.is_ok_and(|again| again == subject));
        }
    }
});
