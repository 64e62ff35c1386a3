//! ML-KEM-1024 by AWS-LC, from the seed of FIPS 203. Every pointer passed to the library comes from
//! a live Rust value of known length.
#![allow(unsafe_code)]

use crate::{Error, Secret};
use aws_lc_sys as sys;
use std::ptr::{NonNull, null_mut};

/// Length of a seed in bytes (FIPS 203 d and z).
pub(crate) const SEED_LEN: usize = 64;
/// Length of an encapsulation key in bytes.
pub(crate) const PUBLIC_KEY_LEN: usize = 1568;
/// Length of a ciphertext in bytes.
pub(crate) const CIPHERTEXT_LEN: usize = 1568;

/// A ciphertext and the secret that it carries.
pub(crate) type Encapsulated = (Box<[u8; CIPHERTEXT_LEN]>, Secret<32>);

/// An owned `EVP_PKEY`; the library wipes private material when it is freed.
pub(crate) struct Key(NonNull<sys::EVP_PKEY>);

// SAFETY: an EVP_PKEY is reference counted atomically and the functions called here (encapsulation,
// decapsulation, raw getters) do not change it.
unsafe impl Send for Key {}
// SAFETY: see above.
unsafe impl Sync for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the pointer was returned by the library and is freed once, here.
        unsafe { sys::EVP_PKEY_free(self.0.as_ptr()) }
    }
}

struct Context(NonNull<sys::EVP_PKEY_CTX>);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer was returned by the library and is freed once, here.
        unsafe { sys::EVP_PKEY_CTX_free(self.0.as_ptr()) }
    }
}

impl Context {
    fn of(context: *mut sys::EVP_PKEY_CTX) -> Result<Self, Error> {
        NonNull::new(context).map_or_else(|| fail("EVP_PKEY_CTX_new"), |context| Ok(Self(context)))
    }
}

/// The library keeps a queue of errors per thread; leave none behind for the next caller.
fn fail<T>(what: &'static str) -> Result<T, Error> {
    // SAFETY: no arguments, touches this thread's queue only.
    unsafe { sys::ERR_clear_error() };
    Err(Error::Library(what))
}

impl Key {
    /// Expands a key pair from its seed.
    pub(crate) fn from_seed(seed: &[u8; SEED_LEN]) -> Result<Self, Error> {
        // SAFETY: no pointers to Rust values; null engine is the default one.
        let context =
            Context::of(unsafe { sys::EVP_PKEY_CTX_new_id(sys::EVP_PKEY_KEM, null_mut()) })?;
        let mut key = null_mut();
        let mut len = seed.len();
        // SAFETY: the context is live; `seed` is live and `len` says its length; the library fills
        // `key`, which is owned from then on.
        let done = unsafe {
            sys::EVP_PKEY_CTX_kem_set_params(context.0.as_ptr(), sys::NID_MLKEM1024) == 1
                && sys::EVP_PKEY_keygen_init(context.0.as_ptr()) == 1
                && sys::EVP_PKEY_keygen_deterministic(
                    context.0.as_ptr(),
                    &raw mut key,
                    seed.as_ptr(),
                    &raw mut len,
                ) == 1
        };
        match NonNull::new(key) {
            Some(key) if done => Ok(Self(key)),
            Some(key) => {
                drop(Self(key));
                fail("ML-KEM key generation")
            }
            None => fail("ML-KEM key generation"),
        }
    }

    /// Takes an encapsulation key.
    pub(crate) fn from_public(public: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, Error> {
        // SAFETY: `public` is live and `public.len()` bytes long; the library copies it.
        let key = unsafe {
            sys::EVP_PKEY_kem_new_raw_public_key(sys::NID_MLKEM1024, public.as_ptr(), public.len())
        };
        NonNull::new(key).map_or_else(|| fail("ML-KEM key decoding"), |key| Ok(Self(key)))
    }

    /// The encapsulation key.
    pub(crate) fn public(&self) -> Result<Box<[u8; PUBLIC_KEY_LEN]>, Error> {
        let mut out = Box::new([0u8; PUBLIC_KEY_LEN]);
        let mut len = out.len();
        // SAFETY: `out` is live and `len` says how much the library may write.
        let done = unsafe {
            sys::EVP_PKEY_get_raw_public_key(self.0.as_ptr(), out.as_mut_ptr(), &raw mut len)
        };
        if done == 1 && len == PUBLIC_KEY_LEN {
            Ok(out)
        } else {
            fail("ML-KEM key encoding")
        }
    }

    /// A fresh secret and the ciphertext that carries it; with `m` the one that these random bytes
    /// give, for vectors only.
    pub(crate) fn encapsulate(&self, m: Option<&[u8; 32]>) -> Result<Encapsulated, Error> {
        // SAFETY: the key is live; the context keeps a reference of its own.
        let context = Context::of(unsafe { sys::EVP_PKEY_CTX_new(self.0.as_ptr(), null_mut()) })?;
        let mut ciphertext = Box::new([0u8; CIPHERTEXT_LEN]);
        let (mut len, mut secret_len) = (ciphertext.len(), 32);
        let secret = Secret::fill_with(|secret| {
            let done = match m {
                // SAFETY: both outputs are live and their lengths say how much may be written.
                None => unsafe {
                    sys::EVP_PKEY_encapsulate(
                        context.0.as_ptr(),
                        ciphertext.as_mut_ptr(),
                        &raw mut len,
                        secret.as_mut_ptr(),
                        &raw mut secret_len,
                    )
                },
                Some(m) => {
                    let mut m_len = m.len();
                    // SAFETY: as above; `m` is live and `m_len` says its length.
                    unsafe {
                        sys::EVP_PKEY_encapsulate_deterministic(
                            context.0.as_ptr(),
                            ciphertext.as_mut_ptr(),
                            &raw mut len,
                            secret.as_mut_ptr(),
                            &raw mut secret_len,
                            m.as_ptr(),
                            &raw mut m_len,
                        )
                    }
                }
            };
            if done == 1 && len == CIPHERTEXT_LEN && secret_len == 32 {
                Ok(())
            } else {
                fail("ML-KEM encapsulation")
            }
        })?;
        Ok((ciphertext, secret))
    }

    /// The secret that a ciphertext carries; another one, as secret as the key, when it was altered
    /// (FIPS 203's implicit rejection).
    pub(crate) fn decapsulate(
        &self,
        ciphertext: &[u8; CIPHERTEXT_LEN],
    ) -> Result<Secret<32>, Error> {
        // SAFETY: the key is live; the context keeps a reference of its own.
        let context = Context::of(unsafe { sys::EVP_PKEY_CTX_new(self.0.as_ptr(), null_mut()) })?;
        let mut len = 32;
        Secret::fill_with(|secret| {
            // SAFETY: input and output are live; `len` says how much may be written.
            let done = unsafe {
                sys::EVP_PKEY_decapsulate(
                    context.0.as_ptr(),
                    secret.as_mut_ptr(),
                    &raw mut len,
                    ciphertext.as_ptr(),
                    ciphertext.len(),
                )
            };
            if done == 1 && len == 32 {
                Ok(())
            } else {
                fail("ML-KEM decapsulation")
            }
        })
    }
}
