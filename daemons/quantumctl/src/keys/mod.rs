//! `quantumctl keys`: signing keys of quantumd.
//! Messages of up to 1 MiB travel in the call; larger files are handed over as a descriptor.

mod backup;
mod encoding;
mod message;
mod model;
mod render;
mod root;
mod usage;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueHint};
use quantumos_dbus::{bus_name::QUANTUM, path::KEYS};
use serde_json::json;
use zbus::{OwnedObjectPath, Variant};

pub use self::{backup::inspect, root::approve};
use self::{
    encoding::{Encoding, base64},
    message::Message,
    model::{Key, select},
};
use crate::{bus::Bus, error::Error, output::Output, text::escape::escape};

/// Interface of the collection.
const COLLECTION: &str = "org.quantumos.Keys1";
/// Interface of a key.
const KEY: &str = "org.quantumos.Key1";

/// What to do with keys. KEY is an id, the beginning of one, or a label.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key
    Create {
        /// What to call it
        label: String,
        /// Algorithm of the key
        #[arg(long, default_value = "ML-DSA-87")]
        algorithm: String,
    },
    /// List the keys
    List,
    /// Show everything about a key
    Show {
        /// Id, beginning of an id, or label
        key: String,
    },
    /// Sign a file or standard input
    Sign(SignArgs),
    /// Verify the signature of a file or of standard input
    Verify(VerifyArgs),
    /// End a key's use for signing, for good
    Revoke {
        /// Id, beginning of an id, or label
        key: String,
        /// Why, kept with the key
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Give a key a new version: it signs and encrypts, older ones verify and decrypt
    Rotate {
        /// Id, beginning of an id, or label
        key: String,
    },
    /// Let a user, group or unit use a key
    Grant {
        /// Id, beginning of an id, or label
        key: String,
        #[command(flatten)]
        subject: usage::Subject,
        /// What for: sign, verify, encrypt, decrypt, decapsulate, rotate
        #[arg(required = true)]
        operations: Vec<String>,
    },
    /// Take a grant back
    Ungrant {
        /// Id, beginning of an id, or label
        key: String,
        #[command(flatten)]
        subject: usage::Subject,
    },
    /// Encrypt a file or a pipe of any size
    Encrypt(usage::StreamArgs),
    /// Decrypt what encrypt made
    Decrypt(usage::StreamArgs),
    /// Make a secret and the ciphertext that carries it to a key
    Encapsulate(usage::EncapsulateArgs),
    /// Open a ciphertext that encapsulate made
    Decapsulate(usage::DecapsulateArgs),
    /// Seal keys to the key of another host
    Backup(backup::BackupArgs),
    /// Take keys in from a backup
    Restore(backup::RestoreArgs),
    /// Show what a backup says of itself, and whether it is whole; needs no service
    Inspect(backup::InspectArgs),
    /// Wrap all keys under the next key encryption key
    Rewrap,
    /// Give the TPM the PIN that opens the root key
    Unlock(root::UnlockArgs),
    /// Seal a new root key under what configuration asks for, and wrap all keys anew
    Reseal(root::ResealArgs),
    /// Approve a state of the PCRs, with the private key of the authority; needs no service
    Approve(root::ApproveArgs),
    /// Print a key's public key
    Public {
        /// Id, beginning of an id, or label
        key: String,
        #[command(flatten)]
        to: To,
    },
}

/// What to sign, with what.
#[derive(Args, Debug)]
pub struct SignArgs {
    /// Id, beginning of an id, or label
    key: String,
    /// File to sign; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Context string that the signature is bound to (FIPS 204), at most 255 bytes
    #[arg(long)]
    context: Option<String>,
    #[command(flatten)]
    to: To,
}

/// What to verify, with what.
#[derive(Args, Debug)]
#[command(
    override_usage = "quantumctl keys verify KEY --signature FILE [FILE]\n       \
                      quantumctl keys verify --public-key FILE --signature FILE [FILE]"
)]
pub struct VerifyArgs {
    /// Id, beginning of an id, or label; not with --public-key
    #[arg(value_name = "KEY", required_unless_present = "public_key")]
    first: Option<String>,
    /// Signed file; standard input without it or with -
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    second: Option<String>,
    /// File with the signature: raw, base64 or hexadecimal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    signature: PathBuf,
    /// File with a public key to use instead of a key in the store
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    public_key: Option<PathBuf>,
    /// Algorithm of --public-key
    #[arg(long, default_value = "ML-DSA-87", requires = "public_key")]
    algorithm: String,
    /// Context string that the signature is bound to
    #[arg(long)]
    context: Option<String>,
}

