//! Where randomness for keys comes from: the kernel, the processor (RDSEED) and the TPM, each under
//! continuous health tests, mixed into one pool. A source that fails a test is dropped and said; the
//! kernel's is never left out. The TPM is asked beside the work, so a slow one holds nobody up.

use crate::Error;
use quantumos_pqc::Secret;
use quantumos_pqc::entropy::{Health, Pool, STARTUP};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// What is known of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `getrandom`, `rdseed` or `tpm`.
    pub name: &'static str,
    /// `ok`, `failed`, `absent`, or `waiting` for a source that gave nothing yet.
    pub state: &'static str,
    /// Bytes that went into the pool.
    pub bytes: u64,
    /// What there is to say: why it failed or is absent.
    pub detail: String,
}

#[derive(Debug, Default)]
struct Tested {
    health: Health,
    bytes: u64,
    absent: Option<String>,
    failed: Option<String>,
}

impl Tested {
    /// Takes what a source gave, unless it fails a test now or did before.
    fn take<'a>(
        &mut self,
        name: &'static str,
        bytes: &'a [u8],
    ) -> Option<(&'static str, &'a [u8])> {
        match self.health.check(bytes) {
            Ok(()) => {
                self.bytes += bytes.len() as u64;
                self.absent = None;
                Some((name, bytes))
            }
            Err(why) => {
                self.failed.get_or_insert_with(|| {
                    tracing::error!(source = name, %why, "a source of randomness failed its test");
                    why.to_string()
                });
                None
            }
        }
    }

    fn told(&self, name: &'static str) -> Source {
        let (state, detail) = match (&self.failed, &self.absent) {
            (Some(why), _) => ("failed", why.clone()),
            (None, Some(why)) => ("absent", why.clone()),
            (None, None) if self.bytes == 0 => ("waiting", String::new()),
            (None, None) => ("ok", String::new()),
        };
        Source {
            name,
            state,
            bytes: self.bytes,
            detail,
        }
    }
}

const KERNEL: &str = "getrandom";
const PROCESSOR: &str = "rdseed";
const TPM: &str = "tpm";

struct Inner {
    pool: Pool,
    kernel: Tested,
    processor: Tested,
    tpm: Tested,
}

/// The pool and its sources.
pub struct Entropy(Mutex<Option<Inner>>);

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(redacted)")
    }
}

impl Default for Entropy {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl Entropy {
    /// The pool, started with the start-up tests of the sources that are quick.
    fn started(&self) -> Result<MutexGuard<'_, Option<Inner>>, Error> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            let mut inner = Inner {
                pool: Pool::new()?,
                kernel: Tested::default(),
                processor: Tested::default(),
                tpm: Tested::default(),
            };
            inner.stir(STARTUP)?;
            *slot = Some(inner);
        }
        Ok(slot)
    }

    /// 32 fresh bytes.
    ///
    /// # Errors
    /// [`Error::Entropy`] when the kernel's source fails, [`Error::Crypto`].
    pub fn draw(&self) -> Result<Secret<32>, Error> {
        match &mut *self.started()? {
            Some(inner) => inner.stir(64),
            None => Err(Error::Worker),
        }
    }

    /// Takes what the TPM gave, or why it gave nothing.
    pub fn from_tpm(&self, given: Result<&Secret<32>, String>) {
        let Ok(mut slot) = self.started() else { return };
        let Some(inner) = &mut *slot else { return };
        match given {
            Ok(bytes) => {
                if let Some(sample) = inner.tpm.take(TPM, bytes.expose()) {
                    // What comes out is not needed; the state keeps what went in.
                    let _ = inner.pool.mix(&[sample]);
                }
            }
            Err(why) => inner.tpm.absent = Some(why),
        }
    }

    /// What is known of each source.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        match self.started().as_deref() {
            Ok(Some(inner)) => vec![
                inner.kernel.told(KERNEL),
                inner.processor.told(PROCESSOR),
                inner.tpm.told(TPM),
            ],
            _ => Vec::new(),
        }
    }
}

