//! quantumd: the state of the root key, the collection of keys, and a key.

use std::collections::HashMap;

use zbus::{Fd, OwnedFd, OwnedObjectPath, Variant};

/// At [`crate::path::QUANTUM`].
#[zbus::proxy(
    interface = "org.quantumos.Quantum1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum"
)]
pub trait Quantum1 {
    /// What protects the root key at rest: `tpm`, `software` or `none`.
    #[zbus(property)]
    fn protection(&self) -> zbus::Result<String>;
    /// Manufacturer and firmware of the TPM; empty without one.
    #[zbus(property)]
    fn tpm_vendor(&self) -> zbus::Result<String>;
    /// Name, state and detail of each engine.
    #[zbus(property)]
    fn engines(&self) -> zbus::Result<Vec<(String, String, String)>>;
}

/// At [`crate::path::QUANTUM`].
#[zbus::proxy(
    interface = "org.quantumos.RootKey1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum"
)]
pub trait RootKey1 {
    /// Opens the root key by a PIN, or enrols it with that PIN.
    fn unlock(&self, pin_descriptor: Fd<'_>) -> Result<(), crate::Error>;
    /// Makes a new root key under what configuration asks for now. Empty descriptors mean no PIN.
    fn reseal(
        &self,
        pin_descriptor: Fd<'_>,
        new_pin_descriptor: Fd<'_>,
    ) -> Result<(), crate::Error>;
    /// Wraps all keys under the next key encryption key, and gives its version.
    fn rotate_kek(&self) -> Result<u32, crate::Error>;
    /// Version of the key encryption key; 0 while the root key is not open.
    #[zbus(property)]
    fn kek_version(&self) -> zbus::Result<u32>;
    /// Whether the root key is open, so that keys can be made and used.
    #[zbus(property)]
    fn open(&self) -> zbus::Result<bool>;
    /// What the TPM asks for before it gives the root key: `pin`, `pcr`.
    #[zbus(property)]
    fn conditions(&self) -> zbus::Result<Vec<String>>;
}

/// At [`crate::path::QUANTUM`].
#[zbus::proxy(
    interface = "org.quantumos.Crypto1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum"
)]
pub trait Crypto1 {
    /// Name, version, kind, standard and library of each algorithm.
    #[zbus(property(emits_changed_signal = "const"))]
    fn algorithms(&self) -> zbus::Result<Vec<(String, u32, String, String, String)>>;
}

/// At [`crate::path::QUANTUM`].
#[zbus::proxy(
    interface = "org.quantumos.Entropy1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum"
)]
pub trait Entropy1 {
    /// Random bytes (1 to 4096) of the mix of all sources, in a memfd.
    fn draw(&self, bytes: u32) -> Result<OwnedFd, crate::Error>;
    /// Name, state (`ok`, `failed`, `absent`, `waiting`), bytes taken and detail of each source.
    #[zbus(property(emits_changed_signal = "false"))]
    fn sources(&self) -> zbus::Result<Vec<(String, String, u64, String)>>;
}