/// Where bytes go and how.
#[derive(Args, Debug)]
pub struct To {
    /// How to write the bytes
    #[arg(long, value_enum, default_value_t = Encoding::Base64)]
    format: Encoding,
    /// File to write to instead of standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, command: &KeysCommand) -> Result<(), Error> {
    match command {
        KeysCommand::Create { label, algorithm } => create(bus, output, label, algorithm).await,
        KeysCommand::List => {
            let keys = all(bus).await?;
            output.document(&json!({ "keys": keys }), |_| {
                render::list(&keys, output.style, &output.zone)
            })
        }
        KeysCommand::Show { key } => {
            let key = find(bus, key).await?;
            show(output, &key)
        }
        KeysCommand::Sign(args) => sign(bus, output, args).await,
        KeysCommand::Verify(args) => verify(bus, output, args).await,
        KeysCommand::Revoke { key, reason } => {
            let key = find(bus, key).await?;
            let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
            bus.authorised::<_, ()>(&proxy, "Revoke", &(reason,))
                .await?;
            show(output, &read(bus, &key.path).await?)
        }
        KeysCommand::Rotate { key } => usage::rotate(bus, output, key).await,
        KeysCommand::Grant {
            key,
            subject,
            operations,
        } => usage::grant(bus, output, key, subject, operations).await,
        KeysCommand::Ungrant { key, subject } => usage::ungrant(bus, output, key, subject).await,
        KeysCommand::Encrypt(args) => usage::stream(bus, output, args, "Encrypt").await,
        KeysCommand::Decrypt(args) => usage::stream(bus, output, args, "Decrypt").await,
        KeysCommand::Encapsulate(args) => usage::encapsulate(bus, output, args).await,
        KeysCommand::Decapsulate(args) => usage::decapsulate(bus, output, args).await,
        KeysCommand::Backup(args) => backup::backup(bus, output, args).await,
        KeysCommand::Restore(args) => backup::restore(bus, output, args).await,
        KeysCommand::Inspect(args) => inspect(output, args),
        KeysCommand::Rewrap => usage::rewrap(bus, output).await,
        KeysCommand::Unlock(args) => root::unlock(bus, output, args).await,
        KeysCommand::Reseal(args) => root::reseal(bus, output, args).await,
        KeysCommand::Approve(args) => approve(output, args),
        KeysCommand::Public { key, to } => {
            let key = find(bus, key).await?;
            let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
            let bytes: Vec<u8> = bus.authorised(&proxy, "PublicKey", &()).await?;
            deliver(output, to, &key, "public_key", &bytes)
        }
    }
}

async fn create(bus: &Bus, output: &Output, label: &str, algorithm: &str) -> Result<(), Error> {
    let proxy = bus.proxy(QUANTUM, KEYS, COLLECTION).await?;
    let options = HashMap::<&str, Variant<'_>>::new();
    let path: OwnedObjectPath = bus
        .authorised(&proxy, "Create", &(algorithm, label, options))
        .await?;
    show(output, &read(bus, path.as_str()).await?)
}

async fn sign(bus: &Bus, output: &Output, args: &SignArgs) -> Result<(), Error> {
    let message = Message::open(args.file.as_deref())?;
    let key = find(bus, &args.key).await?;
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    let options = options(args.context.as_deref());
    let signature: Vec<u8> = match &message {
        Message::Bytes(bytes) => {
            bus.authorised(&proxy, "Sign", &(bytes.as_slice(), options))
                .await?
        }
        Message::Descriptor(file) => {
            bus.authorised(&proxy, "SignDescriptor", &(zbus::Fd::from(file), options))
                .await?
        }
    };
    deliver(output, &args.to, &key, "signature", &signature)
}

async fn verify(bus: &Bus, output: &Output, args: &VerifyArgs) -> Result<(), Error> {
    let signature = bytes_of(&args.signature)?;
    let options = options(args.context.as_deref());
    let (valid, by): (bool, String) = match &args.public_key {
        Some(file) => {
            let public_key = bytes_of(file)?;
            if args.second.is_some() {
                return Err(Error::Usage(
                    "KEY and --public-key exclude each other".into(),
                ));
            }
            let message = Message::open(args.first.as_deref().map(Path::new))?;
            let proxy = bus.proxy(QUANTUM, KEYS, COLLECTION).await?;
            let by = (args.algorithm.as_str(), public_key.as_slice());
            let valid = match &message {
                Message::Bytes(bytes) => {
                    let body = (by.0, by.1, bytes.as_slice(), signature.as_slice(), options);
                    bus.authorised(&proxy, "Verify", &body).await?
                }
                Message::Descriptor(file) => {
                    let file = zbus::Fd::from(file);
                    let body = (by.0, by.1, file, signature.as_slice(), options);
                    bus.authorised(&proxy, "VerifyDescriptor", &body).await?
                }
            };
            (valid, file.display().to_string())
        }
        None => {
            let key = find(bus, args.first.as_deref().unwrap_or_default()).await?;
            let message = Message::open(args.second.as_deref().map(Path::new))?;
            let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
            let valid = match &message {
                Message::Bytes(bytes) => {
                    let body = (bytes.as_slice(), signature.as_slice(), options);
                    bus.authorised(&proxy, "Verify", &body).await?
                }
                Message::Descriptor(file) => {
                    let body = (zbus::Fd::from(file), signature.as_slice(), options);
                    bus.authorised(&proxy, "VerifyDescriptor", &body).await?
                }
            };
            (valid, key.id)
        }
    };
    output.document(&json!({ "valid": valid, "by": by }), |_| {
        if valid {
            output.style.good("good signature") + &format!(" by {}\n", escape(&by))
        } else {
            String::new()
        }
    })?;
    if valid {
        Ok(())
    } else {
        Err(Error::BadSignature)
    }
}

