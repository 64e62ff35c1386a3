//! `quantumctl keys encrypt`, `decrypt`, `encapsulate`, `decapsulate`, `grant`, `ungrant`, `rotate`
//! and `rewrap`. Data and secrets pass from descriptor to descriptor, never in a message.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use quantumos_dbus::{bus_name::QUANTUM, path::QUANTUM as ROOT};
use serde_json::json;
use zbus::Variant;

use super::{
    KEY, encoding,
    encoding::{Encoding, base64},
    find, options, read, show,
};
use crate::{bus::Bus, error::Error, output::Output};

/// From where to where data goes.
#[derive(Args, Debug)]
pub struct StreamArgs {
    /// Id, beginning of an id, or label
    key: String,
    /// File to read; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    input: Option<PathBuf>,
    /// File to write instead of standard output; it appears when all of it is there
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// What the data belongs to; the same has to be given to decrypt
    #[arg(long)]
    context: Option<String>,
}

/// Who is meant.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Subject {
    /// A user, by number or name
    #[arg(long)]
    user: Option<String>,
    /// A group, by number or name
    #[arg(long)]
    group: Option<String>,
    /// A systemd system unit, by its full name
    #[arg(long)]
    unit: Option<String>,
}

/// A ciphertext for a key, and where its secret goes.
#[derive(Args, Debug)]
pub struct EncapsulateArgs {
    /// Id, beginning of an id, or label
    key: String,
    /// File to write the secret (32 bytes) to, mode 0600
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    secret: PathBuf,
    /// How to write the ciphertext to standard output
    #[arg(long, value_enum, default_value_t = Encoding::Base64)]
    format: Encoding,
}

/// A ciphertext that a key opens.
#[derive(Args, Debug)]
pub struct DecapsulateArgs {
    /// Id, beginning of an id, or label
    key: String,
    /// File with the ciphertext: raw, base64 or hexadecimal
    #[arg(value_hint = ValueHint::FilePath)]
    ciphertext: PathBuf,
    /// File to write the secret (32 bytes) to, mode 0600
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    secret: PathBuf,
    /// Version that it was encapsulated for; the newest without it
    #[arg(long, value_name = "NUMBER")]
    key_version: Option<u32>,
}

impl Subject {
    /// Kind and name as the service takes them.
    fn words(&self) -> Result<(&'static str, String), Error> {
        match (&self.user, &self.group, &self.unit) {
            (Some(user), ..) => Ok(("user", uid(user)?.to_string())),
            (_, Some(group), _) => {
                let found = nix::unistd::Group::from_name(group).ok().flatten();
                let gid = number(group, found.map(|group| group.gid.as_raw()))?;
                Ok(("group", gid.to_string()))
            }
            (.., unit) => Ok(("unit", unit.clone().unwrap_or_default())),
        }
    }
}

fn number(text: &str, found: Option<u32>) -> Result<u32, Error> {
    let known = text.parse().ok().or(found);
    known.ok_or_else(|| Error::Usage(format!("{text}: not known on this host")))
}

/// The number of a user, by number or name.
pub(super) fn uid(user: &str) -> Result<u32, Error> {
    let found = nix::unistd::User::from_name(user).ok().flatten();
    number(user, found.map(|user| user.uid.as_raw()))
}

/// `keys encrypt` and `keys decrypt`: which of them is the name of the service's method.
pub async fn stream(
    bus: &Bus,
    output: &Output,
    args: &StreamArgs,
    method: &str,
) -> Result<(), Error> {
    let input = match args.input.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => File::open(path)
            .map_err(|source| Error::file(path, source))?
            .into(),
        None => standard(&io::stdin(), "standard input")?,
    };
    let key = find(bus, &args.key).await?;
    let draft = args
        .output
        .as_ref()
        .map(|path| path.with_added_extension("new"));
    let to: OwnedFd = match &draft {
        Some(draft) => private(draft)?.into(),
        None => standard(&io::stdout(), "standard output")?,
    };
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    let body = (
        zbus::Fd::from(&input),
        zbus::Fd::from(&to),
        options(args.context.as_deref()),
    );
    let done = bus.authorised::<_, u64>(&proxy, method, &body).await;
    let (Some(draft), Some(path)) = (&draft, &args.output) else {
        // Data went to standard output: nothing else does.
        return done.map(drop);
    };
    let written = match done {
        Ok(written) => written,
        Err(error) => {
            // What is there is empty; the error says more than one about removing it.
            let _ = fs::remove_file(draft);
            return Err(error);
        }
    };
    fs::rename(draft, path).map_err(|source| Error::file(path, source))?;
    output.document(&json!({ "file": path, "bytes": written }), |_| {
        String::new()
    })
}