impl Inner {
    fn stir(&mut self, count: usize) -> Result<Secret<32>, Error> {
        let mut kernel = Zeroizing::new(vec![0; count]);
        from_kernel(&mut kernel)?;
        let kernel = self.kernel.take(KERNEL, &kernel).ok_or_else(|| {
            Error::Entropy("the kernel's generator failed its health test".into())
        })?;
        let mut processor = Zeroizing::new(vec![0; count]);
        let mut samples = vec![kernel];
        match from_processor(&mut processor) {
            Ok(()) => samples.extend(self.processor.take(PROCESSOR, &processor)),
            Err(why) => self.processor.absent = Some(why.into()),
        }
        Ok(self.pool.mix(&samples)?)
    }
}

/// getrandom(2), which blocks only before the kernel was first seeded.
fn from_kernel(out: &mut [u8]) -> Result<(), Error> {
    let mut filled = 0;
    while filled < out.len() {
        let rest = &mut out[filled..];
        // SAFETY: `rest` is live and `rest.len()` bytes may be written to it.
        #[allow(unsafe_code)]
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(got) {
            Ok(count) => filled += count,
            Err(_) => {
                let error = std::io::Error::last_os_error();
                if error.kind() != std::io::ErrorKind::Interrupted {
                    return Err(Error::Entropy(format!("getrandom: {error}")));
                }
            }
        }
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn from_processor(out: &mut [u8]) -> Result<(), &'static str> {
    if !std::arch::is_x86_feature_detected!("rdseed") {
        return Err("this processor has no RDSEED");
    }
    for piece in out.chunks_mut(8) {
        // SAFETY: the processor has the instruction, as was asked just before.
        #[allow(unsafe_code)]
        let word = unsafe { rdseed() }.ok_or("RDSEED gives nothing")?;
        piece.copy_from_slice(&word.to_le_bytes()[..piece.len()]);
    }
    Ok(())
}

/// A word from the processor's entropy source, which may be empty for a moment.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "rdseed")]
fn rdseed() -> Option<u64> {
    const TRIES: u32 = 1000;
    for _ in 0..TRIES {
        let mut word = 0;
        if std::arch::x86_64::_rdseed64_step(&mut word) == 1 {
            return Some(word);
        }
        std::hint::spin_loop();
    }
    None
}

#[cfg(not(target_arch = "x86_64"))]
fn from_processor(_: &mut [u8]) -> Result<(), &'static str> {
    Err("no RDSEED on this architecture")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(entropy: &Entropy, name: &str) -> (&'static str, u64, String) {
        let sources = entropy.sources();
        let source = sources.iter().find(|source| source.name == name).unwrap();
        (source.state, source.bytes, source.detail.clone())
    }

    #[test]
    fn sources_are_tested_counted_and_dropped() {
        let entropy = Entropy::default();
        assert_ne!(entropy.draw().unwrap(), entropy.draw().unwrap());
        let (word, bytes, _) = state(&entropy, "getrandom");
        assert_eq!((word, bytes), ("ok", STARTUP as u64 + 128));
        let (word, bytes, detail) = state(&entropy, "rdseed");
        assert!(word == "ok" && bytes > 1000 || word == "absent" && !detail.is_empty());
        assert_eq!(state(&entropy, "tpm").0, "waiting");
        entropy.from_tpm(Err("no TPM".into()));
        assert_eq!(state(&entropy, "tpm"), ("absent", 0, "no TPM".into()));
        entropy.from_tpm(Ok(&Secret::random().unwrap()));
        assert_eq!(state(&entropy, "tpm").0, "ok");
        // A TPM that is stuck is dropped, and stays so.
        entropy.from_tpm(Ok(&Secret::from_slice("stuck", &[7; 32]).unwrap()));
        let (word, bytes, detail) = state(&entropy, "tpm");
        assert!(
            word == "failed" && bytes == 32 && detail.contains("repeated"),
            "{detail}"
        );
        entropy.from_tpm(Ok(&Secret::random().unwrap()));
        assert_eq!(state(&entropy, "tpm").1, 32);
        entropy.draw().unwrap();
        assert_eq!(format!("{entropy:?}"), "Entropy(redacted)");
    }

    #[test]
    fn a_failing_kernel_gives_nothing() {
        let entropy = Entropy::default();
        entropy.draw().unwrap();
        if let Some(inner) = &mut *entropy.started().unwrap() {
            assert!(inner.kernel.take(KERNEL, &[0; 64]).is_none());
        }
        let error = entropy.draw().unwrap_err();
        assert!(matches!(error, Error::Entropy(_)), "{error}");
    }
}
