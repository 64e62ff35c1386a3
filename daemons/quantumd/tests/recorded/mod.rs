//! A key store with the ledger that the daemon keeps beside it, and what has to hold of the two.

use crate::software;
use quantumd::audit::Audit;
use quantumd::keyring::Keyring;
use quantumd::ledger::KeyLog;
use quantumos_ledger::bundle;
use quantumos_ledger::history::KeyLedger;
use std::path::Path;

/// Opens both, and gives what is wrong with the ledger.
pub fn look(state: &Path) -> (Keyring, KeyLog, Option<String>) {
    let log = KeyLog::new(state).unwrap();
    let audit = Audit::new(vec![Box::new(log.clone())]);
    let keyring = software::bring_up(software::keyring(state, 65_536).with_audit(audit));
    let problem = log.agree(&keyring);
    (keyring, log, problem)
}

/// Opens both, which has to work.
pub fn open(state: &Path) -> (Keyring, KeyLog) {
    let (keyring, log, problem) = look(state);
    assert_eq!(problem, None);
    (keyring, log)
}

/// That the ledger says of every key what the store says, and verifies.
pub fn compare(keyring: &Keyring, log: &KeyLog) {
    let (_, size, signed) = log.head();
    assert_eq!(size, signed);
    assert_eq!(log.verify().unwrap().findings, []);
    let bytes = log.entries(0, size, usize::MAX).unwrap();
    let mut rest = &bytes[..];
    let mut ledger = KeyLedger::default();
    while let Some(entry) = bundle::take(&mut rest).unwrap() {
        ledger.replay(entry).unwrap();
    }
    let records = keyring.records();
    assert_eq!(ledger.keys().len(), records.len());
    for record in records {
        let known = ledger.key(&record.id.to_string()).unwrap();
        assert_eq!(known.version, i64::from(record.version()));
        assert_eq!(known.revoked.is_some(), record.revoked.is_some());
        if record.revoked.is_none() {
            let granted = keyring.grants(&record).unwrap();
            let granted: Vec<_> = granted.iter().map(|grant| grant.subject.shown()).collect();
            let told: Vec<_> = known.capabilities.keys().cloned().collect();
            assert_eq!(told, granted);
        }
    }
}