/// `keys encapsulate`.
pub async fn encapsulate(bus: &Bus, output: &Output, args: &EncapsulateArgs) -> Result<(), Error> {
    let key = find(bus, &args.key).await?;
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    let options = HashMap::<&str, Variant<'_>>::new();
    let (ciphertext, secret, version): (Vec<u8>, zbus::OwnedFd, u32) =
        bus.authorised(&proxy, "Encapsulate", &(options,)).await?;
    keep(&args.secret, secret)?;
    if output.json {
        let document = json!({
            "key": key.id, "algorithm": key.algorithm, "version": version,
            "ciphertext": base64(&ciphertext), "file": args.secret,
        });
        return output.document(&document, |_| String::new());
    }
    crate::output::write(&args.format.encode(&ciphertext))
}

/// `keys decapsulate`.
pub async fn decapsulate(bus: &Bus, output: &Output, args: &DecapsulateArgs) -> Result<(), Error> {
    let data =
        fs::read(&args.ciphertext).map_err(|source| Error::file(&args.ciphertext, source))?;
    let ciphertext = encoding::decode(&args.ciphertext.display().to_string(), &data)?;
    let key = find(bus, &args.key).await?;
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    let options: HashMap<&str, Variant<'_>> = args
        .key_version
        .map(|version| ("version", version.into()))
        .into_iter()
        .collect();
    let body = (ciphertext.as_slice(), options);
    let secret: zbus::OwnedFd = bus.authorised(&proxy, "Decapsulate", &body).await?;
    keep(&args.secret, secret)?;
    output.document(&json!({ "key": key.id, "file": args.secret }), |_| {
        String::new()
    })
}

/// `keys grant`.
pub async fn grant(
    bus: &Bus,
    output: &Output,
    key: &str,
    subject: &Subject,
    operations: &[String],
) -> Result<(), Error> {
    let (kind, name) = subject.words()?;
    let key = find(bus, key).await?;
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    bus.authorised::<_, ()>(&proxy, "Grant", &(kind, name, operations))
        .await?;
    show(output, &read(bus, &key.path).await?)
}

/// `keys ungrant`.
pub async fn ungrant(
    bus: &Bus,
    output: &Output,
    key: &str,
    subject: &Subject,
) -> Result<(), Error> {
    let (kind, name) = subject.words()?;
    let key = find(bus, key).await?;
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    bus.authorised::<_, ()>(&proxy, "Ungrant", &(kind, name))
        .await?;
    show(output, &read(bus, &key.path).await?)
}

/// `keys rotate`.
pub async fn rotate(bus: &Bus, output: &Output, key: &str) -> Result<(), Error> {
    let key = find(bus, key).await?;
    let proxy = bus.proxy(QUANTUM, &key.path, KEY).await?;
    bus.authorised::<_, u32>(&proxy, "Rotate", &()).await?;
    show(output, &read(bus, &key.path).await?)
}

/// `keys rewrap`.
pub async fn rewrap(bus: &Bus, output: &Output) -> Result<(), Error> {
    let proxy = bus.proxy(QUANTUM, ROOT, "org.quantumos.RootKey1").await?;
    let version: u32 = bus.authorised(&proxy, "RotateKek", &()).await?;
    output.document(&json!({ "kek_version": version }), |_| {
        format!("all keys are wrapped under key encryption key {version}\n")
    })
}

/// A file that nobody else reads, empty.
fn private(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| Error::file(path, source))
}

/// A standard stream as a descriptor of its own.
fn standard(stream: &(impl AsFd + io::IsTerminal), name: &str) -> Result<OwnedFd, Error> {
    if stream.is_terminal() {
        return Err(Error::Usage(format!("{name} is a terminal; name a file")));
    }
    stream
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| Error::file(Path::new(name), source))
}

/// Writes a secret that the service gave to a file.
fn keep(path: &Path, secret: zbus::OwnedFd) -> Result<(), Error> {
    let mut bytes = Vec::with_capacity(64);
    File::from(OwnedFd::from(secret))
        .take(64)
        .read_to_end(&mut bytes)
        .and_then(|_| private(path).map_err(io::Error::other)?.write_all(&bytes))
        .map_err(|source| Error::file(path, source))
}