/// At [`crate::path::KEYS`].
#[zbus::proxy(
    interface = "org.quantumos.Backup1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/keys"
)]
pub trait Backup1 {
    /// Seals keys (all active ones for none) to an X25519+ML-KEM-1024 public key, signed by a key of
    /// this host. Gives the backup in a memfd, its id, and the number of keys in it.
    fn backup(
        &self,
        keys: &[zbus::ObjectPath<'_>],
        recipient: &[u8],
        signer: &zbus::ObjectPath<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<(OwnedFd, String, u32), crate::Error>;
    /// Takes keys in from a backup (file, memfd or pipe) that `signer` sealed to the key `recipient`.
    /// Options: `owner` (u), `grants` (b), `skip-existing` (b). Gives the backup's id, the keys that are
    /// new, and those that were here already.
    fn restore(
        &self,
        backup: Fd<'_>,
        recipient: &zbus::ObjectPath<'_>,
        signer_algorithm: &str,
        signer: &[u8],
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<(String, Vec<OwnedObjectPath>, Vec<OwnedObjectPath>), crate::Error>;
}

/// At [`crate::path::KEYS`].
#[zbus::proxy(
    interface = "org.quantumos.Keys1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/keys"
)]
pub trait Keys1 {
    /// Makes a key that the caller owns and gives its object.
    fn create(
        &self,
        algorithm: &str,
        label: &str,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Verifies with a public key that need not be in the store.
    fn verify(
        &self,
        algorithm: &str,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<bool, crate::Error>;
    /// Verifies what a descriptor (file, memfd) holds, at most 64 MiB, as `verify` does.
    fn verify_descriptor(
        &self,
        algorithm: &str,
        public_key: &[u8],
        message: Fd<'_>,
        signature: &[u8],
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<bool, crate::Error>;
    /// What protects the keys at rest: `tpm`, `software` or `none`.
    #[zbus(property)]
    fn protection(&self) -> zbus::Result<String>;
    /// Names that `Create` takes.
    #[zbus(property(emits_changed_signal = "const"))]
    fn algorithms(&self) -> zbus::Result<Vec<String>>;
}

/// At [`crate::path::KEYS`]`/ID`.
#[zbus::proxy(
    interface = "org.quantumos.Key1",
    default_service = "org.quantumos.Quantum1",
    assume_defaults = false
)]
pub trait Key1 {
    /// The encoded public key.
    fn public_key(&self) -> Result<Vec<u8>, crate::Error>;
    /// Signs a message of at most 1 MiB.
    fn sign(
        &self,
        message: &[u8],
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<crate::Bytes, crate::Error>;
    /// Signs what a descriptor (file, memfd, pipe) holds, at most 64 MiB.
    fn sign_descriptor(
        &self,
        message: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<crate::Bytes, crate::Error>;
    /// Verifies a signature of this key.
    fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<bool, crate::Error>;
    /// Verifies a signature of what a descriptor (file, memfd) holds, at most 64 MiB.
    fn verify_descriptor(
        &self,
        message: Fd<'_>,
        signature: &[u8],
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<bool, crate::Error>;
    /// The encoded public key of a version.
    fn public_key_of(&self, version: u32) -> Result<Vec<u8>, crate::Error>;
    /// A fresh secret (32 bytes in a memfd), the ciphertext that carries it, and the version it is for.
    fn encapsulate(
        &self,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<(Vec<u8>, OwnedFd, u32), crate::Error>;
    /// The secret that a ciphertext carries, in a memfd.
    fn decapsulate(
        &self,
        ciphertext: &[u8],
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedFd, crate::Error>;
    /// Encrypts from one descriptor to another; gives the bytes written.
    fn encrypt(
        &self,
        input: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<u64, crate::Error>;
    /// Decrypts from one descriptor to another; gives the bytes written.
    fn decrypt(
        &self,
        input: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<u64, crate::Error>;
    /// Gives the key a new version, and its number.
    fn rotate(&self) -> Result<u32, crate::Error>;
    /// Lets a `user`, `group` or `unit` use the key for these operations, and no others any more.
    fn grant(&self, kind: &str, subject: &str, operations: &[&str]) -> Result<(), crate::Error>;
    /// Takes a grant back.
    fn ungrant(&self, kind: &str, subject: &str) -> Result<(), crate::Error>;
    /// Ends the key's use for signing, for good.
    fn revoke(&self, reason: &str) -> Result<(), crate::Error>;
    /// Identifier, the last part of the path.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> zbus::Result<String>;
    /// Algorithm, as in the registry: `ML-DSA-87` and others.
    #[zbus(property(emits_changed_signal = "const"))]
    fn algorithm(&self) -> zbus::Result<String>;
    /// What the owner calls it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn label(&self) -> zbus::Result<String>;
    /// User id of who created it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn owner(&self) -> zbus::Result<u32>;
    /// The newest version of the key material, from 1: the one that signs and encrypts.
    #[zbus(property)]
    fn version(&self) -> zbus::Result<u32>;
    /// Number and time (microseconds of CLOCK_REALTIME) of each version.
    #[zbus(property)]
    fn versions(&self) -> zbus::Result<Vec<(u32, u64)>>;
    /// Kind, subject and operations of each grant.
    #[zbus(property)]
    fn grants(&self) -> zbus::Result<Vec<(String, String, Vec<String>)>>;
    /// What keys of this algorithm can be granted for.
    #[zbus(property(emits_changed_signal = "const"))]
    fn operations(&self) -> zbus::Result<Vec<String>>;
    /// `active` or `revoked`.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    /// What protects it at rest: `tpm` or `software`.
    #[zbus(property)]
    fn protection(&self) -> zbus::Result<String>;
    /// Microseconds of CLOCK_REALTIME.
    #[zbus(property(emits_changed_signal = "const"))]
    fn created_at(&self) -> zbus::Result<u64>;
    /// Microseconds of CLOCK_REALTIME; 0 while active.
    #[zbus(property)]
    fn revoked_at(&self) -> zbus::Result<u64>;
    /// What `Revoke` was told; empty while active.
    #[zbus(property)]
    fn revocation_reason(&self) -> zbus::Result<String>;
}
