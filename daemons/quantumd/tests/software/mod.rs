//! A key store without a TPM, for tests of what lies above the root key.

use quantumd::Settings;
use quantumd::keyring::Keyring;
use std::path::Path;

/// Not opened yet; each owner may have so many keys.
pub fn keyring(state: &Path, per_owner: u32) -> Keyring {
    let mut settings = Settings::default();
    settings.tpm.tcti = "device:/nonexistent/tpm".into();
    settings.protection.allow_software = true;
    settings.keys.per_owner = per_owner;
    Keyring::new(state.to_owned(), settings)
}

/// Opens it, which has to work.
pub fn bring_up(keyring: Keyring) -> Keyring {
    let health = keyring.bring_up();
    assert_eq!((&health.store, &health.root), (&None, &None));
    keyring
}
