//! ML-DSA-87 by AWS-LC, context string included. Every pointer passed to the library comes from a
//! live Rust value of known length.
#![allow(unsafe_code)]

use crate::{CONTEXT_MAX, Error, PUBLIC_KEY_LEN, SEED_LEN, SIGNATURE_LEN};
use aws_lc_sys as sys;
use std::ptr::{NonNull, null, null_mut};

/// An owned `EVP_PKEY`; the library wipes private material when it is freed.
pub(crate) struct Key(NonNull<sys::EVP_PKEY>);

// SAFETY: an EVP_PKEY is reference counted atomically and the functions called here (digest sign,
// digest verify, raw getters) do not change it: AWS-LC documents them as safe to run concurrently.
unsafe impl Send for Key {}
// SAFETY: see above.
unsafe impl Sync for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the pointer was returned by the library and is freed once, here.
        unsafe { sys::EVP_PKEY_free(self.0.as_ptr()) }
    }
}

/// An owned digest context, freed on every path.
struct DigestContext(NonNull<sys::EVP_MD_CTX>);

impl DigestContext {
    fn new() -> Result<Self, Error> {
        // SAFETY: no arguments; null means out of memory.
        NonNull::new(unsafe { sys::EVP_MD_CTX_new() })
            .map(Self)
            .ok_or(Error::Library("EVP_MD_CTX_new"))
    }
}

impl Drop for DigestContext {
    fn drop(&mut self) {
        // SAFETY: the pointer was returned by the library and is freed once, here.
        unsafe { sys::EVP_MD_CTX_free(self.0.as_ptr()) }
    }
}

/// The library keeps a queue of errors per thread; leave none behind for the next caller.
fn fail<T>(what: &'static str) -> Result<T, Error> {
    // SAFETY: no arguments, touches this thread's queue only.
    unsafe { sys::ERR_clear_error() };
    Err(Error::Library(what))
}

fn set_context(pctx: *mut sys::EVP_PKEY_CTX, context: &[u8]) -> Result<(), Error> {
    if context.len() > CONTEXT_MAX {
        return Err(Error::TooLong {
            what: "context string",
            limit: CONTEXT_MAX,
            got: context.len(),
        });
    }
    if context.is_empty() {
        return Ok(());
    }
    // SAFETY: `pctx` belongs to a live digest context; the library copies `context`.
    let done =
        unsafe { sys::EVP_PKEY_CTX_set_signature_context(pctx, context.as_ptr(), context.len()) };
    if done == 1 {
        Ok(())
    } else {
        fail("EVP_PKEY_CTX_set_signature_context")
    }
}

impl Key {
    /// Expands a private key from its FIPS 204 seed.
    pub(crate) fn from_seed(seed: &[u8; SEED_LEN]) -> Result<Self, Error> {
        // SAFETY: `seed` is live and `seed.len()` bytes long; the library copies it.
        let key = unsafe {
            sys::EVP_PKEY_pqdsa_new_raw_private_key(sys::NID_MLDSA87, seed.as_ptr(), seed.len())
        };
        NonNull::new(key).map_or_else(|| fail("key generation"), |key| Ok(Self(key)))
    }

    /// Takes an encoded public key.
    pub(crate) fn from_public(public: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, Error> {
        // SAFETY: `public` is live and `public.len()` bytes long; the library copies it.
        let key = unsafe {
            sys::EVP_PKEY_pqdsa_new_raw_public_key(sys::NID_MLDSA87, public.as_ptr(), public.len())
        };
        NonNull::new(key).map_or_else(|| fail("public key decoding"), |key| Ok(Self(key)))
    }

    /// The encoded public key.
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
            fail("public key encoding")
        }
    }

    /// Hedged signature over `message` under `context` (pure ML-DSA).
    pub(crate) fn sign(
        &self,
        message: &[u8],
        context: &[u8],
    ) -> Result<Box<[u8; SIGNATURE_LEN]>, Error> {
        let digest = DigestContext::new()?;
        let mut pctx = null_mut();
        // SAFETY: `digest` and `self` are live; the library fills `pctx`, which `digest` owns.
        let begun = unsafe {
            sys::EVP_DigestSignInit(
                digest.0.as_ptr(),
                &raw mut pctx,
                null(),
                null_mut(),
                self.0.as_ptr(),
            )
        };
        if begun != 1 {
            return fail("EVP_DigestSignInit");
        }
        set_context(pctx, context)?;
        let mut out = Box::new([0u8; SIGNATURE_LEN]);
        let mut len = out.len();
        // SAFETY: `out` is live and `len` says how much may be written; `message` is live.
        let done = unsafe {
            sys::EVP_DigestSign(
                digest.0.as_ptr(),
                out.as_mut_ptr(),
                &raw mut len,
                message.as_ptr(),
                message.len(),
            )
        };
        if done == 1 && len == SIGNATURE_LEN {
            Ok(out)
        } else {
            fail("EVP_DigestSign")
        }
    }

    /// Whether `signature` is valid over `message` under `context`.
    pub(crate) fn verify(
        &self,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
        context: &[u8],
    ) -> Result<bool, Error> {
        let digest = DigestContext::new()?;
        let mut pctx = null_mut();
        // SAFETY: `digest` and `self` are live; the library fills `pctx`, which `digest` owns.
        let begun = unsafe {
            sys::EVP_DigestVerifyInit(
                digest.0.as_ptr(),
                &raw mut pctx,
                null(),
                null_mut(),
                self.0.as_ptr(),
            )
        };
        if begun != 1 {
            return fail("EVP_DigestVerifyInit");
        }
        set_context(pctx, context)?;
        // SAFETY: both slices are live and their lengths are their own.
        let valid = unsafe {
            sys::EVP_DigestVerify(
                digest.0.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                message.as_ptr(),
                message.len(),
            )
        };
        // SAFETY: no arguments, touches this thread's queue only (an invalid signature queues one).
        unsafe { sys::ERR_clear_error() };
        Ok(valid == 1)
    }
}