/// Prints or writes a signature or a public key.
fn deliver(output: &Output, to: &To, key: &Key, what: &str, bytes: &[u8]) -> Result<(), Error> {
    let mut document = json!({ "key": key.id, "algorithm": key.algorithm });
    if let Some(path) = &to.output {
        fs::write(path, to.format.encode(bytes)).map_err(|source| Error::file(path, source))?;
        document["file"] = json!(path);
        return output.document(&document, |_| String::new());
    }
    document[what] = json!(base64(bytes));
    if output.json {
        return output.document(&document, |_| String::new());
    }
    crate::output::write(&to.format.encode(bytes))
}

fn show(output: &Output, key: &Key) -> Result<(), Error> {
    output.document(key, |key| render::details(key, output.style, &output.zone))
}

/// Options of Sign and Verify.
fn options(context: Option<&str>) -> HashMap<&'static str, Variant<'_>> {
    context
        .map(|context| ("context", Variant::from(context.as_bytes())))
        .into_iter()
        .collect()
}

/// A signature or public key from a file.
fn bytes_of(path: &Path) -> Result<Vec<u8>, Error> {
    let name = path.display().to_string();
    let data = fs::read(path).map_err(|source| Error::file(path, source))?;
    encoding::decode(&name, &data)
}

/// A signature by a key of the store, with what verifies it.
#[derive(Debug)]
pub struct Signed {
    /// Id of the key.
    pub key: String,
    /// Its public key.
    pub public_key: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// Has the key `name` (id, beginning of an id, or label) sign `message` under `context`.
pub async fn signed(bus: &Bus, name: &str, message: &[u8], context: &str) -> Result<Signed, Error> {
    let key = find(bus, name).await?;
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    let public_key = bus.authorised(&proxy, "PublicKey", &()).await?;
    let options = options(Some(context).filter(|context| !context.is_empty()));
    let signature = match Message::of(message)? {
        Message::Bytes(bytes) => {
            bus.authorised(&proxy, "Sign", &(bytes.as_slice(), options))
                .await?
        }
        Message::Descriptor(file) => {
            bus.authorised(&proxy, "SignDescriptor", &(zbus::Fd::from(&file), options))
                .await?
        }
    };
    Ok(Signed {
        key: key.id,
        public_key,
        signature,
    })
}

/// Id and public key of the key `name` of the store.
pub async fn public(bus: &Bus, name: &str) -> Result<(String, Vec<u8>), Error> {
    let key = find(bus, name).await?;
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    let bytes = bus.authorised(&proxy, "PublicKey", &()).await?;
    Ok((key.id, bytes))
}

/// Id and algorithm of the key `name` of the store.
pub async fn algorithm(bus: &Bus, name: &str) -> Result<(String, String), Error> {
    let key = find(bus, name).await?;
    Ok((key.id, key.algorithm))
}

/// A signature or public key from a file, in any of the encodings.
pub fn decoded(path: &Path) -> Result<Vec<u8>, Error> {
    bytes_of(path)
}

async fn all(bus: &Bus) -> Result<Vec<Key>, Error> {
    let mut keys: Vec<Key> = bus
        .objects(QUANTUM, KEYS, KEY)
        .await?
        .iter()
        .map(|(path, properties)| Key::new(path, properties))
        .collect::<Result<_, _>>()?;
    keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    Ok(keys)
}

async fn find(bus: &Bus, name: &str) -> Result<Key, Error> {
    select(&all(bus).await?, name).cloned()
}

async fn read(bus: &Bus, path: &str) -> Result<Key, Error> {
    Key::new(path, &bus.properties(QUANTUM, path, KEY).await?)
}
