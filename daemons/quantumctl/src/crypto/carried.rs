//! Data keys that a key of the store carries: the file is sealed here, by all processors, under a key of
//! its own, and only that goes to quantumd. A key that encrypts seals the data key; a key that
//! encapsulates makes it.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, Write},
    os::fd::OwnedFd,
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use quantumos_dbus::{bus_name::QUANTUM, path};
use quantumos_resonance::stream::{CAPSULE_MAX, Source};
use zbus::{Fd, Variant};

use super::secret::Given;
use crate::{
    bus::{self, Bus},
    error::Error,
    keys,
};

const KEY: &str = "org.quantumos.Key1";

/// What sealed data keys are bound to, so that nothing else that a key sealed is taken for one.
const CONTEXT: &[u8] = b"quantumos data key v1";

/// Bytes of a data key.
const LEN: usize = 32;

/// A data key, and what the header says of it.
pub struct Carried {
    /// The data key.
    pub key: Given,
    /// Id and version of the key of the store; version 0 when the capsule itself says it.
    pub reference: [u8; 20],
    /// What carries it.
    pub capsule: Vec<u8>,
}

type Options<'a> = HashMap<&'a str, Variant<'a>>;

fn memory(bytes: &[u8]) -> Result<File, Error> {
    let made = memfd_create(c"quantumctl-data-key", MFdFlags::MFD_CLOEXEC);
    let mut file = File::from(made.map_err(|errno| Error::Terminal(errno.into()))?);
    file.write_all(bytes).map_err(Error::Terminal)?;
    Ok(file)
}

/// From its start on, at most `limit` bytes.
fn content(mut file: File, limit: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(limit + 1);
    file.rewind()
        .and_then(|()| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(Error::Terminal)?;
    if bytes.len() > limit {
        return Err(Error::Answer(format!("more than {limit} bytes")));
    }
    Ok(bytes)
}

fn data_key(file: File) -> Result<Given, Error> {
    let bytes = content(file, LEN)?;
    if bytes.len() == LEN {
        Ok(Given::Key(bytes))
    } else {
        Err(Error::Answer(format!("a key of {} bytes", bytes.len())))
    }
}

fn bound() -> Options<'static> {
    HashMap::from([("context", CONTEXT.to_vec().into())])
}

/// Id of a key in bytes, and back.
fn id_bytes(id: &str) -> Result<[u8; 16], Error> {
    let number = u128::from_str_radix(id, 16);
    let number = number.map_err(|_| Error::Answer(format!("a key with the id {id}")))?;
    Ok(number.to_be_bytes())
}

/// Makes a data key that the key `name` (id, beginning of an id, or label) of the store carries.
pub async fn make(bus: &Bus, name: &str) -> Result<Carried, Error> {
    let (id, algorithm) = keys::algorithm(bus, name).await?;
    let proxy = bus.proxy(QUANTUM, &place(&id)?, KEY).await?;
    let mut reference = [0; 20];
    reference[..16].copy_from_slice(&id_bytes(&id)?);
    match algorithm.as_str() {
        "ML-KEM-1024" | "X25519+ML-KEM-1024" => {
            let body = (Options::new(),);
            let (capsule, secret, version): (Vec<u8>, zbus::OwnedFd, u32) =
                bus.authorised(&proxy, "Encapsulate", &body).await?;
            reference[16..].copy_from_slice(&version.to_be_bytes());
            let key = data_key(OwnedFd::from(secret).into())?;
            Ok(Carried {
                key,
                reference,
                capsule,
            })
        }
        "AES-256-GCM" | "XChaCha20-Poly1305" => {
            let mut key = vec![0; LEN];
            File::open("/dev/urandom")
                .and_then(|mut random| random.read_exact(&mut key))
                .map_err(Error::Terminal)?;
            let (plain, sealed) = (memory(&key)?, memory(b"")?);
            let body = (Fd::from(&plain), Fd::from(&sealed), bound());
            let _: u64 = bus.authorised(&proxy, "Encrypt", &body).await?;
            Ok(Carried {
                key: Given::Key(key),
                reference,
                capsule: content(sealed, CAPSULE_MAX)?,
            })
        }
        other => Err(Error::Usage(format!(
            "--key: {other} keys do not encrypt; take one for AES-256-GCM, XChaCha20-Poly1305, \
             ML-KEM-1024 or X25519+ML-KEM-1024"
        ))),
    }
}

/// Where a key is on the bus.
fn place(id: &str) -> Result<String, Error> {
    bus::child(path::KEYS, id).ok_or_else(|| Error::Answer(format!("a key with the id {id}")))
}

/// Gets the data key out of its capsule. `name` is the key that the caller means, if any.
pub async fn open(bus: &Bus, source: &Source, name: Option<&str>) -> Result<Given, Error> {
    let (reference, capsule) = match source {
        Source::Carried { reference, capsule } => (reference, capsule),
        Source::Key(_) => {
            let why = "it is sealed under a key itself: use quantumctl keys decrypt, or --key-file";
            return Err(Error::Usage(why.into()));
        }
        Source::Passphrase(_) => {
            let found = "passphrase";
            return Err(quantumos_resonance::Error::OtherSource { found }.into());
        }
    };
    let malformed = || quantumos_resonance::Error::Malformed {
        what: "resonance stream",
        why: "it names no key of a store",
    };
    let (id, version) = reference
        .split_first_chunk::<16>()
        .and_then(|(id, version)| Some((*id, u32::from_be_bytes(version.try_into().ok()?))))
        .ok_or_else(malformed)?;
    let id = format!("{:032x}", u128::from_be_bytes(id));
    if let Some(name) = name {
        let (meant, _) = keys::algorithm(bus, name).await?;
        if meant != id {
            return Err(Error::Usage(format!("--key: it was sealed under key {id}")));
        }
    }
    let proxy = bus.proxy(QUANTUM, &place(&id)?, KEY).await?;
    if version > 0 {
        let options: Options<'_> = HashMap::from([("version", version.into())]);
        let body = (capsule.as_slice(), options);
        let secret: zbus::OwnedFd = bus.authorised(&proxy, "Decapsulate", &body).await?;
        return data_key(OwnedFd::from(secret).into());
    }
    let (sealed, plain) = (memory(capsule)?, memory(b"")?);
    let body = (Fd::from(&sealed), Fd::from(&plain), bound());
    let _: u64 = bus.authorised(&proxy, "Decrypt", &body).await?;
    data_key(plain)
}
